use super::*;
use keelson_api::resource::Resource;
use serde_json::{Value, json};

fn objects(documents: Value) -> Objects {
    let mut objects = Objects::default();
    for document in documents.as_array().unwrap() {
        let key = |meta: &super::super::objects::Meta| match meta.namespace.as_str() {
            "" => meta.name.clone(),
            namespace => format!("{namespace}/{}", meta.name),
        };
        match document["kind"].as_str().unwrap() {
            "Role" | "ClusterRole" => {
                let role: Role = serde_json::from_value(document.clone()).unwrap();
                let map =
                    if document["kind"] == "Role" { &mut objects.roles } else { &mut objects.cluster_roles };
                map.insert(key(&role.metadata), role);
            }
            _ => {
                let binding: Binding = serde_json::from_value(document.clone()).unwrap();
                let map = if document["kind"] == "RoleBinding" {
                    &mut objects.role_bindings
                } else {
                    &mut objects.cluster_role_bindings
                };
                map.insert(key(&binding.metadata), binding);
            }
        }
    }
    objects
}

fn sample() -> Index {
    Index::build(&objects(json!([
        {"kind": "Role", "metadata": {"name": "r1", "namespace": "t"},
         "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"kind": "RoleBinding", "metadata": {"name": "rb1", "namespace": "t"},
         "roleRef": {"kind": "Role", "name": "r1"},
         "subjects": [{"kind": "ServiceAccount", "name": "sa1"}, {"kind": "User", "name": "u"}]},
        {"kind": "RoleBinding", "metadata": {"name": "rb2", "namespace": "t"},
         "roleRef": {"kind": "Role", "name": "gone"}, "subjects": [{"kind": "User", "name": "v"}]},
        {"kind": "ClusterRole", "metadata": {"name": "admin"}, "rules": null,
         "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-admin": "true"}}]}},
        {"kind": "ClusterRole", "metadata": {"name": "edit", "labels": {"to-admin": "true"}},
         "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-edit": "true"}},
                                                      {"matchLabels": {"to-admin": "true"}}]}},
        {"kind": "ClusterRole", "metadata": {"name": "part", "labels": {"to-edit": "true"}},
         "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]},
        {"kind": "ClusterRoleBinding", "metadata": {"name": "admins"},
         "roleRef": {"kind": "ClusterRole", "name": "admin"}, "subjects": [{"kind": "Group", "name": "ops"}]},
    ])))
}

#[track_caller]
fn check(user: &UserInfo, verb: &str, resource: &Resource, namespace: &str, wanted: Result<&str, &str>) {
    let decision = sample().decide(user, &Attributes::resource(verb, resource, namespace, "x"));
    match wanted {
        Ok(reason) => {
            assert!(decision.allowed(), "{decision:?}");
            assert_eq!(decision.reason().to_string(), reason);
        }
        Err(reason) => {
            assert!(!decision.allowed(), "{decision:?}");
            assert_eq!(decision.reason().to_string(), reason);
        }
    }
}

#[test]
fn decisions() {
    let sa1 = UserInfo::service_account("t", "sa1");
    let u = UserInfo::component("u");
    let mut ops = UserInfo::component("o");
    ops.groups.push("ops".to_owned());
    check(
        &sa1,
        "get",
        &Resource::PODS,
        "t",
        Ok("RBAC: allowed by RoleBinding \"rb1/t\" of Role \"r1\" to ServiceAccount \"sa1/t\""),
    );
    check(
        &u,
        "get",
        &Resource::PODS,
        "t",
        Ok("RBAC: allowed by RoleBinding \"rb1/t\" of Role \"r1\" to User \"u\""),
    );
    check(&u, "get", &Resource::PODS, "other", Err(""));
    check(&u, "get", &Resource::PODS, "", Err(""));
    check(&u, "list", &Resource::PODS, "t", Err(""));
    check(&UserInfo::service_account("other", "sa1"), "get", &Resource::PODS, "t", Err(""));
    check(
        &UserInfo::component("v"),
        "get",
        &Resource::PODS,
        "t",
        Err("RBAC: role.rbac.authorization.k8s.io \"gone\" not found"),
    );
    check(
        &ops,
        "delete",
        &Resource::SECRETS,
        "any",
        Ok("RBAC: allowed by ClusterRoleBinding \"admins\" of ClusterRole \"admin\" to Group \"ops\""),
    );
    check(&ops, "delete", &Resource::PODS, "any", Err(""));
}

#[test]
fn aggregation_ends_on_a_circle() {
    let index = Index::build(&objects(json!([
        {"kind": "ClusterRole", "metadata": {"name": "a", "labels": {"x": "1"}},
         "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": "1"}}]}},
        {"kind": "ClusterRole", "metadata": {"name": "b", "labels": {"x": "1"}},
         "aggregationRule": {"clusterRoleSelectors": [{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]}},
        {"kind": "ClusterRole", "metadata": {"name": "c", "labels": {"x": "1"}},
         "rules": [{"verbs": ["get"], "nonResourceURLs": ["/c"]}]},
    ])));
    assert_eq!(index.role("ClusterRole", "a", "").unwrap().len(), 1);
    assert_eq!(index.role("ClusterRole", "b", "").unwrap().len(), 1);
    assert!(index.role("ClusterRole", "d", "").is_none());
}
