//! The paths of a kind with their operations and parameters.

use super::{Definitions, Form, PATCH};
use crate::kinds::{KindDef, Subresource};
use serde_json::{Map, Value, json};

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";
const PATCH_TYPES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// One operation before it is written down.
struct Operation<'a> {
    verb: &'a str,
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    id: String,
    /// The published names of the body's and the answer's types.
    body: Option<&'a str>,
    answer: Option<&'a str>,
}

/// Names and types of query parameters.
type Query = &'static [(&'static str, &'static str)];

/// Method, action and query parameters of a verb.
fn verb_facts(verb: &str) -> Option<(&'static str, &'static str, Query)> {
    const WRITE: Query = &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
    const APPLY: Query = &[
        ("dryRun", "string"),
        ("fieldManager", "string"),
        ("fieldValidation", "string"),
        ("force", "boolean"),
    ];
    const DELETE: Query = &[
        ("dryRun", "string"),
        ("gracePeriodSeconds", "integer"),
        ("orphanDependents", "boolean"),
        ("propagationPolicy", "string"),
    ];
    const LIST: Query = &[
        ("allowWatchBookmarks", "boolean"),
        ("continue", "string"),
        ("fieldSelector", "string"),
        ("labelSelector", "string"),
        ("limit", "integer"),
        ("resourceVersion", "string"),
        ("resourceVersionMatch", "string"),
        ("sendInitialEvents", "boolean"),
        ("timeoutSeconds", "integer"),
        ("watch", "boolean"),
    ];
    Some(match verb {
        "get" => ("get", "get", &[]),
        "list" => ("get", "list", LIST),
        "create" => ("post", "post", WRITE),
        "update" => ("put", "put", WRITE),
        "patch" => ("patch", "patch", APPLY),
        "delete" => ("delete", "delete", DELETE),
        "deletecollection" => ("delete", "deletecollection", LIST),
        _ => return None,
    })
}

/// Adds all paths of a kind.
pub(super) fn add(definitions: &mut Definitions, paths: &mut Map<String, Value>, def: &KindDef) {
    let root = if def.group.is_empty() {
        format!("/api/{}", def.version)
    } else {
        format!("/apis/{}/{}", def.group, def.version)
    };
    let all = format!("{root}/{}", def.plural);
    let collection =
        if def.namespaced { format!("{root}/namespaces/{{namespace}}/{}", def.plural) } else { all.clone() };
    let item = format!("{collection}/{{name}}");
    for verb in def.verbs {
        let path = if matches!(*verb, "list" | "create" | "deletecollection") { &collection } else { &item };
        add_verb(definitions, paths, path, def, verb);
    }
    if def.namespaced && def.verbs.contains(&"list") {
        add_verb(definitions, paths, &all, def, "list");
    }
    for subresource in def.subresources {
        add_subresource(definitions, paths, &item, def, subresource);
    }
    if def.verbs.contains(&"watch") {
        definitions.add(WATCH_EVENT);
    }
}

fn add_verb(
    definitions: &mut Definitions,
    paths: &mut Map<String, Value>,
    path: &str,
    def: &KindDef,
    verb: &str,
) {
    let list = format!("{}List", def.schema);
    let body = match verb {
        "create" | "update" => Some(def.schema),
        "patch" => Some(PATCH),
        "delete" | "deletecollection" => Some(DELETE_OPTIONS),
        _ => None,
    };
    let answer = match verb {
        "list" => list.as_str(),
        "delete" | "deletecollection" => STATUS,
        _ => def.schema,
    };
    let (group, version, kind) = (def.group, def.version, def.kind);
    let id = operation_id(verb, def, path, "");
    let operation = Operation { verb, group, version, kind, id, body, answer: Some(answer) };
    write(definitions, paths, path, &operation);
}

