//! The scheduler's loop: watches in, bindings out. Choices are made one after the other, bindings run
//! concurrently.

use crate::cluster::Cluster;
use crate::cycle::schedule;
use crate::pod::PodInfo;
use crate::queue::Queue;
use crate::reason::{Hints, Misfit};
use crate::start::{SchedulerConfig, Views};
use jiff::Timestamp;
use keelson_client::informer::{Change, Feed};
use keelson_client::recorder::{EventType, ObjectRef, Recorder};
use keelson_client::views::{LabelSelector, Meta, Namespace, Node, Partial, Pod, Service};
use keelson_client::{Client, Error, PatchKind, Resource, View};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Calls under way at once, of bindings and of reports.
const CALLS_MAX: usize = 512;
/// How often pods that nothing woke are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// The selector of a workload that owns pods.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Owner {
    metadata: Meta,
    spec: OwnerSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnerSpec {
    selector: LabelSelector,
}

impl View for Owner {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// Everything that wakes the loop.
enum Event {
    Pod(Change<Pod>),
    Node(Change<Node>),
    Namespace(Change<Namespace>),
    Service(Change<Service>),
    Owner(Change<Owner>),
    Done(Call),
    Tick,
}

/// A call that ended.
enum Call {
    Bound { uid: String, result: Result<(), Error> },
    Reported,
}

struct Feeds {
    pods: Feed<Pod>,
    nodes: Feed<Node>,
    namespaces: Feed<Namespace>,
    services: Feed<Service>,
    owners: Feed<Owner>,
    calls: mpsc::Receiver<Call>,
}

impl Feeds {
    /// What has happened already. Nodes before pods, so that a choice sees both.
    fn try_next(&mut self) -> Option<Event> {
        if let Some(change) = self.nodes.try_recv() {
            return Some(Event::Node(change));
        }
        if let Some(change) = self.namespaces.try_recv() {
            return Some(Event::Namespace(change));
        }
        if let Some(change) = self.services.try_recv() {
            return Some(Event::Service(change));
        }
        if let Some(change) = self.owners.try_recv() {
            return Some(Event::Owner(change));
        }
        if let Ok(call) = self.calls.try_recv() {
            return Some(Event::Done(call));
        }
        self.pods.try_recv().map(Event::Pod)
    }

    async fn next(&mut self, wake: Instant) -> Event {
        tokio::select! {
            Some(change) = self.pods.recv() => Event::Pod(change),
            Some(change) = self.nodes.recv() => Event::Node(change),
            Some(change) = self.namespaces.recv() => Event::Namespace(change),
            Some(change) = self.services.recv() => Event::Service(change),
            Some(change) = self.owners.recv() => Event::Owner(change),
            Some(call) = self.calls.recv() => Event::Done(call),
            () = tokio::time::sleep_until(wake) => Event::Tick,
        }
    }
}

pub(crate) struct Loop {
    client: Client,
    recorder: Recorder,
    views: Views,
    config: SchedulerConfig,
    cluster: Cluster,
    queue: Queue,
    /// Pods whose binding was asked for and that no watch has shown on their node yet.
    assumed: HashSet<String>,
    calls: mpsc::Sender<Call>,
    under_way: usize,
    random: u64,
    start: Instant,
}

impl Loop {
    pub(crate) async fn run(
        client: Client,
        config: SchedulerConfig,
        views: Views,
        synced: &watch::Sender<bool>,
    ) {
        let (calls, results) = mpsc::channel(CALLS_MAX);
        let mut feeds = Feeds {
            pods: views.pods.subscribe(),
            nodes: views.nodes.subscribe(),
            namespaces: views.namespaces.subscribe(),
            services: views.services.subscribe(),
            owners: views.owners.subscribe(),
            calls: results,
        };
        views.synced().await;
        synced.send_replace(true);
        let mut this = Self {
            recorder: Recorder::spawn(client.clone(), &config.scheduler_name, ""),
            client,
            random: config.seed,
            config,
            views,
            cluster: Cluster::default(),
            queue: Queue::default(),
            assumed: HashSet::new(),
            calls,
            under_way: 0,
            start: Instant::now(),
        };
        let mut next_sweep = Instant::now() + SWEEP;
        loop {
            while let Some(event) = feeds.try_next() {
                this.handle(event);
            }
            let now = this.now();
            this.queue.tick(now);
            if next_sweep <= Instant::now() {
                this.queue.sweep(now);
                next_sweep = Instant::now() + SWEEP;
            }
            if this.under_way < CALLS_MAX
                && let Some(pod) = this.queue.pop()
            {
                this.choose(&pod);
                tokio::task::yield_now().await;
                continue;
            }
            let due = this.queue.next_due().map_or(next_sweep, |due| (this.start + due).min(next_sweep));
            let event = feeds.next(due).await;
            this.handle(event);
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Pod(change) => self.pod(change),
            Event::Node(change) => self.node(change),
            Event::Namespace(change) => self.namespace(change),
            Event::Service(change) => self.service(change),
            Event::Owner(change) => self.owner(change),
            Event::Done(call) => self.done(call),
            Event::Tick => {}
        }
    }

