//! Choices as tables: nodes and pods in, the chosen node or Kubernetes' message out.

use crate::cluster::Cluster;
use crate::cycle::schedule;
use crate::pod::PodInfo;
use keelson_client::views::{LabelSelector, Node};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (k, v) in patch {
                merge(target.entry(k).or_insert(Value::Null), v);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// A node with 4 cores, 8 GiB and 10 pods, its hostname and `zone` as labels.
fn node(name: &str, zone: &str, change: Value) -> Node {
    let mut object = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10", "ephemeral-storage": "10Gi"}}
    });
    if !zone.is_empty() {
        object["metadata"]["labels"]["topology.kubernetes.io/zone"] = json!(zone);
    }
    merge(&mut object, &change);
    serde_json::from_value(object).unwrap()
}

/// A pod of `app: web` in `t`.
fn pod(name: &str, on: &str, spec: Value) -> Arc<PodInfo> {
    pod_with(name, on, json!({"spec": spec}))
}

fn pod_with(name: &str, on: &str, change: Value) -> Arc<PodInfo> {
    let mut object = json!({
        "metadata": {"name": name, "uid": name, "namespace": "t", "labels": {"app": "web"}},
        "spec": {"nodeName": on, "containers": [{}]}
    });
    merge(&mut object, &change);
    Arc::new(PodInfo::new(&serde_json::from_value(object).unwrap()))
}

fn cpu(amount: &str) -> Value {
    json!({"containers": [{"resources": {"requests": {"cpu": amount}}}]})
}

fn cluster(nodes: Vec<Node>, pods: Vec<Arc<PodInfo>>) -> Cluster {
    let mut cluster = Cluster::default();
    nodes.iter().for_each(|n| {
        cluster.set_node(n);
    });
    pods.into_iter().for_each(|p| cluster.set_pod(p));
    cluster
}

/// All nodes that can be chosen, or the message.
fn choices(cluster: &Cluster, pod: &PodInfo) -> String {
    let mut found = BTreeSet::new();
    for random in 0..32 {
        match schedule(pod, cluster, random) {
            Ok(node) => found.insert(node),
            Err(misfit) => return misfit.to_string(),
        };
    }
    found.into_iter().collect::<Vec<_>>().join(" ")
}

fn check(name: &str, nodes: Vec<Node>, pods: Vec<Arc<PodInfo>>, pod: &PodInfo, expected: &str) {
    assert_eq!(choices(&cluster(nodes, pods), pod), expected, "{name}");
}

fn two() -> Vec<Node> {
    vec![node("a", "", json!({})), node("b", "", json!({}))]
}

#[test]
fn nothing_to_choose_from() {
    check("no nodes", vec![], vec![], &pod("p", "", json!({})), "no nodes available to schedule pods");
    let mut gone = cluster(two(), vec![pod("x", "a", cpu("1"))]);
    gone.remove_node("a");
    gone.remove_node("b");
    assert_eq!(choices(&gone, &pod("p", "", json!({}))), "no nodes available to schedule pods");
}

#[test]
fn large_clusters_are_sampled_from_everywhere() {
    let nodes: Vec<Node> = (0..400).map(|i| node(&format!("n{i}"), "", json!({}))).collect();
    let cluster = cluster(nodes, vec![]);
    let wants = pod("p", "", cpu("1"));
    let chosen: BTreeSet<String> = (0..4000).map(|i| schedule(&wants, &cluster, i * 7919).unwrap()).collect();
    assert!(chosen.len() > 300, "{}", chosen.len());
}

