use super::*;
use crate::kinds::{Subresource, TableDef};
use proptest::prelude::*;
use serde_json::json;

struct Plain;
impl crate::kinds::Strategy for Plain {}

fn cells(_: &Value, _: i64) -> Vec<Value> {
    Vec::new()
}

const STATUS: Subresource =
    Subresource { name: "status", kind: "", group_version: None, verbs: &["get", "patch", "update"] };

macro_rules! def {
    ($name:ident, $group:literal, $kind:literal, $schema:literal, $subresources:expr) => {
        static $name: KindDef = KindDef {
            group: $group,
            version: "v1",
            kind: $kind,
            plural: "",
            singular: "",
            short_names: &[],
            categories: &[],
            namespaced: true,
            verbs: &[],
            subresources: $subresources,
            deprecation: "",
            view: None,
            schema: $schema,
            table: TableDef { columns: &[], row: cells },
            selectable: &[],
            strategy: &Plain,
        };
    };
}

def!(CONFIG_MAP, "", "ConfigMap", "io.k8s.api.core.v1.ConfigMap", &[]);
def!(POD, "", "Pod", "io.k8s.api.core.v1.Pod", &[STATUS]);
def!(DEPLOYMENT, "apps", "Deployment", "io.k8s.api.apps.v1.Deployment", &[STATUS]);

const NOW: &str = "2026-01-01T00:00:00Z";

fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, subresource: "", now: NOW }
}

/// An object as stored: complete and with an identity.
fn stored(def: &KindDef, mut object: Value) -> Value {
    schema::complete(def.schema, &mut object);
    meta::set_uid(&mut object, "u");
    object
}

fn apply_as(
    def: &KindDef,
    live: Option<&Value>,
    manager: &str,
    force: bool,
    patch: Value,
) -> Result<Value, Status> {
    let mut patch = patch;
    patch["apiVersion"] = json!(api_version(def));
    patch["kind"] = json!(def.kind);
    apply(def, live, &patch, &writer(manager), force).map(|object| stored(def, object))
}

/// Manager, operation, subresource and fields of each entry.
fn owners(object: &Value) -> Vec<(String, Value)> {
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|e| {
            assert_eq!((&e["fieldsType"], e.get("apiVersion").is_some()), (&json!("FieldsV1"), true));
            let sub = text(e, "subresource");
            let sub = if sub.is_empty() { sub } else { format!("/{sub}") };
            (format!("{} {}{sub}", text(e, "manager"), text(e, "operation")), e["fieldsV1"].clone())
        })
        .collect()
}

fn check_owners(object: &Value, wanted: &[(&str, Value)]) {
    let wanted: Vec<_> = wanted.iter().map(|(who, fields)| ((*who).to_owned(), fields.clone())).collect();
    assert_eq!(owners(object), wanted);
}

fn conflict(result: Result<Value, Status>) -> (String, Vec<(String, String)>) {
    let status = result.unwrap_err();
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let causes = status.details.unwrap().causes;
    assert!(causes.iter().all(|c| c.reason == "FieldManagerConflict"));
    (status.message, causes.into_iter().map(|c| (c.message, c.field)).collect())
}

fn data(entries: Value) -> Value {
    json!({"metadata": {"name": "ssa"}, "data": entries})
}

