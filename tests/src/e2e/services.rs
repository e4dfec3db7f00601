//! What a Service promises beyond one address: affinity, traffic policies, load balancers' addresses, hints; and host
//! ports. The same on both backends.

use super::app::MINUTE;
use crate::harness::{Kubectl, TestCluster, eventually, get_from_node, http_get, in_host};
use std::collections::BTreeSet;

/// Pods that say their names; the one with a host port is `near`.
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: NAME, namespace: default, labels: { app: named, which: NAME } }
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: NODE }
  containers:
    - name: web
      image: keelson.dev/webserver:1
      args: [backend]
      ports: [{ containerPort: 8080, PORT }]
      env: [{ name: POD, value: NAME }]
      readinessProbe: { httpGet: { path: /healthz, port: 8080 }, periodSeconds: 1 }
---
"#;

const ASKER: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: asker, namespace: default }
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: { kubernetes.io/hostname: node1 }
  containers:
    - name: shell
      image: keelson.dev/busybox:1
      command: [sleep, "3600"]
"#;

const SERVICES: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: sticky, namespace: default }
spec:
  type: NodePort
  selector: { app: named }
  sessionAffinity: ClientIP
  ports: [{ port: 80, targetPort: 8080, nodePort: 31080 }]
---
apiVersion: v1
kind: Service
metadata: { name: close, namespace: default }
spec:
  selector: { app: named }
  trafficDistribution: PreferSameNode
  ports: [{ port: 80, targetPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: balanced, namespace: default }
spec:
  type: LoadBalancer
  selector: { which: near }
  externalTrafficPolicy: Local
  healthCheckNodePort: 31999
  externalIPs: [198.51.100.21]
  ports: [{ port: 80, targetPort: 8080, nodePort: 31081 }]
"#;

/// As a load balancer's controller would write it.
const INGRESS: &str = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.20"}]}}}"#;

fn start(cluster: &TestCluster, kubectl: &Kubectl) {
    let pod = |name: &str, node: &str, port: &str| {
        PODS.replace("NAME", name).replace("NODE", node).replace("PORT", port)
    };
    kubectl.apply(&(pod("near", "node1", "hostPort: 8090") + &pod("far", "node2", "protocol: TCP") + ASKER));
    kubectl.apply(SERVICES);
    kubectl.run(&["patch", "service", "balanced", "--subresource=status", "--type=merge", "-p", INGRESS]);
    kubectl.run(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]);
    for address in ["198.51.100.20", "198.51.100.21"] {
        let node = cluster.names.node_ip(1).to_string();
        in_host(cluster, "client", "ip", &["route", "add", address, "via", &node]).unwrap();
    }
}

/// Which pod answered.
fn pod(answer: &str) -> String {
    answer.split("\"pod\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(answer).to_owned()
}

/// Which pod answers `host` at an address.
fn who(cluster: &TestCluster, host: &str, at: &str) -> Result<String, String> {
    http_get(cluster, host, &format!("http://{at}/")).map(|answer| pod(&answer))
}

/// Which pod answers a process of node `index`.
fn who_answers_node(cluster: &TestCluster, index: usize, at: &str) -> Result<String, String> {
    get_from_node(cluster, index, at).map(|answer| pod(&answer))
}

/// The pods that answer the pod `asker`, one connection after the other.
fn asked_by_pod(kubectl: &Kubectl, service: &str) -> BTreeSet<String> {
    let line = format!("for i in $(seq 12); do wget -q -O - http://{service}/; echo; done");
    let answers = kubectl.run(&["exec", "asker", "--", "sh", "-c", &line]);
    answers.lines().filter(|line| !line.is_empty()).map(pod).collect()
}

fn one(pods: &[&str]) -> BTreeSet<String> {
    pods.iter().map(|pod| (*pod).to_owned()).collect()
}

fn promises(name: &str, datapath: &str) {
    let cluster = TestCluster::up(name, 2, datapath);
    let kubectl = cluster.kubectl(33);
    start(&cluster, &kubectl);
    let at = |index: usize, port: u16| format!("{}:{port}", cluster.names.node_ip(index));

    // The policy Local: only the node that has the endpoint answers, at each kind of external address.
    for address in [at(1, 31_081), "198.51.100.20:80".to_owned(), "198.51.100.21:80".to_owned()] {
        let answered = eventually("an external address", MINUTE, || who(&cluster, "client", &address));
        assert_eq!(answered, "near", "{address}");
    }
    assert!(who(&cluster, "client", &at(2, 31_081)).is_err(), "a node without an endpoint is silent");
    let answered = who_answers_node(&cluster, 2, &at(2, 31_081));
    assert_eq!(answered.as_deref(), Ok("near"), "a process of that node gets an answer");
    // Load balancers are told.
    let health = |index| http_get(&cluster, "client", &format!("http://{}/healthz", at(index, 31_999)));
    let told = eventually("the health check", MINUTE, || health(1));
    assert!(told.contains("\"localEndpoints\":1") && told.contains("\"name\":\"balanced\""), "{told}");
    let refused = health(2).unwrap_err();
    assert!(refused.contains("503") && refused.contains("\"localEndpoints\":0"), "{refused}");

    // One client, one endpoint; and none for clients without affinity.
    let sticky: BTreeSet<_> = (0..12).map(|_| who(&cluster, "client", &at(2, 31_080)).unwrap()).collect();
    assert_eq!(sticky.len(), 1, "{sticky:?}");
    assert_eq!(asked_by_pod(&kubectl, "sticky").len(), 1);
    kubectl.run(&["patch", "service", "sticky", "-p", r#"{"spec":{"sessionAffinity":"None"}}"#]);
    eventually("both endpoints", MINUTE, || {
        let seen = asked_by_pod(&kubectl, "sticky");
        if seen == one(&["far", "near"]) { Ok(()) } else { Err(format!("{seen:?}")) }
    });

    // Hints keep a pod on its node, until nothing there is ready.
    assert_eq!(asked_by_pod(&kubectl, "close"), one(&["near"]));

    // The host port: from outside, from the node itself, and not on other nodes.
    assert_eq!(who(&cluster, "client", &at(1, 8090)).as_deref(), Ok("near"));
    assert_eq!(who_answers_node(&cluster, 1, "127.0.0.1:8090").as_deref(), Ok("near"));
    assert_eq!(who_answers_node(&cluster, 1, &at(1, 8090)).as_deref(), Ok("near"));
    assert_eq!(who_answers_node(&cluster, 2, &at(1, 8090)).as_deref(), Ok("near"));
    assert!(who(&cluster, "client", &at(2, 8090)).is_err());

    kubectl.run(&["delete", "pod", "near", "--timeout=60s"]);
    assert!(who(&cluster, "client", &at(1, 8090)).is_err(), "a host port goes with its pod");
    eventually("the load balancer to be told", MINUTE, || match health(1) {
        Err(error) if error.contains("503") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    eventually("the other endpoint", MINUTE, || {
        let seen = asked_by_pod(&kubectl, "close");
        if seen == one(&["far"]) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    // Nobody answers anywhere now: refused at once, not left to time out.
    eventually("a refusal", MINUTE, || match who(&cluster, "client", &at(1, 31_081)) {
        Err(error) if error.contains("refused") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.finish();
}

#[test]
fn promises_by_ebpf() {
    promises("services", "ebpf");
}

#[test]
fn promises_by_iptables() {
    promises("services-ipt", "iptables");
}
