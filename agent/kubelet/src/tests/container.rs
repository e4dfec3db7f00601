//! What a container sees of its surroundings, and what the kernel is told of it.

use super::stage::{Stage, eventually, eventually_in};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn names_security_and_resources() {
    let stage = Stage::start().await;
    std::fs::write(stage.containerd.dir.join("resolv.conf"), "nameserver 192.0.2.1\nsearch corp.example\n")
        .unwrap();
    stage.pod("a", json!({
        "terminationGracePeriodSeconds": 0, "subdomain": "sub",
        "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["alias"]}],
        "securityContext": {"runAsUser": 1234, "runAsGroup": 4321, "supplementalGroups": [77]},
        "containers": [{"name": "c",
            "resources": {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
            "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                                "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
            "command": ["sh", "-c", "hostname; id; cat /etc/resolv.conf; grep -e p.sub -e alias -e a.sub /etc/hosts; \
                touch /x; grep -e CapEff -e NoNewPrivs -e Seccomp: /proc/self/status; echo $LIMIT; exec sleep 1000"],
            "env": [{"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}]}]}));
    let status = stage.until_ready("a").await;
    let ip = status["podIP"].as_str().unwrap();
    let expected = [
        "a\nuid=1234 gid=4321 groups=77",
        "nameserver 10.96.0.10",
        "search default.svc.cluster.local svc.cluster.local cluster.local corp.example",
        "options ndots:5",
        "192.0.2.9\talias",
        "touch: /x: Read-only file system",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        &format!("{ip}\ta.sub.default.svc.cluster.local\ta"),
        "\n64\n",
    ];
    // Standard output and errors come by pipes of their own: which ends the log is not known.
    eventually_in("the log", || stage.log("a", "c", 0), |log| expected.iter().all(|e| log.contains(e))).await;
    assert_eq!(status["qosClass"], "Burstable");
    let uid = stage.get("a").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let id = status["containerStatuses"][0]["containerID"].as_str().unwrap().replace("containerd://", "");
    let group = format!("{}/kubepods/burstable/pod{uid}", stage.containerd.cgroup_root());
    let read = |file: &str| find_in_hierarchies(&group, file);
    // Either version of cgroups tells the same in its own words.
    assert!(read("cpu.shares") == Some("256".into()) || read("cpu.weight").is_some());
    assert!(read("memory.limit_in_bytes").or(read("memory.max")) == Some((64 << 20).to_string()));
    let quota = read(&format!("{id}/cpu.cfs_quota_us")).or(read(&format!("{id}/cpu.max"))).unwrap();
    assert!(quota.starts_with("50000"), "{quota}");
}

fn find_in_hierarchies(group: &str, file: &str) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter(|l| l.contains(" - cgroup")).filter_map(|l| l.split(' ').nth(4));
    let mut texts = points.filter_map(|m| std::fs::read_to_string(format!("{m}{group}/{file}")).ok());
    texts.next().map(|t| t.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_for_memory_and_logs_that_grow() {
    let stage = Stage::start().await;
    stage.pod(
        "oom",
        json!({"hostNetwork": true, "restartPolicy": "Never", "containers": [{"name": "c",
        "resources": {"limits": {"memory": "16Mi"}},
        "command": ["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]}]}),
    );
    stage.pod(
        "talker",
        json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [{"name": "c",
        "command": ["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.01; done"]}]}),
    );
    let status = stage.until("oom", 30, |s| s["phase"] == "Failed").await;
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("OOMKilled"), &json!(137)), "{ended:#}");

    stage.until_ready("talker").await;
    let uid = stage.get("talker").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let folder = stage.containerd.dir.join("logs").join(format!("default_talker_{uid}/c"));
    let files = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    for _ in 0..300 {
        if files() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(files(), 2, "the log and one older part");
    eventually("the new file grows", || {
        let text = std::fs::read_to_string(folder.join("0.log")).unwrap_or_default();
        text.lines().count() > 10 && !text.contains("line 0\n")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_room_is_rejected_and_the_node_tells_what_it_has() {
    let stage = Stage::start().await;
    stage.pod("huge", json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1000"}}}]}));
    let status = stage.until("huge", 10, |s| s["phase"] == "Failed").await;
    assert_eq!(status["reason"], "OutOfcpu");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Pod was rejected: Node didn't have enough resource: cpu")
    );
    let ready = |node: &Value| {
        let list = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        list.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    eventually("a ready node", || stage.api.get("nodes", "", "node").is_some_and(|n| ready(&n))).await;
    let node = stage.api.get("nodes", "", "node").unwrap();
    assert_eq!(node["status"]["capacity"]["pods"], "110");
    assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "node");
    let runtime = node["status"]["nodeInfo"]["containerRuntimeVersion"].as_str().unwrap();
    assert!(runtime.starts_with("containerd://1.") || runtime.starts_with("containerd://2."), "{runtime}");
    let lease = stage.api.get("leases", "kube-node-lease", "node").unwrap();
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
    assert_eq!(lease["metadata"]["ownerReferences"][0]["uid"], node["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_asks_for_another_node_or_for_a_port_that_is_taken() {
    let stage = Stage::start().await;
    eventually("a node", || stage.api.get("nodes", "", "node").is_some()).await;
    let refused = async |name: &str, reason: &str, words: &str| {
        let status = stage.until(name, 10, |s| s["phase"] == "Failed").await;
        let message = format!("Pod was rejected: Predicate {reason} failed: {words}");
        assert_eq!((&status["reason"], &status["message"]), (&json!(reason), &json!(message)));
        assert!(stage.events(name).iter().all(|e| !e.starts_with("Created")), "nothing of it was made");
    };
    let spec = |more: Value| {
        let mut spec = json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "command": ["sleep", "1000"]}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let selector = || spec(json!({"nodeSelector": {"zone": "a"}}));
    stage.pod("elsewhere", selector());
    refused("elsewhere", "NodeAffinity", "node(s) didn't match Pod's node affinity/selector").await;
    // Labels that the kubelet did not write itself: it reads them before it refuses a pod for them.
    let mut node = stage.api.get("nodes", "", "node").unwrap();
    node["metadata"]["labels"]["zone"] = json!("a");
    stage.api.put("nodes", node);
    stage.pod("here", selector());
    stage.until_ready("here").await;
    let port = || {
        let mut spec = spec(json!({}));
        spec["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}]);
        spec
    };
    stage.pod("first", port());
    stage.until_ready("first").await;
    stage.pod("second", port());
    refused("second", "NodePorts", "node(s) didn't have free ports for the requested pod ports").await;
    stage.api.delete_pod("default", "first", 0);
    eventually("the first one's end", || stage.events("first").iter().any(|e| e.starts_with("Killing")))
        .await;
    for _ in 0..20 {
        stage.pod("third", port());
        let status = stage.until("third", 20, |s| s["phase"] == "Failed" || s["phase"] == "Running").await;
        if status["phase"] == "Running" {
            return;
        }
        stage.api.delete_pod("default", "third", 0);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("the port is never free again");
}
