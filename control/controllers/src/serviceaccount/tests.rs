use super::plan::plan;
use keelson_client::views::{Namespace, ServiceAccount};
use serde_json::json;

#[test]
fn active_namespaces_get_one() {
    let namespace = |phase: &str| -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "t"}, "status": {"phase": phase}})).unwrap()
    };
    let body = plan(&namespace("Active"), None).unwrap();
    assert_eq!(body["metadata"], json!({"name": "default", "namespace": "t"}));
    assert!(plan(&namespace("Active"), Some(&ServiceAccount::default())).is_none());
    assert!(plan(&namespace("Terminating"), None).is_none());
}
