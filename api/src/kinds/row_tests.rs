//! Rows of the Table form, as kubectl's users know them.

use super::*;
use serde_json::json;

/// 2026-01-01T00:10:00Z, ten minutes after the objects below were made.
const NOW: i64 = 1_767_226_200;

/// Checks the row of `object`; `want` is its cells but the name, joined by `|`.
fn check(resource: &str, mut object: Value, want: &str) {
    let mut parts = resource.split('/');
    let mut next = || parts.next().unwrap();
    let def = find(next(), next(), next()).unwrap();
    object["metadata"]["name"] = "n".into();
    if object["metadata"]["creationTimestamp"].is_null() {
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    let cells = (def.table.row)(&object, NOW);
    assert_eq!(cells.len(), def.table.columns.len());
    let cells = cells.iter().zip(def.table.columns).filter(|(_, column)| column.format != "name");
    let got = cells.map(|(cell, _)| match cell {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    assert_eq!(got.collect::<Vec<_>>().join("|"), want, "{object}");
}

fn pod(spec: Value, status: Value, want: &str) {
    let mut cells = want.to_owned();
    // Most rows are about the first three cells.
    if want.matches('|').count() == 2 {
        cells.push_str("|10m|<none>|<none>|<none>|<none>");
    }
    check("/v1/pods", json!({"spec": spec, "status": status}), &cells);
}

#[test]
fn pods_running() {
    let one = json!({"containers": [{"name": "a"}]});
    pod(one.clone(), json!({"phase": "Pending"}), "0/1|Pending|0");
    let running = json!({"ready": true, "restartCount": 0, "state": {"running": {}}});
    let status = json!({"phase": "Running", "containerStatuses": [running]});
    pod(one.clone(), status, "1/1|Running|0");
    let restarted = json!({"phase": "Running", "containerStatuses": [{
        "ready": true, "restartCount": 3, "state": {"running": {}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T00:05:00Z"}},
    }]});
    pod(one.clone(), restarted, "1/1|Running|3 (5m ago)");
    let wide = json!({"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
        "nominatedNodeName": "other", "conditions": [{"type": "gate", "status": "True"}]});
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "node",
        "readinessGates": [{"conditionType": "gate"}, {"conditionType": "no"}]});
    pod(spec, wide, "0/2|Running|0|10m|10.0.0.1|node|other|1/2");
}

#[test]
fn pods_in_trouble() {
    let one = json!({"containers": [{"name": "a"}]});
    let with = |state: Value| json!({"phase": "Running", "containerStatuses": [{"restartCount": 2, "state": state}]});
    for (state, want) in [
        (json!({"waiting": {"reason": "CrashLoopBackOff"}}), "CrashLoopBackOff"),
        (json!({"waiting": {"reason": "ImagePullBackOff"}}), "ImagePullBackOff"),
        (json!({"terminated": {"reason": "Error", "exitCode": 1}}), "Error"),
        (json!({"terminated": {"exitCode": 3}}), "ExitCode:3"),
        (json!({"terminated": {"exitCode": 137, "signal": 9}}), "Signal:9"),
        (json!({"terminated": {"reason": "Completed", "exitCode": 0}}), "Completed"),
    ] {
        pod(one.clone(), with(state), &format!("0/1|{want}|2"));
    }
    pod(one.clone(), json!({"phase": "Failed", "reason": "Evicted"}), "0/1|Evicted|0");
    let gated = json!({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"});
    pod(one, json!({"phase": "Pending", "conditions": [gated]}), "0/1|SchedulingGated|0");
}

#[test]
fn pods_that_are_half_done() {
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    let statuses = json!([
        {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
        {"ready": true, "state": {"running": {}}},
    ]);
    let with = |ready: &str| {
        json!({"phase": "Running", "containerStatuses": statuses,
        "conditions": [{"type": "Ready", "status": ready}]})
    };
    pod(two.clone(), with("True"), "1/2|Running|0");
    pod(two, with("False"), "1/2|NotReady|0");
}

#[test]
fn pods_initializing() {
    let spec = json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]});
    let with = |states: Vec<Value>| {
        let statuses = states.into_iter().zip(["i", "j"]);
        let statuses = statuses.map(|(state, name)| json!({"name": name, "restartCount": 1, "state": state}));
        json!({"phase": "Pending", "initContainerStatuses": statuses.collect::<Vec<_>>()})
    };
    let done = json!({"terminated": {"exitCode": 0}});
    for (states, want) in [
        (vec![json!({"running": {}})], "0/1|Init:0/2|1"),
        (vec![done.clone(), json!({"waiting": {"reason": "PodInitializing"}})], "0/1|Init:1/2|2"),
        (vec![json!({"waiting": {"reason": "CrashLoopBackOff"}})], "0/1|Init:CrashLoopBackOff|1"),
        (vec![json!({"terminated": {"exitCode": 2}})], "0/1|Init:ExitCode:2|1"),
        (vec![json!({"terminated": {"exitCode": 2, "signal": 6}})], "0/1|Init:Signal:6|1"),
        (vec![json!({"terminated": {"exitCode": 2, "reason": "Error"}})], "0/1|Init:Error|1"),
        (vec![done.clone(), done.clone()], "0/1|Pending|0"),
    ] {
        pod(spec.clone(), with(states), want);
    }
    let sidecar =
        json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "a"}]});
    let status = json!({"phase": "Running",
        "initContainerStatuses": [
            {"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}},
        ],
        "containerStatuses": [{"name": "a", "ready": true, "restartCount": 1, "state": {"running": {}}}]});
    pod(sidecar, status, "2/2|Running|2");
}

