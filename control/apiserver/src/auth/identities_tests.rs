//! Each component's identity, run through what it must be able to do and what it may not, on a store that holds the
//! default roles and a few pods.

use super::attributes::Attributes;
use super::authorizer::Authorizer;
use super::rbac::{CONTROLLERS, LiveRbac};
use super::testing::{open, write, write_defaults};
use keelson_api::identity::{GROUP_NODES, USER_ANONYMOUS, UserInfo};
use serde_json::{Value, json};

fn with_groups(name: &str, groups: &[&str]) -> UserInfo {
    let mut user = UserInfo::component(name);
    user.groups.extend(groups.iter().map(|&group| group.to_owned()));
    user
}

fn identity(name: &str) -> UserInfo {
    match name {
        "anonymous" => UserInfo {
            username: USER_ANONYMOUS.to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..UserInfo::default()
        },
        "scheduler" => UserInfo::component("system:kube-scheduler"),
        "controller-manager" => UserInfo::component("system:kube-controller-manager"),
        "node" => with_groups("system:node:n1", &[GROUP_NODES]),
        "bootstrapper" => {
            with_groups("system:bootstrap:abcdef", &["system:bootstrappers", "system:bootstrappers:keelson"])
        }
        "kubelet-client" => UserInfo::component("kube-apiserver-kubelet-client"),
        "user" => UserInfo::component("jane"),
        "account" => UserInfo::service_account("t", "sa"),
        "apiserver" => with_groups("system:apiserver", &["system:masters"]),
        controller => UserInfo::service_account("kube-system", controller),
    }
}

/// Each line: who, `may` or `not`, the verb, `group/resource[/subresource]` or a path, and `namespace/name` with `-`
/// for none. `?` behind the name is a field selector.
const TABLE: &str = "
anonymous          may get /livez
anonymous          may get /readyz
anonymous          may get /version
anonymous          not get /metrics
anonymous          not get /api
anonymous          not list core/pods -/-
anonymous          not create authorization.k8s.io/selfsubjectaccessreviews -/-

user               may get /api/v1
user               may get /openapi/v3
user               may create authorization.k8s.io/selfsubjectaccessreviews -/-
user               may create authentication.k8s.io/selfsubjectreviews -/-
user               not create authorization.k8s.io/subjectaccessreviews -/-
user               not get core/pods t/p1
user               not list core/namespaces -/-
user               not get /metrics

account            may get /.well-known/openid-configuration
account            may get /openid/v1/jwks
account            not get core/secrets t/s1
account            not create core/serviceaccounts/token t/sa
account            not impersonate core/users -/x

apiserver          may escalate rbac.authorization.k8s.io/clusterroles -/x
apiserver          may get /metrics

scheduler          may list core/pods -/-
scheduler          may watch core/nodes -/-
scheduler          may create core/pods/binding t/p1
scheduler          may patch core/pods/status t/p1
scheduler          may delete core/pods t/p1
scheduler          may patch coordination.k8s.io/leases kube-system/kube-scheduler
scheduler          may create coordination.k8s.io/leases kube-system/-
scheduler          may create events.k8s.io/events t/-
scheduler          not patch coordination.k8s.io/leases kube-system/kube-controller-manager
scheduler          not create core/pods t/-
scheduler          not update core/pods t/p1
scheduler          not patch core/nodes -/n1
scheduler          not get core/secrets t/s1
scheduler          not list core/secrets -/-
scheduler          not create core/pods/exec t/p1
scheduler          not create core/serviceaccounts/token t/sa
scheduler          not create rbac.authorization.k8s.io/clusterrolebindings -/-

controller-manager may list core/secrets -/-
controller-manager may watch apps/deployments -/-
controller-manager may patch coordination.k8s.io/leases kube-system/kube-controller-manager
controller-manager not delete core/pods t/p1
controller-manager not create core/pods t/-
controller-manager not patch core/nodes -/n1
controller-manager not create core/pods/exec t/p1
controller-manager not bind rbac.authorization.k8s.io/clusterroles -/cluster-admin

deployment-controller may create apps/replicasets t/-
deployment-controller may patch apps/deployments/status t/d
deployment-controller may patch apps/replicasets t/r
deployment-controller not create core/pods t/-
deployment-controller not create apps/deployments t/-
deployment-controller not get core/secrets t/s1

replicaset-controller may create core/pods t/-
replicaset-controller may delete core/pods t/p1
replicaset-controller may patch apps/replicasets/status t/r
replicaset-controller not create apps/replicasets t/-
replicaset-controller not get core/secrets t/s1
replicaset-controller not create core/pods/exec t/p1

