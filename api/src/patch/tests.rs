use super::*;
use proptest::prelude::*;
use serde_json::json;

const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";
const POD: &str = "io.k8s.api.core.v1.Pod";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";
const SERVICE: &str = "io.k8s.api.core.v1.Service";

fn smp(type_name: &str, current: Value, patch: Value) -> Result<Value, Status> {
    strategic_merge_patch(&current, &patch, type_name)
}

fn check_smp(type_name: &str, current: Value, patch: Value, wanted: Value) {
    assert_eq!(smp(type_name, current.clone(), patch.clone()).as_ref(), Ok(&wanted), "{current} + {patch}");
}

fn check_smp_error(type_name: &str, current: Value, patch: Value, code: u16, message: &str) {
    let error = smp(type_name, current, patch.clone()).expect_err(&patch.to_string());
    assert_eq!((error.code, error.message.as_str()), (code, message), "{patch}");
}

fn parse_error(kind: PatchType, body: &str) -> (u16, String) {
    let error = Patch::parse(kind, body.as_bytes()).expect_err(body);
    (error.code, error.message)
}

#[test]
fn content_types() {
    for (text, wanted) in [
        ("application/json-patch+json", Some(PatchType::Json)),
        ("application/merge-patch+json; charset=utf-8", Some(PatchType::Merge)),
        ("application/strategic-merge-patch+json", Some(PatchType::Strategic)),
        ("application/apply-patch+yaml", Some(PatchType::Apply)),
        ("application/json", None),
    ] {
        assert_eq!(PatchType::from_content_type(text), wanted);
    }
}

#[test]
fn json_patches() {
    let current = json!({"data": {"z": "1"}, "list": [1, 2]});
    for (patch, wanted) in [
        (json!([]), Some(current.clone())),
        (
            json!([{"op": "add", "path": "/data/y", "value": "1"}, {"op": "remove", "path": "/data/z"}]),
            Some(json!({"data": {"y": "1"}, "list": [1, 2]})),
        ),
        (
            json!([{"op": "add", "path": "/list/-", "value": 3}]),
            Some(json!({"data": {"z": "1"}, "list": [1, 2, 3]})),
        ),
        (
            json!([{"op": "move", "from": "/data/z", "path": "/a"}]),
            Some(json!({"data": {}, "a": "1", "list": [1, 2]})),
        ),
        (json!([{"op": "test", "path": "/data/z", "value": "1"}]), Some(current.clone())),
        (json!([{"op": "test", "path": "/data/z", "value": "2"}]), None),
        (json!([{"op": "remove", "path": "/data/none"}]), None),
        (json!([{"op": "replace", "path": "/data/none", "value": 1}]), None),
        (json!([{"op": "what", "path": "/data"}]), None),
        (json!([{"op": "add"}]), None),
        (json!([{"op": "add", "path": "data", "value": 1}]), None),
    ] {
        let result = json_patch(&current, &patch);
        match wanted {
            Some(wanted) => assert_eq!(result, Ok(wanted), "{patch}"),
            None => {
                let error = result.expect_err(&patch.to_string()).to_object();
                assert_eq!(
                    error,
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422,
                        "message": "the server rejected our request due to an error in our request",
                        "reason": "Invalid", "details": {}})
                );
            }
        }
    }
}

#[test]
fn json_patches_are_bounded() {
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let error = json_patch(&json!({"a": 1}), &Value::Array(vec![operation; 10_001])).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (413, "The allowed maximum operations in a JSON patch is 10000, got 10001")
    );
    // Each copy doubles what the next one copies.
    let double: Vec<_> =
        (0..60).map(|i| json!({"op": "copy", "from": "", "path": format!("/{i}")})).collect();
    assert_eq!(json_patch(&json!({"a": "x"}), &Value::Array(double)).unwrap_err().code, 422);
}