#[test]
fn resources() {
    let full = || vec![pod("x", "a", cpu("3500m")), pod("y", "b", cpu("3"))];
    check("the emptier node", two(), vec![pod("x", "a", cpu("1"))], &pod("p", "", cpu("1")), "b");
    check("only where it fits", two(), full(), &pod("p", "", cpu("1")), "b");
    check("nowhere", two(), full(), &pod("p", "", cpu("2")), "0/2 nodes are available: 2 Insufficient cpu.");
    let many: Vec<_> = (0..10).map(|i| pod(&format!("x{i}"), "a", json!({}))).collect();
    let one = || vec![node("a", "", json!({}))];
    check(
        "too many pods",
        one(),
        many,
        &pod("p", "", json!({})),
        "0/1 nodes are available: 1 Too many pods.",
    );
    let greedy = json!({"containers": [{"resources": {"requests": {"cpu": "5", "memory": "9Gi", "example.com/gpu": "1"}}}]});
    check(
        "every shortage is named",
        one(),
        vec![],
        &pod("p", "", greedy),
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu, 1 Insufficient memory.",
    );
    let gpu = vec![
        node("a", "", json!({})),
        node("b", "", json!({"status": {"allocatable": {"example.com/gpu": "1"}}})),
    ];
    let wants = json!({"containers": [{"resources": {"requests": {"example.com/gpu": "1"}}}]});
    check("extended resources", gpu.clone(), vec![], &pod("p", "", wants.clone()), "b");
    let taken = vec![pod("x", "b", wants.clone())];
    check(
        "taken",
        gpu,
        taken,
        &pod("p", "", wants),
        "0/2 nodes are available: 2 Insufficient example.com/gpu.",
    );
}

#[test]
fn balance() {
    let lopsided = |name: &str, cpu: &str, memory: &str| {
        pod(
            name,
            &name[1..],
            json!({"containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}]}),
        )
    };
    // Both nodes are as full on average; one is so evenly.
    let pods = vec![lopsided("xa", "2", "4Gi"), lopsided("xb", "3", "2Gi")];
    let wants = json!({"containers": [{"resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}]});
    check("evenly used nodes first", two(), pods, &pod("p", "", wants), "a");
}

#[test]
fn taints_and_cordons() {
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    let tainted = |effect: &str| vec![node("a", "", taint(effect)), node("b", "", json!({}))];
    let plain = pod("p", "", json!({}));
    check("no schedule", tainted("NoSchedule"), vec![], &plain, "b");
    check("no execute", tainted("NoExecute"), vec![], &plain, "b");
    check("prefer not", tainted("PreferNoSchedule"), vec![], &plain, "b");
    let tolerating = |t: Value| pod("p", "", json!({"tolerations": [t]}));
    let rows = [
        (json!({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}), "a b"),
        (json!({"key": "k", "operator": "Exists"}), "a b"),
        (json!({"operator": "Exists"}), "a b"),
        (json!({"key": "k", "operator": "Equal", "value": "w"}), "b"),
        (json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}), "b"),
        (json!({"key": "other", "operator": "Exists"}), "b"),
    ];
    for (toleration, expected) in rows {
        check(
            &toleration.to_string(),
            tainted("NoSchedule"),
            vec![],
            &tolerating(toleration.clone()),
            expected,
        );
    }
    let cordoned =
        || vec![node("a", "", json!({"spec": {"unschedulable": true}})), node("b", "", taint("NoSchedule"))];
    check(
        "reasons are counted",
        cordoned(),
        vec![],
        &plain,
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
    );
    let daemon = tolerating(json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}));
    check("a cordon can be tolerated", cordoned(), vec![], &daemon, "a");
}

#[test]
fn node_selectors_and_affinity() {
    let nodes = || {
        vec![
            node("a", "z1", json!({"metadata": {"labels": {"disk": "ssd", "size": "3"}}})),
            node("b", "z2", json!({"metadata": {"labels": {"disk": "hdd", "size": "30"}}})),
        ]
    };
    let required = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let none = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    let rows = [
        (json!({"nodeSelector": {"disk": "ssd"}}), "a"),
        (json!({"nodeSelector": {"disk": "tape"}}), none),
        (required(json!([expression("disk", "NotIn", &["ssd"])])), "b"),
        (required(json!([expression("size", "Gt", &["10"])])), "b"),
        (required(json!([expression("disk", "In", &["tape"]), expression("disk", "Exists", &[])])), "a b"),
        (required(json!([{}])), none),
        (
            required(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}])),
            "b",
        ),
        (
            json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": expression("disk", "In", &["ssd"])},
                {"weight": 10, "preference": expression("disk", "In", &["hdd"])}]}}}),
            "b",
        ),
    ];
    for (spec, expected) in rows {
        check(&spec.to_string(), nodes(), vec![], &pod("p", "", spec.clone()), expected);
    }
}