endpoint-controller may patch core/endpoints t/e
endpoint-controller not patch core/services t/e
endpointslice-controller may patch discovery.k8s.io/endpointslices t/e
endpointslice-controller not delete core/pods t/p1
endpointslicemirroring-controller may create discovery.k8s.io/endpointslices t/-
endpointslicemirroring-controller may update discovery.k8s.io/endpointslices t/e
endpointslicemirroring-controller may delete discovery.k8s.io/endpointslices t/e
endpointslicemirroring-controller not patch core/endpoints t/e
endpointslicemirroring-controller not delete core/pods t/p1
endpointslicemirroring-controller not get core/secrets t/s1

namespace-controller may deletecollection core/secrets t/-
namespace-controller may update core/namespaces/finalize -/t
namespace-controller may patch core/namespaces/status -/t
namespace-controller not create core/pods t/-
namespace-controller not patch core/secrets t/s1

generic-garbage-collector may patch apps/replicasets t/r
generic-garbage-collector may delete core/pods t/p1
generic-garbage-collector not create core/pods t/-

service-account-controller may create core/serviceaccounts t/-
service-account-controller not create core/serviceaccounts/token t/sa
service-account-controller not get core/secrets t/s1
root-ca-cert-publisher may create core/configmaps t/-
root-ca-cert-publisher may patch core/configmaps t/kube-root-ca.crt
root-ca-cert-publisher not patch core/configmaps t/c1
root-ca-cert-publisher not delete core/configmaps t/c1

certificate-controller may sign certificates.k8s.io/signers -/kubernetes.io/kubelet-serving
certificate-controller may approve certificates.k8s.io/signers -/kubernetes.io/kube-apiserver-client-kubelet
certificate-controller may approve certificates.k8s.io/signers -/kubernetes.io/kubelet-serving
certificate-controller may patch certificates.k8s.io/certificatesigningrequests/approval -/csr
certificate-controller not approve certificates.k8s.io/signers -/kubernetes.io/kube-apiserver-client
certificate-controller not create certificates.k8s.io/certificatesigningrequests -/-
certificate-controller not get core/secrets t/s1

node-controller    may patch core/nodes -/n1
node-controller    may delete core/pods t/p1
node-controller    not get core/secrets t/s1
pod-garbage-collector may delete core/pods t/p1
pod-garbage-collector not create core/pods t/-
clusterrole-aggregation-controller may escalate rbac.authorization.k8s.io/clusterroles -/admin
clusterrole-aggregation-controller not bind rbac.authorization.k8s.io/clusterroles -/admin
clusterrole-aggregation-controller not create rbac.authorization.k8s.io/clusterrolebindings -/-

bootstrapper       may create certificates.k8s.io/certificatesigningrequests -/-
bootstrapper       may watch certificates.k8s.io/certificatesigningrequests -/-
bootstrapper       may create certificates.k8s.io/certificatesigningrequests/nodeclient -/-
bootstrapper       not create certificates.k8s.io/certificatesigningrequests/selfnodeclient -/-
bootstrapper       not patch certificates.k8s.io/certificatesigningrequests/approval -/csr
bootstrapper       not list core/nodes -/-
bootstrapper       not get core/secrets kube-system/bootstrap-token-abcdef
bootstrapper       not create core/nodes -/-

kubelet-client     may create core/nodes/proxy -/n1
kubelet-client     may get core/nodes/log -/n1
kubelet-client     not get core/secrets t/s1

node               may create core/nodes -/-
node               may patch core/nodes/status -/n1
node               may get core/nodes -/n1
node               may watch core/nodes -/-
node               may list core/services -/-
node               may watch discovery.k8s.io/endpointslices -/-
node               may list core/namespaces -/-
node               may list core/pods -/-?spec.nodeName=n1
node               may watch core/pods -/-?spec.nodeName=n1
node               may get core/pods t/p1
node               may patch core/pods/status t/p1
node               may get core/secrets t/s1
node               may watch core/configmaps t/c1
node               may create core/serviceaccounts/token t/sa
node               may patch coordination.k8s.io/leases kube-node-lease/n1
node               may create core/events t/-
node               may create certificates.k8s.io/certificatesigningrequests -/-
node               may create certificates.k8s.io/certificatesigningrequests/selfnodeclient -/-
node               may create authentication.k8s.io/tokenreviews -/-
node               may create authorization.k8s.io/subjectaccessreviews -/-
node               not list core/pods -/-
node               not list core/pods -/-?spec.nodeName=n2
node               not get core/pods t/p2
node               not get core/secrets t/s2
node               not get core/secrets other/s1
node               not list core/secrets t/-
node               not list core/secrets -/-
node               not get core/configmaps t/c2
node               not create core/serviceaccounts/token t/sa2
node               not get core/serviceaccounts t/sa
node               not patch coordination.k8s.io/leases kube-node-lease/n2
node               not delete core/nodes -/n1
node               not update core/pods t/p1
node               not create core/pods/exec t/p1
node               not create core/pods/binding t/p1
node               not patch core/services t/s
node               not patch certificates.k8s.io/certificatesigningrequests/approval -/csr
node               not create certificates.k8s.io/certificatesigningrequests/nodeclient -/-
node               not create rbac.authorization.k8s.io/clusterrolebindings -/-
node               not impersonate core/users -/x
";