#[test]
fn patches_that_do_not_parse() {
    for (kind, body, wanted) in [
        (
            PatchType::Json,
            r#"{"op":"x"}"#,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            PatchType::Json,
            "[1]",
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
        ),
        (
            PatchType::Json,
            r#"[{"op":1}]"#,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
        (
            PatchType::Merge,
            "[]",
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            PatchType::Merge,
            "{x",
            "error decoding patch: invalid character 'x' looking for beginning of object key string",
        ),
        (PatchType::Strategic, "{x", "invalid character 'x' looking for beginning of object key string"),
    ] {
        assert_eq!(parse_error(kind, body), (400, wanted.to_owned()));
    }
}

#[test]
fn merge_patches() {
    for (current, patch, wanted) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": [1, 2]}), json!({"a": [null]}), json!({"a": [null]})),
    ] {
        assert_eq!(merge_patch(&current, &patch), wanted, "{patch}");
    }
}

#[test]
fn strategic_merge_of_maps() {
    check_smp(
        CONFIG_MAP,
        json!({"data": {"y": "1"}}),
        json!({"data": {"y": null, "q": "2"}}),
        json!({"data": {"q": "2"}}),
    );
    check_smp(CONFIG_MAP, json!({}), json!({"data": {"y": null, "q": "2"}}), json!({"data": {"q": "2"}}));
    check_smp(
        CONFIG_MAP,
        json!({"data": {"a": "1"}}),
        json!({"data": {"$patch": "replace", "b": "2"}}),
        json!({"data": {"b": "2"}}),
    );
    check_smp(
        CONFIG_MAP,
        json!({"data": {"a": "1"}}),
        json!({"data": {"$patch": "delete"}}),
        json!({"data": {}}),
    );
    check_smp(CONFIG_MAP, json!({"data": {"a": "1"}}), json!({"$patch": "delete"}), json!({}));
    check_smp(CONFIG_MAP, json!({}), json!({"data": {"$patch": "replace", "b": "2"}}), json!({}));
    check_smp_error(
        CONFIG_MAP,
        json!({"data": {"a": "1"}}),
        json!({"data": {"$patch": "odd", "b": ["x", 1, null]}}),
        500,
        "unknown patch type: odd in map: map[$patch:odd b:[x 1 <nil>]]",
    );
    let strategy = |s: Value| json!({"spec": {"strategy": s}});
    check_smp(
        DEPLOYMENT,
        strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
        strategy(json!({"$retainKeys": ["type"], "type": "Recreate"})),
        strategy(json!({"type": "Recreate"})),
    );
    for bad in [json!({"$retainKeys": [], "type": "Recreate"}), json!({"$retainKeys": "type"})] {
        check_smp_error(
            DEPLOYMENT,
            strategy(json!({"type": "x"})),
            strategy(bad),
            400,
            "invalid patch format of retainKeys",
        );
    }
}

fn pod(containers: Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn strategic_merge_of_keyed_lists() {
    let live = || pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]));
    check_smp(
        POD,
        live(),
        pod(json!([{"name": "b", "image": "3"}])),
        pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "3"}])),
    );
    check_smp(
        POD,
        live(),
        pod(json!([{"name": "c", "image": "3", "tty": null}])),
        pod(json!([{"name": "c", "image": "3"}, {"name": "a", "image": "1"}, {"name": "b", "image": "2"}])),
    );
    check_smp(
        POD,
        live(),
        pod(json!([{"name": "a", "$patch": "delete"}])),
        pod(json!([{"name": "b", "image": "2"}])),
    );
    check_smp(POD, live(), pod(json!([{"name": "z"}, {"$patch": "replace"}])), pod(json!([{"name": "z"}])));
    check_smp(
        POD,
        live(),
        pod(json!([{"name": "a", "image": null}])),
        pod(json!([{"name": "a"}, {"name": "b", "image": "2"}])),
    );
    check_smp_error(
        POD,
        live(),
        pod(json!([{"image": "x"}])),
        500,
        "map: map[image:x] does not contain declared merge key: name",
    );
    check_smp_error(
        POD,
        live(),
        pod(json!([{"$patch": "delete"}])),
        500,
        "map: map[$patch:delete] does not contain declared merge key: name",
    );
    check_smp_error(
        POD,
        live(),
        pod(json!([{"$patch": "merge"}])),
        500,
        "merging lists cannot yet be specified in the patch",
    );
    check_smp_error(
        POD,
        pod(json!([])),
        pod(json!([["x"]])),
        422,
        "the server rejected our request due to an error in our request",
    );
    check_smp_error(
        POD,
        live(),
        pod(json!(["x"])),
        500,
        "list element types are not identical: [[map[image:1 name:a] map[image:2 name:b]] [x]]",
    );
    // The condition that the patch names comes before the live one that it does not know.
    let conditions = |list: Value| json!({"status": {"conditions": list}});
    check_smp(
        POD,
        conditions(json!([{"type": "Ready"}])),
        conditions(json!([{"type": "Other"}])),
        conditions(json!([{"type": "Other"}, {"type": "Ready"}])),
    );
    // Ports merge by their number alone; lists without a strategy are replaced.
    let ports = |list: Value| json!({"spec": {"ports": list}});
    check_smp(
        SERVICE,
        ports(json!([{"port": 80, "protocol": "TCP", "targetPort": 80}])),
        ports(json!([{"port": 80, "targetPort": 8080}])),
        ports(json!([{"port": 80, "protocol": "TCP", "targetPort": 8080}])),
    );
    let tolerations = |list: Value| json!({"spec": {"tolerations": list}});
    check_smp(
        POD,
        tolerations(json!([{"key": "a"}])),
        tolerations(json!([{"key": "b"}])),
        tolerations(json!([{"key": "b"}])),
    );
}

