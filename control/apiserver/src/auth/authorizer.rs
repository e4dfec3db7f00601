//! The chain of authorizers: `system:masters`, then nodes by their pods, then roles.

use super::attributes::{Attributes, Decision, Reason};
use super::node::{self, LiveNodes};
use super::rbac::{self, LiveRbac, Rule};
use keelson_api::identity::{GROUP_MASTERS, GROUP_NODES, UserInfo};
use keelson_store::{HistoryError, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Decides what users may do.
pub struct Authorizer {
    pub(super) rbac: LiveRbac,
    nodes: LiveNodes,
    node_rules: Vec<Rule>,
    following: AtomicBool,
}

impl Authorizer {
    pub(super) fn new(store: &Store) -> Result<Self, HistoryError> {
        Ok(Self {
            rbac: LiveRbac::new(store.clone())?,
            nodes: LiveNodes::new(store.clone())?,
            node_rules: rbac::node_rules(),
            following: AtomicBool::new(false),
        })
    }

    pub(super) fn is_following(&self) -> bool {
        self.following.load(Ordering::Acquire)
    }

    pub(super) fn authorize(&self, user: &UserInfo, attributes: &Attributes<'_>) -> Decision {
        if user.in_group(GROUP_MASTERS) {
            return Decision::Allow(Reason::None);
        }
        let related = |node: &str, vertex, namespace: &str, name: &str| {
            self.nodes.related(node, vertex, namespace, name)
        };
        let by_node = node::decide(user, attributes, &self.node_rules, &related);
        if by_node.allowed() {
            return by_node;
        }
        match self.rbac.decide(user, attributes) {
            Decision::NoOpinion(reason) => Decision::NoOpinion(join(by_node.reason(), reason)),
            decided => decided,
        }
    }

    /// The rules of `user` in `namespace`, what could not be resolved, and whether the list is incomplete.
    pub(super) fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>, bool) {
        self.rbac.catch_up();
        let (mut rules, mut errors) = self.rbac.index().rules_for(user, namespace);
        let is_node = user.in_group(GROUP_NODES) && user.node_name().is_some();
        if is_node {
            errors.insert(0, "node authorizer does not support user rule resolution".to_owned());
        }
        if user.in_group(GROUP_MASTERS) {
            let all = || vec![rbac::ALL.to_owned()];
            let resources = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
            let paths = Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() };
            rules.splice(0..0, [resources, paths]);
        }
        (rules, errors, is_node)
    }

    /// Follows the store until it closes.
    pub(super) async fn follow(&self, store: &Store) {
        loop {
            let now = store.revision();
            self.rbac.catch_up();
            self.nodes.catch_up();
            self.following.store(true, Ordering::Release);
            if wait_for_change(store, now).await.is_err() {
                return;
            }
            // Changes come in bursts; one rebuild serves them all. Whoever cannot wait catches up on their own.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns at the first change after revision `now` of a role, a binding or a pod.
async fn wait_for_change(store: &Store, now: u64) -> Result<(), HistoryError> {
    let mut watchers = Vec::new();
    for kind in rbac::KINDS.into_iter().chain([node::KIND]) {
        watchers.push(store.watch(kind, "", now)?);
    }
    let next = watchers.iter_mut().map(|watcher| Box::pin(watcher.next()));
    match futures::future::select_all(next).await.0 {
        Ok(_) | Err(HistoryError::Compacted { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What both authorizers say, as Kubernetes joins reasons.
fn join(first: &Reason, second: Reason) -> Reason {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first.clone(),
        _ => Reason::Text(format!("{first}, {second}")),
    }
}
