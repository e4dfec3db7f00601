//! The loop itself: events in, machines advanced, commands out.

use super::admission::Labels;
use super::directory::Directory;
use super::writer::{Send, Writer};
use crate::actions::{self, Context};
use crate::cri::observe::PodName;
use crate::event::Event;
use crate::pod::admit::NODE_AFFINITY;
use crate::pod::machine::Machine;
use crate::pod::quantity::{Qos, pod_cpu_request_milli, shares};
use crate::pod::status::Host;
use crate::pod::{Command, Observation, Pod, PodEvent};
use crate::references::{Kind, Reference};
use crate::{env, volume};
use keelson_api::resource::Resource;
use keelson_client::informer::{Change, Feed, Informer};
use keelson_client::views::Partial;
use keelson_client::{DeleteParams, Error, PatchKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The loop looks at its timers at least this often.
const IDLE: Duration = Duration::from_secs(3600);

struct Entry {
    machine: Machine,
    writer: Writer,
    references: BTreeSet<Reference>,
    /// When this pod wants to be looked at again, monotonic ms.
    wake: Option<u64>,
    /// Ends image pulls of a pod that is on its way out.
    cancel: CancellationToken,
}

pub(crate) struct Loop {
    pub(super) context: Arc<Context>,
    informer: Informer<Pod>,
    pods: HashMap<String, Entry>,
    /// Pods that the node's labels as they are now must let in or refuse; they are being read.
    pub(super) undecided: HashMap<String, Arc<Pod>>,
    observed: HashMap<String, Observation>,
    /// The runtime was listed once: pods may be adopted or made.
    looked: bool,
    /// The view of the pods is complete: what it lacks is an orphan.
    synced: bool,
    /// What the burstable class was given last.
    burstable_shares: i64,
    directory: Arc<Directory>,
}

impl Loop {
    pub(crate) fn new(context: Arc<Context>, informer: Informer<Pod>, directory: Arc<Directory>) -> Self {
        Self {
            context,
            informer,
            pods: HashMap::new(),
            undecided: HashMap::new(),
            observed: HashMap::new(),
            looked: false,
            synced: false,
            burstable_shares: 0,
            directory,
        }
    }

    /// Runs until `stop`; containers are left as they are.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>, mut stop: oneshot::Receiver<()>) {
        let mut feed = self.informer.subscribe();
        loop {
            let wake = self.pods.values().filter_map(|e| e.wake).min();
            let timer = match wake {
                Some(at) => tokio::time::sleep_until(self.context.clock.instant(at)),
                None => tokio::time::sleep(IDLE),
            };
            tokio::select! {
                biased;
                _ = &mut stop => return,
                Some(event) = events.recv() => self.take(event),
                change = next_change(&mut feed, self.looked) => match change {
                    Some(change) => self.pod_change(change),
                    None => {
                        tracing::error!("the view of the pods has ended");
                        return;
                    }
                },
                () = timer => {}
            }
            self.run_timers();
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Pod { uid, event } => self.step(&uid, *event),
            Event::Observed(changes) => self.runtime_seen(changes),
            Event::Reference(reference) => self.reference_changed(&reference),
            Event::StatusWritten { uid, result } => self.status_written(&uid, result),
            Event::ObjectDeleted { uid, result } => self.object_deleted(&uid, result),
            Event::NodeRead { uid, labels } => self.node_read(&uid, &labels),
        }
    }

    fn pod_change(&mut self, change: Change<Pod>) {
        match change {
            Change::Applied { old, new } => {
                // The name was reused between two looks: the old pod is gone.
                if let Some(old) = old.filter(|o| o.meta.uid != new.meta.uid) {
                    self.pod_gone(&old.meta.uid);
                }
                self.pod_applied(new);
            }
            Change::Deleted(last) => self.pod_gone(&last.meta.uid),
            Change::Resync => self.resync(),
        }
    }

    fn resync(&mut self) {
        let all = self.informer.store().list();
        let uids: HashSet<&str> = all.iter().map(|p| p.meta.uid.as_str()).collect();
        let gone: Vec<String> =
            self.pods.keys().filter(|uid| !uids.contains(uid.as_str())).cloned().collect();
        self.undecided.retain(|uid, _| uids.contains(uid.as_str()));
        for uid in gone {
            self.step(&uid, PodEvent::Gone);
        }
        for pod in all {
            self.pod_applied(pod);
        }
        self.synced = true;
        self.find_orphans();
    }

    fn pod_applied(&mut self, pod: Arc<Pod>) {
        let uid = pod.meta.uid.clone();
        if let Some(entry) = self.pods.get_mut(&uid) {
            entry.references = references(&pod);
            entry.writer.heard(&pod.status, pod.meta.revision());
            return self.step(&uid, PodEvent::Updated(pod));
        }
        if let Some(waiting) = self.undecided.get_mut(&uid) {
            *waiting = pod;
            return;
        }
        let labels = self.context.node_labels.load_full();
        self.take_in(pod, &labels, Labels::Remembered);
    }

    fn pod_gone(&mut self, uid: &str) {
        self.undecided.remove(uid);
        self.step(uid, PodEvent::Gone);
    }

    /// A pod that is new here: it begins, or it is refused.
    pub(super) fn take_in(&mut self, pod: Arc<Pod>, labels: &BTreeMap<String, String>, known: Labels) {
        let uid = pod.meta.uid.clone();
        let mut machine = Machine::new(Arc::clone(&pod), self.observed.get(&uid), self.context.clock.now());
        let is_new = !self.observed.contains_key(&uid) && machine.ending().is_none();
        match self.admit(&pod, labels) {
            Err((NODE_AFFINITY, _)) if is_new && known == Labels::Remembered => return self.read_node(pod),
            Err((reason, message)) if is_new => {
                self.context.record(&pod, true, reason, message.clone(), None);
                machine.reject(reason, &message);
            }
            _ => {}
        }
        let entry = Entry {
            machine,
            writer: Writer::new(&uid, pod.status.clone()),
            references: references(&pod),
            wake: None,
            cancel: CancellationToken::new(),
        };
        self.pods.insert(uid.clone(), entry);
        self.weigh();
        self.step(&uid, PodEvent::Tick);
    }

    /// The pods that take room on the node.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(|e| !e.machine.over()).map(|e| &*e.machine.pod)
    }

    fn runtime_seen(&mut self, changes: Vec<(PodName, Observation)>) {
        self.looked = true;
        for (name, observation) in changes {
            let empty = observation.sandboxes.is_empty() && observation.containers.is_empty();
            if empty {
                self.observed.remove(&name.uid);
            } else {
                self.observed.insert(name.uid.clone(), observation.clone());
            }
            if self.pods.contains_key(&name.uid) {
                self.step(&name.uid, PodEvent::Observed(observation));
            } else if self.synced && !empty {
                self.adopt_orphan(&name, &observation);
            }
        }
        self.observed.shrink_to_fit();
    }

    /// Pods that the runtime or the disk knows and the API does not.
    fn find_orphans(&mut self) {
        if !self.looked {
            return;
        }
        let runtime: Vec<(PodName, Observation)> = self
            .observed
            .iter()
            .filter(|(uid, _)| !self.pods.contains_key(*uid))
            .map(|(uid, o)| (PodName { uid: uid.clone(), ..PodName::default() }, o.clone()))
            .collect();
        for (name, observation) in runtime {
            self.adopt_orphan(&name, &observation);
        }
        let mut on_disk = self.context.cgroups.pods();
        let folders = std::fs::read_dir(self.context.config.root_dir.join("pods"));
        on_disk
            .extend(folders.into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok()));
        for uid in on_disk.into_iter().filter(|uid| !self.pods.contains_key(uid)).collect::<Vec<_>>() {
            self.adopt_orphan(&PodName { uid, ..PodName::default() }, &Observation::default());
        }
    }

    fn adopt_orphan(&mut self, name: &PodName, observation: &Observation) {
        tracing::info!(uid = name.uid, pod = name.name, "removing a pod that the API does not know");
        let mut pod = Pod::default();
        pod.meta.uid.clone_from(&name.uid);
        pod.meta.name.clone_from(&name.name);
        pod.meta.namespace.clone_from(&name.namespace);
        pod.spec.termination_grace_period_seconds = observation.sandboxes.iter().find_map(|s| s.grace_s);
        let names: BTreeSet<&str> = observation.containers.iter().map(|c| c.name.as_str()).collect();
        pod.spec.containers = names
            .into_iter()
            .map(|name| crate::pod::spec::ContainerSpec { name: name.to_owned(), ..Default::default() })
            .collect();
        let now = self.context.clock.now();
        let machine = Machine::orphan(Arc::new(pod), observation, now);
        let entry = Entry {
            machine,
            writer: Writer::new(&name.uid, Value::Null),
            references: BTreeSet::new(),
            wake: None,
            cancel: CancellationToken::new(),
        };
        self.pods.insert(name.uid.clone(), entry);
        self.step(&name.uid, PodEvent::Observed(observation.clone()));
    }

    fn reference_changed(&mut self, reference: &Reference) {
        let uids: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, e)| e.references.contains(reference))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in uids {
            self.step(&uid, PodEvent::ReferencesChanged);
        }
    }

    fn step(&mut self, uid: &str, event: PodEvent) {
        let now = self.context.clock.now();
        let Some(entry) = self.pods.get_mut(uid) else { return };
        let commands = entry.machine.step(event, now);
        if entry.machine.ending().is_some() {
            entry.cancel.cancel();
        }
        let host = Host { ips: &self.context.host_ips, now: now.wall };
        // The status first: a deletion waits for the last one.
        if let Some(status) = entry.machine.status(entry.writer.reported(), &host) {
            entry.writer.want(status, now.mono);
        }
        let mut forget = false;
        for command in commands {
            match command {
                Command::Record { warning, reason, message, container } => {
                    self.context.record(&entry.machine.pod, warning, reason, message, container.as_deref());
                }
                Command::DeleteObject => entry.writer.delete(),
                Command::Forget => forget = true,
                other => actions::perform(&self.context, &entry.machine.pod, &entry.cancel, other),
            }
        }
        self.directory.put(&entry.machine, entry.writer.reported());
        if forget {
            self.forget(uid);
        } else {
            self.write(uid);
        }
    }

    fn forget(&mut self, uid: &str) {
        if let Some(entry) = self.pods.remove(uid) {
            self.directory.remove(&entry.machine.pod);
        }
        self.observed.remove(uid);
        let wanted: BTreeSet<Reference> = self.pods.values().flat_map(|e| e.references.clone()).collect();
        self.context.references.retain(&wanted);
        self.weigh();
    }

    /// Sends what is due of one pod and sets its timer.
    fn write(&mut self, uid: &str) {
        let now = self.context.clock.now().mono;
        let Some(entry) = self.pods.get_mut(uid) else { return };
        match entry.writer.next(now) {
            Some(Send::Status { patch, after }) => {
                send_status(Arc::clone(&self.context), Arc::clone(&entry.machine.pod), patch, after);
            }
            Some(Send::Delete) => send_delete(Arc::clone(&self.context), Arc::clone(&entry.machine.pod)),
            None => {}
        }
        entry.wake = [entry.machine.wake(), entry.writer.wake()].into_iter().flatten().min();
    }

    fn run_timers(&mut self) {
        let now = self.context.clock.now().mono;
        let due: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, e)| e.wake.is_some_and(|at| at <= now))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in due {
            let machine_due = self.pods.get(&uid).and_then(|e| e.machine.wake()).is_some_and(|at| at <= now);
            if machine_due {
                self.step(&uid, PodEvent::Tick);
            } else {
                self.write(&uid);
            }
        }
    }

    fn status_written(&mut self, uid: &str, result: Result<(Value, u64), Error>) {
        let now = self.context.clock.now();
        let Some(entry) = self.pods.get_mut(uid) else { return };
        match result {
            Ok((after, revision)) => entry.writer.written(after, revision),
            // Another pod of this name, or none: this one's status has no place any more.
            Err(error) if error.is_not_found() || error.is_conflict() => entry.writer.gone(),
            // Repeating the same would get the same answer; the next change is tried again.
            Err(error) if error.is_invalid() => {
                tracing::warn!(pod = entry.machine.pod.key(), %error, "a status was refused");
                entry.writer.gone();
            }
            Err(error) => {
                tracing::warn!(pod = entry.machine.pod.key(), %error, "a status was not written");
                let host = Host { ips: &self.context.host_ips, now: now.wall };
                let current = entry.machine.status(entry.writer.reported(), &host);
                entry.writer.failed(now.mono, current);
            }
        }
        self.write(uid);
    }

    fn object_deleted(&mut self, uid: &str, result: Result<(), Error>) {
        match result {
            Err(error) if !error.is_not_found() && !error.is_conflict() => {
                tracing::warn!(uid, %error, "a pod's object was not deleted");
                if let Some(entry) = self.pods.get_mut(uid) {
                    entry.writer.failed(self.context.clock.now().mono, None);
                }
                self.write(uid);
            }
            _ => {
                if let Some(entry) = self.pods.get_mut(uid) {
                    entry.writer = Writer::new(uid, Value::Null);
                }
                self.step(uid, PodEvent::ObjectDeleted);
            }
        }
    }

    /// Gives all burstable pods together the weight of their requests.
    fn weigh(&mut self) {
        let burstable = self.pods.values().map(|e| &e.machine.pod).filter(|p| Qos::of(p) == Qos::Burstable);
        let wanted = shares(burstable.map(|p| pod_cpu_request_milli(p)).sum());
        if wanted != std::mem::replace(&mut self.burstable_shares, wanted)
            && let Err(error) = self.context.cgroups.weigh_burstable(wanted)
        {
            tracing::warn!(%error, "the weight of burstable pods was not set");
        }
    }
}

