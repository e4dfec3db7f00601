//! The objects of a new cluster beside its roles: namespaces, the Services of the API and of DNS, the join token.

use super::{BootstrapError, Facts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::resource::Resource;
use keelson_client::Client;
use serde_json::{Value, json};

/// An object and where it belongs.
pub(super) struct Wanted {
    pub resource: Resource,
    pub namespace: &'static str,
    pub object: Value,
}

pub(super) fn namespaces() -> Vec<Wanted> {
    ["default", "kube-system", "kube-public", "kube-node-lease"]
        .into_iter()
        .map(|name| Wanted {
            resource: Resource::NAMESPACES,
            namespace: "",
            object: json!({"metadata": {"name": name}}),
        })
        .collect()
}

/// `default/kubernetes`: under which pods find the API.
pub(super) fn kubernetes_service(facts: &Facts) -> Wanted {
    Wanted {
        resource: Resource::SERVICES,
        namespace: "default",
        object: json!({
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": facts.kubernetes_address,
                "clusterIPs": [facts.kubernetes_address],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": facts.secure_port}],
            },
        }),
    }
}

/// Where the Service `default/kubernetes` leads: this server. Nowhere when it has an address of its own machine
/// alone, which no pod could reach.
pub(super) fn kubernetes_endpoints(facts: &Facts) -> Vec<Wanted> {
    if facts.advertise_address.is_loopback() {
        return Vec::new();
    }
    let port = json!({"name": "https", "protocol": "TCP", "port": facts.secure_port});
    let family = if facts.advertise_address.is_ipv4() { "IPv4" } else { "IPv6" };
    vec![
        Wanted {
            resource: Resource::ENDPOINTS,
            namespace: "default",
            object: json!({
                "metadata": {"name": "kubernetes", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
                "subsets": [{"addresses": [{"ip": facts.advertise_address}], "ports": [port]}],
            }),
        },
        Wanted {
            resource: Resource::ENDPOINT_SLICES,
            namespace: "default",
            object: json!({
                "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
                "addressType": family,
                "endpoints": [{"addresses": [facts.advertise_address], "conditions": {"ready": true}}],
                "ports": [port],
            }),
        },
    ]
}

/// `kube-system/kube-dns`: the address of DNS in every pod's resolv.conf. No pod is behind it; every node answers
/// for itself.
pub(super) fn dns_service(facts: &Facts) -> Wanted {
    Wanted {
        resource: Resource::SERVICES,
        namespace: "kube-system",
        object: json!({
            "metadata": {"name": "kube-dns", "labels": {
                "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "KeelsonDNS",
            }},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": facts.dns_address,
                "clusterIPs": [facts.dns_address],
                "selector": {"k8s-app": "kube-dns"},
                "ports": [
                    {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
                    {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
                ],
            },
        }),
    }
}

/// The Secret behind the join token.
pub(super) fn join_secret(facts: &Facts) -> Wanted {
    let token = &facts.join_token.token;
    let encoded = |text: &str| STANDARD.encode(text);
    Wanted {
        resource: Resource::SECRETS,
        namespace: "kube-system",
        object: json!({
            "metadata": {"name": format!("bootstrap-token-{}", token.id)},
            "type": keelson_apiserver::auth::tokens::BOOTSTRAP_SECRET_TYPE,
            "data": {
                "token-id": encoded(&token.id),
                "token-secret": encoded(&token.secret),
                "usage-bootstrap-authentication": encoded("true"),
                "auth-extra-groups": encoded("system:bootstrappers:keelson"),
                "description": encoded("The join token of this cluster"),
            },
        }),
    }
}

/// By which client CA an extension of the API may judge client certificates.
pub(super) fn client_ca(facts: &Facts) -> Wanted {
    Wanted {
        resource: Resource::CONFIG_MAPS,
        namespace: "kube-system",
        object: json!({
            "metadata": {"name": "extension-apiserver-authentication"},
            "data": {"client-ca-file": facts.ca_pem},
        }),
    }
}

/// Creates the object, or patches the fields in which a stored one differs from it.
pub(super) async fn ensure(client: &Client, wanted: Wanted) -> Result<(), BootstrapError> {
    let Wanted { resource, namespace, object } = wanted;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let current = match client.get::<Value>(&resource, namespace, name).await {
        Ok(current) => current,
        Err(error) if error.is_not_found() => {
            match client.create::<Value>(&resource, namespace, &object).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_already_exists() => {
                    client.get::<Value>(&resource, namespace, name).await?
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    match difference(&current, &object) {
        Some(patch) => {
            client.merge_patch::<Value>(&resource, namespace, name, &patch).await?;
            Ok(())
        }
        None => Ok(()),
    }
}

/// The merge patch that gives `current` the fields of `wanted`; `None` when it has them. Lists are taken whole,
/// but for fields of their items that only defaulting has added.
fn difference(current: &Value, wanted: &Value) -> Option<Value> {
    match (current, wanted) {
        (Value::Object(current), Value::Object(wanted)) => {
            let patch = wanted
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.clone(), difference(current.get(key).unwrap_or(&Value::Null), value)?))
                })
                .collect::<serde_json::Map<_, _>>();
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (Value::Array(current), Value::Array(items)) => {
            let same = current.len() == items.len()
                && current.iter().zip(items).all(|(current, item)| difference(current, item).is_none());
            (!same).then(|| wanted.clone())
        }
        _ => (current != wanted).then(|| wanted.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(current: Value, wanted: Value, patch: Option<Value>) {
        assert_eq!(difference(&current, &wanted), patch);
    }

    #[test]
    fn only_what_differs() {
        check(json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"c": 2}}), None);
        check(json!({"a": 1, "b": {"c": 2}}), json!({"b": {"c": 3}}), Some(json!({"b": {"c": 3}})));
        check(json!({}), json!({"a": {"b": [1]}}), Some(json!({"a": {"b": [1]}})));
        check(json!({"p": [{"port": 1, "defaulted": true}]}), json!({"p": [{"port": 1}]}), None);
        check(
            json!({"p": [{"port": 1}, {"port": 2}]}),
            json!({"p": [{"port": 1}]}),
            Some(json!({"p": [{"port": 1}]})),
        );
    }
}
