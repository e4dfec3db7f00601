//! The deletion of a namespace: pods first, then everything else, then its finalizer.

use jiff::Timestamp;
use keelson_client::views::{Condition, Namespace, condition};
use keelson_client::{Resource, Served};
use std::collections::BTreeMap;
use std::time::Duration;

/// The finalizer that this controller works for.
pub(super) const FINALIZER: &str = "kubernetes";

/// From the deletion of a namespace to that of its content: who deletes a folder of manifests names the namespace
/// first and then each object in it, which should still be there. Kubernetes waits 5 s. The time of a deletion is cut to
/// the second, so that this is between one and two.
const GRACE: Duration = Duration::from_secs(2);

/// What is to be done about a namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Look again after this time.
    Wait(Duration),
    /// Delete what is in it and see what remains.
    Empty,
}

pub(super) fn plan(namespace: &Namespace, now: Timestamp) -> Step {
    let ours = namespace.spec.finalizers.iter().any(|f| f == FINALIZER);
    let Some(deleted) = namespace.metadata.deletion_timestamp.filter(|_| ours) else { return Step::Nothing };
    // Negative when a clock was set back.
    let since = Duration::try_from(now.duration_since(deleted)).unwrap_or(GRACE);
    match GRACE.checked_sub(since) {
        Some(rest) if !rest.is_zero() => Step::Wait(rest),
        _ => Step::Empty,
    }
}

/// The kinds whose objects have to go, pods first: they may hold on to everything else.
pub(super) fn content(served: &[Served]) -> (Vec<&Served>, Vec<&Served>) {
    let deletable = |s: &&Served| s.resource.namespaced && s.has_verb("delete") && s.has_verb("list");
    served.iter().filter(deletable).partition(|s| s.resource == Resource::PODS)
}

/// What is left of a namespace's content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remaining {
    /// Objects by `plural.group`.
    pub(super) objects: BTreeMap<String, usize>,
    /// Objects that have each finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// What failed to be deleted.
    pub(super) errors: Vec<String>,
}

impl Remaining {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.errors.is_empty()
    }
}

/// The finalizers left when ours is taken out.
pub(super) fn without_ours(namespace: &Namespace) -> Vec<&String> {
    namespace.spec.finalizers.iter().filter(|f| *f != FINALIZER).collect()
}

/// The conditions by which users see what a deletion waits for, in Kubernetes' words. `discovery` is the error
/// of discovery, if it failed.
pub(super) fn conditions(
    old: &[Condition],
    remaining: &Remaining,
    discovery: Option<&str>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = old.to_vec();
    let mut put = |r#type: &str, fails: Option<(&str, String)>, good: (&str, &str)| {
        let status = if fails.is_some() { "True" } else { "False" };
        let (reason, message) =
            fails.map_or((good.0, good.1.to_owned()), |(reason, message)| (reason, message));
        set(&mut conditions, r#type, status, reason, message, now);
    };
    put(
        "NamespaceDeletionDiscoveryFailure",
        discovery.map(|e| ("DiscoveryFailed", format!("Discovery failed for some groups, 1 failing: {e}"))),
        ("ResourcesDiscovered", "All resources successfully discovered"),
    );
    put(
        "NamespaceDeletionGroupVersionParsingFailure",
        None,
        ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    );
    let failed = (!remaining.errors.is_empty()).then(|| {
        let errors = remaining.errors.join(", ");
        (
            "ContentDeletionFailed",
            format!("Failed to delete all resource types, {} remaining: {errors}", remaining.errors.len()),
        )
    });
    put(
        "NamespaceDeletionContentFailure",
        failed,
        ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    );
    let objects: Vec<String> =
        remaining.objects.iter().map(|(kind, n)| format!("{kind} has {n} resource instances")).collect();
    put(
        "NamespaceContentRemaining",
        (!objects.is_empty()).then(|| {
            ("SomeResourcesRemain", format!("Some resources are remaining: {}", objects.join(", ")))
        }),
        ("ContentRemoved", "All content successfully removed"),
    );
    let finalizers: Vec<String> =
        remaining.finalizers.iter().map(|(name, n)| format!("{name} in {n} resource instances")).collect();
    put(
        "NamespaceFinalizersRemaining",
        (!finalizers.is_empty()).then(|| {
            let text = finalizers.join(", ");
            (
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {text}"),
            )
        }),
        ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
    );
    conditions
}

fn set(
    conditions: &mut Vec<Condition>,
    r#type: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let old = condition(conditions, r#type);
    if old.is_some_and(|o| o.status == status && o.reason == reason && o.message == message) {
        return;
    }
    let kept = old.filter(|o| o.status == status).and_then(|o| o.last_transition_time);
    let new = Condition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: kept.or(Some(now)),
        ..Condition::default()
    };
    match conditions.iter_mut().find(|c| c.r#type == r#type) {
        Some(place) => *place = new,
        None => conditions.push(new),
    }
}
