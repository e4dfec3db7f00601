//! Facts of a Kubernetes v1.36 API server, replayed through the rules of our kinds in the order that the API
//! server uses. A line of `testdata/facts.jsonl` is a write and what came of it: the object, or the error.

use super::*;
use crate::decode::{self, Encoding, Target};
use crate::meta;
use crate::patch::{Patch, PatchType};
use crate::schema::{self, FieldValidation};
use crate::status::Status;
use crate::validation::value::{at, flag, list, remove, set, text};
use serde_json::json;
use std::collections::BTreeMap;

const NOW: &str = "2026-01-02T03:04:05Z";

/// The objects stored so far, by resource, namespace and name.
#[derive(Default)]
struct Server {
    stored: BTreeMap<String, Value>,
}

impl Server {
    fn run(&mut self, fact: &Value) -> Result<Value, Status> {
        let mut resource = text(fact, "resource").split('/');
        let mut next = || resource.next().unwrap();
        let def = find(next(), next(), next()).expect("a kind that is served");
        let body = serde_json::to_vec(&fact["body"]).unwrap();
        match text(fact, "do") {
            "create" => self.create(def, fact, &body),
            "bind" => {
                let pod = self.stored.get_mut(&key(def, fact, text(fact, "name"))).unwrap();
                assert!(pod::validate_binding(&fact["body"]).is_empty());
                pod::bind(pod, &fact["body"], NOW).map(|()| json!({}))
            }
            change => self.change(def, fact, change, &body),
        }
    }

    fn create(&mut self, def: &'static KindDef, fact: &Value, body: &[u8]) -> Result<Value, Status> {
        let target = Target::from(def);
        let mut object = decode::object(body, Encoding::Json, &target, FieldValidation::Warn)?.object;
        let namespace = text(fact, "namespace");
        if !namespace.is_empty() {
            meta::set_namespace(&mut object, namespace);
        }
        def.strategy.default(&mut object);
        admit(def, &mut object, true);
        meta::prepare_create(&mut object, "<uid>", NOW);
        def.strategy.prepare_create(&mut object);
        let rule = |name: &str, prefix: bool| def.strategy.validate_name(name, prefix);
        let mut errors = match def.is_stored() {
            true => meta::validate_meta_create(&object, def.namespaced, &rule),
            false => FieldErrors::new(),
        };
        errors.extend(def.strategy.validate(&object));
        if errors.is_empty() && def.kind == "Service" {
            errors.extend(service::complete_families(&mut object, "IPv4"));
        }
        // Reviews name nothing in their errors.
        let (kind, name) = match def.is_stored() {
            true => (def.kind, meta::name(&object).to_owned()),
            false => ("", String::new()),
        };
        invalid(def.group, kind, &name, &errors)?;
        schema::complete(def.schema, &mut object);
        self.stored.insert(key(def, fact, &name), object.clone());
        Ok(object)
    }

    fn change(
        &mut self,
        def: &'static KindDef,
        fact: &Value,
        change: &str,
        body: &[u8],
    ) -> Result<Value, Status> {
        let key = key(def, fact, text(fact, "name"));
        let Some(old) = self.stored.get(&key).cloned() else {
            return Err(Status::not_found(def.group, def.plural, text(fact, "name")));
        };
        let subresource = text(fact, "subresource");
        if subresource == "scale" {
            return self.scale(def, &key, &old, change, fact);
        }
        let mut new = match change {
            "replace" => {
                decode::object(body, Encoding::Json, &Target::from(def), FieldValidation::Warn)?.object
            }
            _ => {
                Patch::parse(patch_type(change), body)?.apply(&old, def.schema, FieldValidation::Warn)?.object
            }
        };
        if def.namespaced {
            meta::set_namespace(&mut new, text(fact, "namespace"));
        }
        // An update without a version is one of the current version.
        meta::set_resource_version(&mut new, "<resourceVersion>");
        def.strategy.default(&mut new);
        if subresource.is_empty() {
            admit(def, &mut new, false);
        }
        self.update(def, &key, &old, new, subresource)
    }

    fn update(
        &mut self,
        def: &'static KindDef,
        key: &str,
        old: &Value,
        mut new: Value,
        subresource: &str,
    ) -> Result<Value, Status> {
        meta::prepare_update(&mut new, old);
        let mut errors = FieldErrors::new();
        if subresource.is_empty() {
            def.strategy.prepare_update(&mut new, old);
            // Kubernetes checks metadata for all kinds and again in each kind's rules.
            errors.extend(meta::validate_meta_update(&new, old));
            errors.extend(meta::validate_meta_update(&new, old));
            errors.extend(def.strategy.validate_update(&new, old));
        } else {
            def.strategy.prepare_subresource_update(subresource, &mut new, old);
            errors.extend(meta::validate_meta_update(&new, old));
            errors.extend(def.strategy.validate_subresource_update(subresource, &new, old));
        }
        if errors.is_empty() && def.kind == "Service" {
            errors.extend(service::complete_families(&mut new, "IPv4"));
        }
        invalid(def.group, def.kind, meta::name(&new), &errors)?;
        schema::complete(def.schema, &mut new);
        self.stored.insert(key.to_owned(), new.clone());
        Ok(new)
    }

