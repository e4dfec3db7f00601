use super::*;
use crate::kinds::{Column, Strategy, Subresource, TableDef};

struct Plain;
impl Strategy for Plain {}

fn cells(_: &Value, _: i64) -> Vec<Value> {
    Vec::new()
}

const COLUMNS: &[Column] = &[];
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

static DEPLOYMENT: KindDef = KindDef {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "scale",
        kind: "Scale",
        group_version: Some(("autoscaling", "v1")),
        verbs: &["get", "patch", "update"],
    }],
    schema: "io.k8s.api.apps.v1.Deployment",
    table: TableDef { columns: COLUMNS, row: cells },
    selectable: &[],
    strategy: &Plain,
    deprecation: "",
    view: None,
};

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                found.push(target.clone());
            }
            map.values().for_each(|inner| references(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[test]
fn version_3_holds_what_kubectl_needs() {
    let document = openapi_v3(&[&DEPLOYMENT], "apps", "v1", "v1.36.2").unwrap();
    let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let patch = &path["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let names: Vec<_> = patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["namespace", "name", "dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    assert!(path.get("get").is_some() && path.get("put").is_some() && path.get("delete").is_some());
    assert_eq!(
        document["paths"]["/apis/apps/v1/deployments"]["get"]["operationId"],
        "listAppsV1DeploymentForAllNamespaces"
    );
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"];
    assert_eq!(scale["get"]["x-kubernetes-group-version-kind"]["kind"], "Scale");

    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(schemas["io.k8s.api.core.v1.PodSpec"]["required"], json!(["containers"]));
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert!(strategy.get("$ref").is_none() && strategy["allOf"][0]["$ref"].is_string(), "{strategy}");
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "DeleteOptions"}])
    );
    assert!(schemas["io.k8s.api.autoscaling.v1.Scale"].is_object());
    assert!(openapi_v3(&[&DEPLOYMENT], "", "v1", "v1.36.2").is_none());
}

#[test]
fn every_reference_leads_somewhere() {
    for (document, prefix, root) in [
        (
            openapi_v3(&[&DEPLOYMENT], "apps", "v1", "v1").unwrap(),
            "#/components/schemas/",
            "/components/schemas",
        ),
        (openapi_v2(&[&DEPLOYMENT], "v1"), "#/definitions/", "/definitions"),
    ] {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        let schemas = document.pointer(root).and_then(Value::as_object).unwrap();
        for target in found {
            assert!(target.strip_prefix(prefix).is_some_and(|name| schemas.contains_key(name)), "{target}");
        }
    }
}

#[test]
fn version_2_has_its_own_form() {
    let document = openapi_v2(&[&DEPLOYMENT], "v1.36.2");
    assert_eq!(document["swagger"], "2.0");
    assert_eq!(document["definitions"][INT_OR_STRING], json!({"type": "string", "format": "int-or-string"}));
    let post = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"];
    let body = post["parameters"].as_array().unwrap().iter().find(|p| p["in"] == "body").unwrap();
    assert_eq!(body["schema"]["$ref"], "#/definitions/io.k8s.api.apps.v1.Deployment");
    let options = &document["definitions"]["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"];
    assert!(options["x-kubernetes-group-version-kind"].as_array().unwrap().len() > 5);
}
