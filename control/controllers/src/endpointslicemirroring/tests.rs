use super::plan::{Plan, is_mirror, plan};
use keelson_client::views::{EndpointSlice, Endpoints, Service};
use serde_json::{Value, json};
use std::sync::Arc;

fn service(selector: Value) -> Service {
    let object = json!({"metadata": {"name": "db", "namespace": "t"},
                        "spec": {"clusterIP": "10.96.0.5", "selector": selector}});
    serde_json::from_value(object).unwrap()
}

fn endpoints(metadata: Value, subsets: Value) -> Endpoints {
    let mut object = json!({"metadata": {"name": "db", "namespace": "t", "uid": "e1"}, "subsets": subsets});
    for (name, value) in metadata.as_object().unwrap() {
        object["metadata"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn subset(ready: &[&str], not_ready: &[&str], port: u16) -> Value {
    let addresses = |ips: &[&str]| ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    json!({"addresses": addresses(ready), "notReadyAddresses": addresses(not_ready),
           "ports": [{"name": "", "protocol": "TCP", "port": port}]})
}

fn mirror(endpoints: &Endpoints, slices: &[Arc<EndpointSlice>]) -> Plan {
    plan(Some(endpoints), Some(&service(json!({}))), slices.to_vec())
}

/// What the server would make of the slices to create.
fn stored(bodies: &[Value]) -> Vec<Arc<EndpointSlice>> {
    let stored = bodies.iter().enumerate().map(|(index, body)| {
        let mut body = body.clone();
        body["metadata"]["name"] = json!(format!("db-{index}"));
        body["metadata"]["resourceVersion"] = json!("7");
        Arc::new(serde_json::from_value(body).unwrap())
    });
    stored.collect()
}

/// Type, port, and addresses with a mark at those that are not ready.
fn text(body: &Value) -> String {
    let endpoints: Vec<String> = body["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            let mark = if e["conditions"]["ready"] == json!(true) { "" } else { "!" };
            format!("{mark}{}", e["addresses"][0].as_str().unwrap())
        })
        .collect();
    let kind = body["addressType"].as_str().unwrap();
    format!("{kind} {} {}", body["ports"][0]["port"], endpoints.join(" "))
}

#[test]
fn subsets_become_slices() {
    let rows: [(Value, &[&str]); 6] = [
        (json!([]), &[]),
        (json!([subset(&["10.1.2.3"], &["10.1.2.4"], 80)]), &["IPv4 80 10.1.2.3 !10.1.2.4"]),
        (
            json!([subset(&["10.1.2.3"], &[], 80), subset(&["10.1.2.3"], &[], 81)]),
            &["IPv4 80 10.1.2.3", "IPv4 81 10.1.2.3"],
        ),
        (json!([subset(&["10.1.2.3", "fd00::1"], &[], 80)]), &["IPv4 80 10.1.2.3", "IPv6 80 fd00::1"]),
        (
            json!([subset(&["10.1.2.3"], &[], 80), subset(&["10.1.2.4"], &["10.1.2.3"], 80)]),
            &["IPv4 80 10.1.2.3 10.1.2.4"],
        ),
        (json!([subset(&["not an address"], &[], 80)]), &[]),
    ];
    for (subsets, expected) in rows {
        let plan = mirror(&endpoints(json!({}), subsets.clone()), &[]);
        assert_eq!(plan.create.iter().map(text).collect::<Vec<_>>(), expected, "{subsets}");
        assert!(plan.replace.is_empty() && plan.delete.is_empty());
    }
}

#[test]
fn who_is_mirrored() {
    let one = json!([subset(&["10.1.2.3"], &[], 80)]);
    let (none, some) = (service(json!({})), service(json!({"app": "db"})));
    let (skip, leader) =
        ("endpointslice.kubernetes.io/skip-mirror", "control-plane.alpha.kubernetes.io/leader");
    let rows = [
        (json!({}), Some(&none), true),
        (json!({}), Some(&some), false),
        (json!({}), None, false),
        (json!({"labels": {skip: "true"}}), Some(&none), false),
        (json!({"labels": {skip: "false"}}), Some(&none), true),
        (json!({"annotations": {leader: "{}"}}), Some(&none), false),
        (json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), Some(&none), false),
    ];
    for (metadata, service, expected) in rows {
        let object = endpoints(metadata.clone(), one.clone());
        let plan_new = plan(Some(&object), service, Vec::new());
        assert_eq!(plan_new.create.len(), usize::from(expected), "{metadata}");
        // What was mirrored before goes when it is not any more.
        let old = stored(&mirror(&endpoints(json!({}), one.clone()), &[]).create);
        let plan = plan(Some(&object), service, old);
        assert_eq!(plan.delete.len(), usize::from(!expected), "{metadata}");
    }
    let old = stored(&mirror(&endpoints(json!({}), one), &[]).create);
    assert_eq!(plan(None, Some(&none), old).delete, ["db-0"], "the object is gone");
}

#[test]
fn a_mirror_says_whose_it_is() {
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"});
    let object = endpoints(
        json!({"labels": {"team": "a"}, "annotations": annotations}),
        json!([subset(&["10.1.2.3"], &[], 80)]),
    );
    let body = &mirror(&object, &[]).create[0];
    let meta = &body["metadata"];
    assert_eq!(meta["generateName"], "db-");
    assert_eq!(meta["labels"]["team"], "a");
    assert_eq!(meta["labels"]["kubernetes.io/service-name"], "db");
    assert_eq!(meta["annotations"], json!({"note": "kept"}));
    assert_eq!(
        (&meta["ownerReferences"][0]["kind"], &meta["ownerReferences"][0]["uid"]),
        (&json!("Endpoints"), &json!("e1"))
    );
    assert!(is_mirror(&stored(std::slice::from_ref(body))[0]));
}

#[test]
fn only_what_changed_is_written() {
    let before =
        endpoints(json!({}), json!([subset(&["10.1.2.3"], &[], 80), subset(&["10.1.2.9"], &[], 90)]));
    let slices = stored(&mirror(&before, &[]).create);
    assert_eq!(slices.len(), 2);
    assert_eq!(mirror(&before, &slices), Plan::default(), "at rest");

    let after = endpoints(json!({}), json!([subset(&["10.2.3.4"], &[], 80), subset(&["10.1.2.9"], &[], 90)]));
    let plan = mirror(&after, &slices);
    assert!(plan.create.is_empty() && plan.delete.is_empty());
    let [(name, body)] = plan.replace.as_slice() else { panic!("{plan:?}") };
    assert_eq!((name.as_str(), text(body).as_str()), ("db-0", "IPv4 80 10.2.3.4"));
    assert_eq!(
        (&body["metadata"]["name"], &body["metadata"]["resourceVersion"]),
        (&json!("db-0"), &json!("7"))
    );

    let labelled = endpoints(json!({"labels": {"team": "a"}}), json!([subset(&["10.1.2.3"], &[], 80)]));
    let plan = mirror(&labelled, &slices);
    assert_eq!((plan.replace.len(), plan.delete.as_slice()), (1, &["db-1".to_owned()][..]));
}

#[test]
fn a_subset_is_mirrored_up_to_a_thousand_addresses_with_the_ready_ones_first() {
    let ready: Vec<String> = (0..700).map(|i| format!("10.1.{}.{}", i / 250, i % 250)).collect();
    let not_ready: Vec<String> = (0..700).map(|i| format!("10.2.{}.{}", i / 250, i % 250)).collect();
    let refs = |ips: &'static [String]| ips.iter().map(String::as_str).collect::<Vec<&str>>();
    let (ready, not_ready) = (refs(ready.leak()), refs(not_ready.leak()));
    let one = mirror(&endpoints(json!({}), json!([subset(&ready, &not_ready, 80)])), &[]);
    let count = |body: &Value, mark: bool| {
        body["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["conditions"]["ready"] == json!(mark))
            .count()
    };
    assert_eq!(one.create.len(), 1);
    assert_eq!((count(&one.create[0], true), count(&one.create[0], false)), (700, 300));
    let two =
        mirror(&endpoints(json!({}), json!([subset(&ready, &[], 80), subset(&not_ready, &[], 80)])), &[]);
    let sizes: Vec<usize> = two.create.iter().map(|body| count(body, true)).collect();
    assert_eq!(sizes, [1000, 400], "a slice holds no more");
}