    fn wake(&mut self, hints: Hints) {
        let now = self.now();
        self.queue.wake(hints, now);
    }

    fn pod(&mut self, change: Change<Pod>) {
        match change {
            Change::Applied { old, new } if old.as_ref().is_some_and(|old| same_to_us(old, &new)) => {}
            Change::Applied { new, .. } => self.apply_pod(&new),
            Change::Deleted(last) => self.forget_pod(&last.metadata.uid),
            Change::Resync => {
                let pods = self.views.pods.store().list();
                let alive: HashSet<&str> = pods.iter().map(|p| p.metadata.uid.as_str()).collect();
                let known = self.queue.uids().chain(self.cluster.uids()).cloned();
                let gone: Vec<String> = known.filter(|uid| !alive.contains(uid.as_str())).collect();
                gone.iter().for_each(|uid| self.forget_pod(uid));
                pods.iter().for_each(|pod| self.apply_pod(pod));
            }
        }
    }

    fn apply_pod(&mut self, pod: &Pod) {
        let uid = &pod.metadata.uid;
        if pod.is_terminal() {
            return self.forget_pod(uid);
        }
        if !pod.spec.node_name.is_empty() {
            self.queue.remove(uid);
            self.assumed.remove(uid);
            let info = Arc::new(PodInfo::new(pod));
            let old = self.cluster.pod(uid);
            let hints = match old {
                None => Hints::POD_CAME,
                Some(old) if old.requests != info.requests => Hints::POD_GONE.and(Hints::POD_CAME),
                Some(_) => Hints::POD_CAME,
            };
            self.cluster.set_pod(info);
            return self.wake(hints);
        }
        let ours =
            pod.spec.scheduler_name == self.config.scheduler_name || pod.spec.scheduler_name.is_empty();
        if pod.metadata.is_deleting() || !ours {
            return self.queue.remove(uid);
        }
        // A binding under way decides; until then the watch tells old news.
        if !self.assumed.contains(uid) {
            let now = self.now();
            self.queue.add(Arc::new(PodInfo::new(pod)), now);
        }
    }

    fn forget_pod(&mut self, uid: &str) {
        self.queue.remove(uid);
        self.assumed.remove(uid);
        if self.cluster.remove_pod(uid).is_some() {
            self.wake(Hints::POD_GONE);
        }
    }

    fn node(&mut self, change: Change<Node>) {
        match change {
            Change::Applied { new, .. } => {
                if let Some(hints) = self.cluster.set_node(&new) {
                    self.wake(hints);
                }
            }
            Change::Deleted(last) => self.cluster.remove_node(&last.metadata.name),
            Change::Resync => {
                let nodes = self.views.nodes.store().list();
                let alive: HashSet<&str> = nodes.iter().map(|n| n.metadata.name.as_str()).collect();
                let known = self.cluster.nodes.real().iter().map(|i| self.cluster.nodes.name[i].clone());
                let gone: Vec<String> = known.filter(|name| !alive.contains(name.as_str())).collect();
                gone.iter().for_each(|name| self.cluster.remove_node(name));
                nodes.iter().for_each(|node| {
                    self.cluster.set_node(node);
                });
                self.wake(Hints::ALL);
            }
        }
    }

    fn namespace(&mut self, change: Change<Namespace>) {
        let namespaces = &mut self.cluster.namespaces;
        match change {
            Change::Applied { new, .. } => {
                namespaces.insert(new.metadata.name.clone(), new.metadata.labels.clone());
            }
            Change::Deleted(last) => {
                namespaces.remove(&last.metadata.name);
            }
            Change::Resync => {
                let all = self.views.namespaces.store().list();
                *namespaces =
                    all.iter().map(|n| (n.metadata.name.clone(), n.metadata.labels.clone())).collect();
            }
        }
        self.wake(Hints::POD_CAME);
    }

    fn service(&mut self, change: Change<Service>) {
        let mut put = |service: &Service| {
            let meta = &service.metadata;
            let all = self.cluster.services.entry(meta.namespace.clone()).or_default();
            all.insert(meta.name.clone(), service.spec.selector.clone());
        };
        match change {
            Change::Applied { new, .. } => put(&new),
            Change::Deleted(last) => {
                if let Some(all) = self.cluster.services.get_mut(&last.metadata.namespace) {
                    all.remove(&last.metadata.name);
                }
            }
            Change::Resync => {
                self.cluster.services.clear();
                for service in self.views.services.store().list() {
                    let meta = &service.metadata;
                    let all = self.cluster.services.entry(meta.namespace.clone()).or_default();
                    all.insert(meta.name.clone(), service.spec.selector.clone());
                }
            }
        }
    }

