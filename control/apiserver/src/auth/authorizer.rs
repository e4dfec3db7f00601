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
            if !wait_for_change(store, now).await {
                return;
            }
            // Changes come in bursts; one rebuild serves them all. Whoever cannot wait catches up on their own.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns at the first change after revision `now` of a role, a binding or a pod, or when a history cannot tell: by
/// now it may start later. False when the store is closed.
async fn wait_for_change(store: &Store, now: u64) -> bool {
    !matches!(next_change(store, now).await, Err(HistoryError::Closed))
}

async fn next_change(store: &Store, now: u64) -> Result<(), HistoryError> {
    let mut watchers = Vec::new();
    for kind in rbac::KINDS.into_iter().chain([node::KIND]) {
        watchers.push(store.watch(kind, "", now)?);
    }
    let next = watchers.iter_mut().map(|watcher| Box::pin(watcher.next()));
    futures::future::select_all(next).await.0.map(drop)
}

/// What both authorizers say, as Kubernetes joins reasons.
fn join(first: &Reason, second: Reason) -> Reason {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first.clone(),
        _ => Reason::Text(format!("{first}, {second}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open_with, write};
    use super::*;
    use serde_json::json;

    /// Whoever comes back to a history that starts later by then has missed changes, and goes on.
    #[tokio::test]
    async fn only_the_end_of_the_store_ends_the_following() {
        let kind = rbac::KINDS[0];
        let (_dir, store) = open_with(|options| {
            options.history_revisions = 5;
            options.history_events_per_kind = 4;
        })
        .await;
        let mut last = 0;
        while !matches!(store.watch(kind, "", 1), Err(HistoryError::Compacted { .. })) {
            assert!(last < 100_000, "the history is never cut");
            last = write(&store, kind, &json!({"metadata": {"name": "a", "namespace": "b"}})).await;
        }
        assert!(wait_for_change(&store, 1).await, "compacted");
        let waiting = wait_for_change(&store, last);
        let other = json!({"metadata": {"name": "c", "namespace": "b"}});
        let changing = write(&store, kind, &other);
        assert!(tokio::join!(waiting, changing).0, "changed");
        let now = store.revision();
        let waiting = wait_for_change(&store, now);
        assert!(!tokio::join!(waiting, store.clone().shutdown()).0, "closed");
    }
}