#[test]
fn the_order_of_lists() {
    let live = || pod(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    let ordered = |order: Value, list: Value| json!({"spec": {"$setElementOrder/containers": order, "containers": list}});
    check_smp(
        POD,
        live(),
        json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}),
        pod(json!([{"name": "b"}, {"name": "c"}, {"name": "a"}])),
    );
    check_smp(
        POD,
        live(),
        ordered(json!([{"name": "d"}, {"name": "a"}]), json!([{"name": "d", "image": "x"}])),
        pod(json!([{"name": "d", "image": "x"}, {"name": "a"}, {"name": "b"}, {"name": "c"}])),
    );
    check_smp(
        POD,
        json!({}),
        ordered(json!([{"name": "d"}]), json!([{"name": "d"}])),
        json!({"spec": {"containers": [{"name": "d"}]}}),
    );
    check_smp(
        POD,
        live(),
        ordered(
            json!([{"name": "b"}, {"name": "a"}]),
            json!([{"name": "c", "$patch": "delete"}, {"name": "a", "tty": true}]),
        ),
        pod(json!([{"name": "b"}, {"name": "a", "tty": true}])),
    );
    check_smp_error(
        POD,
        live(),
        ordered(json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "b"}, {"name": "a"}])),
        500,
        "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n",
    );
    check_smp_error(
        POD,
        live(),
        json!({"spec": {"$setElementOrder/containers": 1}}),
        500,
        "expected a []interface {}, but received a int64",
    );
    check_smp_error(
        POD,
        live(),
        json!({"spec": {"$setElementOrder": []}}),
        400,
        "invalid patch format of setElementOrder list",
    );
}

#[test]
fn strategic_merge_of_values() {
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}});
    check_smp(
        POD,
        finalizers(json!(["a/b"])),
        finalizers(json!(["c/d", "a/b"])),
        finalizers(json!(["c/d", "a/b"])),
    );
    check_smp(POD, finalizers(json!(["a/b"])), finalizers(json!(["c/d"])), finalizers(json!(["c/d", "a/b"])));
    check_smp(
        POD,
        finalizers(json!(["a/b", "c/d"])),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}),
        finalizers(json!(["c/d"])),
    );
    check_smp(
        POD,
        json!({"metadata": {}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}),
        json!({"metadata": {}}),
    );
    check_smp_error(
        POD,
        finalizers(json!(["a/b"])),
        json!({"metadata": {"$deleteFromPrimitiveList": ["a/b"]}}),
        400,
        "invalid patch format of primitive list",
    );
}

