use super::plan::{Observed, Plan, SLICE_MAX, plan};
use keelson_client::views::{EndpointSlice, Pod, Service};
use serde_json::{Value, json};
use std::sync::Arc;

fn service(spec: Value) -> Service {
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "t", "uid": "s", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.96.0.5", "selector": {"app": "web"}, "ipFamilies": ["IPv4"],
                 "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn pod(index: usize, ready: bool) -> Arc<Pod> {
    pod_with(index, ready, |_| {})
}

fn pod_with(index: usize, ready: bool, change: impl Fn(&mut Value)) -> Arc<Pod> {
    let name = format!("p{index:04}");
    let mut object = json!({
        "metadata": {"name": name, "namespace": "t", "uid": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "web", "containerPort": 8080 + index % 2, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": format!("10.244.{}.{}", index / 250, index % 250 + 1),
                   "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}
    });
    change(&mut object);
    Arc::new(serde_json::from_value(object).unwrap())
}

fn run(service: &Service, pods: &[Arc<Pod>], slices: &[Arc<EndpointSlice>]) -> Plan {
    let zone = |node: &str| (node == "n1").then(|| "z1".to_owned());
    plan(Observed { service, pods, slices: slices.to_vec(), zone: &zone })
}

/// The slices after a plan is performed; names of new ones count up.
fn perform(plan: &Plan, slices: &[Arc<EndpointSlice>], generation: usize) -> Vec<Arc<EndpointSlice>> {
    let mut after: Vec<Value> = slices.iter().map(|s| json!(**s)).collect();
    after.retain(|s| !plan.delete.iter().any(|d| s["metadata"]["name"] == json!(d)));
    for (name, patch) in &plan.update {
        let slice = after.iter_mut().find(|s| s["metadata"]["name"] == json!(name)).unwrap();
        if let Some(endpoints) = patch.get("endpoints") {
            slice["endpoints"] = endpoints.clone();
        }
    }
    for (index, body) in plan.create.iter().enumerate() {
        let mut body = body.clone();
        body["metadata"]["name"] = json!(format!("web-{generation}-{index}"));
        after.push(body);
    }
    after.into_iter().map(|s| Arc::new(serde_json::from_value(s).unwrap())).collect()
}

#[test]
fn an_endpoint_has_what_readers_need() {
    let plan = run(&service(json!({})), &[pod(0, true)], &[]);
    let slice = &plan.create[0];
    assert_eq!(slice["metadata"]["generateName"], "web-");
    assert_eq!(
        slice["metadata"]["labels"],
        json!({"team": "a", "kubernetes.io/service-name": "web",
               "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"})
    );
    assert_eq!(slice["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(
        slice["endpoints"],
        json!([{"addresses": ["10.244.0.1"], "nodeName": "n1", "zone": "z1",
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "targetRef": {"kind": "Pod", "namespace": "t", "name": "p0000", "uid": "p0000"}}])
    );
    assert_eq!(slice["ports"], json!([{"name": "http", "port": 8080, "protocol": "TCP"}]));
    assert_eq!(slice["addressType"], "IPv4");
}

#[test]
fn conditions() {
    let deleting = |p: &mut Value| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let publish = json!({"publishNotReadyAddresses": true});
    let rows = [
        (json!({}), pod(0, false), json!({"ready": false, "serving": false, "terminating": false})),
        (
            json!({}),
            pod_with(0, true, deleting),
            json!({"ready": false, "serving": true, "terminating": true}),
        ),
        (publish.clone(), pod(0, false), json!({"ready": true, "serving": false, "terminating": false})),
        (publish, pod_with(0, true, deleting), json!({"ready": true, "serving": true, "terminating": true})),
    ];
    for (spec, pod, expected) in rows {
        let plan = run(&service(spec.clone()), &[pod], &[]);
        assert_eq!(plan.create[0]["endpoints"][0]["conditions"], expected, "{spec}");
    }
}

#[test]
fn pods_that_are_no_endpoints_leave_an_empty_slice() {
    let ended = pod_with(0, true, |p| p["status"]["phase"] = json!("Succeeded"));
    let without_address = pod_with(1, true, |p| p["status"]["podIP"] = json!(""));
    let plan = run(&service(json!({})), &[ended, without_address], &[]);
    assert_eq!(plan.create.len(), 1);
    assert_eq!((&plan.create[0]["endpoints"], &plan.create[0]["ports"]), (&json!([]), &json!([])));
    let slices = perform(&plan, &[], 0);
    assert_eq!(run(&service(json!({})), &[], &slices), Plan::default());
    let filled = run(&service(json!({})), &[pod(0, true)], &slices);
    assert_eq!((filled.create.len(), filled.delete.len()), (1, 1), "the empty slice had no ports");
}

#[test]
fn named_ports_are_resolved_per_pod() {
    let spec = json!({"ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]});
    let nameless = pod_with(2, true, |p| p["spec"]["containers"] = json!([]));
    let plan = run(&service(spec), &[pod(0, true), pod(1, true), nameless], &[]);
    let mut ports: Vec<String> = plan.create.iter().map(|s| s["ports"].to_string()).collect();
    ports.sort();
    assert_eq!(ports.len(), 3);
    assert!(ports[0] == "[]" && ports[1].contains("8080") && ports[2].contains("8081"));
}

#[test]
fn headless_services_and_hostnames() {
    let named = pod_with(0, true, |p| {
        p["spec"]["hostname"] = json!("db-0");
        p["spec"]["subdomain"] = json!("web");
    });
    let elsewhere = pod_with(1, true, |p| {
        p["spec"]["hostname"] = json!("db-1");
        p["spec"]["subdomain"] = json!("other");
    });
    let plan = run(&service(json!({"clusterIP": "None", "ports": []})), &[named, elsewhere], &[]);
    let slice = &plan.create[0];
    assert_eq!(slice["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    assert_eq!(slice["endpoints"][0]["hostname"], "db-0");
    assert!(slice["endpoints"][1].get("hostname").is_none());
}

#[test]
fn both_families() {
    let dual =
        pod_with(0, true, |p| p["status"]["podIPs"] = json!([{"ip": "10.244.0.1"}, {"ip": "fd00::1"}]));
    let plan = run(&service(json!({"ipFamilies": ["IPv6", "IPv4"]})), &[dual, pod(1, true)], &[]);
    let found: Vec<(String, usize)> = plan
        .create
        .iter()
        .map(|s| (s["addressType"].to_string(), s["endpoints"].as_array().unwrap().len()))
        .collect();
    assert_eq!(found, [("\"IPv4\"".to_owned(), 2), ("\"IPv6\"".to_owned(), 1)]);
}

#[test]
fn a_change_of_one_pod_is_one_write() {
    let service = service(json!({}));
    let mut pods: Vec<_> = (0..250).map(|i| pod(i, true)).collect();
    let slices = perform(&run(&service, &pods, &[]), &[], 0);
    let mut sizes: Vec<usize> = slices.iter().map(|s| s.endpoints.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    assert_eq!(run(&service, &pods, &slices), Plan::default());

    pods[120] = pod(120, false);
    let plan = run(&service, &pods, &slices);
    assert_eq!((plan.create.len(), plan.update.len(), plan.delete.len()), (0, 1, 0));

    pods[120] = pod(120, true);
    pods.push(pod(250, true));
    let plan = run(&service, &pods, &slices);
    assert_eq!((plan.create.len(), plan.update.len(), plan.delete.len()), (0, 1, 0));
    assert_eq!(plan.update[0].1["endpoints"].as_array().unwrap().len(), 51);
}

#[test]
fn any_sequence_of_pods_ends_in_the_right_endpoints() {
    let service = service(json!({}));
    let mut slices = Vec::new();
    for (generation, range) in [0..30, 0..330, 100..330, 250..251, 5..5, 0..101].into_iter().enumerate() {
        let pods: Vec<_> = range.map(|i| pod(i, i % 3 != 0)).collect();
        let plan = run(&service, &pods, &slices);
        slices = perform(&plan, &slices, generation);
        let mut names: Vec<String> = slices
            .iter()
            .flat_map(|s| &s.endpoints)
            .map(|e| e.target_ref.as_ref().unwrap().name.clone())
            .collect();
        names.sort();
        let expected: Vec<String> = pods.iter().map(|p| p.metadata.name.clone()).collect();
        assert_eq!(names, expected, "generation {generation}");
        assert!(slices.iter().all(|s| s.endpoints.len() <= SLICE_MAX));
        assert_eq!(run(&service, &pods, &slices), Plan::default(), "generation {generation} is at rest");
    }
}

#[test]
fn labels_follow_the_service() {
    let mut service = service(json!({}));
    let slices = perform(&run(&service, &[pod(0, true)], &[]), &[], 0);
    service.metadata.labels = [("tier".to_owned(), "x".to_owned())].into();
    let plan = run(&service, &[pod(0, true)], &slices);
    assert_eq!(plan.update[0].1["metadata"]["labels"], json!({"tier": "x", "team": null}));
    assert!(plan.update[0].1.get("endpoints").is_none());
}

#[test]
fn hints_follow_the_traffic_distribution() {
    let elsewhere = |p: &mut Value| p["spec"]["nodeName"] = json!("n2");
    let rows = [
        (json!({}), pod(0, true), Value::Null),
        (json!({"trafficDistribution": "PreferClose"}), pod(0, true), json!({"forZones": [{"name": "z1"}]})),
        (
            json!({"trafficDistribution": "PreferSameZone"}),
            pod(0, true),
            json!({"forZones": [{"name": "z1"}]}),
        ),
        (
            json!({"trafficDistribution": "PreferSameNode"}),
            pod(0, true),
            json!({"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]}),
        ),
        // Who is not ready is asked by nobody; a node without a zone has only its name.
        (json!({"trafficDistribution": "PreferSameNode"}), pod(0, false), Value::Null),
        (json!({"trafficDistribution": "PreferSameZone"}), pod_with(0, true, elsewhere), Value::Null),
        (
            json!({"trafficDistribution": "PreferSameNode"}),
            pod_with(0, true, elsewhere),
            json!({"forNodes": [{"name": "n2"}]}),
        ),
    ];
    for (spec, pod, expected) in rows {
        let plan = run(&service(spec.clone()), &[pod], &[]);
        assert_eq!(plan.create[0]["endpoints"][0]["hints"], expected, "{spec}");
    }
}

#[test]
fn hints_come_and_go_with_the_service() {
    let close = service(json!({"trafficDistribution": "PreferSameZone"}));
    let slices = perform(&run(&service(json!({})), &[pod(0, true)], &[]), &[], 0);
    let plan = run(&close, &[pod(0, true)], &slices);
    assert_eq!(plan.update[0].1["endpoints"][0]["hints"], json!({"forZones": [{"name": "z1"}]}));
    let hinted = perform(&plan, &slices, 1);
    assert_eq!(run(&close, &[pod(0, true)], &hinted), Plan::default());
    let plan = run(&service(json!({})), &[pod(0, true)], &hinted);
    assert!(plan.update[0].1["endpoints"][0].get("hints").is_none());
}