#[test]
fn two_appliers_of_a_config_map() {
    let def = &CONFIG_MAP;
    let one = apply_as(def, None, "m1", false, data(json!({"a": "1"}))).unwrap();
    check_owners(&one, &[("m1 Apply", json!({"f:data": {"f:a": {}}}))]);
    assert_eq!(one["metadata"]["managedFields"][0]["time"], NOW);

    let two = apply_as(def, Some(&one), "m1", false, data(json!({"a": "1", "b": "2"}))).unwrap();
    check_owners(&two, &[("m1 Apply", json!({"f:data": {"f:a": {}, "f:b": {}}}))]);

    let three = apply_as(def, Some(&two), "m1", false, data(json!({"b": "2"}))).unwrap();
    assert_eq!(three["data"], json!({"b": "2"}));
    check_owners(&three, &[("m1 Apply", json!({"f:data": {"f:b": {}}}))]);

    let refused = apply_as(def, Some(&three), "m2", false, data(json!({"b": "3"})));
    assert_eq!(
        conflict(refused),
        (
            "Apply failed with 1 conflict: conflict with \"m1\": .data.b".to_owned(),
            vec![("conflict with \"m1\"".to_owned(), ".data.b".to_owned())]
        )
    );

    let forced = apply_as(def, Some(&three), "m2", true, data(json!({"b": "3"}))).unwrap();
    assert_eq!(forced["data"], json!({"b": "3"}));
    check_owners(&forced, &[("m2 Apply", json!({"f:data": {"f:b": {}}}))]);

    let back = apply_as(def, Some(&forced), "m1", false, data(json!({"c": "1"}))).unwrap();
    assert_eq!(back["data"], json!({"b": "3", "c": "1"}));
    check_owners(
        &back,
        &[("m1 Apply", json!({"f:data": {"f:c": {}}})), ("m2 Apply", json!({"f:data": {"f:b": {}}}))],
    );

    // Both may want the same value; it goes when the last one lets go.
    let shared = apply_as(def, Some(&back), "m1", false, data(json!({"b": "3"}))).unwrap();
    let left = apply_as(def, Some(&shared), "m1", false, json!({"metadata": {"name": "ssa"}})).unwrap();
    assert_eq!(left["data"], json!({"b": "3"}));
    let gone = apply_as(def, Some(&left), "m2", false, json!({"metadata": {"name": "ssa"}})).unwrap();
    assert_eq!((gone.get("data"), owners(&gone).len()), (None, 0));
}

