//! The variables by which a container finds the services of its namespace.

use keelson_client::views::Service;
use std::sync::Arc;

/// Variables for `kubernetes` in the default namespace and, when `links` are wanted, for every service of
/// `namespace` that has an address.
pub fn variables(services: &[Arc<Service>], namespace: &str, links: bool) -> Vec<(String, String)> {
    let is_master = |s: &Service| s.metadata.namespace == "default" && s.metadata.name == "kubernetes";
    let shadowed = links
        && services.iter().any(|s| s.metadata.namespace == namespace && s.metadata.name == "kubernetes");
    let mut wanted: Vec<&Arc<Service>> = services
        .iter()
        .filter(|s| {
            (links && s.metadata.namespace == namespace)
                || (is_master(s) && (namespace == "default" || !shadowed))
        })
        .filter(|s| s.cluster_ips().next().is_some())
        .collect();
    wanted.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    wanted.iter().flat_map(|s| of_service(s)).collect()
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let name = variable_name(&service.metadata.name);
    let (Some(ip), Some(first)) = (service.cluster_ips().next(), service.spec.ports.first()) else {
        return Vec::new();
    };
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let url = |protocol: &str, port: u16| format!("{}://{host}:{port}", protocol.to_lowercase());
    let mut out = vec![
        (format!("{name}_SERVICE_HOST"), ip.to_owned()),
        (format!("{name}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in service.spec.ports.iter().filter(|p| !p.name.is_empty()) {
        out.push((format!("{name}_SERVICE_PORT_{}", variable_name(&port.name)), port.port.to_string()));
    }
    let protocol = |p: &str| if p.is_empty() { "TCP".to_owned() } else { p.to_owned() };
    out.push((format!("{name}_PORT"), url(&protocol(&first.protocol), first.port)));
    for port in &service.spec.ports {
        let protocol = protocol(&port.protocol);
        let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
        out.push((prefix.clone(), url(&protocol, port.port)));
        out.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        out.push((format!("{prefix}_PORT"), port.port.to_string()));
        out.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    out
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_and_the_api() {
        let service = |ns: &str, name: &str, ip: &str, port: u16| {
            Arc::new(
                serde_json::from_value::<Service>(json!({
                "metadata": {"namespace": ns, "name": name},
                "spec": {"clusterIP": ip, "ports": [{"name": "http-web", "port": port, "protocol": "TCP"}]}}))
                .unwrap(),
            )
        };
        let all = [
            service("default", "kubernetes", "10.96.0.1", 443),
            service("n", "my-db", "10.96.0.7", 5432),
            service("n", "headless", "None", 1),
            service("other", "x", "10.96.0.8", 1),
        ];
        let names: Vec<String> =
            variables(&all, "n", true).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert!(names.contains(&"KUBERNETES_SERVICE_HOST=10.96.0.1".to_owned()));
        assert!(names.contains(&"MY_DB_SERVICE_PORT_HTTP_WEB=5432".to_owned()));
        assert!(names.contains(&"MY_DB_PORT_5432_TCP=tcp://10.96.0.7:5432".to_owned()));
        assert!(!names.iter().any(|n| n.starts_with("HEADLESS") || n.starts_with("X_")));
        assert!(variables(&all, "n", false).iter().all(|(k, _)| k.starts_with("KUBERNETES")));
    }
}
