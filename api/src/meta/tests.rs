use super::*;
use crate::names;
use serde_json::json;

fn create_errors(metadata: Value, namespaced: bool) -> Vec<String> {
    let object = json!({ "metadata": metadata });
    validate_meta_create(&object, namespaced, &names::name_is_subdomain)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn check_create(metadata: Value, wanted: &[&str]) {
    let errors = create_errors(metadata.clone(), true);
    assert_eq!(errors.len(), wanted.len(), "{metadata}: {errors:?}");
    for (error, wanted) in errors.iter().zip(wanted) {
        assert!(error.starts_with(wanted), "{metadata}: {error} does not start with {wanted}");
    }
}

#[test]
fn reads_and_writes() {
    let mut object = json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7",
        "generation": 3, "labels": {"l": "1"}, "finalizers": ["x/y"], "ownerReferences": [
            {"kind": "A"}, {"kind": "B", "controller": true}], "deletionGracePeriodSeconds": 5}});
    assert_eq!((name(&object), namespace(&object), uid(&object)), ("a", "n", "u"));
    assert_eq!((resource_version(&object), generation(&object)), ("7", 3));
    assert_eq!((label(&object, "l"), label(&object, "m"), annotation(&object, "l")), (Some("1"), None, None));
    assert_eq!(finalizers(&object), ["x/y"]);
    assert_eq!(controller_of(&object).map(|o| &o["kind"]), Some(&json!("B")));
    assert_eq!(deletion_grace_period_seconds(&object), Some(5));
    set_label(&mut object, "m", "2");
    set_annotation(&mut object, "n", "3");
    set_deletion(&mut object, "2026-01-01T00:00:00Z", 30);
    set_generation(&mut object, 4);
    assert_eq!((label(&object, "m"), annotation(&object, "n")), (Some("2"), Some("3")));
    assert_eq!(deletion_timestamp(&object), Some("2026-01-01T00:00:00Z"));
    assert_eq!(generation(&object), 4);
}

#[test]
fn wrong_types_read_as_empty_and_can_be_set() {
    for mut object in
        [json!(null), json!([]), json!({}), json!({"metadata": 1}), json!({"metadata": {"name": 1}})]
    {
        assert_eq!((name(&object), generation(&object), owner_references(&object).len()), ("", 0, 0));
        set_name(&mut object, "x");
        set_label(&mut object, "a", "b");
        assert_eq!((name(&object), label(&object, "a")), ("x", Some("b")));
    }
}