#[test]
fn host_ports() {
    let port = |ip: &str, protocol: &str| json!({"containers": [{"ports": [{"containerPort": 80, "hostPort": 80, "hostIP": ip, "protocol": protocol}]}]});
    let one = || vec![node("a", "", json!({}))];
    let clash = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    let rows = [
        (("", "TCP"), ("", "TCP"), clash),
        (("", "TCP"), ("10.0.0.1", "TCP"), clash),
        (("0.0.0.0", "TCP"), ("10.0.0.1", "TCP"), clash),
        (("10.0.0.1", "TCP"), ("10.0.0.2", "TCP"), "a"),
        (("", "TCP"), ("", "UDP"), "a"),
    ];
    for (used, wanted, expected) in rows {
        let existing = pod("x", "a", port(used.0, used.1));
        check(
            &format!("{used:?} {wanted:?}"),
            one(),
            vec![existing],
            &pod("p", "", port(wanted.0, wanted.1)),
            expected,
        );
    }
    let mut freed = cluster(one(), vec![pod("x", "a", port("", "TCP"))]);
    freed.remove_pod("x");
    assert_eq!(choices(&freed, &pod("p", "", port("", "TCP"))), "a");
}

fn zones() -> Vec<Node> {
    vec![node("a", "z1", json!({})), node("b", "z1", json!({})), node("c", "z2", json!({}))]
}

fn spread(key: &str, skew: i64, when: &str) -> Value {
    json!({"topologySpreadConstraints": [{"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}}}]})
}

#[test]
fn hard_spreading() {
    let zone = "topology.kubernetes.io/zone";
    let on = |nodes: &[&str]| -> Vec<_> {
        nodes.iter().enumerate().map(|(i, n)| pod(&format!("x{i}"), n, json!({}))).collect()
    };
    let wants = pod("p", "", spread(zone, 1, "DoNotSchedule"));
    check("the emptier zone", zones(), on(&["a"]), &wants, "c");
    check("even", zones(), on(&["a", "c"]), &wants, "b");
    let unlabeled = || vec![node("a", "z1", json!({})), node("b", "", json!({}))];
    check("nodes without the label", unlabeled(), vec![], &wants, "a");
    let lopsided = || {
        let mut nodes = zones();
        nodes[2] = node("c", "z2", json!({"spec": {"unschedulable": true}}));
        nodes
    };
    check(
        "a zone that cannot take the pod still counts",
        lopsided(),
        on(&["a"]),
        &wants,
        "0/3 nodes are available: 1 node(s) were unschedulable, \
         2 node(s) didn't match pod topology spread constraints.",
    );
    let mut spec = spread(zone, 1, "DoNotSchedule");
    spec["topologySpreadConstraints"][0]["minDomains"] = json!(3);
    check(
        "too few domains",
        zones(),
        on(&["a", "c"]),
        &pod("p", "", spec),
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.",
    );
    let leaving =
        |on: &str| pod_with(on, on, json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let pods = vec![leaving("a"), leaving("b"), pod("y", "c", json!({}))];
    check("pods that leave do not count", zones(), pods, &wants, "a b");
}

#[test]
fn soft_and_default_spreading() {
    let soft = pod("p", "", spread("kubernetes.io/hostname", 1, "ScheduleAnyway"));
    check("the host without", two(), vec![pod("x", "a", json!({}))], &soft, "b");
    let mut cluster = cluster(zones(), vec![pod("x", "a", json!({})), pod("y", "c", json!({}))]);
    let plain = pod("p", "", json!({}));
    assert_eq!(choices(&cluster, &plain), "b", "the empty node, by resources alone");
    let other = pod_with("p", "", json!({"metadata": {"labels": {"app": "other"}}}));
    cluster.set_pod(pod_with("z", "b", json!({"metadata": {"labels": {"app": "none"}}})));
    assert_eq!(choices(&cluster, &other), "a b c");
    cluster
        .services
        .entry("t".into())
        .or_default()
        .insert("web".into(), [("app".into(), "web".into())].into());
    assert_eq!(choices(&cluster, &plain), "b", "spread like its service");
    let owned = pod_with(
        "p",
        "",
        json!({"metadata": {"labels": {"app": "none"}, "ownerReferences": [{"uid": "rs", "controller": true}]}}),
    );
    let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "none"}})).unwrap();
    cluster.owners.insert("rs".into(), selector);
    assert_eq!(choices(&cluster, &owned), "c", "spread like its replica set");
}

fn terms(kind: &str, key: &str, app: &str) -> Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]}}})
}

