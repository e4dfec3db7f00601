//! The machine by scripts: an event, then the commands it must give.

use super::event::{
    Command, ContainerSeen, Failure, Observation, PodEvent, ProbeResult, RunState, SandboxSeen,
};
use super::machine::Machine;
use super::probe::ProbeKind;
use super::spec::Pod;
use super::status::Host;
use super::time::Now;
use serde_json::{Value, json};
use std::sync::Arc;

const WALL: i64 = 1_800_000_000_000;

struct Script {
    machine: Machine,
    mono: u64,
    spec: Value,
}

fn short(command: &Command) -> String {
    match command {
        Command::MountVolumes => "mount".into(),
        Command::CreateSandbox { attempt } => format!("sandbox {attempt}"),
        Command::StartContainer { name, attempt, .. } => format!("start {name} {attempt}"),
        Command::PostStart { name, .. } => format!("poststart {name}"),
        Command::StopContainer { name, grace_s, hook, .. } => {
            format!("stop {name} {grace_s}{}", if *hook { " hook" } else { "" })
        }
        Command::Probe { name, kind, .. } => format!("{} {name}", kind.name().to_lowercase()),
        Command::StopSandbox { id } => format!("stop sandbox {id}"),
        Command::Remove { containers, sandboxes } => {
            format!("remove {}", [containers.as_slice(), sandboxes].concat().join(" "))
        }
        Command::Record { reason, .. } => format!("record {reason}"),
        Command::TearDown { sandboxes } => format!("teardown {}", sandboxes.join(" ")).trim_end().into(),
        Command::Purge { .. } => "purge".into(),
        Command::DeleteObject => "delete".into(),
        Command::Forget => "forget".into(),
    }
}

fn pod(spec: &Value, extra: &Value) -> Arc<Pod> {
    let mut metadata = json!({"name": "p", "namespace": "n", "uid": "u", "generation": 1});
    for (name, value) in extra.as_object().into_iter().flatten() {
        metadata[name] = value.clone();
    }
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
}

fn sandbox(id: &str, ready: bool) -> SandboxSeen {
    SandboxSeen { id: id.into(), ready, ips: vec!["10.0.0.1".into()], ..SandboxSeen::default() }
}

impl Script {
    fn new(spec: Value) -> Self {
        let machine = Machine::new(pod(&spec, &json!({})), None, Now { mono: 0, wall: WALL });
        Self { machine, mono: 0, spec }
    }

    /// Volumes and sandbox are there; the first container is being started.
    fn up(spec: Value) -> Self {
        let mut script = Self::new(spec);
        script.check(PodEvent::Tick, &["mount", "sandbox 0"]);
        script.check(PodEvent::VolumesMounted(Ok(None)), &[]);
        script
    }

    fn now(&self) -> Now {
        Now { mono: self.mono, wall: WALL + i64::try_from(self.mono).unwrap() }
    }

    #[track_caller]
    fn check(&mut self, event: PodEvent, expect: &[&str]) {
        let got: Vec<String> = self.machine.step(event, self.now()).iter().map(short).collect();
        assert_eq!(got, expect, "at {} ms", self.mono);
    }

    fn seen(&self, name: &str, attempt: u32, state: RunState, exit_code: i32) -> ContainerSeen {
        ContainerSeen {
            id: format!("{name}{attempt}"),
            name: name.into(),
            sandbox: "s0".into(),
            restart_count: attempt,
            state,
            started: self.now().wall,
            finished: self.now().wall,
            exit_code,
            ..ContainerSeen::default()
        }
    }

    fn sandboxed(&mut self, expect: &[&str]) {
        self.check(PodEvent::SandboxCreated(Ok(sandbox("s0", true))), expect);
    }

    #[track_caller]
    fn started(&mut self, name: &str, attempt: u32, expect: &[&str]) {
        let seen = self.seen(name, attempt, RunState::Running, 0);
        self.check(PodEvent::ContainerStarted { name: name.into(), result: Ok(seen) }, expect);
    }

    #[track_caller]
    fn exited(&mut self, name: &str, attempt: u32, code: i32, expect: &[&str]) {
        let seen = self.seen(name, attempt, RunState::Exited, code);
        let containers = vec![seen];
        let observation = Observation { listed: self.mono, sandboxes: vec![sandbox("s0", true)], containers };
        self.check(PodEvent::Observed(observation), expect);
    }

