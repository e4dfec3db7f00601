use super::*;
use proptest::prelude::*;
use serde_json::json;

const POD: &str = "io.k8s.api.core.v1.Pod";

#[test]
fn the_table_reads_whole() {
    let table = table();
    assert!(table.types().count() > 250);
    let container = table.get(table.find("io.k8s.api.core.v1.Container").unwrap());
    let ports = container.field("ports").unwrap();
    assert_eq!(ports.list, ListType::Map(vec!["containerPort", "protocol"]));
    assert_eq!((ports.patch.merge, ports.patch.key), (true, Some("containerPort")));
    assert_eq!((container.short_name(), container.go_name()), ("Container", "v1.Container"));
    assert!(container.field("name").unwrap().required);
    assert!(container.field("nope").is_none());
    for owner in table.types() {
        assert!(owner.fields.is_sorted_by(|a, b| a.name < b.name), "{} is not sorted", owner.name);
        for field in &owner.fields {
            if let ListType::Map(keys) = &field.list {
                let Shape::List(item) = &field.shape else {
                    panic!("{}.{} is no list", owner.name, field.name)
                };
                let Shape::Object(id) = **item else {
                    panic!("{}.{} has no objects", owner.name, field.name)
                };
                assert!(keys.iter().all(|key| table.get(id).field(key).is_some()));
            }
        }
    }
}

#[test]
fn only_one_field_holds_anything() {
    // A shape that the reader does not know reads as Raw: this finds typing errors in the file.
    let raw: Vec<_> = table()
        .types()
        .flat_map(|t| {
            t.fields
                .iter()
                .filter(|f| f.shape == Shape::Raw)
                .map(|f| format!("{}.{}", t.short_name(), f.name))
        })
        .collect();
    assert_eq!(raw, ["WatchEvent.object"]);
}

#[test]
fn kinds_are_known() {
    for (group, version, kind, wanted) in [
        ("", "v1", "Pod", true),
        ("apps", "v1", "Deployment", true),
        ("apps", "v1", "DeleteOptions", true),
        ("", "v2", "Pod", false),
        ("apps", "v1", "Pod", false),
    ] {
        assert_eq!(table().has_kind(group, version, kind), wanted, "{group}/{version} {kind}");
    }
}

fn completed(type_name: &str, mut object: Value) -> Value {
    complete(type_name, &mut object);
    let once = object.clone();
    complete(type_name, &mut object);
    assert_eq!(object, once, "not idempotent");
    object
}

#[test]
fn completes_as_go_encodes() {
    assert_eq!(
        completed("io.k8s.api.core.v1.Node", json!({"metadata": {"name": "n"}})),
        json!({"metadata": {"name": "n"}, "spec": {}, "status": {
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": {"machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
                "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "", "operatingSystem": "",
                "architecture": ""}}})
    );
    assert_eq!(
        completed(
            POD,
            json!({"spec": {"containers": [{"name": "c", "ports": []}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        ),
        json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}]}})
    );
    assert_eq!(
        completed(
            "io.k8s.api.core.v1.Event",
            json!({"involvedObject": {"kind": "Pod"}, "metadata": {"name": "e"}})
        ),
        json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "", "reportingInstance": ""})
    );
    assert_eq!(
        completed("io.k8s.api.core.v1.Service", json!({"spec": {"ports": [{"port": 80, "nodePort": 0}]}})),
        json!({"metadata": {}, "spec": {"ports": [{"port": 80, "targetPort": 0}]}, "status": {"loadBalancer": {}}})
    );
    assert_eq!(
        completed("io.k8s.api.rbac.v1.Role", json!({"metadata": {"creationTimestamp": null}})),
        json!({"metadata": {}, "rules": null})
    );
    assert_eq!(
        completed(
            "io.k8s.api.core.v1.ConfigMap",
            json!({"metadata": {"labels": {}}, "data": {}, "immutable": false})
        ),
        json!({"metadata": {}, "immutable": false})
    );
}