    fn owner(&mut self, change: Change<Owner>) {
        let owners = &mut self.cluster.owners;
        match change {
            Change::Applied { new, .. } => {
                owners.insert(new.metadata.uid.clone(), new.spec.selector.clone());
            }
            Change::Deleted(last) => {
                owners.remove(&last.metadata.uid);
            }
            Change::Resync => {
                let all = self.views.owners.store().list();
                *owners = all
                    .iter()
                    .map(|o| (o.metadata.uid.clone(), o.spec.selector.clone()))
                    .collect::<HashMap<_, _>>();
            }
        }
    }

    fn choose(&mut self, pod: &Arc<PodInfo>) {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.under_way += 1;
        match schedule(pod, &self.cluster, self.random >> 33) {
            Ok(node) => {
                let uid = pod.meta.uid.clone();
                self.assumed.insert(uid.clone());
                self.cluster.set_pod(Arc::new(pod.on(&node)));
                let (client, calls, recorder) =
                    (self.client.clone(), self.calls.clone(), self.recorder.clone());
                let pod = pod.clone();
                tokio::spawn(async move {
                    let result = bind(&client, &pod, &node).await;
                    if result.is_ok() {
                        let object = ObjectRef::of(&Resource::PODS, &pod.meta);
                        let message = format!("Successfully assigned {} to {node}", pod.key());
                        recorder.event(&object, EventType::Normal, "Scheduled", message);
                    }
                    let _ = calls.send(Call::Bound { uid, result }).await;
                });
            }
            Err(misfit) => {
                let now = self.now();
                self.queue.no_node(&pod.meta.uid, misfit.hints(), now);
                self.report(pod, &misfit);
            }
        }
    }

    fn report(&self, pod: &Arc<PodInfo>, misfit: &Misfit) {
        let message = misfit.to_string();
        let object = ObjectRef::of(&Resource::PODS, &pod.meta);
        self.recorder.event(&object, EventType::Warning, "FailedScheduling", message.clone());
        let seen = self.views.pods.store().get(&pod.meta.namespace, &pod.meta.name);
        let (client, calls, pod) = (self.client.clone(), self.calls.clone(), pod.clone());
        tokio::spawn(async move {
            if let Err(e) = set_condition(&client, &pod, seen.as_deref(), &message).await {
                tracing::debug!(pod = %pod.key(), error = %e, "the condition was not written");
            }
            let _ = calls.send(Call::Reported).await;
        });
    }

    fn done(&mut self, call: Call) {
        self.under_way -= 1;
        let Call::Bound { uid, result: Err(e) } = call else { return };
        // A watch that has shown the pod on its node, or gone, has the last word.
        if !self.assumed.remove(&uid) {
            return;
        }
        if let Some(pod) = self.cluster.remove_pod(&uid) {
            tracing::warn!(pod = %pod.key(), node = pod.node, error = %e, "binding failed; retrying");
        }
        let now = self.now();
        self.queue.failed(&uid, now);
        self.wake(Hints::POD_GONE);
    }
}

/// Whether two states of a pod differ in nothing that a choice depends on.
fn same_to_us(old: &Pod, new: &Pod) -> bool {
    old.metadata.uid == new.metadata.uid
        && old.metadata.labels == new.metadata.labels
        && old.metadata.is_deleting() == new.metadata.is_deleting()
        && old.is_terminal() == new.is_terminal()
        && old.spec == new.spec
}

async fn bind(client: &Client, pod: &PodInfo, node: &str) -> Result<(), Error> {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.meta.name, "namespace": pod.meta.namespace, "uid": pod.meta.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
    client
        .create_subresource::<IgnoredAny>(&Resource::PODS, namespace, name, "binding", &binding)
        .await
        .map(|_| ())
}

async fn set_condition(
    client: &Client,
    pod: &PodInfo,
    seen: Option<&Pod>,
    message: &str,
) -> Result<(), Error> {
    let old = seen.and_then(|pod| pod.condition("PodScheduled"));
    if old.is_some_and(|c| c.status == "False" && c.reason == "Unschedulable" && c.message == message) {
        return Ok(());
    }
    let since = old.filter(|c| c.status == "False").and_then(|c| c.last_transition_time);
    let now = Timestamp::now();
    let since = since.unwrap_or(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let mut condition = json!({
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": since,
    });
    if pod.meta.generation > 0 {
        condition["observedGeneration"] = json!(pod.meta.generation);
    }
    let patch = json!({"metadata": {"uid": pod.meta.uid}, "status": {"conditions": [condition]}});
    let (namespace, name, kind) = (&pod.meta.namespace, &pod.meta.name, PatchKind::Strategic);
    client
        .patch_subresource::<Partial>(&Resource::PODS, namespace, name, "status", kind, &patch)
        .await
        .map(|_| ())
}
