//! Discovery: which groups, versions and resources are served, in the legacy form (one document per version)
//! and in the aggregated one (one per root), which new clients ask for.

use super::document::Document;
use crate::respond::{self, Reply, negotiate};
use crate::storage::catalog::Catalog;
use crate::storage::form::api_version;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use keelson_api::kinds::{KindDef, Subresource};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Groups in the order in which clients prefer them.
const ORDER: [&str; 12] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// A root in its three forms.
struct Root {
    legacy: Document,
    v2: Document,
    v2beta1: Document,
}

/// One group and version in the legacy form.
struct Resources {
    group: &'static str,
    version: &'static str,
    body: Bytes,
}

/// All discovery documents.
pub struct Discovery {
    api: Root,
    apis: Root,
    groups: Vec<(&'static str, Bytes)>,
    resources: Vec<Resources>,
}

impl Discovery {
    /// `address` is `host:port` as clients reach the server.
    pub fn new(catalog: &Catalog, address: &str) -> Self {
        let defs: Vec<&'static KindDef> = catalog.all().iter().map(|served| served.def).collect();
        let versions = versions(&defs);
        let groups: Vec<_> = ordered_groups(&versions);
        let legacy_api = json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        });
        let legacy_apis = json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups.iter().map(|group| group_object(group, &versions)).collect::<Vec<_>>(),
        });
        let items: Vec<_> = groups.iter().map(|group| group_discovery(group, &versions, &defs)).collect();
        Self {
            api: root(&legacy_api, &[group_discovery("", &versions, &defs)]),
            apis: root(&legacy_apis, &items),
            groups: groups.iter().map(|group| (*group, group_document(group, &versions))).collect(),
            resources: versions
                .iter()
                .map(|(group, version)| Resources {
                    group,
                    version,
                    body: resource_list(group, version, &defs),
                })
                .collect(),
        }
    }

    pub fn api(&self, headers: &HeaderMap) -> Reply {
        self.api.reply(headers)
    }

    pub fn apis(&self, headers: &HeaderMap) -> Reply {
        self.apis.reply(headers)
    }

    pub fn group(&self, group: &str) -> Reply {
        match self.groups.iter().find(|(name, _)| *name == group) {
            Some((_, body)) => respond::json_bytes(StatusCode::OK, body.clone()),
            None => respond::no_such_path(),
        }
    }

    pub fn resources(&self, group: &str, version: &str) -> Reply {
        match self.resources.iter().find(|r| r.group == group && r.version == version) {
            Some(resources) => respond::json_bytes(StatusCode::OK, resources.body.clone()),
            None => respond::no_such_path(),
        }
    }

    /// Paths for the list at `/`.
    pub fn paths(&self) -> Vec<String> {
        let root = |group: &str| if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let versions = self.resources.iter().map(|r| format!("{}/{}", root(r.group), r.version));
        self.groups.iter().map(|(group, _)| root(group)).chain(versions).collect()
    }
}

impl Root {
    fn reply(&self, headers: &HeaderMap) -> Reply {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        for clause in accept.split(',').map(str::trim) {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "" | "*/*" | "application/*" | "application/json") {
                continue;
            }
            let parameters: Vec<&str> = parts.filter(|p| !p.starts_with("q=")).collect();
            let has = |parameter: &str| parameters.contains(&parameter);
            if !parameters.iter().any(|p| p.starts_with("as=")) {
                return self.legacy.reply(headers);
            }
            if has("as=APIGroupDiscoveryList") && has("g=apidiscovery.k8s.io") {
                if has("v=v2") {
                    return self.v2.reply(headers);
                }
                if has("v=v2beta1") {
                    return self.v2beta1.reply(headers);
                }
            }
        }
        respond::error_reply(&negotiate::not_acceptable())
    }
}

fn root(legacy: &Value, items: &[Value]) -> Root {
    let aggregated = |version: &str| {
        let body = json!({
            "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
            "metadata": {}, "items": items,
        });
        let kind = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        Document::new(Bytes::from(body.to_string()), &kind)
    };
    Root {
        legacy: Document::new(Bytes::from(legacy.to_string()), "application/json"),
        v2: aggregated("v2"),
        v2beta1: aggregated("v2beta1"),
    }
}