#[test]
fn decodes_values_that_are_parsed_already() {
    let mut pod =
        json!({"spec": {"containers": [{"name": "c", "x": 1, "tty": false}], "hostname": null}, "a": 2});
    let unknown = ["unknown field \"a\"", "unknown field \"spec.containers[0].x\""];
    assert_eq!(decode(POD, &mut pod.clone(), FieldValidation::Ignore), Ok(Vec::new()));
    let refused = decode(POD, &mut pod.clone(), FieldValidation::Strict).unwrap_err();
    assert_eq!(refused.to_string(), format!("strict decoding error: {}", unknown.join(", ")));
    assert_eq!(decode(POD, &mut pod, FieldValidation::Warn).unwrap(), unknown);
    assert_eq!(pod, json!({"spec": {"containers": [{"name": "c"}]}}));
    assert!(decode("nope", &mut pod, FieldValidation::Warn).is_err());
}

#[test]
fn field_validation_values() {
    for (text, wanted) in [
        ("", Some(FieldValidation::Warn)),
        ("Warn", Some(FieldValidation::Warn)),
        ("Ignore", Some(FieldValidation::Ignore)),
        ("Strict", Some(FieldValidation::Strict)),
        ("strict", None),
    ] {
        assert_eq!(FieldValidation::parse(text), wanted);
    }
}

/// A value that mostly, but not always, fits the shape.
fn fitting(shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    let odd =
        prop_oneof![Just(Value::Null), Just(json!(1)), Just(json!("x")), Just(json!([])), Just(json!({}))];
    let fits = match shape {
        _ if depth == 0 => Just(Value::Null).boxed(),
        Shape::Object(id) => {
            let fields = &table().get(*id).fields;
            if fields.is_empty() {
                return Just(json!({})).boxed();
            }
            let field = (0..fields.len()).prop_flat_map(move |i| {
                fitting(&fields[i].shape, depth - 1).prop_map(move |value| (fields[i].name.to_owned(), value))
            });
            proptest::collection::vec(field, 0..4)
                .prop_map(|f| Value::Object(f.into_iter().collect()))
                .boxed()
        }
        Shape::List(item) => {
            proptest::collection::vec(fitting(item, depth - 1), 0..3).prop_map(Value::Array).boxed()
        }
        Shape::Map(item) => proptest::collection::vec(("[a-c]", fitting(item, depth - 1)), 0..3)
            .prop_map(|f| Value::Object(f.into_iter().collect()))
            .boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => {
            (0..3).prop_map(Value::from).boxed()
        }
        Shape::Quantity => prop_oneof![Just(json!("1000m")), Just(json!("1.50")), Just(json!(2))].boxed(),
        Shape::Time | Shape::MicroTime => Just(json!("2026-01-01T01:00:00.5+01:00")).boxed(),
        Shape::Bytes => prop_oneof![Just(json!("YQ==")), Just(json!("YR==")), Just(json!(""))].boxed(),
        Shape::String | Shape::Raw | Shape::Fields => prop_oneof![Just(json!("")), Just(json!("a"))].boxed(),
    };
    prop_oneof![20 => fits, 1 => odd].boxed()
}

proptest! {
    #[test]
    fn what_is_accepted_once_stays_as_it_is(object in fitting(table().shape_of(POD).unwrap(), 7)) {
        let mut first = object.clone();
        if decode(POD, &mut first, FieldValidation::Warn).is_ok() {
            let mut second = first.clone();
            prop_assert_eq!(decode(POD, &mut second, FieldValidation::Strict), Ok(Vec::new()));
            prop_assert_eq!(&second, &first);
            complete(POD, &mut second);
            let full = second.clone();
            complete(POD, &mut second);
            prop_assert_eq!(&second, &full);
            // What is added only to be sent is taken and completed to the same.
            prop_assert_eq!(decode(POD, &mut second, FieldValidation::Strict), Ok(Vec::new()));
            complete(POD, &mut second);
            prop_assert_eq!(second, full);
        }
    }
}
