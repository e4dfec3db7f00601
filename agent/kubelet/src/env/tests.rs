use super::*;
use serde_json::{Value, json};

fn objects() -> Objects {
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "cm"}, "data": {"a": "1", "b": "$(X)"}})).unwrap();
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "data": {"p": "cHc="}})).unwrap();
    Objects {
        config_maps: [("cm".to_owned(), Arc::new(map))].into(),
        secrets: [("s".to_owned(), Arc::new(secret))].into(),
    }
}

fn check(container: Value, expect: Result<&[(&str, &str)], &str>) {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "node", "containers": [container]}}))
    .unwrap();
    let facts = NodeFacts {
        host_ips: &[],
        pod_ips: &["10.0.0.9".to_owned()],
        cpu_milli: 2000,
        memory_bytes: 1 << 30,
        disk_bytes: 1000,
    };
    let services = vec![("SVC".to_owned(), "svc".to_owned())];
    let got = resolve(&pod, &pod.spec.containers[0], &objects(), services, &facts);
    let expect = expect
        .map(|list| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
        .map_err(str::to_owned);
    assert_eq!(got, expect);
}

#[test]
fn later_ones_win_and_refer_to_earlier_ones() {
    check(
        json!({"env": [{"name": "A", "value": "$(SVC)-$(B)"}, {"name": "B", "value": "2"},
                       {"name": "C", "value": "$(B)$$(B)"}, {"name": "SVC", "value": "mine"}]}),
        Ok(&[("SVC", "mine"), ("A", "svc-$(B)"), ("B", "2"), ("C", "2$(B)")]),
    );
}

#[test]
fn whole_objects_and_keys() {
    check(
        json!({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
               "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]}),
        Ok(&[("SVC", "svc"), ("P_a", "1"), ("P_b", "$(X)"), ("p", "pw"), ("K", "pw")]),
    );
    check(json!({"envFrom": [{"configMapRef": {"name": "no"}}]}), Err("configmap \"no\" not found"));
    check(json!({"envFrom": [{"secretRef": {"name": "no", "optional": true}}]}), Ok(&[("SVC", "svc")]));
    check(
        json!({"env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "z"}}}]}),
        Err("couldn't find key z in ConfigMap n/cm"),
    );
}

#[test]
fn fields_and_resources() {
    check(
        json!({"resources": {"limits": {"cpu": "1500m"}}, "env": [
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "I", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}]}),
        Ok(&[("SVC", "svc"), ("N", "web"), ("I", "10.0.0.9"), ("C", "2"), ("M", "1024")]),
    );
}

#[test]
fn commands_are_expanded() {
    let container: ContainerSpec =
        serde_json::from_value(json!({"command": ["sh", "$(A)"], "args": ["$(B)", "$$(A)"]})).unwrap();
    let env = vec![("A".to_owned(), "1".to_owned())];
    let (command, args) = command_line(&container, &env);
    assert_eq!(command, ["sh", "1"]);
    assert_eq!(args, ["$(B)", "$(A)"]);
}

#[test]
fn sources_that_are_not_served_are_no_empty_values() {
    let file = json!({"fileKeyRef": {"volumeName": "v", "path": "p", "key": "K", "optional": false}});
    check(
        json!({"env": [{"name": "K", "valueFrom": file}]}),
        Err(
            "valueFrom is of a kind that is not served (only fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef are)",
        ),
    );
}

#[test]
fn limits_that_are_not_set() {
    let check = |resources: Value, resource: &str, expect: &str| {
        let pod: Pod = serde_json::from_value(json!({"spec": {"resources": resources, "containers": [
            {"name": "c", "resources": {"limits": {"cpu": "1"}}}]}}))
        .unwrap();
        let facts =
            NodeFacts { host_ips: &[], pod_ips: &[], cpu_milli: 2000, memory_bytes: 4096, disk_bytes: 1000 };
        let reference = serde_json::from_value(json!({"resource": resource})).unwrap();
        let got = fields::resource(&pod, Some(&pod.spec.containers[0]), &reference, &facts);
        assert_eq!(got.as_deref(), Ok(expect), "{resource}");
    };
    check(json!({}), "limits.memory", "4096");
    check(json!({}), "limits.ephemeral-storage", "1000");
    check(json!({}), "requests.ephemeral-storage", "0");
    let whole = || json!({"limits": {"cpu": "2", "memory": "64"}, "requests": {"memory": "32"}});
    check(whole(), "limits.cpu", "1");
    check(whole(), "limits.memory", "64");
    check(whole(), "requests.memory", "0");
}
