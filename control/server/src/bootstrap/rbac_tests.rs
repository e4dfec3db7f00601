use super::*;

/// What `existing` is after `changes`.
fn after(mut existing: Existing, changes: Vec<Change>) -> Existing {
    for change in changes {
        match change {
            Change::Create { resource, namespace, object }
            | Change::Replace { resource, namespace, object, .. } => {
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                existing.insert((resource.plural, namespace, name), object);
            }
            Change::Patch { resource, namespace, name, patch } => {
                let object = existing.get_mut(&(resource.plural, namespace, name)).unwrap();
                merge(object, &patch);
            }
        }
    }
    existing
}

fn complete() -> Existing {
    after(Existing::new(), plan(&Existing::new(), &defaults()))
}

fn at<'a>(existing: &'a mut Existing, plural: &'static str, name: &str) -> &'a mut Value {
    existing.get_mut(&(plural, String::new(), name.to_owned())).unwrap()
}

#[test]
fn an_empty_cluster_gets_everything_once() {
    let existing = complete();
    assert_eq!(existing.len(), defaults().len());
    assert_eq!(plan(&existing, &defaults()), []);
    let count = |name: &str| {
        existing[&("clusterroles", String::new(), name.to_owned())]["rules"].as_array().unwrap().len()
    };
    let part = |name: &str| count(&format!("system:aggregate-to-{name}"));
    assert_eq!(count("view"), part("view"));
    assert_eq!(count("edit"), part("edit") + part("view"));
    assert_eq!(count("admin"), part("admin") + part("edit") + part("view"));
}

#[test]
fn what_is_missing_is_added_and_what_is_more_stays() {
    let mut existing = complete();
    let role = at(&mut existing, "clusterroles", "system:basic-user");
    role["rules"] = json!([{"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}]);
    role["metadata"]["labels"] = json!({"mine": "1"});
    let binding = at(&mut existing, "clusterrolebindings", "system:public-info-viewer");
    binding["subjects"] = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "me"}]);
    let repaired = after(existing.clone(), plan(&existing, &defaults()));
    let role = &repaired[&("clusterroles", String::new(), "system:basic-user".to_owned())];
    assert_eq!(role["rules"].as_array().unwrap().len(), 4, "{role}");
    assert_eq!(role["rules"][0]["apiGroups"], json!(["x"]));
    assert_eq!(
        role["metadata"]["labels"],
        json!({"mine": "1", "kubernetes.io/bootstrapping": "rbac-defaults"})
    );
    let binding = &repaired[&("clusterrolebindings", String::new(), "system:public-info-viewer".to_owned())];
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 3);
    assert_eq!(plan(&repaired, &defaults()), []);
}

#[test]
fn what_is_marked_is_left_alone() {
    let mut existing = complete();
    let role = at(&mut existing, "clusterroles", "system:basic-user");
    role["rules"] = json!([]);
    role["metadata"]["annotations"][AUTOUPDATE] = json!("false");
    assert_eq!(plan(&existing, &defaults()), []);
}

#[test]
fn a_binding_to_another_role_is_replaced() {
    let mut existing = complete();
    at(&mut existing, "clusterrolebindings", "cluster-admin")["roleRef"]["name"] = json!("view");
    let changes = plan(&existing, &defaults());
    assert!(
        matches!(changes.as_slice(), [Change::Replace { name, .. }] if name == "cluster-admin"),
        "{changes:?}"
    );
}

#[test]
fn aggregation_follows_what_is_added() {
    let mut existing = complete();
    existing.insert(
        ("clusterroles", String::new(), "mine".to_owned()),
        json!({"metadata": {"name": "mine", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
            "rules": [{"verbs": ["get"], "apiGroups": ["mine"], "resources": ["things"]}]}),
    );
    let changes = plan(&existing, &defaults());
    let names = changes.iter().filter_map(|change| match change {
        Change::Patch { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["admin", "edit", "view"]);
}
