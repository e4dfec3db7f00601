use super::*;
use crate::auth::lookup::testing::Map;
use keelson_api::identity::UserInfo;
use keelson_api::kinds;
use serde_json::json;

struct Case<'a> {
    operation: Operation,
    resource: (&'a str, &'a str),
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
    object: Value,
    old: Value,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            operation: Operation::Update,
            resource: ("", "nodes"),
            subresource: "",
            namespace: "",
            name: "",
            object: Value::Null,
            old: Value::Null,
        }
    }
}

fn node_user() -> UserInfo {
    let mut user = UserInfo::component("system:node:n1");
    user.groups.push(GROUP_NODES.to_owned());
    user
}

#[track_caller]
fn check(case: Case<'_>, wanted: Result<(), &str>) {
    let objects = Map::default();
    objects.put("nodes", "n1", &json!({"metadata": {"name": "n1", "uid": "u-n1"}}));
    let volumes = json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"serviceAccountToken": {"path": "v", "audience": "vault"}}]}}]);
    objects.put("pods", "t/mine", &json!({"metadata": {"name": "mine", "uid": "u-mine"}, "spec": {"nodeName": "n1", "volumes": volumes}}));
    objects.put(
        "pods",
        "t/other",
        &json!({"metadata": {"name": "other", "uid": "u-other"}, "spec": {"nodeName": "n2"}}),
    );
    let def = kinds::find(case.resource.0, "v1", case.resource.1).expect("a served kind");
    let user = node_user();
    let admission = Admission {
        user: &user,
        operation: case.operation,
        def,
        subresource: case.subresource,
        namespace: case.namespace,
        name: case.name,
        dry_run: false,
        object: Some(&case.object).filter(|o| !o.is_null()),
        old: Some(&case.old).filter(|o| !o.is_null()),
    };
    let result = validate(&objects, &admission);
    match wanted {
        Ok(()) => assert_eq!(result, Ok(())),
        Err(why) => {
            let status = result.unwrap_err();
            assert!(status.message.ends_with(why), "{} != {why}", status.message);
        }
    }
}