    #[track_caller]
    fn probed(&mut self, id: &str, kind: ProbeKind, success: bool, expect: &[&str]) {
        let event = PodEvent::Probed {
            id: id.into(),
            result: ProbeResult { kind, success: Some(success), output: String::new() },
        };
        self.check(event, expect);
    }

    fn deleted(&mut self, grace: i64, expect: &[&str]) {
        let extra = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace});
        self.check(PodEvent::Updated(pod(&self.spec, &extra)), expect);
    }

    fn status(&self) -> Value {
        let host = Host { ips: &["192.168.0.1".to_owned()], now: self.now().wall };
        self.machine.status(&Value::Null, &host).unwrap()
    }

    #[track_caller]
    fn shows(&self, pointer: &str, expect: Value) {
        let status = self.status();
        assert_eq!(status.pointer(pointer), Some(&expect), "{status:#}");
    }

    #[track_caller]
    fn condition(&self, kind: &str, expect: &str) {
        let status = self.status();
        let list = status["conditions"].as_array().unwrap();
        let found = list.iter().find(|c| c["type"] == kind).unwrap();
        assert_eq!(found["status"], expect, "{found:#}");
    }
}

fn one() -> Value {
    json!({"containers": [{"name": "a"}]})
}

#[test]
fn volumes_and_sandbox_are_made_side_by_side() {
    let mut s = Script::new(one());
    s.check(PodEvent::Tick, &["mount", "sandbox 0"]);
    s.shows("/containerStatuses/0/state/waiting/reason", json!("ContainerCreating"));
    s.sandboxed(&[]);
    s.condition("PodReadyToStartContainers", "True");
    s.check(PodEvent::VolumesMounted(Ok(None)), &["start a 0"]);
    s.started("a", 0, &[]);
    s.shows("/phase", json!("Running"));
    s.shows("/podIP", json!("10.0.0.1"));
    s.condition("Ready", "True");
}

#[test]
fn volumes_are_retried_with_patience() {
    let mut s = Script::new(one());
    s.check(PodEvent::Tick, &["mount", "sandbox 0"]);
    s.sandboxed(&[]);
    for delay in [500, 1000, 2000] {
        let failure = Failure::new("FailedMount", "x");
        s.check(PodEvent::VolumesMounted(Err(failure)), &["record FailedMount"]);
        assert_eq!(s.machine.wake(), Some(s.mono + delay));
        s.mono += delay;
        s.check(PodEvent::Tick, &["mount"]);
    }
    let failure = Failure::new("FailedMount", "x");
    s.check(PodEvent::VolumesMounted(Err(failure)), &["record FailedMount"]);
    s.check(PodEvent::ReferencesChanged, &["mount"]);
    // A change during the work is worked on after it.
    s.check(PodEvent::ReferencesChanged, &[]);
    s.check(PodEvent::VolumesMounted(Ok(None)), &["mount", "start a 0"]);
    s.check(PodEvent::VolumesMounted(Ok(Some(s.mono + 60_000))), &[]);
    s.mono += 60_000;
    s.check(PodEvent::Tick, &["mount"]);
}

#[test]
fn crashes_back_off_ten_twenty_forty_and_a_good_run_resets() {
    let mut s = Script::up(one());
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    s.mono += 100;
    s.exited("a", 0, 1, &["start a 1"]);
    let mut attempt = 1;
    for delay in [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
        s.started("a", attempt, &[]);
        s.mono += 100;
        s.exited("a", attempt, 1, &["record BackOff"]);
        s.shows("/containerStatuses/0/state/waiting/reason", json!("CrashLoopBackOff"));
        s.shows("/containerStatuses/0/lastState/terminated/exitCode", json!(1));
        s.shows("/phase", json!("Running"));
        assert_eq!(s.machine.wake(), Some(s.mono + delay));
        s.mono += delay - 1;
        s.check(PodEvent::Tick, &[]);
        s.mono += 1;
        attempt += 1;
        s.check(PodEvent::Tick, &[&format!("start a {attempt}")]);
    }
    s.started("a", attempt, &[]);
    s.mono += 600_001;
    s.exited("a", attempt, 1, &[&format!("start a {}", attempt + 1)]);
}

