use super::plan::{Clocks, Graces, Heard, Plan, listen, plan};
use jiff::Timestamp;
use keelson_client::views::Node;
use serde_json::{Value, json};
use std::time::Duration;

const GRACES: Graces = Graces { known: Duration::from_secs(50), startup: Duration::from_secs(60) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn node(conditions: Value, taints: Value) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"taints": taints},
        "status": {"conditions": conditions}
    }))
    .unwrap()
}

fn ready(status: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": "x"}])
}

/// The plan for a node last heard of `silence` seconds ago.
fn run(node: &Node, silence: u64, all_silent: bool) -> Plan {
    let heard = Heard { marks: (None, None), at: Duration::from_secs(1000) };
    let clocks = Clocks { own: Duration::from_secs(1000 + silence), wall: at(5000) };
    plan(node, &heard, GRACES, all_silent, clocks)
}

/// Taints as text: `unreachable:NoExecute`.
fn taints(plan: &Plan) -> Vec<String> {
    let short = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    let all = plan.taints.iter().flatten();
    all.map(|t| format!("{}:{}", short(&t.key), t.effect)).collect()
}

#[test]
fn silence_means_loss_after_the_grace() {
    let fine = node(ready("True"), json!([]));
    let plan = run(&fine, 49, false);
    assert_eq!((plan.conditions, plan.taints, plan.again), (None, None, Some(Duration::from_secs(1))));

    let plan = run(&fine, 50, false);
    let conditions = plan.conditions.as_ref().unwrap();
    assert_eq!(conditions.len(), 4);
    assert!(conditions.iter().all(|c| c.status == "Unknown" && c.last_transition_time == Some(at(5000))));
    assert_eq!(conditions[0].message, "Kubelet stopped posting node status.");
    assert_eq!(conditions[1].reason, "NodeStatusNeverUpdated");
    assert_eq!(taints(&plan), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    assert!(plan.pods_not_ready);
    assert_eq!(plan.again, None);
}

#[test]
fn a_new_node_has_longer() {
    let new = node(json!([]), json!([]));
    assert!(run(&new, 55, false).conditions.is_none());
    assert!(run(&new, 60, false).conditions.is_some());
}

#[test]
fn when_nothing_is_heard_of_any_node_nobody_is_evicted() {
    let plan = run(&node(ready("True"), json!([])), 50, true);
    assert_eq!(taints(&plan), ["unreachable:NoSchedule"]);
}

#[test]
fn taints_follow_conditions() {
    let rows = [
        (ready("False"), json!([]), vec!["not-ready:NoSchedule", "not-ready:NoExecute"]),
        (
            json!([{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]),
            json!([]),
            vec!["disk-pressure:NoSchedule"],
        ),
        (
            ready("True"),
            json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}, {"key": "mine", "effect": "NoExecute"}]),
            vec!["mine:NoExecute"],
        ),
        (
            ready("False"),
            json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
                   {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]),
            vec!["not-ready:NoSchedule", "not-ready:NoExecute"],
        ),
    ];
    for (conditions, old, expected) in rows {
        let plan = run(&node(conditions.clone(), old), 1, false);
        assert_eq!(taints(&plan), expected, "{conditions}");
    }
    let registered = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
    assert_eq!(run(&node(json!([]), registered.clone()), 1, false).taints, None, "nothing is known yet");
    assert_eq!(run(&node(ready("True"), registered), 1, false).taints, Some(vec![]));
    let mut cordoned = node(ready("True"), json!([]));
    cordoned.spec.unschedulable = true;
    assert_eq!(taints(&run(&cordoned, 1, false)), ["unschedulable:NoSchedule"]);
}

#[test]
fn a_taint_keeps_the_time_it_was_added() {
    let old = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
                     {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]);
    assert_eq!(run(&node(ready("False"), old), 1, false).taints, None);
}

#[test]
fn only_changes_are_heard() {
    let second = Duration::from_secs;
    let node = node(ready("True"), json!([]));
    let first = listen(None, &node, Some(at(10)), second(1));
    assert_eq!(first.at, second(1));
    let same = listen(Some(&first), &node, Some(at(10)), second(9));
    assert_eq!(same.at, second(1));
    let renewed = listen(Some(&same), &node, Some(at(5)), second(9));
    assert_eq!(renewed.at, second(9), "also by a clock that went back");
}