    fn scale(
        &mut self,
        def: &'static KindDef,
        key: &str,
        old: &Value,
        change: &str,
        fact: &Value,
    ) -> Result<Value, Status> {
        let current = scale::from(old);
        let asked = match change {
            "replace" => fact["body"].clone(),
            _ => crate::patch::merge_patch(&current, &fact["body"]),
        };
        invalid("autoscaling", "Scale", meta::name(old), &scale::validate(&asked))?;
        let mut new = old.clone();
        meta::set_resource_version(&mut new, "<resourceVersion>");
        scale::apply(&mut new, &asked);
        self.update(def, key, old, new, "").map(|object| scale::from(&object))
    }
}

fn key(def: &KindDef, fact: &Value, name: &str) -> String {
    format!("{}/{}/{name}", def.plural, text(fact, "namespace"))
}

fn patch_type(change: &str) -> PatchType {
    match change {
        "merge" => PatchType::Merge,
        "json" => PatchType::Json,
        "strategic" => PatchType::Strategic,
        other => panic!("no change: {other}"),
    }
}

fn invalid(group: &str, kind: &str, name: &str, errors: &FieldErrors) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(group, kind, name, errors)) }
}

/// What the API server's admission adds before a kind's rules run; the facts include it.
fn admit(def: &KindDef, object: &mut Value, create: bool) {
    match def.kind {
        "Pod" => admit_pod(object, create),
        "Node" if create => {
            let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
            let mut taints = list(&object["spec"], "taints").to_vec();
            taints.push(taint);
            set(&mut object["spec"], "taints", taints);
        }
        _ => {}
    }
}

fn admit_pod(object: &mut Value, create: bool) {
    let spec = &mut object["spec"];
    let mut tolerations = list(spec, "tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|toleration| text(toleration, "key") == key) {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
    set(spec, "tolerations", tolerations);
    if !create {
        return;
    }
    set(spec, "priority", 0);
    set(spec, "preemptionPolicy", "PreemptLowerPriority");
    for field in ["serviceAccountName", "serviceAccount"] {
        crate::validation::value::default_empty_to(spec, field, "default");
    }
    let mount = json!({
        "name": "kube-api-access-xxxxx", "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    });
    for field in ["containers", "initContainers"] {
        for container in crate::validation::value::list_mut(spec, field) {
            let mut mounts = list(container, "volumeMounts").to_vec();
            mounts.push(mount.clone());
            set(container, "volumeMounts", mounts);
        }
    }
    let mut volumes = list(spec, "volumes").to_vec();
    volumes.push(json!({"name": "kube-api-access-xxxxx", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}}));
    set(spec, "volumes", volumes);
}

/// Takes out of an object what no rule of a kind decides.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        if let Some(metadata) = object.get_mut("metadata") {
            remove(metadata, field);
        }
    }
    if text(&object, "kind").ends_with("AccessReview") {
        remove(&mut object, "status");
    }
    object
}

#[test]
fn facts_hold() {
    let mut server = Server::default();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("testdata/facts.jsonl").lines() {
        let fact: Value = serde_json::from_str(line).unwrap();
        let name = text(&fact, "fact").to_owned();
        count += 1;
        match (server.run(&fact), fact.get("error")) {
            (Ok(object), None) => {
                let (got, want) = (comparable(&object), comparable(&fact["object"]));
                if text(&fact, "do") != "bind" && got != want {
                    wrong.push(format!("{name}:\n got {got}\nwant {want}"));
                }
            }
            (Err(status), Some(error)) => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                let causes = causes.map(|cause| json!([cause.reason, cause.message, cause.field]));
                let got = json!({"message": status.message, "causes": causes.collect::<Vec<_>>()});
                if got != *error {
                    wrong.push(format!("{name}:\n got {got}\nwant {error}"));
                }
            }
            (Ok(object), Some(error)) => wrong.push(format!("{name}: taken as {object}\nwant {error}")),
            (Err(status), None) => wrong.push(format!("{name}: refused: {}", status.message)),
        }
    }
    assert!(count > 100, "only {count} facts");
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn kinds_are_found() {
    for def in registry() {
        assert!(std::ptr::eq(find(def.group, def.version, def.plural).unwrap(), *def));
        assert!(std::ptr::eq(by_kind(def.group, def.version, def.kind).unwrap(), *def));
        assert!(schema::table().find(def.schema).is_some(), "{} has no schema", def.schema);
        let empty = json!({"metadata": {"name": "n"}});
        assert_eq!((def.table.row)(&empty, 0).len(), def.table.columns.len(), "{}", def.kind);
        for (_, value) in def.selectable {
            value(&empty);
        }
    }
    assert!(find("", "v1", "nothings").is_none());
    assert!(find("apps", "v1", "deployments").unwrap().subresource("scale").is_some());
    assert!(!flag(&json!({}), "x") && at(&json!({}), "x").is_null());
}