fn deployment(containers: Value, more: Value) -> Value {
    let mut object = json!({"metadata": {"name": "ssad"}, "spec": {"selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}}}});
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn deployment_fields(containers: Value, replicas: bool) -> Value {
    let mut fields = json!({"f:spec": {"f:selector": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {"f:containers": containers}}}});
    if replicas {
        fields["f:spec"]["f:replicas"] = json!({});
    }
    fields
}

/// What the defaults of a Deployment add to a container that matters here.
fn default_ports(object: &mut Value) {
    for port in
        object["spec"]["template"]["spec"]["containers"][0]["ports"].as_array_mut().into_iter().flatten()
    {
        port["protocol"] = json!("TCP");
    }
}

#[test]
fn appliers_and_an_updater_of_a_deployment() {
    let def = &DEPLOYMENT;
    let env = |name: &str| json!({"name": name, "value": "1"});
    let env_fields =
        |name: &str| json!({format!("k:{{\"name\":\"{name}\"}}"): {".": {}, "f:name": {}, "f:value": {}}});
    let ports = json!({"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}});
    let first = json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [env("A")]}]);
    let mut one = apply_as(def, None, "m1", false, deployment(first, json!({"replicas": 2}))).unwrap();
    default_ports(&mut one);
    let c = |env: Option<&str>, ports: Option<&Value>| {
        let mut fields = json!({".": {}, "f:image": {}, "f:name": {}});
        if let Some(name) = env {
            fields["f:env"] = env_fields(name);
        }
        if let Some(ports) = ports {
            fields["f:ports"] = ports.clone();
        }
        json!({"k:{\"name\":\"c\"}": fields})
    };
    check_owners(&one, &[("m1 Apply", deployment_fields(c(Some("A"), Some(&ports)), true))]);

    let second = json!([{"name": "c", "image": "i", "env": [env("B")]}]);
    let two = apply_as(def, Some(&one), "m2", false, deployment(second, json!({}))).unwrap();
    assert_eq!(two["spec"]["template"]["spec"]["containers"][0]["env"], json!([env("A"), env("B")]));
    check_owners(
        &two,
        &[
            ("m1 Apply", deployment_fields(c(Some("A"), Some(&ports)), true)),
            ("m2 Apply", deployment_fields(c(Some("B"), None), false)),
        ],
    );

    let third = json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]);
    let three = apply_as(def, Some(&two), "m1", false, deployment(third, json!({}))).unwrap();
    assert_eq!(three["spec"]["template"]["spec"]["containers"][0]["env"], json!([env("B")]));
    assert!(three["spec"].get("replicas").is_none());
    check_owners(
        &three,
        &[
            ("m1 Apply", deployment_fields(c(None, Some(&ports)), false)),
            ("m2 Apply", deployment_fields(c(Some("B"), None), false)),
        ],
    );

    let mut four = three.clone();
    four["spec"]["replicas"] = json!(9);
    update_managed_fields(def, &mut four, Some(&three), &writer("cases"));
    assert_eq!(owners(&four)[2], ("cases Update".to_owned(), json!({"f:spec": {"f:replicas": {}}})));

    let wanted = deployment(json!([{"name": "c", "image": "j"}]), json!({"replicas": 2}));
    assert_eq!(
        conflict(apply_as(def, Some(&four), "m1", false, wanted)),
        (
            "Apply failed with 2 conflicts: conflicts with \"cases\" using apps/v1:\n- .spec.replicas\nconflicts with \"m2\":\n- .spec.template.spec.containers[name=\"c\"].image".to_owned(),
            vec![
                ("conflict with \"m2\"".to_owned(), ".spec.template.spec.containers[name=\"c\"].image".to_owned()),
                ("conflict with \"cases\" using apps/v1".to_owned(), ".spec.replicas".to_owned()),
            ]
        )
    );

    let wanted = deployment(json!([{"name": "d", "image": "j"}]), json!({"replicas": 2}));
    let five = apply_as(def, Some(&four), "m1", true, wanted).unwrap();
    let names: Vec<_> = five["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["c", "d"]);
    assert!(five["spec"]["template"]["spec"]["containers"][0].get("ports").is_none());
    check_owners(
        &five,
        &[
            (
                "m1 Apply",
                deployment_fields(
                    json!({"k:{\"name\":\"d\"}": {".": {}, "f:image": {}, "f:name": {}}}),
                    true,
                ),
            ),
            ("m2 Apply", deployment_fields(c(Some("B"), None), false)),
        ],
    );
}

#[test]
fn ordinary_writes() {
    let def = &CONFIG_MAP;
    let mut one = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}});
    update_managed_fields(def, &mut one, None, &writer("cases"));
    check_owners(
        &one,
        &[(
            "cases Update",
            json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}}),
        )],
    );
    let one = stored(def, one);

    let mut two =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v2"}});
    update_managed_fields(def, &mut two, Some(&one), &writer("cases"));
    check_owners(&two, &[("cases Update", json!({"f:data": {".": {}, "f:k": {}}}))]);

    let mut other = one.clone();
    other["data"]["z"] = json!("1");
    update_managed_fields(def, &mut other, Some(&one), &writer("other"));
    assert_eq!(owners(&other)[1], ("other Update".to_owned(), json!({"f:data": {"f:z": {}}})));

    // Nothing but names: nothing is owned.
    let mut bare = json!({"metadata": {"name": "b"}});
    update_managed_fields(def, &mut bare, None, &writer("cases"));
    assert_eq!(bare, json!({"metadata": {"name": "b"}}));
    let mut generated = json!({"metadata": {"generateName": "gen-"}});
    update_managed_fields(def, &mut generated, None, &writer("cases"));
    check_owners(&generated, &[("cases Update", json!({"f:metadata": {"f:generateName": {}}}))]);
}

