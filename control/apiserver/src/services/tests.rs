use super::*;
use keelson_api::kinds;
use serde_json::json;

fn allocations() -> Allocations {
    Allocations::new((Ipv4Addr::new(10, 96, 0, 0), 12), 30000..=32767)
}

fn def() -> &'static KindDef {
    kinds::find("", "v1", "services").expect("served")
}

fn service(name: &str, spec: Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": "t"}, "spec": spec});
    def().strategy.default(&mut object);
    def().strategy.prepare_create(&mut object);
    object
}

fn create(pool: &Allocations, object: &mut Value) -> Result<(), String> {
    let mut hold = pool.create(def(), object, false).map_err(|status| status.message)?;
    hold.commit();
    Ok(())
}

#[test]
fn cluster_addresses() {
    let pool = allocations();
    let mut first = service("a", json!({"ports": [{"port": 80}]}));
    create(&pool, &mut first).expect("allocated");
    let ip: Ipv4Addr = first["spec"]["clusterIP"].as_str().expect("set").parse().expect("an address");
    assert!(
        u32::from(ip) > u32::from(Ipv4Addr::new(10, 96, 1, 0)),
        "{ip} is in the band for asked addresses"
    );
    let mut taken = service("b", json!({"clusterIP": ip.to_string(), "ports": [{"port": 80}]}));
    assert_eq!(
        create(&pool, &mut taken).expect_err("taken"),
        format!(
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: provided IP is already allocated"
        )
    );
    let mut outside = service("c", json!({"clusterIP": "1.2.3.4", "ports": [{"port": 80}]}));
    assert!(create(&pool, &mut outside).expect_err("outside").contains("does not match the current range"));
    pool.release(def(), &first);
    create(&pool, &mut taken).expect("free again");
}

#[test]
fn what_is_not_stored_is_given_back() {
    let pool = allocations();
    let spec =
        json!({"type": "NodePort", "clusterIP": "10.96.7.1", "ports": [{"port": 80, "nodePort": 30080}]});
    drop(pool.create(def(), &mut service("a", spec.clone()), false).expect("allocated"));
    let mut dry = pool.create(def(), &mut service("a", spec.clone()), true).expect("allocated");
    dry.commit();
    drop(dry);
    // The port fails after the address has been taken: the address must be free again.
    create(&pool, &mut service("b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30081}]})))
        .expect("other");
    let clash =
        json!({"type": "NodePort", "clusterIP": "10.96.7.1", "ports": [{"port": 80, "nodePort": 30081}]});
    create(&pool, &mut service("c", clash)).expect_err("port taken");
    create(&pool, &mut service("a", spec)).expect("all free");
}

#[test]
fn node_ports_of_two_protocols_are_shared() {
    let pool = allocations();
    let ports = json!([{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}, {"name": "x", "port": 54}]);
    let mut object = service("dns", json!({"type": "NodePort", "ports": ports}));
    create(&pool, &mut object).expect("allocated");
    let port = |i: usize| object["spec"]["ports"][i]["nodePort"].as_u64().expect("set");
    assert_eq!(port(0), port(1));
    assert_ne!(port(0), port(2));
}

#[test]
fn a_change_of_type_frees() {
    let pool = allocations();
    let spec =
        json!({"type": "NodePort", "clusterIP": "10.96.7.1", "ports": [{"port": 80, "nodePort": 30080}]});
    let mut old = service("a", spec);
    create(&pool, &mut old).expect("allocated");
    let mut new = old.clone();
    new["spec"]["type"] = "ClusterIP".into();
    def().strategy.prepare_update(&mut new, &old);
    let mut hold = pool.update(def(), &mut new, &old, false).expect("allowed");
    let other = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    create(&pool, &mut service("b", other.clone())).expect_err("not stored yet");
    hold.commit();
    create(&pool, &mut service("b", other)).expect("free");
    assert_eq!(
        Holdings::of(&new),
        Holdings { ips: vec![u32::from(Ipv4Addr::new(10, 96, 7, 1))], ports: vec![] }
    );
}