#[test]
fn create_rules() {
    check_create(json!({"name": "a", "namespace": "n"}), &[]);
    check_create(
        json!({"namespace": "n"}),
        &["metadata.name: Required value: name or generateName is required"],
    );
    check_create(json!({"name": "a"}), &["metadata.namespace: Required value"]);
    check_create(
        json!({"name": "A", "namespace": "N"}),
        &[
            "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain",
            "metadata.namespace: Invalid value: \"N\": a lowercase RFC 1123 label",
        ],
    );
    check_create(
        json!({"name": "a", "generateName": "Bad-", "namespace": "n"}),
        &["metadata.generateName: Invalid value: \"Bad-\":"],
    );
    check_create(
        json!({"name": "a", "namespace": "n", "labels": {"-bad": "b@d"}}),
        &[
            "metadata.labels: Invalid value: \"-bad\": name part must consist",
            "metadata.labels: Invalid value: \"b@d\": a valid label must be",
        ],
    );
    check_create(
        json!({"name": "a", "namespace": "n", "annotations": {"UPPER.io/a": "", "bad key": ""}}),
        &["metadata.annotations: Invalid value: \"bad key\": name part"],
    );
    check_create(
        json!({"name": "a", "namespace": "n", "annotations": {"a": "x".repeat(256 << 10)}}),
        &["metadata.annotations: Too long: may not be more than 262144 bytes"],
    );
    check_create(
        json!({"name": "a", "namespace": "n", "generation": -1}),
        &["metadata.generation: Invalid value: -1"],
    );
    assert_eq!(
        create_errors(json!({"name": "a", "namespace": "n"}), false),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
}

#[test]
fn owners_and_finalizers() {
    let base = |field: &str, value: Value| json!({"name": "a", "namespace": "n", field: value});
    let owner = json!({"apiVersion": "apps/v1", "kind": "K", "name": "a", "uid": "u", "controller": true});
    check_create(base("ownerReferences", json!([owner])), &[]);
    check_create(
        base("ownerReferences", json!([owner, owner])),
        &["metadata.ownerReferences: Invalid value: ["],
    );
    check_create(
        base("ownerReferences", json!([{}])),
        &[
            "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
            "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ],
    );
    let event = json!([{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "u"}]);
    check_create(base("ownerReferences", event), &["metadata.ownerReferences: Invalid value: {"]);
    check_create(base("finalizers", json!(["a.io/b", "kubernetes", "orphan"])), &[]);
    check_create(
        base("finalizers", json!(["orphan", "foregroundDeletion"])),
        &[
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
        ],
    );
    check_create(
        base("finalizers", json!(["x"])),
        &[
            "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
        ],
    );
}

fn check_update(change: impl Fn(&mut Value), wanted: &[&str]) {
    let old = json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 2,
        "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
    let mut old_and_new = [old.clone(), old];
    change(&mut old_and_new[1]);
    if old_and_new[1]["dying"].as_bool().is_some() {
        set_deletion(&mut old_and_new[0], "2026-01-01T00:00:00Z", 1);
    }
    let errors: Vec<_> =
        validate_meta_update(&old_and_new[1], &old_and_new[0]).iter().map(ToString::to_string).collect();
    assert_eq!(errors, wanted);
}

#[test]
fn update_rules() {
    check_update(|_| {}, &[]);
    check_update(|new| set_uid(new, "x"), &["metadata.uid: Invalid value: \"x\": field is immutable"]);
    check_update(|new| set_name(new, "x"), &["metadata.name: Invalid value: \"x\": field is immutable"]);
    check_update(
        |new| set_resource_version(new, ""),
        &["metadata.resourceVersion: Invalid value: \"\": must be specified for an update"],
    );
    check_update(
        |new| set_generation(new, 1),
        &["metadata.generation: Invalid value: 1: must not be decremented"],
    );
    check_update(
        |new| {
            new["dying"] = json!(true);
            set_deletion(new, "2026-01-01T00:00:00Z", 1);
            new["metadata"]["finalizers"] = json!(["a/b", "d/e", "c/d"]);
        },
        &[
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"c/d\", \"d/e\"}",
        ],
    );
    assert_eq!(
        missing_resource_version().to_string(),
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
}

#[test]
fn update_carries_over_what_clients_may_not_set() {
    let old = json!({"metadata": {"uid": "u", "creationTimestamp": "t", "generation": 3, "deletionTimestamp": "d",
        "deletionGracePeriodSeconds": 1}});
    let mut new =
        json!({"metadata": {"name": "a", "generation": 9, "creationTimestamp": "other", "selfLink": "x"}});
    prepare_update(&mut new, &old);
    assert_eq!(
        new,
        json!({"metadata": {"name": "a", "uid": "u", "creationTimestamp": "t", "generation": 3,
            "deletionTimestamp": "d", "deletionGracePeriodSeconds": 1}})
    );
    let mut new = json!({"metadata": {"uid": "other"}});
    prepare_update(&mut new, &old);
    assert_eq!(uid(&new), "other");
}

#[test]
fn create_fills_in_and_clears() {
    let mut object =
        json!({"metadata": {"name": "a", "uid": "mine", "deletionTimestamp": "d", "resourceVersion": "9"}});
    prepare_create(&mut object, "u", "t");
    assert_eq!(object, json!({"metadata": {"name": "a", "uid": "u", "creationTimestamp": "t"}}));
}