#[test]
fn a_write_that_changes_nothing_keeps_its_time() {
    let mut one = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    update_managed_fields(&CONFIG_MAP, &mut one, None, &writer("cases"));
    let one = stored(&CONFIG_MAP, one);
    let later = Writer { now: "2026-02-02T00:00:00Z", ..writer("cases") };
    let mut same = one.clone();
    update_managed_fields(&CONFIG_MAP, &mut same, Some(&one), &later);
    assert_eq!(same, one);
    let mut changed = one.clone();
    changed["data"]["k"] = json!("w");
    update_managed_fields(&CONFIG_MAP, &mut changed, Some(&one), &later);
    assert_eq!(changed["metadata"]["managedFields"][0]["time"], "2026-02-02T00:00:00Z");
    let patch =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let first = stored(&CONFIG_MAP, apply(&CONFIG_MAP, Some(&one), &patch, &writer("m"), false).unwrap());
    let again = apply(&CONFIG_MAP, Some(&first), &patch, &Writer { manager: "m", ..later }, false).unwrap();
    assert_eq!(stored(&CONFIG_MAP, again), first);
}

#[test]
fn status_and_object_have_managers_of_their_own() {
    let def = &POD;
    let mut one = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": "Pending"},
        "spec": {"containers": [{"name": "c", "resources": {}}], "securityContext": {}}});
    schema::complete(def.schema, &mut one);
    update_managed_fields(def, &mut one, None, &writer("cases"));
    let container = json!({".": {}, "f:name": {}, "f:resources": {}});
    let spec =
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": container}, "f:securityContext": {}}});
    check_owners(&one, &[("cases Update", spec.clone())]);
    let one = stored(def, one);

    let mut two = one.clone();
    two["spec"]["nodeName"] = json!("x");
    two["metadata"]["labels"] = json!({"viastatus": "1"});
    two["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    schema::complete(def.schema, &mut two);
    update_managed_fields(def, &mut two, Some(&one), &Writer { subresource: "status", ..writer("cases") });
    let condition =
        json!({".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}});
    check_owners(
        &two,
        &[
            ("cases Update", spec),
            (
                "cases Update/status",
                json!({
            "f:metadata": {"f:labels": {".": {}, "f:viastatus": {}}},
            "f:status": {"f:conditions": {".": {}, "k:{\"type\":\"Ready\"}": condition}}}),
            ),
        ],
    );
}

#[test]
fn an_object_without_managers_stays_so_until_it_is_applied_to() {
    let def = &CONFIG_MAP;
    let old = stored(
        def,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}),
    );
    let mut new = old.clone();
    new["data"]["l"] = json!("w");
    update_managed_fields(def, &mut new, Some(&old), &writer("cases"));
    assert!(owners(&new).is_empty());
    let refused = apply_as(def, Some(&new), "m1", false, data(json!({"k": "x"})));
    assert_eq!(
        conflict(refused).0,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.k"
    );
    let applied = apply_as(def, Some(&new), "m1", true, data(json!({"k": "x"}))).unwrap();
    check_owners(
        &applied,
        &[
            ("m1 Apply", json!({"f:data": {"f:k": {}}})),
            ("before-first-apply Update", json!({"f:data": {".": {}, "f:l": {}}})),
        ],
    );
}

#[test]
fn clients_may_reset_or_keep_managers() {
    let def = &CONFIG_MAP;
    let mut one = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    update_managed_fields(def, &mut one, None, &writer("cases"));
    let one = stored(def, one);
    let mut reset = one.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    update_managed_fields(def, &mut reset, Some(&one), &writer("cases"));
    assert!(owners(&reset).is_empty());
    let mut odd = one.clone();
    odd["metadata"]["managedFields"] = json!([{"operation": "Apply", "fieldsV1": {"x": 1}}]);
    update_managed_fields(def, &mut odd, Some(&one), &writer("cases"));
    assert_eq!(odd, one);
}