/// Runs everything that a kind does with objects.
fn exercise(def: &KindDef, new: &Value, old: &Value) {
    let mut new = new.clone();
    def.strategy.default(&mut new);
    def.strategy.prepare_create(&mut new);
    def.strategy.validate(&new);
    def.strategy.prepare_update(&mut new, old);
    def.strategy.validate_update(&new, old);
    for subresource in def.subresources {
        def.strategy.prepare_subresource_update(subresource.name, &mut new, old);
        def.strategy.validate_subresource_update(subresource.name, &new, old);
    }
    def.strategy.warnings(&new);
    (def.table.row)(&new, 0);
    def.selectable.iter().for_each(|(_, value)| drop(value(&new)));
}

#[test]
fn odd_objects_never_panic() {
    let odd = [
        json!({}),
        json!({"metadata": {}, "spec": null, "status": null}),
        json!({"metadata": null, "spec": [], "status": 3}),
        json!({"metadata": {"labels": 1}, "spec": {"containers": {"a": 1}, "ports": "x", "template": []}}),
        json!({"spec": {"containers": [1, null, {"ports": [1], "env": [null], "volumeMounts": [{}]}]}}),
        json!({"subsets": [1, {"addresses": [1], "ports": [1]}], "endpoints": [1], "ports": [null]}),
        json!([]),
        json!(null),
    ];
    for def in registry() {
        odd.iter().for_each(|object| exercise(def, object, object));
    }
}

/// The places of all values within `value`, as JSON pointers.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    found.push(place.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn objects_with_one_odd_value_never_panic() {
    let odd =
        [json!(null), json!(-1), json!(1.5), json!("x/..\u{0}"), json!([]), json!([null]), json!({"a": 1})];
    let mut seen = BTreeMap::new();
    for line in include_str!("testdata/facts.jsonl").lines() {
        let fact: Value = serde_json::from_str(line).unwrap();
        if text(&fact, "do") == "create" {
            let most = seen.entry(text(&fact, "resource").to_owned()).or_insert_with(|| fact["body"].clone());
            if fact["body"].to_string().len() > most.to_string().len() {
                *most = fact["body"].clone();
            }
        }
    }
    for (resource, object) in seen {
        let mut parts = resource.split('/');
        let def = find(parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()).unwrap();
        let mut found = Vec::new();
        places(&object, "", &mut found);
        for place in found {
            let mut changed = object.clone();
            for value in &odd {
                *changed.pointer_mut(&place).unwrap() = value.clone();
                exercise(def, &changed, &object);
            }
            exercise(def, &object, &changed);
        }
    }
}

#[test]
fn defaulting_is_idempotent() {
    for line in include_str!("testdata/facts.jsonl").lines() {
        let fact: Value = serde_json::from_str(line).unwrap();
        let Some(object) = fact.get("object").filter(|_| text(&fact, "subresource").is_empty()) else {
            continue;
        };
        let mut parts = text(&fact, "resource").split('/');
        let def = find(parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()).unwrap();
        let mut again = object.clone();
        def.strategy.default(&mut again);
        schema::complete(def.schema, &mut again);
        assert_eq!(again, *object, "{}", text(&fact, "fact"));
    }
}

/// What `testdata/served.txt` says of a kind, made of its definition.
fn described(def: &KindDef) -> Vec<String> {
    let list = |list: &[&str]| if list.is_empty() { "-".to_owned() } else { list.join(",") };
    let scope = if def.namespaced { "namespaced" } else { "cluster" };
    let mut lines = vec![format!(
        "{}/{}/{} {} {} {scope} {} {} {}",
        def.group,
        def.version,
        def.plural,
        def.kind,
        def.singular,
        list(def.verbs),
        list(def.short_names),
        list(def.categories)
    )];
    for subresource in def.subresources {
        let kind = match subresource.group_version {
            Some((group, version)) => format!("{group}/{version}/{}", subresource.kind),
            None => subresource.kind.to_owned(),
        };
        lines.push(format!(" /{} {kind} {}", subresource.name, list(subresource.verbs)));
    }
    if def.is_stored() {
        let columns = def.table.columns.iter().map(|column| {
            let name = if column.format == "name" { "*" } else { "" };
            let wide = if column.priority > 0 { "+" } else { "" };
            let kind = if column.kind == "string" { String::new() } else { format!(":{}", column.kind) };
            format!("{name}{wide}{}{kind}", column.name)
        });
        lines.push(format!(" columns {}", columns.collect::<Vec<_>>().join("|")));
    }
    lines
}

#[test]
fn kinds_are_served_as_kubernetes_does() {
    let want = include_str!("testdata/served.txt").lines().filter(|line| !line.starts_with('#'));
    let mut kinds: Vec<Vec<String>> = Vec::new();
    for line in want {
        if !line.starts_with(' ') {
            kinds.push(Vec::new());
        }
        kinds.last_mut().unwrap().push(line.to_owned());
    }
    let got = registry().iter().map(|def| described(def)).collect::<Vec<_>>();
    for kind in &kinds {
        assert!(got.contains(kind), "{kind:#?}\n{:#?}", got.iter().find(|other| other[0] == kind[0]));
    }
    assert_eq!(got.len(), kinds.len());
}
