//! What updates may and may not change, beyond the recorded facts.

use super::*;
use crate::validation::value::{list, set, text};
use serde_json::json;

fn kind(resource: &str) -> &'static KindDef {
    let mut parts = resource.split('/');
    let mut next = || parts.next().unwrap();
    find(next(), next(), next()).unwrap()
}

fn texts(errors: &FieldErrors) -> Vec<String> {
    // Only the first line: the rest of some messages is a text of differences.
    errors.iter().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

/// Checks the errors of an update from `old` to `new`, both as a client writes them.
fn check(resource: &str, old: &Value, new: &Value, want: &[&str]) -> Value {
    let strategy = kind(resource).strategy;
    let (mut old, mut new) = (old.clone(), new.clone());
    strategy.default(&mut old);
    strategy.prepare_create(&mut old);
    assert_eq!(texts(&strategy.validate(&old)), [""; 0], "{old}");
    strategy.default(&mut new);
    strategy.prepare_update(&mut new, &old);
    assert_eq!(texts(&strategy.validate_update(&new, &old)), want, "{new}");
    new
}

fn pod(change: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default"});
    for (field, value) in change.as_object().into_iter().flatten() {
        set(&mut spec, field, value.clone());
    }
    json!({"metadata": {"name": "p", "generation": 1}, "spec": spec})
}

#[test]
fn pods() {
    let pods = "/v1/pods";
    let frozen = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
        `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
        tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let image = json!({"containers": [{"name": "c", "image": " j ", "imagePullPolicy": "Always"}]});
    check(
        pods,
        &pod(json!({})),
        &pod(image),
        &[
            "spec.containers[0].image: Invalid value: \" j \": must not have leading or trailing whitespace",
            "spec.containers[0].image: Invalid value: \" j \": must not have leading or trailing whitespace",
        ],
    );
    check(pods, &pod(json!({})), &pod(json!({"activeDeadlineSeconds": 5})), &[]);
    check(
        pods,
        &pod(json!({"activeDeadlineSeconds": 5})),
        &pod(json!({"activeDeadlineSeconds": 6})),
        &["spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"],
    );
    check(
        pods,
        &pod(json!({"activeDeadlineSeconds": 5})),
        &pod(json!({})),
        &[
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        ],
    );
    check(
        pods,
        &pod(json!({"tolerations": [{"key": "a", "operator": "Exists"}]})),
        &pod(json!({"tolerations": []})),
        &[
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ],
    );
    check(pods, &pod(json!({})), &pod(json!({"enableServiceLinks": false})), &[frozen]);
    check(pods, &pod(json!({})), &pod(json!({"hostname": "h"})), &[frozen]);
}

#[test]
fn gated_pods() {
    let pods = "/v1/pods";
    let gated = |change: Value| {
        let mut pod = pod(json!({"schedulingGates": [{"name": "a/b"}], "nodeSelector": {"x": "1"}}));
        for (field, value) in change.as_object().into_iter().flatten() {
            set(&mut pod["spec"], field, value.clone());
        }
        pod
    };
    let freed = check(pods, &gated(json!({})), &gated(json!({"schedulingGates": []})), &[]);
    assert_eq!(freed["metadata"]["generation"], 2);
    assert!(list(&freed["status"], "conditions").is_empty());
    check(pods, &gated(json!({})), &gated(json!({"nodeSelector": {"x": "1", "y": "2"}})), &[]);
    check(
        pods,
        &gated(json!({})),
        &gated(json!({"nodeSelector": {"y": "2"}})),
        &[
            "spec.nodeSelector: Invalid value: {\"y\":\"2\"}: only additions to spec.nodeSelector are allowed (no \
           mutations or deletions)",
        ],
    );
    let affinity = |values: Value| {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": values}]}}}})
    };
    let one = json!({"key": "a", "operator": "Exists"});
    check(pods, &gated(json!({})), &gated(affinity(json!([one]))), &[]);
    check(pods, &gated(affinity(json!([one]))), &gated(affinity(json!([one, one]))), &[]);
    check(
        pods,
        &gated(affinity(json!([one]))),
        &gated(affinity(json!([{"key": "b", "operator": "Exists"}]))),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid \
           value: {\"MatchExpressions\":[{\"Key\":\"b\",\"Operator\":\"Exists\",\"Values\":null}],\
           \"MatchFields\":null}: only additions are allowed (no mutations or deletions)",
        ],
    );
    check(
        pods,
        &gated(json!({})),
        &gated(json!({"schedulingGates": [{"name": "a/b"}, {"name": "c"}]})),
        &[
            "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'c'",
        ],
    );
}

#[test]
fn pod_status() {
    let strategy = kind("/v1/pods").strategy;
    let with = |state: Value, ips: Value| {
        let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
        pod["status"] = json!({"containerStatuses": [{"name": "c", "state": state}], "podIPs": ips});
        pod
    };
    let check = |old: Value, new: Value, want: &[&str]| {
        assert_eq!(texts(&strategy.validate_subresource_update("status", &new, &old)), want, "{new}");
    };
    let (ended, failed) = (json!({"terminated": {"exitCode": 0}}), json!({"terminated": {"exitCode": 1}}));
    let (running, none) = (json!({"running": {}}), json!([]));
    check(with(failed, none.clone()), with(running.clone(), none.clone()), &[]);
    check(
        with(ended, none.clone()),
        with(running.clone(), none.clone()),
        &["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"],
    );
    check(
        with(running.clone(), none),
        with(running, json!([{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}])),
        &[
            "status.podIPs: Invalid value: [{\"IP\":\"1.1.1.1\"},{\"IP\":\"1.1.1.1\"}]: may specify no more than one \
             IP for each IP family",
            "status.podIPs[1]: Duplicate value: {\"IP\":\"1.1.1.1\"}",
        ],
    );
}

#[test]
fn pod_status_of_containers_with_a_policy_of_their_own() {
    let strategy = kind("/v1/pods").strategy;
    let check = |own: Value, code: i64, allowed: bool| {
        let mut pod = pod(json!({"restartPolicy": "Never"}));
        for (field, value) in own.as_object().unwrap() {
            pod["spec"]["containers"][0][field] = value.clone();
        }
        let mut with = |state: Value| {
            pod["status"] = json!({"containerStatuses": [{"name": "c", "state": state}]});
            pod.clone()
        };
        let (old, new) = (with(json!({"terminated": {"exitCode": code}})), with(json!({"running": {}})));
        let errors = strategy.validate_subresource_update("status", &new, &old);
        assert_eq!(texts(&errors).is_empty(), allowed, "{own} {code}");
    };
    let rule = |operator: &str| {
        json!({"restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}}]})
    };
    for (own, allowed) in [
        (json!({}), [false, false]),
        (json!({"restartPolicy": "Always"}), [true, true]),
        (json!({"restartPolicy": "OnFailure"}), [false, true]),
        (json!({"restartPolicy": "Never"}), [false, false]),
        (rule("In"), [false, true]),
        (rule("NotIn"), [true, false]),
    ] {
        check(own.clone(), 0, allowed[0]);
        check(own, 42, allowed[1]);
    }
}

#[test]
fn binding() {
    let mut bound = pod(json!({}));
    let target = |name: &str| json!({"target": {"kind": "Node", "name": name}, "metadata": {"annotations": {"a": "b"}}});
    pod::bind(&mut bound, &target("n"), "2026-01-01T00:00:00Z").unwrap();
    assert_eq!(bound["spec"]["nodeName"], "n");
    assert_eq!(bound["metadata"]["annotations"]["a"], "b");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let again = pod::bind(&mut bound, &target("m"), "").unwrap_err();
    assert_eq!(
        (again.code, again.message.as_str()),
        (
            409,
            "Operation cannot be fulfilled on pods/binding \"p\": pod p \
        is already assigned to node \"n\""
        )
    );
    let mut gone = pod(json!({}));
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let gone = pod::bind(&mut gone, &target("m"), "").unwrap_err();
    assert!(gone.message.ends_with("pod p is being deleted, cannot be assigned to a host"), "{gone}");
    let errors = pod::validate_binding(&json!({"target": {"kind": "Pod"}}));
    let want = [
        "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
        "target.name: Required value",
    ];
    assert_eq!(texts(&errors), want);
}

#[test]
fn grace_periods() {
    let strategy = kind("/v1/pods").strategy;
    let with = |spec: Value, phase: &str| json!({"spec": spec, "status": {"phase": phase}});
    let grace = |pod: Value| strategy.default_grace_period_seconds(&pod);
    assert_eq!(grace(with(json!({"terminationGracePeriodSeconds": 5}), "Pending")), Some(0));
    let running = json!({"nodeName": "n", "terminationGracePeriodSeconds": 5});
    assert_eq!(grace(with(running.clone(), "Running")), Some(5));
    assert_eq!(grace(with(running, "Failed")), Some(0));
    assert_eq!(kind("/v1/configmaps").strategy.default_grace_period_seconds(&json!({})), None);
}

fn service(spec: Value) -> Value {
    let mut spec = spec;
    crate::validation::value::default_to(&mut spec, "ports", json!([{"name": "a", "port": 80}]));
    json!({"metadata": {"name": "s"}, "spec": spec})
}

#[test]
fn services_keep_what_they_were_given() {
    let old = service(json!({"type": "NodePort", "clusterIP": "10.96.0.9",
        "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]}));
    let new = service(json!({"type": "NodePort",
        "ports": [{"name": "b", "port": 82}, {"name": "c", "port": 83, "nodePort": 30001}]}));
    let updated = check("/v1/services", &old, &new, &[]);
    assert_eq!(updated["spec"]["clusterIPs"], json!(["10.96.0.9"]));
    assert_eq!(updated["spec"]["ports"][0]["nodePort"], 30002);
    let to_cluster_ip =
        service(json!({"type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}));
    let updated = check("/v1/services", &old, &to_cluster_ip, &[]);
    assert!(updated["spec"].get("externalTrafficPolicy").is_none());
    let headless = service(json!({"clusterIP": "None"}));
    check(
        "/v1/services",
        &old,
        &headless,
        &["spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"],
    );
}

#[test]
fn services_need_what_their_type_has() {
    let need = |spec: Value| {
        let mut object = service(spec);
        kind("/v1/services").strategy.default(&mut object);
        let ports = service::node_port_needs(&object);
        (service::needs_cluster_ip(&object), ports.iter().map(|need| need.wanted).collect::<Vec<_>>())
    };
    assert_eq!(need(json!({})), (true, vec![]));
    assert_eq!(need(json!({"clusterIP": "None", "clusterIPs": ["None"]})), (false, vec![]));
    assert_eq!(need(json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]})), (false, vec![]));
    assert_eq!(need(json!({"type": "ExternalName", "externalName": "x.io"})), (false, vec![]));
    assert_eq!(need(json!({"type": "NodePort"})), (true, vec![None]));
    let given = json!({"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]});
    assert_eq!(need(given), (true, vec![Some(30080)]));
    let none = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false});
    assert_eq!(need(none), (true, vec![]));
    let mut object = service(json!({"type": "NodePort"}));
    service::set_cluster_ip(&mut object, "10.96.0.7");
    service::set_node_port(&mut object, 0, 30007);
    service::set_node_port(&mut object, 5, 30008);
    assert_eq!(object["spec"]["clusterIPs"], json!(["10.96.0.7"]));
    assert_eq!(object["spec"]["ports"][0]["nodePort"], 30007);
}

#[test]
fn families() {
    let complete = |spec: Value| {
        let mut object = service(spec);
        kind("/v1/services").strategy.default(&mut object);
        kind("/v1/services").strategy.prepare_create(&mut object);
        let errors = texts(&service::complete_families(&mut object, "IPv4"));
        (object["spec"]["ipFamilies"].clone(), text(&object["spec"], "ipFamilyPolicy").to_owned(), errors)
    };
    assert_eq!(complete(json!({})), (json!(["IPv4"]), "SingleStack".to_owned(), vec![]));
    let prefer = json!({"ipFamilyPolicy": "PreferDualStack"});
    assert_eq!(complete(prefer), (json!(["IPv4"]), "PreferDualStack".to_owned(), vec![]));
    let selectorless = json!({"clusterIP": "None"});
    assert_eq!(complete(selectorless), (json!(["IPv4", "IPv6"]), "RequireDualStack".to_owned(), vec![]));
    let wrong = complete(json!({"ipFamilies": ["IPv6"]})).2;
    assert_eq!(wrong, ["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"]);
}

#[test]
fn the_others() {
    let secret = |data: Value| json!({"metadata": {"name": "s"}, "immutable": true, "data": data});
    check(
        "/v1/secrets",
        &secret(json!({"a": "Yg=="})),
        &secret(json!({"a": "Yw=="})),
        &["data: Forbidden: field is immutable when `immutable` is set"],
    );
    let node = |id: &str| json!({"metadata": {"name": "n"}, "spec": {"providerID": id}});
    check("/v1/nodes", &node(""), &node("a"), &[]);
    check(
        "/v1/nodes",
        &node("a"),
        &node("b"),
        &["spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"],
    );
    let slice = |kind: &str, address: &str| json!({"metadata": {"name": "e"}, "addressType": kind, "endpoints": [{"addresses": [address]}]});
    let slices = "discovery.k8s.io/v1/endpointslices";
    let same = check(slices, &slice("IPv4", "10.0.0.1"), &slice("IPv4", "10.0.0.1"), &[]);
    assert_eq!(same["metadata"]["generation"], 1);
    let more = check(slices, &slice("IPv4", "10.0.0.1"), &slice("IPv4", "10.0.0.2"), &[]);
    assert_eq!(more["metadata"]["generation"], 2);
    check(
        slices,
        &slice("IPv4", "10.0.0.1"),
        &slice("IPv6", "fd00::1"),
        &["addressType: Invalid value: \"IPv6\": field is immutable"],
    );
    let policies = "networking.k8s.io/v1/networkpolicies";
    let policy = json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}}});
    check(policies, &policy, &policy, &[]);
    assert!(kind(policies).strategy.warnings(&policy)[0].contains("not yet enforced"));
}

#[test]
fn namespaces() {
    let strategy = kind("/v1/namespaces").strategy;
    let mut object = json!({"metadata": {"name": "n", "labels": {namespace::NAME_LABEL: "x"}}});
    strategy.default(&mut object);
    strategy.prepare_create(&mut object);
    assert_eq!(object["metadata"]["labels"][namespace::NAME_LABEL], "n");
    assert_eq!(object["spec"]["finalizers"], json!(["kubernetes"]));
    let mut terminating = object.clone();
    terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    namespace::mark_terminating(&mut terminating);
    assert!(!namespace::is_finalized(&terminating));
    let mut finalized = terminating.clone();
    finalized["spec"]["finalizers"] = json!([]);
    strategy.prepare_subresource_update("finalize", &mut finalized, &terminating);
    assert!(strategy.validate_subresource_update("finalize", &finalized, &terminating).is_empty());
    assert!(namespace::is_finalized(&finalized));
    let mut kept = finalized.clone();
    strategy.prepare_update(&mut kept, &terminating);
    assert!(!namespace::is_finalized(&kept), "only finalize takes finalizers");
    let errors = strategy.validate_subresource_update("status", &object, &terminating);
    assert!(errors.is_empty());
    let mut wrong = object;
    wrong["status"]["phase"] = "Terminating".into();
    let errors = strategy.validate_subresource_update("status", &wrong, &terminating);
    let want =
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
    assert_eq!(texts(&errors), [want]);
}

#[test]
fn events_in_both_forms() {
    let view = kind("events.k8s.io/v1/events").view.as_ref().unwrap();
    let new = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "t"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "t"}, "note": "m", "reason": "R", "type": "Normal",
        "reportingController": "x.io/c", "reportingInstance": "i", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "deprecatedCount": 2,
    });
    let mut object = new.clone();
    (view.to_stored)(&mut object);
    assert_eq!(object["involvedObject"]["name"], "p");
    assert_eq!((text(&object, "message"), text(&object, "apiVersion")), ("m", "v1"));
    (view.to_stored)(&mut object);
    (view.from_stored)(&mut object);
    (view.from_stored)(&mut object);
    assert_eq!(object, new);
    let strategy = kind("events.k8s.io/v1/events").strategy;
    assert_eq!(texts(&strategy.validate(&new)), ["count: Invalid value: \"\": needs to be unset"]);
    let mut changed = new.clone();
    changed["note"] = "other".into();
    let want = ["message: Invalid value: \"other\": field is immutable"];
    assert_eq!(texts(&strategy.validate_update(&changed, &new)), want);
}
