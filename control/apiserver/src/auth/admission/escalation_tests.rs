use super::*;
use crate::auth::testing::{auth, open, write, write_defaults};
use keelson_api::kinds;
use serde_json::json;

fn user(name: &str) -> UserInfo {
    match name {
        "admin" => {
            let mut user = UserInfo::component("admin");
            user.groups.push(GROUP_MASTERS.to_owned());
            user
        }
        other => UserInfo::component(other),
    }
}

/// `jane` may write roles in `t` and reads pods there; `root` is a cluster-admin by binding.
async fn rig() -> (tempfile::TempDir, keelson_store::Store, std::sync::Arc<Auth>) {
    let (dir, store) = open().await;
    write_defaults(&store).await;
    let rbac = |plural: &str| format!("{plural}.{GROUP}");
    let role = json!({"metadata": {"name": "writer", "namespace": "t"}, "rules": [
        {"verbs": ["*"], "apiGroups": [GROUP], "resources": ["roles", "rolebindings"]},
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]});
    let role = {
        // Not `*`: that would include escalate and bind.
        let mut role = role;
        role["rules"][0]["verbs"] = json!(["create", "update", "patch", "get", "delete"]);
        role
    };
    write(&store, &rbac("roles"), &role).await;
    let binding = json!({"metadata": {"name": "jane", "namespace": "t"}, "roleRef": {"kind": "Role", "name": "writer"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    write(&store, &rbac("rolebindings"), &binding).await;
    let root = json!({"metadata": {"name": "root"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "root"}]});
    write(&store, &rbac("clusterrolebindings"), &root).await;
    let auth = auth(&store);
    (dir, store, auth)
}

struct Case<'a> {
    user: &'a str,
    plural: &'a str,
    object: Value,
    old: Option<Value>,
}

#[track_caller]
fn check(auth: &Auth, case: Case<'_>, wanted: Result<(), &str>) {
    let user = user(case.user);
    let namespace = if case.plural.starts_with("cluster") { "" } else { "t" };
    let name = case.object["metadata"]["name"].as_str().unwrap().to_owned();
    let admission = Admission {
        user: &user,
        operation: if case.old.is_some() { Operation::Update } else { Operation::Create },
        def: kinds::find(GROUP, "v1", case.plural).unwrap(),
        subresource: "",
        namespace,
        name: &name,
        dry_run: false,
        object: Some(&case.object),
        old: case.old.as_ref(),
    };
    match (validate(auth, &admission), wanted) {
        (Ok(()), Ok(())) => {}
        (Err(status), Err(message)) => assert_eq!(status.message, message),
        (result, _) => panic!("{} {}: {result:?}", case.user, case.object),
    }
}

fn role(rules: Value) -> Value {
    json!({"metadata": {"name": "r"}, "rules": rules})
}

#[tokio::test]
async fn roles() {
    let (_dir, store, auth) = rig().await;
    let create = |user, object| Case { user, plural: "roles", object, old: None };
    let pods = || json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    let secrets = || json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}]);
    let refused = "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}";
    check(&auth, create("jane", role(pods())), Ok(()));
    check(&auth, create("jane", role(secrets())), Err(refused));
    check(&auth, create("admin", role(secrets())), Ok(()));
    check(&auth, create("root", role(secrets())), Ok(()));
    // What garbage collection does to a role is not a grant.
    let mut owned = role(secrets());
    owned["metadata"]["finalizers"] = json!(["x"]);
    check(&auth, Case { user: "jane", plural: "roles", object: owned, old: Some(role(secrets())) }, Ok(()));
    check(
        &auth,
        Case { user: "jane", plural: "roles", object: role(secrets()), old: Some(role(pods())) },
        Err(refused),
    );
    store.shutdown().await;
}

#[tokio::test]
async fn aggregation_is_for_those_who_hold_everything() {
    let (_dir, store, auth) = rig().await;
    let mut role = role(json!([]));
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    let create = |user| Case { user, plural: "clusterroles", object: role.clone(), old: None };
    check(&auth, create("root"), Ok(()));
    check(
        &auth,
        create("jane"),
        Err(
            "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: must have cluster-admin privileges to use the aggregationRule",
        ),
    );
    store.shutdown().await;
}

#[tokio::test]
async fn bindings() {
    let (_dir, store, auth) = rig().await;
    let bind = |user, kind: &str, name: &str| Case {
        user,
        plural: "rolebindings",
        object: json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name}, "subjects": []}),
        old: None,
    };
    check(&auth, bind("jane", "Role", "writer"), Ok(()));
    check(&auth, bind("root", "ClusterRole", "cluster-admin"), Ok(()));
    check(
        &auth,
        bind("jane", "ClusterRole", "gone"),
        Err("clusterroles.rbac.authorization.k8s.io \"gone\" not found"),
    );
    check(
        &auth,
        bind("jane", "ClusterRole", "system:node-proxier"),
        Err(
            "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"endpoints\"], Verbs:[\"list\" \"watch\"]}\n{APIGroups:[\"\"], Resources:[\"events\"], Verbs:[\"create\" \"patch\" \"update\"]}\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\" \"watch\"]}\n{APIGroups:[\"\"], Resources:[\"services\"], Verbs:[\"list\" \"watch\"]}\n{APIGroups:[\"discovery.k8s.io\"], Resources:[\"endpointslices\"], Verbs:[\"list\" \"watch\"]}\n{APIGroups:[\"events.k8s.io\"], Resources:[\"events\"], Verbs:[\"create\" \"patch\" \"update\"]}\n{APIGroups:[\"networking.k8s.io\"], Resources:[\"servicecidrs\"], Verbs:[\"list\" \"watch\"]}",
        ),
    );
    store.shutdown().await;
}