/// Changes wait until the runtime was listed: a pod is adopted or made, never guessed about.
async fn next_change(feed: &mut Feed<Pod>, looked: bool) -> Option<Change<Pod>> {
    if looked { feed.recv().await } else { std::future::pending().await }
}

fn send_status(context: Arc<Context>, pod: Arc<Pod>, patch: Value, after: Value) {
    tokio::spawn(async move {
        let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
        let result: Result<Partial, Error> = context
            .client
            .patch_subresource(&Resource::PODS, namespace, name, "status", PatchKind::Strategic, &patch)
            .await;
        let event = Event::StatusWritten {
            uid: pod.meta.uid.clone(),
            result: result.map(|o| (after, o.metadata.revision())),
        };
        let _ = context.events.send(event).await;
    });
}

fn send_delete(context: Arc<Context>, pod: Arc<Pod>) {
    tokio::spawn(async move {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            uid: Some(pod.meta.uid.clone()),
            ..DeleteParams::default()
        };
        let result =
            context.client.delete(&Resource::PODS, &pod.meta.namespace, &pod.meta.name, &params).await;
        let _ = context.events.send(Event::ObjectDeleted { uid: pod.meta.uid.clone(), result }).await;
    });
}

/// Every ConfigMap and Secret that the pod refers to.
fn references(pod: &Pod) -> BTreeSet<Reference> {
    let mut all = BTreeSet::new();
    let mut add = |kind: Kind, names: Vec<String>| {
        let namespace = &pod.meta.namespace;
        all.extend(names.into_iter().map(|name| Reference { kind, namespace: namespace.clone(), name }));
    };
    for container in pod.spec.init_containers.iter().chain(&pod.spec.containers) {
        let (config_maps, secrets) = env::references(container);
        add(Kind::ConfigMap, config_maps);
        add(Kind::Secret, secrets);
    }
    add(Kind::Secret, pod.spec.image_pull_secrets.iter().map(|s| s.name.clone()).collect());
    for volume in &pod.spec.volumes {
        let wants = volume::payload::wants(volume);
        add(Kind::ConfigMap, wants.config_maps);
        add(Kind::Secret, wants.secrets);
    }
    all
}