#[test]
fn restart_policies() {
    let check = |policy: &str, code: i32, expect: &[&str], phase: &str| {
        let mut s = Script::up(json!({"restartPolicy": policy, "containers": [{"name": "a"}]}));
        s.sandboxed(&["start a 0"]);
        s.started("a", 0, &[]);
        s.exited("a", 0, code, expect);
        s.shows("/phase", json!(phase));
    };
    check("Always", 0, &["start a 1"], "Running");
    check("OnFailure", 0, &["stop sandbox s0"], "Succeeded");
    check("OnFailure", 1, &["start a 1"], "Running");
    check("Never", 0, &["stop sandbox s0"], "Succeeded");
    check("Never", 1, &["stop sandbox s0"], "Failed");
}

#[test]
fn containers_with_restart_policies_of_their_own() {
    let check = |policy: &str, own: Value, code: i32, phase: &str| {
        let mut container = json!({"name": "a"});
        container.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let mut s = Script::up(json!({"restartPolicy": policy, "containers": [container]}));
        s.sandboxed(&["start a 0"]);
        s.started("a", 0, &[]);
        let again: &[&str] = if phase == "Running" { &["start a 1"] } else { &["stop sandbox s0"] };
        s.exited("a", 0, code, again);
        s.shows("/phase", json!(phase));
    };
    let rule = json!({"restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]});
    check("Never", json!({"restartPolicy": "Always"}), 0, "Running");
    check("Always", json!({"restartPolicy": "Never"}), 0, "Succeeded");
    check("Always", json!({"restartPolicy": "Never"}), 1, "Failed");
    check("Always", rule.clone(), 42, "Running");
    check("Always", rule, 41, "Failed");
}

#[test]
fn sandboxes_that_cannot_be_made_say_why() {
    for (reason, words) in [
        ("FailedCreatePodSandBox", "Failed to create pod sandbox: no"),
        ("FailedPrepareDynamicResources", "Failed to prepare dynamic resources: no"),
    ] {
        let mut machine = Script::up(json!({"containers": [{"name": "a"}]})).machine;
        let event = PodEvent::SandboxCreated(Err(Failure::new(reason, "no")));
        let commands = machine.step(event, Now { mono: 0, wall: WALL });
        let said = commands.iter().any(
            |c| matches!(c, Command::Record { reason: r, message, .. } if *r == reason && message == words),
        );
        assert!(said, "{commands:?}");
    }
}

#[test]
fn init_containers_and_sidecars() {
    let mut s = Script::up(json!({
        "initContainers": [{"name": "i"}, {"name": "side", "restartPolicy": "Always"}, {"name": "j"}],
        "containers": [{"name": "a"}, {"name": "b"}]}));
    s.sandboxed(&["start i 0"]);
    let initializing = json!({"waiting": {"reason": "PodInitializing"}});
    for status in
        ["containerStatuses/0", "containerStatuses/1", "initContainerStatuses/0", "initContainerStatuses/2"]
    {
        s.shows(&format!("/{status}/state"), initializing.clone());
    }
    s.started("i", 0, &[]);
    s.condition("Initialized", "False");
    s.exited("i", 0, 0, &["start side 0"]);
    s.started("side", 0, &["start j 0"]);
    s.started("j", 0, &[]);
    s.exited("j", 0, 1, &["start j 1"]);
    s.started("j", 1, &[]);
    s.exited("j", 1, 0, &["start a 0"]);
    s.condition("Initialized", "True");
    s.started("a", 0, &["start b 0"]);
    s.started("b", 0, &[]);
    s.condition("Ready", "True");
    s.exited("side", 0, 1, &["start side 1"]);
    s.condition("Ready", "False");
    s.started("side", 1, &[]);
    s.deleted(30, &["stop b 30", "stop a 30"]);
    s.exited("a", 0, 0, &[]);
    s.exited("b", 0, 0, &["stop side 30"]);
}

#[test]
fn an_init_container_that_may_not_restart_fails_the_pod() {
    let mut s = Script::up(json!({"restartPolicy": "Never",
        "initContainers": [{"name": "i"}], "containers": [{"name": "a"}]}));
    s.sandboxed(&["start i 0"]);
    s.started("i", 0, &[]);
    s.exited("i", 0, 1, &["stop sandbox s0"]);
    s.shows("/phase", json!("Failed"));
}

#[test]
fn deletion_goes_step_by_step_and_in_order() {
    let mut s = Script::up(
        json!({"containers": [{"name": "a", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}]}),
    );
    s.sandboxed(&["start a 0"]);
    s.deleted(30, &[]);
    s.started("a", 0, &["stop a 30 hook"]);
    s.check(PodEvent::Tick, &[]);
    s.deleted(5, &["stop a 5"]);
    s.deleted(10, &[]);
    s.check(PodEvent::ContainerStopped { id: "a0".into(), result: Ok(()) }, &[]);
    s.exited("a", 0, 137, &["stop sandbox s0"]);
    s.shows("/phase", json!("Failed"));
    s.check(PodEvent::SandboxStopped(Ok(())), &["teardown s0"]);
    s.check(PodEvent::TornDown(Err(Failure::new("x", "busy"))), &[]);
    s.mono += 1000;
    s.check(PodEvent::Tick, &["teardown s0"]);
    s.check(PodEvent::TornDown(Ok(())), &["purge", "delete"]);
    s.check(PodEvent::ObjectDeleted, &[]);
    s.check(PodEvent::Purged, &["forget"]);
}

/// The agent before this one had asked for it, and the runtime listed it late.
#[test]
fn a_sandbox_that_nobody_knows_of_is_named_to_the_tear_down() {
    let mut s = Script::up(one());
    s.check(PodEvent::SandboxCreated(Err(Failure::new("x", "lost"))), &["record x"]);
    let sandboxes = vec![sandbox("late", true)];
    s.check(PodEvent::Observed(Observation { listed: 1, sandboxes, ..Observation::default() }), &[]);
    s.deleted(0, &["teardown late"]);
    s.check(PodEvent::TornDown(Ok(())), &["purge", "delete"]);
}

#[test]
fn a_finished_pod_waits_for_its_deletion() {
    let mut s = Script::up(json!({"restartPolicy": "Never", "containers": [{"name": "a"}]}));
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    s.exited("a", 0, 0, &["stop sandbox s0"]);
    s.check(PodEvent::SandboxStopped(Ok(())), &["teardown s0"]);
    s.check(PodEvent::TornDown(Ok(())), &[]);
    s.shows("/phase", json!("Succeeded"));
    s.shows("/containerStatuses/0/state/terminated/reason", json!("Completed"));
    s.deleted(30, &["purge", "delete"]);
}

#[test]
fn a_pod_that_vanishes_is_stopped_and_forgotten() {
    let mut s = Script::up(one());
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    s.check(PodEvent::Gone, &["stop a 30"]);
    s.exited("a", 0, 0, &["stop sandbox s0"]);
    s.check(PodEvent::SandboxStopped(Ok(())), &["teardown s0"]);
    s.check(PodEvent::TornDown(Ok(())), &["purge"]);
    s.check(PodEvent::Purged, &["forget"]);
}

#[test]
fn probes_gate_readiness_and_restart_what_is_dead() {
    let mut s = Script::up(json!({"containers": [{"name": "a",
        "startupProbe": {"periodSeconds": 1}, "livenessProbe": {"periodSeconds": 1, "failureThreshold": 2,
        "terminationGracePeriodSeconds": 3}, "readinessProbe": {"periodSeconds": 1}}]}));
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &["startup a"]);
    s.shows("/containerStatuses/0/started", json!(false));
    s.probed("a0", ProbeKind::Startup, false, &["record Unhealthy"]);
    s.mono += 1000;
    s.check(PodEvent::Tick, &["startup a"]);
    s.probed("a0", ProbeKind::Startup, true, &["liveness a", "readiness a"]);
    s.shows("/containerStatuses/0/started", json!(true));
    s.condition("Ready", "False");
    s.probed("a0", ProbeKind::Readiness, true, &[]);
    s.condition("Ready", "True");
    s.probed("a0", ProbeKind::Liveness, false, &["record Unhealthy"]);
    s.mono += 1000;
    s.check(PodEvent::Tick, &["liveness a", "readiness a"]);
    s.probed("old", ProbeKind::Liveness, false, &[]);
    s.probed("a0", ProbeKind::Liveness, false, &["record Unhealthy", "stop a 3"]);
    s.exited("a", 0, 137, &["start a 1"]);
    s.condition("Ready", "False");
}

#[test]
fn hooks_and_the_order_of_starts() {
    let mut s = Script::up(json!({"containers": [
        {"name": "a", "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}, {"name": "b"}]}));
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &["poststart a"]);
    s.shows("/containerStatuses/0/ready", json!(false));
    s.check(PodEvent::PostStarted { id: "a0".into(), result: Ok(()) }, &["start b 0"]);
    s.shows("/containerStatuses/0/ready", json!(true));
    let mut s = Script::up(json!({"containers": [
        {"name": "a", "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}]}));
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &["poststart a"]);
    let failed = PodEvent::PostStarted { id: "a0".into(), result: Err("no".into()) };
    s.check(failed, &["record FailedPostStartHook", "stop a 30"]);
}

#[test]
fn images_that_cannot_be_pulled() {
    let mut s = Script::up(json!({"containers": [{"name": "a", "image": "x:1"}]}));
    s.sandboxed(&["start a 0"]);
    let refused = || PodEvent::ContainerStarted {
        name: "a".into(),
        result: Err(Failure::new("ErrImagePull", "no such host")),
    };
    s.check(refused(), &["record Failed"]);
    s.shows("/containerStatuses/0/state/waiting/reason", json!("ErrImagePull"));
    s.mono += 1000;
    s.check(PodEvent::Tick, &["record BackOff", "record Failed"]);
    s.shows("/containerStatuses/0/state/waiting/reason", json!("ImagePullBackOff"));
    s.mono += 9000;
    s.check(PodEvent::Tick, &["start a 0"]);
    s.check(refused(), &["record Failed"]);
    s.mono += 19_999;
    s.check(PodEvent::Tick, &["record BackOff", "record Failed"]);
    s.mono += 1;
    s.check(PodEvent::Tick, &["start a 0"]);
    s.shows("/phase", json!("Pending"));
}

/// What the user can only mend by another name is tried again, without a back-off of its own.
#[test]
fn images_that_cannot_be_used() {
    for reason in ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError"] {
        let mut s = Script::up(one());
        s.sandboxed(&["start a 0"]);
        for delay in [1000, 2000, 4000, 8000, 10_000, 10_000] {
            let result = Err(Failure::new(reason, "why"));
            let event = PodEvent::ContainerStarted { name: "a".into(), result };
            let commands = s.machine.step(event, s.now());
            let [Command::Record { warning: true, reason: "Failed", message, .. }] = commands.as_slice()
            else {
                panic!("{commands:?}")
            };
            assert_eq!(*message, format!("Error: {reason}"));
            s.shows("/containerStatuses/0/state/waiting", json!({"reason": reason, "message": "why"}));
            s.shows("/phase", json!("Pending"));
            assert_eq!(s.machine.wake(), Some(s.mono + delay));
            s.mono += delay;
            s.check(PodEvent::Tick, &["start a 0"]);
        }
    }
}

#[test]
fn a_dead_sandbox_is_replaced_with_all_that_was_in_it() {
    let mut s = Script::up(json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]}));
    s.sandboxed(&["start i 0"]);
    s.started("i", 0, &[]);
    s.exited("i", 0, 0, &["start a 0"]);
    s.started("a", 0, &[]);
    s.mono += 10;
    let seen = s.seen("a", 0, RunState::Running, 0);
    let observed = |listed: u64, sandboxes: Vec<SandboxSeen>, containers: Vec<ContainerSeen>| {
        PodEvent::Observed(Observation { listed, sandboxes, containers })
    };
    s.check(observed(10, vec![sandbox("s0", false)], vec![seen]), &["stop a 30"]);
    let seen = s.seen("a", 0, RunState::Exited, 137);
    s.check(
        observed(11, vec![sandbox("s0", false)], vec![seen]),
        &["record SandboxChanged", "stop sandbox s0"],
    );
    s.check(PodEvent::SandboxStopped(Ok(())), &["sandbox 1"]);
    s.check(PodEvent::SandboxCreated(Ok(sandbox("s1", true))), &["start i 1"]);
    s.started("i", 1, &[]);
    s.exited("i", 1, 0, &["start a 1"]);
}

#[test]
fn a_listing_older_than_a_start_says_nothing_of_it() {
    let mut s = Script::up(one());
    s.mono = 1000;
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    let empty = |listed| PodEvent::Observed(Observation { listed, ..Observation::default() });
    s.check(empty(999), &[]);
    s.condition("Ready", "True");
    s.mono = 2000;
    s.check(empty(1001), &["record SandboxChanged", "sandbox 1"]);
    s.condition("Ready", "False");
}

#[test]
fn litter_is_removed_and_the_last_life_kept() {
    let mut s = Script::up(one());
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    s.exited("a", 0, 1, &["start a 1"]);
    s.started("a", 1, &[]);
    s.exited("a", 1, 1, &["record BackOff"]);
    s.mono += 10_000;
    s.check(PodEvent::Tick, &["start a 2"]);
    s.started("a", 2, &[]);
    s.mono += 10;
    let all: Vec<ContainerSeen> = (0..3)
        .map(|n| s.seen("a", n, if n == 2 { RunState::Running } else { RunState::Exited }, 1))
        .collect();
    let observation = Observation { listed: s.mono, sandboxes: vec![sandbox("s0", true)], containers: all };
    s.check(PodEvent::Observed(observation.clone()), &["remove a0"]);
    s.check(PodEvent::Observed(observation), &[]);
}

#[test]
fn a_changed_image_replaces_the_container() {
    let mut s = Script::up(json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "x:1"}]}));
    s.sandboxed(&["start a 0"]);
    let mut seen = s.seen("a", 0, RunState::Running, 0);
    seen.hash = super::hash::definition_hash(&s.machine.pod.spec.containers[0]);
    let exited = ContainerSeen { state: RunState::Exited, ..seen.clone() };
    s.check(PodEvent::ContainerStarted { name: "a".into(), result: Ok(seen) }, &[]);
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "x:2"}]});
    s.check(PodEvent::Updated(pod(&spec, &json!({}))), &["stop a 30"]);
    let observation =
        Observation { listed: s.mono, sandboxes: vec![sandbox("s0", true)], containers: vec![exited] };
    s.check(PodEvent::Observed(observation), &["start a 1"]);
}