fn pod(name: &str, node: &str, n: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "t"},
        "spec": {"nodeName": node, "serviceAccountName": if n == 1 { "sa".to_owned() } else { format!("sa{n}") },
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": format!("c{n}")}}]}],
            "volumes": [{"name": "v", "secret": {"secretName": format!("s{n}")}}]},
    })
}

fn allowed(authorizer: &Authorizer, line: &str) -> (bool, bool) {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (who, wanted, verb, what, at) = (word(), word(), word(), word(), word());
    let user = identity(who);
    let decision = if what.starts_with('/') {
        authorizer.authorize(&user, &Attributes::path(verb, what))
    } else {
        let mut parts = what.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (group, resource, subresource) = (part(), part(), part());
        let (place, selector) = at.split_once('?').unwrap_or((at, ""));
        let (namespace, name) = place.split_once('/').unwrap();
        let none = |text| if text == "-" { "" } else { text };
        authorizer.authorize(
            &user,
            &Attributes {
                verb,
                group: if group == "core" { "" } else { group },
                version: "v1",
                resource,
                subresource,
                namespace: none(namespace),
                name: none(name),
                is_resource: true,
                field_selector: selector,
                ..Attributes::default()
            },
        )
    };
    (decision.allowed(), wanted == "may")
}

#[tokio::test]
async fn what_each_identity_may_and_may_not() {
    let (_dir, store) = open().await;
    write_defaults(&store).await;
    write(&store, "pods", &pod("p1", "n1", 1)).await;
    write(&store, "pods", &pod("p2", "n2", 2)).await;
    let authorizer = Authorizer::new(&store).unwrap();
    let wrong = TABLE
        .lines()
        .filter(|line| !line.is_empty())
        .filter(|line| {
            let (is, wanted) = allowed(&authorizer, line);
            is != wanted
        })
        .collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{wrong:#?}");
    store.shutdown().await;
}

/// A controller that is not in the table can do what nobody has looked at.
#[test]
fn every_controller_is_in_the_table() {
    for name in CONTROLLERS {
        for wanted in ["may", "not"] {
            let found = TABLE.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(name) && words.next() == Some(wanted)
            });
            assert!(found, "no line says what {name} {wanted}");
        }
    }
}

#[tokio::test]
async fn a_change_counts_from_the_next_request() {
    let (_dir, store) = open().await;
    let authorizer = Authorizer::new(&store).unwrap();
    let jane = identity("user");
    let attributes = Attributes { verb: "get", resource: "pods", is_resource: true, ..Attributes::default() };
    assert!(!authorizer.authorize(&jane, &attributes).allowed());
    let role = json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]});
    write(&store, "clusterroles.rbac.authorization.k8s.io", &role).await;
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    write(&store, "clusterrolebindings.rbac.authorization.k8s.io", &binding).await;
    assert!(authorizer.authorize(&jane, &attributes).allowed());
    // A right that was taken away is noticed by the task that follows the store.
    let emptied =
        json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": []});
    let revision = write(&store, "clusterrolebindings.rbac.authorization.k8s.io", &emptied).await;
    authorizer.rbac.reached(revision).await;
    assert!(!authorizer.authorize(&jane, &attributes).allowed());
    store.shutdown().await;
}

#[tokio::test]
async fn the_index_reaches_every_revision() {
    let (_dir, store) = open().await;
    let live = LiveRbac::new(store.clone()).unwrap();
    // A revision that changed nothing of RBAC's.
    let revision = write(&store, "pods", &pod("p1", "n1", 1)).await;
    live.reached(revision).await;
    write_defaults(&store).await;
    live.reached(store.revision()).await;
    assert!(live.index().role("ClusterRole", "view", "").is_some_and(|rules| !rules.is_empty()));
    store.shutdown().await;
}
