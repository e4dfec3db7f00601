use super::plan::{Observed, Plan, next_available, plan, status};
use super::rank::deletion_order;
use jiff::Timestamp;
use keelson_client::views::{Pod, ReplicaSet};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A case: its name, the wanted replicas, the pods, those being deleted, how many are created and deleted.
type Case<'a> = (&'a str, i64, Vec<Arc<Pod>>, &'a [&'a str], usize, usize);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn set(replicas: i64) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "t", "uid": "set", "generation": 3},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}}}}
    }))
    .unwrap()
}

/// A ready pod of the set on node `n`, changed by a merge of `change` into it.
fn pod(name: &str, change: Value) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {"name": name, "uid": name, "labels": {"app": "web"},
                     "creationTimestamp": "1970-01-01T00:01:40Z",
                     "ownerReferences": [{"uid": "set", "controller": true}]},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z"}]}
    });
    json_patch_merge(&mut pod, &change);
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn json_patch_merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (k, v) in patch {
                json_patch_merge(target.entry(k).or_insert(Value::Null), v);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn run(replicas: i64, pods: Vec<Arc<Pod>>, deleting: &[&str]) -> Plan {
    let deleting: HashSet<String> = deleting.iter().map(|d| d.to_string()).collect();
    plan(Observed { set: &set(replicas), pods, now: at(1000), deleting: &deleting })
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|p| p.metadata.name.as_str()).collect()
}

#[test]
fn counts() {
    let gone = || pod("gone", json!({"metadata": {"deletionTimestamp": "1970-01-01T00:10:00Z"}}));
    let done = || pod("done", json!({"status": {"phase": "Succeeded"}}));
    let foreign =
        || pod("foreign", json!({"metadata": {"ownerReferences": [{"uid": "x", "controller": true}]}}));
    let cases: [Case<'_>; 7] = [
        ("from nothing", 3, vec![], &[], 3, 0),
        ("enough", 1, vec![pod("a", json!({}))], &[], 0, 0),
        ("ended and deleted pods do not count", 2, vec![gone(), done()], &[], 2, 0),
        ("another's pods do not count", 1, vec![foreign()], &[], 1, 0),
        ("surplus", 1, vec![pod("a", json!({})), pod("b", json!({})), pod("c", json!({}))], &[], 0, 2),
        ("surplus already on its way out", 1, vec![pod("a", json!({})), pod("b", json!({}))], &["b"], 0, 0),
        ("a round is bounded", 1200, vec![], &[], 500, 0),
    ];
    for (name, replicas, pods, deleting, create, delete) in cases {
        let plan = run(replicas, pods, deleting);
        assert_eq!((plan.create, plan.delete.len()), (create, delete), "{name}");
        assert_eq!(plan.more, replicas > 500, "{name}");
    }
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let orphan = pod("orphan", json!({"metadata": {"ownerReferences": []}}));
    let ended = pod("ended", json!({"metadata": {"ownerReferences": []}, "status": {"phase": "Failed"}}));
    let relabeled = pod("relabeled", json!({"metadata": {"labels": {"app": "other"}}}));
    let plan = run(2, vec![orphan, ended, relabeled], &[]);
    assert_eq!(names(&plan.adopt), ["orphan"]);
    assert_eq!(names(&plan.release), ["relabeled"]);
    assert_eq!(plan.create, 1, "the adopted pod counts");
}

#[test]
fn a_set_that_is_deleted_makes_no_pods() {
    let mut deleted = set(3);
    deleted.metadata.deletion_timestamp = Some(at(1));
    let plan = plan(Observed { set: &deleted, pods: vec![], now: at(1000), deleting: &HashSet::new() });
    assert_eq!((plan.create, plan.delete.len()), (0, 0));
}

#[test]
fn who_goes_first() {
    let ready_at = |time: &str| json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}]}});
    let rows: [(&str, Value, Value); 8] = [
        ("unassigned", json!({"spec": {"nodeName": ""}}), json!({})),
        ("pending", json!({"status": {"phase": "Pending"}}), json!({})),
        ("not ready", json!({"status": {"conditions": []}}), json!({})),
        (
            "cheap",
            json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}}),
            json!({}),
        ),
        ("ready for less time", ready_at("1970-01-01T00:15:00Z"), json!({})),
        ("restarted", json!({"status": {"containerStatuses": [{"restartCount": 2}]}}), json!({})),
        ("younger", json!({"metadata": {"creationTimestamp": "1970-01-01T00:16:00Z"}}), json!({})),
        ("lower uid among equals", json!({"metadata": {"uid": "0"}}), json!({})),
    ];
    for (name, first, second) in rows {
        let (first, second) = (pod("first", first), pod("second", second));
        for pods in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
            assert_eq!(names(&deletion_order(&pods, at(1000))), ["first", "second"], "{name}");
        }
    }
}

#[test]
fn crowded_nodes_are_thinned() {
    let on = |name: &str, node: &str| pod(name, json!({"spec": {"nodeName": node}}));
    let order = deletion_order(&[on("z", "alone"), on("b", "two"), on("c", "two")], at(1000));
    assert_eq!(names(&order), ["b", "c", "z"]);
}

#[test]
fn statuses() {
    let mut set = set(3);
    set.spec.min_ready_seconds = 60;
    let fresh = pod(
        "fresh",
        json!({"status": {"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:16:00Z"}]}}),
    );
    let old = pod("old", json!({}));
    let unready = pod("unready", json!({"status": {"conditions": []}}));
    let plan = plan(Observed {
        set: &set,
        pods: vec![fresh, old, unready],
        now: at(1000),
        deleting: &HashSet::new(),
    });
    let now = status(&set, &plan, at(1000), None);
    assert_eq!((now.replicas, now.ready_replicas, now.available_replicas), (3, 2, 1));
    assert_eq!((now.fully_labeled_replicas, now.observed_generation), (3, 3));
    assert_eq!(next_available(&set, &plan.active, at(1000)), Some(Duration::from_secs(20)));

    let failed = status(&set, &plan, at(1000), Some(("FailedCreate", "no".to_owned())));
    let condition = &failed.conditions[0];
    assert_eq!((condition.r#type.as_str(), condition.reason.as_str()), ("ReplicaFailure", "FailedCreate"));
    set.status = failed.clone();
    assert_eq!(
        status(&set, &plan, at(2000), Some(("FailedDelete", "x".into()))).conditions,
        failed.conditions
    );
    assert!(status(&set, &plan, at(2000), None).conditions.is_empty());
}
