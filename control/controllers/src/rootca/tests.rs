use super::plan::{Plan, plan};
use keelson_client::views::{ConfigMap, Namespace};
use serde_json::{Value, json};

#[test]
fn the_certificate_is_put_right() {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "t"}})).unwrap();
    let map = |data: Value| -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"resourceVersion": "4"}, "data": data})).unwrap()
    };
    assert!(matches!(plan(&namespace, None, "CA"), Plan::Create(body) if body["data"]["ca.crt"] == "CA"));
    assert_eq!(plan(&namespace, Some(&map(json!({"ca.crt": "CA"}))), "CA"), Plan::Nothing);
    for wrong in [json!({"ca.crt": "other"}), json!({"ca.crt": "CA", "more": ""}), json!({})] {
        let Plan::Replace(body) = plan(&namespace, Some(&map(wrong.clone())), "CA") else {
            panic!("{wrong}")
        };
        assert_eq!(
            (&body["data"], &body["metadata"]["resourceVersion"]),
            (&json!({"ca.crt": "CA"}), &json!("4"))
        );
    }
}