fn add_subresource(
    definitions: &mut Definitions,
    paths: &mut Map<String, Value>,
    item: &str,
    def: &KindDef,
    subresource: &Subresource,
) {
    let path = format!("{item}/{}", subresource.name);
    let (group, version) = subresource.group_version.unwrap_or((def.group, def.version));
    let own = (group, version, subresource.kind) == (def.group, def.version, def.kind);
    let schema =
        if own { Some(def.schema) } else { definitions.name_of_kind(group, version, subresource.kind) };
    for verb in subresource.verbs {
        let body = match *verb {
            "create" | "update" => schema,
            // What goes to a backend is no patch of ours.
            "patch" => schema.map(|_| PATCH),
            _ => None,
        };
        let id = operation_id(verb, def, &path, subresource.name);
        let operation = Operation { verb, group, version, kind: subresource.kind, id, body, answer: schema };
        write(definitions, paths, &path, &operation);
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// `createCoreV1NamespacedConfigMap`
fn operation_id(verb: &str, def: &KindDef, path: &str, subresource: &str) -> String {
    let verb = match verb {
        "get" => "read",
        "update" => "replace",
        "deletecollection" => "deleteCollection",
        other => other,
    };
    let group = if def.group.is_empty() { "core" } else { def.group.trim_end_matches(".k8s.io") };
    let group: String = group.split('.').map(capitalised).collect();
    let scope = if path.contains("{namespace}") { "Namespaced" } else { "" };
    let everywhere = if def.namespaced && scope.is_empty() { "ForAllNamespaces" } else { "" };
    format!(
        "{verb}{group}{}{scope}{}{}{everywhere}",
        capitalised(def.version),
        def.kind,
        capitalised(subresource)
    )
}

fn write(
    definitions: &mut Definitions,
    paths: &mut Map<String, Value>,
    path: &str,
    operation: &Operation<'_>,
) {
    let Some((method, action, query)) = verb_facts(operation.verb) else { return };
    let form = definitions.form;
    let mut parameters: Vec<Value> = ["namespace", "name"]
        .iter()
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| parameter(form, name, "path", "string"))
        .collect();
    parameters.extend(query.iter().map(|(name, kind)| parameter(form, name, "query", kind)));
    let media: &[&str] =
        if operation.verb == "patch" { &PATCH_TYPES } else { &["application/json", "application/yaml"] };
    let mut written = json!({
        "operationId": operation.id,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind":
            {"group": operation.group, "version": operation.version, "kind": operation.kind},
    });
    if let Some(body) = operation.body {
        let schema = definitions.named(body);
        match form {
            Form::V2 => {
                parameters.push(json!({"name": "body", "in": "body", "schema": schema}));
                written["consumes"] = json!(media);
            }
            Form::V3 => {
                let content: Map<_, _> =
                    media.iter().map(|m| ((*m).to_owned(), json!({ "schema": schema }))).collect();
                written["requestBody"] = json!({ "content": content });
            }
        }
    }
    written["parameters"] = Value::Array(parameters);
    let code = if operation.verb == "create" { "201" } else { "200" };
    written["responses"] = json!({ code: answer(definitions, operation.answer) });
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    item[method] = written;
}

fn parameter(form: Form, name: &str, place: &str, kind: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": place });
    match form {
        Form::V2 => parameter["type"] = json!(kind),
        Form::V3 => parameter["schema"] = json!({ "type": kind }),
    }
    if place == "path" {
        parameter["required"] = json!(true);
    } else if form == Form::V2 {
        parameter["uniqueItems"] = json!(true);
    }
    parameter
}

fn answer(definitions: &mut Definitions, name: Option<&str>) -> Value {
    let mut answer = json!({"description": "OK"});
    let Some(name) = name else { return answer };
    let schema = definitions.named(name);
    match definitions.form {
        Form::V2 => answer["schema"] = schema,
        Form::V3 => answer["content"] = json!({"application/json": { "schema": schema }}),
    }
    answer
}