#[test]
fn its_own_node() {
    let node = |labels: Value, taints: Value| json!({"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": taints}});
    let update = |old: Value, object: Value| Case { name: "n1", old, object, ..Case::default() };
    let plain = || node(json!({"a": "1", "kubernetes.io/hostname": "n1"}), Value::Null);
    check(update(plain(), plain()), Ok(()));
    check(
        update(
            plain(),
            node(
                json!({"b": "1", "node.kubernetes.io/x": "1", "topology.kubernetes.io/zone": "z"}),
                json!([]),
            ),
        ),
        Ok(()),
    );
    check(
        update(plain(), node(json!({"node-restriction.kubernetes.io/x": "1"}), json!([]))),
        Err(": is not allowed to modify labels: node-restriction.kubernetes.io/x"),
    );
    check(
        update(plain(), node(json!({"node-role.kubernetes.io/control-plane": ""}), json!([]))),
        Err(": is not allowed to modify labels: node-role.kubernetes.io/control-plane"),
    );
    check(
        update(plain(), node(json!({}), json!([{"key": "k", "effect": "NoSchedule"}]))),
        Err(r#"node "n1" is not allowed to modify taints"#),
    );
    check(
        Case { name: "n2", object: plain(), ..Case::default() },
        Err(r#"node "n1" is not allowed to modify node "n2""#),
    );
    check(
        Case {
            operation: Operation::Create,
            object: node(json!({"app.k8s.io/x": "", "ok": ""}), Value::Null),
            ..Case::default()
        },
        Err(r#"node "n1" is not allowed to set the following labels: app.k8s.io/x"#),
    );
}

#[test]
fn its_own_pods() {
    let status = |node: &str, labels: Value| Case {
        resource: ("", "pods"),
        subresource: "status",
        namespace: "t",
        name: "p",
        old: json!({"metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": node}}),
        object: json!({"metadata": {"labels": labels}, "spec": {"nodeName": node}}),
        ..Case::default()
    };
    check(status("n1", json!({"a": "1"})), Ok(()));
    check(
        status("n2", json!({"a": "1"})),
        Err(r#"node "n1" can only update pod status for pods with spec.nodeName set to itself"#),
    );
    check(status("n1", json!({"a": "2"})), Err(r#"node "n1" cannot update labels through pod status"#));
    let delete = |node: &str| Case {
        operation: Operation::Delete,
        resource: ("", "pods"),
        namespace: "t",
        name: "p",
        old: json!({"spec": {"nodeName": node}}),
        ..Case::default()
    };
    check(delete("n1"), Ok(()));
    check(delete("n2"), Err(r#"node "n1" can only delete pods with spec.nodeName set to itself"#));
    check(
        Case {
            resource: ("", "pods"),
            subresource: "exec",
            operation: Operation::Connect,
            ..Case::default()
        },
        Err(r#"unexpected pod subresource "exec", only 'status' and 'eviction' are allowed"#),
    );
}

#[test]
fn only_mirror_pods() {
    let create = |object: Value| Case {
        operation: Operation::Create,
        resource: ("", "pods"),
        namespace: "t",
        object,
        ..Case::default()
    };
    let mirror = |uid: &str, spec: Value| {
        json!({"metadata": {"name": "m", "annotations": {MIRROR: "x"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": true}]}, "spec": spec})
    };
    check(create(mirror("u-n1", json!({"nodeName": "n1"}))), Ok(()));
    check(
        create(mirror("old", json!({"nodeName": "n1"}))),
        Err("node n1 UID mismatch: expected old got u-n1"),
    );
    check(
        create(mirror("u-n1", json!({"nodeName": "n2"}))),
        Err(r#"node "n1" can only create pods with spec.nodeName set to itself"#),
    );
    check(
        create(mirror(
            "u-n1",
            json!({"nodeName": "n1", "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
        )),
        Err(r#"node "n1" can not create pods that reference secrets"#),
    );
    check(
        create(json!({"metadata": {"name": "m"}, "spec": {"nodeName": "n1"}})),
        Err(
            r#"pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods"#,
        ),
    );
}

#[test]
fn tokens_for_its_own_pods() {
    let token = |spec: Value| Case {
        operation: Operation::Create,
        resource: ("", "serviceaccounts"),
        subresource: "token",
        namespace: "t",
        name: "sa",
        object: json!({"spec": spec}),
        ..Case::default()
    };
    let bound = |name: &str, uid: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
    check(token(json!({"boundObjectRef": bound("mine", "u-mine")})), Ok(()));
    check(token(json!({"boundObjectRef": bound("mine", "u-mine"), "audiences": ["vault"]})), Ok(()));
    check(
        token(json!({"boundObjectRef": bound("mine", "u-mine"), "audiences": ["bank"]})),
        Err(r#"audience "bank" not found in pod spec volume"#),
    );
    check(token(json!({})), Err("node requested token not bound to a pod"));
    check(
        token(json!({"boundObjectRef": bound("mine", "")})),
        Err("node requested token with a pod binding without a uid"),
    );
    check(
        token(json!({"boundObjectRef": bound("other", "u-other")})),
        Err("node requested token bound to a pod scheduled on a different node"),
    );
    check(token(json!({"boundObjectRef": bound("gone", "u")})), Err(r#"pods "gone" not found"#));
}

#[test]
fn its_own_lease() {
    let lease = |namespace, name| Case {
        resource: ("coordination.k8s.io", "leases"),
        namespace,
        name,
        object: json!({}),
        ..Case::default()
    };
    check(lease("kube-node-lease", "n1"), Ok(()));
    check(
        lease("kube-node-lease", "n2"),
        Err("can only access node lease with the same name as the requesting node"),
    );
    check(lease("t", "n1"), Err(r#"can only access leases in the "kube-node-lease" system namespace"#));
}