#[test]
fn apply_patches_are_yaml() {
    let patch = Patch::parse(PatchType::Apply, b"data:\n  a: b\n  a: c\n").unwrap();
    assert_eq!((patch.kind(), patch.body()), (PatchType::Apply, &json!({"data": {"a": "c"}})));
    let note =
        "error converting YAML to JSON: yaml: unmarshal errors:\n  line 3: key \"a\" already set in map";
    assert_eq!(
        patch.settle_notes(FieldValidation::Warn),
        Ok(vec!["line 3: key \"a\" already set in map".to_owned()])
    );
    assert_eq!(patch.settle_notes(FieldValidation::Ignore), Ok(Vec::new()));
    let refused = patch.settle_notes(FieldValidation::Strict).unwrap_err();
    assert_eq!((refused.code, refused.message), (400, format!("error strict decoding YAML: {note}")));
    assert!(
        parse_error(PatchType::Apply, "a: [")
            .1
            .starts_with("error decoding YAML: error converting YAML to JSON: yaml: ")
    );
    assert_eq!(patch.apply(&json!({}), CONFIG_MAP, FieldValidation::Warn).unwrap_err().code, 500);
}

#[test]
fn results_are_held_against_the_type() {
    let current = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}});
    let apply = |kind, body: &str, validation| {
        Patch::parse(kind, body.as_bytes()).unwrap().apply(&current, CONFIG_MAP, validation)
    };
    let decoded =
        apply(PatchType::Merge, r#"{"data":{"b":"2"},"nope":1,"nope":2}"#, FieldValidation::Warn).unwrap();
    assert_eq!(
        decoded.object,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"}})
    );
    assert_eq!(decoded.warnings, ["duplicate field \"nope\"", "unknown field \"nope\""]);
    let ignored = apply(PatchType::Merge, r#"{"nope":1,"nope":2}"#, FieldValidation::Ignore).unwrap();
    assert!(ignored.warnings.is_empty());

    let error = apply(PatchType::Merge, r#"{"nope":1}"#, FieldValidation::Strict).unwrap_err();
    assert_eq!(error.code, 422);
    assert_eq!(
        error.message,
        r#" "" is invalid: patch: Invalid value: "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"1\"},\"kind\":\"ConfigMap\",\"nope\":1}": strict decoding error: unknown field "nope""#
    );
    let error = apply(PatchType::Strategic, r#"{"data":{"a":1}}"#, FieldValidation::Warn).unwrap_err();
    assert_eq!(
        error.message,
        r#" "" is invalid: patch: Invalid value: "map[data:map[a:1]]": cannot convert int64 to string"#
    );
    let error = apply(PatchType::Strategic, r#"{"data":[]}"#, FieldValidation::Warn).unwrap_err();
    assert!(error.message.ends_with("cannot restore map from slice"), "{}", error.message);
    let error = apply(PatchType::Strategic, r#"{"metadata":{"creationTimestamp":1}}"#, FieldValidation::Warn)
        .unwrap_err();
    assert!(
        error.message.ends_with("json: cannot unmarshal number into Go value of type string"),
        "{}",
        error.message
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("spec"),
        Just("containers"),
        Just("name"),
        Just("metadata"),
        Just("finalizers"),
        Just("data"),
        Just("labels"),
        Just("$patch"),
        Just("$retainKeys"),
        Just("$setElementOrder/containers"),
        Just("$deleteFromPrimitiveList/finalizers"),
        Just("ports"),
        Just("containerPort"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!("delete")),
        Just(json!("replace")),
        Just(json!("a")),
        Just(json!(1)),
        Just(json!(true))
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..4).prop_map(|entries| Value::Object(
                entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(current in any_json(), patch in any_json()) {
        let _ = json_patch(&current, &patch);
        let _ = merge_patch(&current, &patch);
        let _ = strategic_merge_patch(&current, &patch, POD);
        for kind in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
            if let Ok(parsed) = Patch::parse(kind, patch.to_string().as_bytes()) {
                let _ = parsed.apply(&current, POD, FieldValidation::Warn);
            }
        }
    }

    #[test]
    fn an_empty_patch_changes_nothing(current in any_json()) {
        if current.is_object() {
            prop_assert_eq!(strategic_merge_patch(&current, &json!({}), POD), Ok(current.clone()));
            prop_assert_eq!(merge_patch(&current, &json!({})), current);
        }
    }
}
