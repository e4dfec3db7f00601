use super::plan::{Plan, plan};
use jiff::Timestamp;
use keelson_client::views::{Pod, Taint};
use serde_json::{Value, json};
use std::time::Duration;

fn check(tolerations: Value, taints: Value, expected: Plan) {
    let pod: Pod = serde_json::from_value(json!({"spec": {"tolerations": tolerations}})).unwrap();
    let taints: Vec<Taint> = serde_json::from_value(taints.clone()).unwrap();
    let now = Timestamp::from_second(1000).unwrap();
    assert_eq!(plan(&pod, &taints, now), expected, "{tolerations}");
}

#[test]
fn who_leaves_when() {
    // Added at second 900.
    let lost = json!([{"key": "lost", "effect": "NoExecute", "timeAdded": "1970-01-01T00:15:00Z"}]);
    let tolerates =
        |seconds: Value| json!([{"key": "lost", "operator": "Exists", "tolerationSeconds": seconds}]);
    check(json!([]), json!([]), Plan::Stay);
    check(json!([]), json!([{"key": "x", "effect": "NoSchedule"}]), Plan::Stay);
    check(json!([]), lost.clone(), Plan::Leave);
    check(json!([{"key": "lost", "operator": "Exists", "effect": "NoSchedule"}]), lost.clone(), Plan::Leave);
    check(tolerates(json!(null)), lost.clone(), Plan::Stay);
    check(tolerates(json!(300)), lost.clone(), Plan::LeaveAfter(Duration::from_secs(200)));
    check(tolerates(json!(100)), lost.clone(), Plan::Leave);
    check(tolerates(json!(0)), lost.clone(), Plan::Leave);
    let both =
        json!([{"operator": "Exists"}, {"key": "lost", "operator": "Exists", "tolerationSeconds": 200}]);
    check(both, lost.clone(), Plan::LeaveAfter(Duration::from_secs(100)));
    check(json!([{"key": "lost", "value": "other"}]), lost, Plan::Leave);
    check(
        tolerates(json!(50)),
        json!([{"key": "lost", "effect": "NoExecute"}]),
        Plan::LeaveAfter(Duration::from_secs(50)),
    );
}
