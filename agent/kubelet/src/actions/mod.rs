//! Performs what the pods' machines ask for, each command in a task of its own, and reports the results.

mod cleanup;
mod exit;
mod grpc;
mod hooks;
mod http;
mod mounts;
mod probe;
mod sandbox;
mod start;
mod stop;
mod url;
mod volumes;
mod words;

use crate::cgroup::Cgroups;
use crate::clock::Clock;
use crate::config::KubeletConfig;
use crate::cri::Cri;
use crate::env::fields::NodeFacts;
use crate::event::Event;
use crate::machine::MachineFacts;
use crate::pod::{Command, Pod, PodEvent, ProbeResult};
use crate::references::References;
use crate::tokens::Tokens;
use crate::volume::PodDirs;
use arc_swap::ArcSwap;
use keelson_api::resource::Resource;
use keelson_client::informer::Informer;
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::Service;
use keelson_client::{Client, Meta};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Probes that run at the same time.
pub const PROBES_MAX: usize = 64;

/// Everything that an action needs; shared by all of them.
pub struct Context {
    pub config: KubeletConfig,
    pub host_ips: Vec<String>,
    pub machine: MachineFacts,
    pub clock: Clock,
    pub cri: Cri,
    pub client: Client,
    pub cgroups: Cgroups,
    pub references: References,
    pub tokens: Tokens,
    pub services: Informer<Service>,
    pub recorder: Recorder,
    /// The node's labels as they were last written or read.
    pub node_labels: ArcSwap<BTreeMap<String, String>>,
    pub events: mpsc::Sender<Event>,
    /// Bounds the calls that make sandboxes and containers.
    pub making: Semaphore,
    pub probing: Semaphore,
    /// Asks for a listing of the runtime now.
    pub look: Notify,
}

impl Context {
    pub fn dirs(&self, pod: &Pod) -> PodDirs {
        PodDirs::new(&self.config.root_dir, &pod.meta.uid)
    }

    pub fn log_dir(&self, pod: &Pod) -> PathBuf {
        let name = format!("{}_{}_{}", pod.meta.namespace, pod.meta.name, pod.meta.uid);
        self.config.pod_log_dir.join(name)
    }

    pub fn seccomp_profiles(&self) -> PathBuf {
        self.config.root_dir.join("seccomp")
    }

    pub fn facts<'a>(&'a self, pod_ips: &'a [String]) -> NodeFacts<'a> {
        NodeFacts {
            host_ips: &self.host_ips,
            pod_ips,
            cpu_milli: self.machine.cpu_milli,
            memory_bytes: self.machine.memory_allocatable_bytes(),
            disk_bytes: self.machine.disk_allocatable_bytes(),
        }
    }

    /// Writes an event about the pod, or about one of its containers.
    pub fn record(&self, pod: &Pod, warning: bool, reason: &str, message: String, container: Option<&str>) {
        let mut object = ObjectRef::of(&Resource::PODS, &pod.meta);
        if let Some(name) = container {
            let is_init = pod.spec.init_containers.iter().any(|c| c.name == name);
            let list = if is_init { "initContainers" } else { "containers" };
            object.field_path = format!("spec.{list}{{{name}}}");
        }
        let kind = if warning { EventType::Warning } else { EventType::Normal };
        self.recorder.event(&object, kind, reason, message);
    }

    /// Writes an event about the node. Its uid is the node's name there, as clients look for it.
    pub fn record_node(&self, warning: bool, reason: &str, message: String) {
        let name = self.config.node_name.clone();
        let meta = Meta { uid: name.clone(), name, ..Meta::default() };
        let kind = if warning { EventType::Warning } else { EventType::Normal };
        self.recorder.event(&ObjectRef::of(&Resource::NODES, &meta), kind, reason, message);
    }
}

/// Starts a command. `DeleteObject`, `Forget` and `Record` are the loop's own and never come here. `cancel`
/// ends what a pod that is on its way out need not wait for.
pub fn perform(context: &Arc<Context>, pod: &Arc<Pod>, cancel: &CancellationToken, command: Command) {
    let (context, pod, cancel) = (Arc::clone(context), Arc::clone(pod), cancel.clone());
    tokio::spawn(async move {
        let event = run(&context, &pod, &cancel, command).await;
        if let Some(event) = event {
            let uid = pod.meta.uid.clone();
            // The loop has ended when nobody listens; nothing is left to report to.
            let _ = context.events.send(Event::Pod { uid, event: Box::new(event) }).await;
        }
    });
}

async fn run(
    context: &Arc<Context>,
    pod: &Arc<Pod>,
    cancel: &CancellationToken,
    command: Command,
) -> Option<PodEvent> {
    Some(match command {
        Command::MountVolumes => PodEvent::VolumesMounted(volumes::mount(context, pod).await),
        Command::CreateSandbox { attempt } => {
            PodEvent::SandboxCreated(sandbox::create(context, pod, attempt).await)
        }
        Command::StopSandbox { id } => PodEvent::SandboxStopped(sandbox::stop(context, &id).await),
        Command::StartContainer { name, attempt, sandbox, ips } => {
            let result = start::start(
                context,
                pod,
                start::Start { name: &name, attempt, sandbox: &sandbox, ips: &ips, cancel },
            );
            PodEvent::ContainerStarted { result: result.await, name }
        }
        Command::PostStart { name, id } => {
            let result = hooks::post_start(context, pod, &name, &id).await;
            PodEvent::PostStarted { id, result }
        }
        Command::StopContainer { name, id, grace_s, hook, message } => {
            let stop = stop::Stop { name: &name, id: &id, grace_s, hook, message };
            let result = stop::stop(context, pod, stop).await;
            PodEvent::ContainerStopped { id, result }
        }
        Command::Probe { name, id, kind, ips } => {
            let (success, output) = probe::run(context, pod, &name, &id, kind, &ips).await;
            PodEvent::Probed { id, result: ProbeResult { kind, success, output } }
        }
        Command::Remove { containers, sandboxes } => {
            cleanup::remove(context, &containers, &sandboxes).await;
            return None;
        }
        Command::TearDown { sandboxes } => {
            PodEvent::TornDown(cleanup::tear_down(context, pod, &sandboxes).await)
        }
        Command::Purge { sandboxes } => {
            cleanup::purge(context, pod, &sandboxes).await;
            PodEvent::Purged
        }
        Command::Record { .. } | Command::DeleteObject | Command::Forget => return None,
    })
}