#[test]
fn pods_terminating() {
    let with = |status: Value| {
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:09:00Z"}, "spec": {},
        "status": status})
    };
    let rest = "10m|<none>|<none>|<none>|<none>";
    check("/v1/pods", with(json!({"phase": "Running"})), &format!("0/0|Terminating|0|{rest}"));
    check("/v1/pods", with(json!({"phase": "Succeeded"})), &format!("0/0|Succeeded|0|{rest}"));
    let lost = json!({"phase": "Running", "reason": "NodeLost"});
    check("/v1/pods", with(lost), &format!("0/0|Unknown|0|{rest}"));
}

#[test]
fn nodes() {
    let unknown = "<none>|<none>|<unknown>|<unknown>|<unknown>";
    check("/v1/nodes", json!({}), &format!("Unknown|<none>|10m||{unknown}"));
    let object = json!({
        "metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/worker": "",
            "kubernetes.io/role": "edge"}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "1.1.1.1"}, {"type": "ExternalIP", "address": "2.2.2.2"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1",
                "containerRuntimeVersion": "containerd://1.6"},
        },
    });
    let want = "Ready,SchedulingDisabled|control-plane,edge,worker|10m|v1.36.0|1.1.1.1|2.2.2.2|Debian|6.1|\
                containerd://1.6";
    check("/v1/nodes", object, want);
    let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    check("/v1/nodes", not_ready, &format!("NotReady|<none>|10m||{unknown}"));
}

#[test]
fn services() {
    for (spec, status, want) in [
        (
            json!({"type": "ClusterIP", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}],
                "selector": {"app": "a", "tier": "b"}}),
            json!({}),
            "ClusterIP|10.0.0.1|<none>|80/TCP|10m|app=a,tier=b",
        ),
        (
            json!({"type": "ClusterIP", "clusterIPs": ["None"]}),
            json!({}),
            "ClusterIP|None|<none>|<none>|10m|<none>",
        ),
        (
            json!({"type": "NodePort", "clusterIPs": ["10.0.0.1"], "externalIPs": ["9.9.9.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}),
            json!({}),
            "NodePort|10.0.0.1|9.9.9.9|80:30080/TCP,53/UDP|10m|<none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]}),
            json!({}),
            "LoadBalancer|10.0.0.1|<pending>|<none>|10m|<none>",
        ),
        (
            json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]}),
            json!({"loadBalancer": {"ingress": [{"hostname": "x.io"}, {"ip": "1.2.3.4"}]}}),
            "LoadBalancer|10.0.0.1|1.2.3.4,x.io|<none>|10m|<none>",
        ),
        (
            json!({"type": "ExternalName", "externalName": "x.io"}),
            json!({}),
            "ExternalName|<none>|x.io|<none>|10m|<none>",
        ),
    ] {
        check("/v1/services", json!({"spec": spec, "status": status}), want);
    }
}

#[test]
fn workloads() {
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"app": "a"}},
        "template": {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}}});
    let status = json!({"replicas": 3, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1});
    let object = json!({"spec": spec, "status": status});
    check("apps/v1/deployments", object.clone(), "1/3|2|1|10m|a,b|i:1,j|app=a");
    let template = json!({"template": object["spec"]["template"]});
    check("apps/v1/replicasets", object, "3|3|1|10m|a,b|i:1,j|app=a");
    check("/v1/podtemplates", template, "a,b|i:1,j|<none>");
    let labelled = json!({"template": {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {}}});
    check("/v1/podtemplates", labelled, "||a=1,b=2");
    check("apps/v1/deployments", json!({"spec": {"selector": {}}}), "0/0|0|0|10m|||<none>");
}