#[test]
fn pods_near_and_far() {
    let zone = "topology.kubernetes.io/zone";
    let host = "kubernetes.io/hostname";
    let db = |on: &str| pod_with("db", on, json!({"metadata": {"labels": {"app": "db"}}}));
    let near = |app: &str| pod("p", "", terms("podAffinity", zone, app));
    check("near", zones(), vec![db("a")], &near("db"), "b");
    check("near something far away", zones(), vec![db("c")], &near("db"), "c");
    check(
        "near nothing",
        zones(),
        vec![],
        &near("db"),
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.",
    );
    check("the first of its kind", zones(), vec![], &near("web"), "a b c");
    let far = pod("p", "", terms("podAntiAffinity", zone, "db"));
    check("far", zones(), vec![db("a")], &far, "c");
    let mut everywhere = vec![db("a")];
    everywhere.push(pod_with("db2", "c", json!({"metadata": {"labels": {"app": "db"}}})));
    check(
        "nowhere to go",
        zones(),
        everywhere,
        &far,
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
    );
    let hermit = pod("hermit", "a", terms("podAntiAffinity", host, "web"));
    let one = vec![node("a", "", json!({}))];
    check(
        "existing pods keep others away",
        one,
        vec![hermit],
        &pod("p", "", json!({})),
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
}

#[test]
fn preferences_among_pods() {
    let preferred = |kind: &str| {
        json!({"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
            "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}}]}}})
    };
    let db = || vec![pod_with("db", "a", json!({"metadata": {"labels": {"app": "db"}}}))];
    check("rather near", two(), db(), &pod("p", "", preferred("podAffinity")), "a");
    check("rather far", two(), db(), &pod("p", "", preferred("podAntiAffinity")), "b");
    let admirer = pod_with("x", "a", json!({"spec": preferred("podAffinity")}));
    let db = pod_with("p", "", json!({"metadata": {"labels": {"app": "db"}}}));
    check("others like it near", two(), vec![admirer], &db, "a");
}

#[test]
fn namespaces_of_terms() {
    let term = |more: Value| {
        let mut spec = terms("podAntiAffinity", "kubernetes.io/hostname", "web");
        merge(
            &mut spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0],
            &more,
        );
        pod("p", "", spec)
    };
    let elsewhere = || vec![pod_with("x", "a", json!({"metadata": {"namespace": "other"}}))];
    let rows = [
        (json!({}), "b"),
        (json!({"namespaces": ["other"]}), "b"),
        (json!({"namespaceSelector": {}}), "b"),
        (json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), "b"),
        (json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}), "b"),
    ];
    let allowed = |more: &Value| {
        let mut cluster = cluster(vec![node("a", "", json!({}))], elsewhere());
        cluster.namespaces.insert("other".into(), [("team".into(), "x".into())].into());
        choices(&cluster, &term(more.clone())) == "a"
    };
    let found: Vec<bool> = rows.iter().map(|(more, _)| allowed(more)).collect();
    assert_eq!(found, [true, false, false, false, true]);
}

#[test]
fn counters_return_to_nothing() {
    let mut cluster = cluster(zones(), vec![]);
    let spec = terms("podAntiAffinity", "kubernetes.io/hostname", "web");
    for round in 0..3 {
        for (i, node) in ["a", "b", "c", "unknown"].iter().enumerate() {
            cluster.set_pod(pod(&format!("x{i}"), node, spec.clone()));
            cluster.set_pod(pod(&format!("x{i}"), node, cpu("1")));
        }
        (0..4).for_each(|i| {
            assert!(cluster.remove_pod(&format!("x{i}")).is_some(), "round {round}");
        });
    }
    assert!(cluster.remove_pod("x0").is_none());
    assert!(cluster.nodes.cpu_used.iter().chain(&cluster.nodes.pods_used).all(|n| *n == 0));
    assert!(cluster.nodes.with_terms.is_empty());
    assert_eq!(cluster.signatures.all().count(), 0);
    assert_eq!(cluster.nodes.name.len(), 4, "columns are reused");
}