#[test]
fn many_updaters_are_folded() {
    let def = &CONFIG_MAP;
    let mut live = json!({"metadata": {"name": "a"}, "data": {"first": "1"}});
    update_managed_fields(def, &mut live, None, &writer("w00"));
    let mut live = stored(def, live);
    for i in 1..15 {
        let mut new = live.clone();
        new["data"][format!("k{i}")] = json!("1");
        let (manager, now) = (format!("w{i:02}"), format!("2026-01-01T00:00:{i:02}Z"));
        update_managed_fields(
            def,
            &mut new,
            Some(&live),
            &Writer { manager: &manager, subresource: "", now: &now },
        );
        live = new;
    }
    let owners = owners(&live);
    assert_eq!(owners.len(), 10);
    assert_eq!(owners[0].0, "ancient-changes Update");
    assert_eq!(
        owners[0].1["f:data"],
        json!({".": {}, "f:first": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}, "f:k4": {}, "f:k5": {}})
    );
}

fn refusal(def: &KindDef, patch: Value) -> (u16, String) {
    let status = apply(def, None, &patch, &writer("m"), false).unwrap_err();
    (status.code, status.message)
}

#[test]
fn patches_that_are_no_objects_of_the_kind() {
    let config_map = |more: Value| {
        let mut patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}});
        for (key, value) in more.as_object().unwrap() {
            patch[key] = value.clone();
        }
        patch
    };
    let typed = "failed to create typed patch object (/ssa; /v1, Kind=ConfigMap): ";
    for (more, code, wanted) in [
        (
            json!({"data": {"a": 1}}),
            500,
            format!("{typed}.data.a: expected string, got &value.valueUnstructured{{Value:1}}"),
        ),
        (json!({"nope": 1}), 500, format!("{typed}.nope: field not declared in schema")),
        (json!({"data": "x"}), 500, format!("{typed}.data: expected map, got &{{x}}")),
        (
            json!({"nope": 1, "immutable": "x"}),
            500,
            format!(
                "{typed}errors:\n  .immutable: expected boolean, got &{{x}}\n  .nope: field not declared in schema"
            ),
        ),
        (
            json!({"apiVersion": "v2"}),
            400,
            "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"
                .to_owned(),
        ),
        (
            json!({"metadata": {"name": "ssa", "managedFields": []}}),
            400,
            "metadata.managedFields must be nil".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&CONFIG_MAP, config_map(more)), (code, wanted));
    }
    let mut twice = deployment(json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]), json!({}));
    twice["apiVersion"] = json!("apps/v1");
    twice["kind"] = json!("Deployment");
    assert_eq!(
        refusal(&DEPLOYMENT, twice.clone()).1,
        "failed to create typed patch object (/ssad; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"c\"]"
    );
    twice["spec"]["template"]["spec"]["containers"] = json!([{"image": "i"}]);
    assert!(refusal(&DEPLOYMENT, twice).1.ends_with(
        ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \"name\""
    ));
}

#[test]
fn fields_survive_a_round_trip() {
    let fields = json!({"f:a": {".": {}, "f:b": {}}, "f:list": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
        "f:set": {"v:\"x\"": {}}, "f:index": {"i:3": {}}});
    let set = FieldSet::from_fields(&fields).unwrap();
    assert_eq!(set.clone().into_fields(), fields);
    assert_eq!(
        set.paths(),
        [
            ".a",
            ".a.b",
            ".index[3]",
            ".list[port=80,protocol=\"TCP\"]",
            ".list[port=80,protocol=\"TCP\"].port",
            ".set[=\"x\"]"
        ]
    );
    for bad in [json!(1), json!({"a": {}}), json!({"k:x": {}}), json!({"i:x": {}}), json!({"f:a": 1})] {
        assert!(FieldSet::from_fields(&bad).is_none(), "{bad}");
    }
    let spaced = FieldSet::from_fields(&json!({"k:{ \"b\": 1, \"a\": 2 }": {}})).unwrap();
    assert_eq!(spaced.into_fields(), json!({"k:{\"a\":2,\"b\":1}": {}}));
}