#[test]
fn endpoints() {
    let addresses =
        |count: usize| (1..=count).map(|n| json!({"ip": format!("10.0.0.{n}")})).collect::<Vec<_>>();
    let with = |count: usize| json!({"subsets": [{"addresses": addresses(count), "ports": [{"port": 80}]}]});
    check("/v1/endpoints", json!({}), "<none>|10m");
    check("/v1/endpoints", with(2), "10.0.0.1:80,10.0.0.2:80|10m");
    check("/v1/endpoints", with(5), "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...|10m");
    let headless = json!({"subsets": [{"addresses": [{"ip": "fd00::1"}]}]});
    check("/v1/endpoints", headless, "fd00::1|10m");
    let slice = json!({"addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}],
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}]});
    check("discovery.k8s.io/v1/endpointslices", slice, "IPv4|80,x|10.0.0.1,10.0.0.2|10m");
    let empty = json!({"addressType": "IPv6"});
    check("discovery.k8s.io/v1/endpointslices", empty, "IPv6|<unset>|<unset>|10m");
}

#[test]
fn events() {
    let old = json!({
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "type": "Normal", "reason": "Pulled", "message": " text ", "count": 3,
        "source": {"component": "kubelet", "host": "node"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:08:00Z",
    });
    check("/v1/events", old, "2m|Normal|Pulled|pod/p|spec.containers{c}|kubelet, node|text|10m|3");
    let new = json!({
        "involvedObject": {"kind": "Node"}, "type": "Warning", "reason": "R", "message": "m",
        "reportingComponent": "x.io/c", "eventTime": "2026-01-01T00:05:00.000000Z",
    });
    check("/v1/events", new, "5m|Warning|R|node||x.io/c|m|5m|1");
    let series = json!({
        "regarding": {"kind": "Pod", "name": "p"}, "type": "Normal", "reason": "R", "note": "m",
        "reportingController": "c", "reportingInstance": "i", "eventTime": "2026-01-01T00:05:00.000000Z",
        "series": {"count": 7, "lastObservedTime": "2026-01-01T00:09:00.000000Z"},
    });
    check("events.k8s.io/v1/events", series, "60s|Normal|R|pod/p||c, i|m|5m|7");
}

#[test]
fn the_others() {
    check("/v1/configmaps", json!({"data": {"a": "b"}, "binaryData": {"c": ""}}), "2|10m");
    check("/v1/secrets", json!({"type": "Opaque", "data": {"a": ""}}), "Opaque|1|10m");
    check("/v1/namespaces", json!({"status": {"phase": "Active"}}), "Active|10m");
    check("/v1/serviceaccounts", json!({}), "10m");
    check("coordination.k8s.io/v1/leases", json!({"spec": {"holderIdentity": "h"}}), "h|10m");
    let policy = json!({"spec": {"podSelector": {"matchLabels": {"app": "a"}}}});
    check("networking.k8s.io/v1/networkpolicies", policy, "app=a|10m");
    check("networking.k8s.io/v1/networkpolicies", json!({"spec": {"podSelector": {}}}), "<none>|10m");
    check("rbac.authorization.k8s.io/v1/roles", json!({}), "2026-01-01T00:00:00Z");
    let binding = json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
        {"kind": "User", "name": "u"}, {"kind": "User", "name": "v"}, {"kind": "Group", "name": "g"},
        {"kind": "ServiceAccount", "namespace": "t", "name": "s"},
    ]});
    check("rbac.authorization.k8s.io/v1/rolebindings", binding, "Role/r|10m|u, v|g|t/s");
    let request = json!({
        "spec": {"signerName": "s.io/x", "username": "u", "expirationSeconds": 86400},
        "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
    });
    let csr = "certificates.k8s.io/v1/certificatesigningrequests";
    check(csr, request, "10m|s.io/x|u|24h|Approved,Issued");
    check(csr, json!({"spec": {"signerName": "s.io/x"}}), "10m|s.io/x||<none>|Pending");
    check("/v1/namespaces", json!({"metadata": {"creationTimestamp": ""}}), "|<unknown>");
}