#[test]
fn a_deadline_fails_the_pod() {
    let mut s = Script::up(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}));
    s.sandboxed(&["start a 0"]);
    s.started("a", 0, &[]);
    assert_eq!(s.machine.wake(), Some(5000));
    s.mono = 5000;
    s.check(PodEvent::Tick, &["record DeadlineExceeded", "stop a 30"]);
    s.shows("/phase", json!("Running"));
    s.exited("a", 0, 0, &["stop sandbox s0"]);
    s.shows("/phase", json!("Failed"));
    s.shows("/reason", json!("DeadlineExceeded"));
}

fn adopted(status: Value, containers: Vec<ContainerSeen>) -> Machine {
    let mut whole = (*pod(&one(), &json!({}))).clone();
    whole.status = status;
    let observation = Observation { listed: 0, sandboxes: vec![sandbox("s0", true)], containers };
    Machine::new(Arc::new(whole), Some(&observation), Now { mono: 0, wall: WALL })
}

#[test]
fn a_new_life_of_the_agent_starts_nothing_that_runs() {
    let s = Script::new(one());
    let running = s.seen("a", 3, RunState::Running, 0);
    let stored =
        json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "started": true}]});
    let mut machine = adopted(stored, vec![s.seen("a", 2, RunState::Exited, 1), running]);
    let now = Now { mono: 0, wall: WALL };
    let commands: Vec<String> = machine.step(PodEvent::Tick, now).iter().map(short).collect();
    assert_eq!(commands, ["mount"]);
    let status = machine.status(&Value::Null, &Host { ips: &[], now: WALL }).unwrap();
    let container = &status["containerStatuses"][0];
    assert_eq!((&container["restartCount"], &container["ready"]), (&json!(3), &json!(true)));
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert!(machine.step(PodEvent::VolumesMounted(Ok(None)), now).is_empty());
}

#[test]
fn a_final_status_of_an_earlier_life_is_left_alone() {
    let mut machine = adopted(json!({"phase": "Succeeded"}), Vec::new());
    let now = Now { mono: 0, wall: WALL };
    let commands: Vec<String> = machine.step(PodEvent::Tick, now).iter().map(short).collect();
    assert_eq!(commands, ["stop sandbox s0"]);
    assert!(machine.status(&Value::Null, &Host { ips: &[], now: WALL }).is_none());
}

#[test]
fn a_container_that_the_runtime_lost_counts_as_restarted() {
    let stored = json!({"phase": "Running", "containerStatuses": [
        {"name": "a", "restartCount": 4, "containerID": "containerd://x"}]});
    let mut machine = adopted(stored, Vec::new());
    let now = Now { mono: 0, wall: WALL };
    machine.step(PodEvent::Tick, now);
    let commands: Vec<String> =
        machine.step(PodEvent::VolumesMounted(Ok(None)), now).iter().map(short).collect();
    assert_eq!(commands, ["start a 5"]);
}
