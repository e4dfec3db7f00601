use super::*;
use crate::auth::testing::{ISSUER, auth, open, write, write_defaults};
use serde_json::json;

fn admin() -> UserInfo {
    let mut user = UserInfo::component("admin");
    user.groups.insert(0, "system:masters".to_owned());
    user
}

struct Rig {
    _dir: tempfile::TempDir,
    store: keelson_store::Store,
    auth: std::sync::Arc<Auth>,
}

async fn rig() -> Rig {
    let (dir, store) = open().await;
    write_defaults(&store).await;
    let rbac = |plural: &str| format!("{plural}.rbac.authorization.k8s.io");
    let role = json!({"metadata": {"name": "r1", "namespace": "t"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]});
    write(&store, &rbac("roles"), &role).await;
    let binding = json!({"metadata": {"name": "rb1", "namespace": "t"}, "roleRef": {"kind": "Role", "name": "r1"},
        "subjects": [{"kind": "ServiceAccount", "name": "sa1"}]});
    write(&store, &rbac("rolebindings"), &binding).await;
    write(&store, "serviceaccounts", &json!({"metadata": {"name": "sa1", "namespace": "t", "uid": "u1"}}))
        .await;
    Rig { auth: auth(&store), _dir: dir, store }
}

impl Rig {
    #[track_caller]
    fn status(&self, kind: &str, user: &UserInfo, spec: Value) -> Value {
        let answer = review(&self.auth, kind, user, "t", json!({"metadata": {}, "spec": spec})).unwrap();
        assert_eq!(answer["kind"], kind);
        assert_eq!(answer["spec"], spec);
        assert_eq!(answer["metadata"], json!({}));
        answer["status"].clone()
    }

    fn refusal(&self, kind: &str, object: Value) -> Status {
        review(&self.auth, kind, &admin(), "t", object).unwrap_err()
    }
}

#[tokio::test]
async fn access() {
    let rig = rig().await;
    let pods = json!({"verb": "get", "resource": "pods", "namespace": "t"});
    let own =
        |user: &UserInfo| rig.status("SelfSubjectAccessReview", user, json!({"resourceAttributes": pods}));
    assert_eq!(own(&admin()), json!({"allowed": true}));
    assert_eq!(own(&UserInfo::component("nobody")), json!({"allowed": false}));
    let account = json!({"resourceAttributes": pods, "user": "system:serviceaccount:t:sa1"});
    let granted = json!({"allowed": true,
        "reason": "RBAC: allowed by RoleBinding \"rb1/t\" of Role \"r1\" to ServiceAccount \"sa1/t\""});
    assert_eq!(rig.status("SubjectAccessReview", &admin(), account.clone()), granted);
    assert_eq!(rig.status("LocalSubjectAccessReview", &admin(), account), granted);
    let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/livez"}, "groups": ["system:unauthenticated"]});
    assert_eq!(rig.status("SubjectAccessReview", &admin(), path)["allowed"], true);
    rig.store.shutdown().await;
}

#[tokio::test]
async fn bad_questions() {
    let rig = rig().await;
    assert_eq!(
        rig.refusal("SubjectAccessReview", json!({"spec": {}})).to_object(),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422, "reason": "Invalid",
            "message": ".authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: \"\": at least one of user or group must be specified]",
            "details": {"group": "authorization.k8s.io", "causes": [
                {"reason": "FieldValueInvalid", "message": "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified", "field": "spec.resourceAttributes"},
                {"reason": "FieldValueInvalid", "message": "Invalid value: \"\": at least one of user or group must be specified", "field": "spec.user"}]}})
    );
    let elsewhere = json!({"spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "x"}}});
    assert!(
        rig.refusal("LocalSubjectAccessReview", elsewhere).message.contains("must match metadata.namespace")
    );
    let named = json!({"metadata": {"name": "x"}, "spec": {"user": "u", "nonResourceAttributes": {"path": "/", "verb": "get"}}});
    assert!(
        rig.refusal("SubjectAccessReview", named)
            .message
            .contains("metadata: Invalid value: {\"name\":\"x\"}: must be empty")
    );
    assert_eq!(rig.refusal("SelfSubjectRulesReview", json!({"spec": {}})).message, "no namespace on request");
    assert_eq!(rig.refusal("TokenReview", json!({})).code, 400);
    rig.store.shutdown().await;
}

#[tokio::test]
async fn identities() {
    let rig = rig().await;
    let whoami = review(&rig.auth, "SelfSubjectReview", &admin(), "", json!({})).unwrap();
    assert_eq!(
        whoami["status"]["userInfo"],
        json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]})
    );
    assert!(whoami["metadata"]["creationTimestamp"].is_string());

    let bad = rig.status("TokenReview", &admin(), json!({"token": "bad"}));
    assert_eq!(bad, json!({"user": {}, "error": "invalid bearer token"}));
    let answer = rig.auth.create_token("t", "sa1", json!({}), false).await.unwrap();
    let good = rig.status("TokenReview", &admin(), json!({"token": answer["status"]["token"]}));
    assert_eq!(good["authenticated"], true);
    assert_eq!(good["user"]["username"], "system:serviceaccount:t:sa1");
    assert_eq!(good["audiences"], json!([ISSUER]));
    let other =
        rig.status("TokenReview", &admin(), json!({"token": answer["status"]["token"], "audiences": ["x"]}));
    assert_eq!(other["error"], "[invalid bearer token, token audiences do not match]");
    rig.store.shutdown().await;
}

#[tokio::test]
async fn lists_of_rules() {
    let rig = rig().await;
    let account = rig.status(
        "SelfSubjectRulesReview",
        &UserInfo::service_account("t", "sa1"),
        json!({"namespace": "t"}),
    );
    assert_eq!(account["incomplete"], false);
    let rules = account["resourceRules"].as_array().unwrap();
    assert!(
        rules.contains(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]})),
        "{account}"
    );
    assert!(
        account["nonResourceRules"].as_array().unwrap().iter().any(|rule| rule["verbs"] == json!(["get"]))
    );
    let all = rig.status("SelfSubjectRulesReview", &admin(), json!({"namespace": "t"}));
    assert_eq!(all["resourceRules"][0], json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
    rig.store.shutdown().await;
}