/// Every group and version served, once, in the order of the registry.
fn versions(defs: &[&'static KindDef]) -> Vec<(&'static str, &'static str)> {
    let mut versions = Vec::new();
    for def in defs {
        if !versions.contains(&(def.group, def.version)) {
            versions.push((def.group, def.version));
        }
    }
    versions
}

fn ordered_groups(versions: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let mut groups: Vec<&'static str> = Vec::new();
    for (group, _) in versions.iter().filter(|(group, _)| !group.is_empty()) {
        if !groups.contains(group) {
            groups.push(group);
        }
    }
    groups.sort_by_key(|group| ORDER.iter().position(|other| other == group).unwrap_or(ORDER.len()));
    groups
}

fn group_object(group: &str, versions: &[(&str, &str)]) -> Value {
    let all: Vec<Value> = versions
        .iter()
        .filter(|(g, _)| *g == group)
        .map(|(g, v)| json!({"groupVersion": api_version(g, v), "version": v}))
        .collect();
    json!({"name": group, "versions": all, "preferredVersion": all.first()})
}

fn group_document(group: &str, versions: &[(&str, &str)]) -> Bytes {
    let mut object = group_object(group, versions);
    object["kind"] = "APIGroup".into();
    object["apiVersion"] = "v1".into();
    Bytes::from(object.to_string())
}

/// A group in the aggregated form.
fn group_discovery(group: &str, versions: &[(&str, &str)], defs: &[&KindDef]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .filter(|(g, _)| *g == group)
        .map(|(_, version)| {
            let mut resources: Vec<&&KindDef> =
                defs.iter().filter(|d| d.group == group && d.version == *version).collect();
            resources.sort_by_key(|def| def.plural);
            let resources: Vec<Value> = resources.into_iter().map(|def| resource_discovery(def)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

/// What other group and version the body of a subresource has; empty for its parent's.
fn body_of(subresource: &Subresource) -> (&'static str, &'static str) {
    subresource.group_version.unwrap_or(("", ""))
}

fn resource_discovery(def: &KindDef) -> Value {
    let mut resource = json!({
        "resource": def.plural,
        "responseKind": {"group": "", "version": "", "kind": def.kind},
        "scope": if def.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": def.singular,
        "verbs": def.verbs,
    });
    if !def.short_names.is_empty() {
        resource["shortNames"] = json!(def.short_names);
    }
    if !def.categories.is_empty() {
        resource["categories"] = json!(def.categories);
    }
    if !def.subresources.is_empty() {
        let mut subresources: Vec<&Subresource> = def.subresources.iter().collect();
        subresources.sort_by_key(|subresource| subresource.name);
        let subresources: Vec<Value> = subresources
            .into_iter()
            .map(|subresource| {
                let (group, version) = body_of(subresource);
                json!({
                    "subresource": subresource.name,
                    "responseKind": {"group": group, "version": version, "kind": subresource.kind},
                    "verbs": subresource.verbs,
                })
            })
            .collect();
        resource["subresources"] = subresources.into();
    }
    resource
}

/// A version in the legacy form.
fn resource_list(group: &str, version: &str, defs: &[&KindDef]) -> Bytes {
    let mut resources: Vec<Value> = Vec::new();
    let mut sorted: Vec<&&KindDef> =
        defs.iter().filter(|d| d.group == group && d.version == version).collect();
    sorted.sort_by_key(|def| def.plural);
    for def in sorted {
        resources.push(legacy_resource(def));
        let mut subresources: Vec<&Subresource> = def.subresources.iter().collect();
        subresources.sort_by_key(|subresource| subresource.name);
        resources.extend(subresources.into_iter().map(|subresource| legacy_subresource(def, subresource)));
    }
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version),
        "resources": resources,
    });
    Bytes::from(list.to_string())
}

fn legacy_resource(def: &KindDef) -> Value {
    let mut resource = json!({
        "name": def.plural, "singularName": def.singular, "namespaced": def.namespaced,
        "kind": def.kind, "verbs": def.verbs,
    });
    if !def.short_names.is_empty() {
        resource["shortNames"] = json!(def.short_names);
    }
    if !def.categories.is_empty() {
        resource["categories"] = json!(def.categories);
    }
    if def.is_stored() {
        resource["storageVersionHash"] = storage_version_hash(def).into();
    }
    resource
}

fn legacy_subresource(def: &KindDef, subresource: &Subresource) -> Value {
    let mut resource = json!({
        "name": format!("{}/{}", def.plural, subresource.name), "singularName": "",
        "namespaced": def.namespaced, "kind": subresource.kind, "verbs": subresource.verbs,
    });
    if let Some((group, version)) = subresource.group_version {
        resource["group"] = group.into();
        resource["version"] = version.into();
    }
    resource
}

/// Tells clients when the form in which a kind is stored has changed.
fn storage_version_hash(def: &KindDef) -> String {
    let hash = Sha256::digest(format!("{}/{}/{}", def.group, def.version, def.kind));
    STANDARD.encode(&hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn forms() {
        let discovery = Discovery::new(&Catalog::new(), "192.0.2.1:6443");
        let check = |accept: &'static str, want: u16, kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            let reply = discovery.apis(&headers);
            assert_eq!(reply.status(), want, "{accept}");
            assert_eq!(reply.headers()["content-type"], kind, "{accept}");
        };
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        check(v2, 200, v2);
        check(
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            200,
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        );
        check("application/json, */*", 200, "application/json");
        check(
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json",
            200,
            "application/json",
        );
        check("application/vnd.kubernetes.protobuf", 406, "application/json");
    }

    #[test]
    fn hashes() {
        let pods = keelson_api::kinds::find("", "v1", "pods").expect("served");
        assert_eq!(storage_version_hash(pods), "xPOwRZ+Yhw8=");
    }
}