#[test]
fn the_order_of_merged_lists() {
    let kind = Kind::of_type("io.k8s.api.core.v1.PodSpec").unwrap().below("containers").unwrap();
    let list = |names: &str| names.chars().map(|c| json!({"name": c.to_string()})).collect::<Vec<_>>();
    for (live, applied, wanted) in [
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("c", "d", "cd"),
        ("abc", "ca", "bca"),
        ("abc", "xb", "axbc"),
        ("abcd", "dcba", "dcba"),
        ("axb", "ba", "xba"),
    ] {
        let merged = merge::merge(Value::Array(list(live)), &Value::Array(list(applied)), kind);
        let names: String = merged.as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
        let mut sorted: Vec<_> = names.chars().collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len(), "{live} + {applied} = {names}");
        assert_eq!(names, wanted, "{live} + {applied}");
    }
}

fn any_map() -> impl Strategy<Value = Value> {
    let key = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
    let value = prop_oneof![Just("1"), Just("2")];
    proptest::collection::vec((key, value), 0..4).prop_map(|entries| {
        Value::Object(entries.into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect())
    })
}

proptest! {
    #[test]
    fn what_is_applied_is_there(first in any_map(), second in any_map(), third in any_map()) {
        let one = apply_as(&CONFIG_MAP, None, "m1", false, data(first)).unwrap();
        let two = apply_as(&CONFIG_MAP, Some(&one), "m2", true, data(second.clone())).unwrap();
        let three = apply_as(&CONFIG_MAP, Some(&two), "m1", true, data(third.clone())).unwrap();
        let empty = json!({});
        let data = three.get("data").unwrap_or(&empty).as_object().unwrap();
        for (key, value) in third.as_object().unwrap() {
            prop_assert_eq!(data.get(key), Some(value));
        }
        for key in data.keys() {
            prop_assert!(third.get(key).is_some() || second.get(key).is_some());
        }
        for (_, fields) in owners(&three) {
            for key in fields["f:data"].as_object().into_iter().flatten().map(|(key, _)| key) {
                prop_assert!(data.contains_key(key.trim_start_matches("f:")), "{} is owned but absent", key);
            }
        }
    }
}

fn any_set() -> impl Strategy<Value = FieldSet> {
    let path = proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4);
    proptest::collection::vec(path, 0..6).prop_map(|paths| {
        let mut set = FieldSet::default();
        paths.iter().for_each(|path| set.insert(path));
        set
    })
}

fn members(set: &FieldSet) -> std::collections::BTreeSet<String> {
    set.paths().into_iter().collect()
}

proptest! {
    #[test]
    fn sets_of_fields_are_sets(a in any_set(), b in any_set()) {
        let (ma, mb) = (members(&a), members(&b));
        prop_assert_eq!(members(&a.clone().union(&b)), &ma | &mb);
        prop_assert_eq!(members(&a.intersection(&b)), &ma & &mb);
        prop_assert_eq!(members(&a.difference(&b)), &ma - &mb);
        let mut below = a.clone();
        below.subtract_below(&b);
        let covered = |path: &String| mb.iter().any(|m| path == m || path.starts_with(&format!("{m}.")));
        prop_assert_eq!(members(&below), ma.iter().filter(|p| !covered(p)).cloned().collect());
        prop_assert_eq!(FieldSet::from_fields(&a.clone().into_fields()), Some(a));
    }

    #[test]
    fn a_comparison_tells_every_change(old in any_map(), new in any_map()) {
        let kind = Kind::of_type(CONFIG_MAP.schema).unwrap();
        let changes = compare(&json!({"data": old}), &json!({"data": new}), kind);
        let of = |set: &FieldSet| members(set);
        for key in ["a", "b", "c", "d"] {
            let path = format!(".data.{key}");
            let (was, is) = (old.get(key), new.get(key));
            prop_assert_eq!(of(&changes.added).contains(&path), was.is_none() && is.is_some());
            prop_assert_eq!(of(&changes.removed).contains(&path), was.is_some() && is.is_none());
            prop_assert_eq!(of(&changes.modified).contains(&path), was.is_some() && is.is_some() && was != is);
        }
    }
}
