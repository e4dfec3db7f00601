//! Services.

use super::meta::Meta;
use super::scalar::IntOrString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Service {
    pub metadata: Meta,
    pub spec: ServiceSpec,
    pub status: ServiceStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub r#type: String,
    pub selector: BTreeMap<String, String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    pub ip_families: Vec<String>,
    pub ports: Vec<ServicePort>,
    pub external_name: String,
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    pub session_affinity: String,
    pub session_affinity_config: Option<SessionAffinityConfig>,
    pub publish_not_ready_addresses: bool,
    pub internal_traffic_policy: Option<String>,
    pub external_traffic_policy: String,
    pub traffic_distribution: Option<String>,
    pub health_check_node_port: u16,
    pub load_balancer_source_ranges: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    pub port: u16,
    pub target_port: IntOrString,
    pub node_port: u16,
    pub app_protocol: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SessionAffinityConfig {
    #[serde(rename = "clientIP")]
    pub client_ip: ClientIpConfig,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientIpConfig {
    pub timeout_seconds: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    pub load_balancer: LoadBalancerStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    pub ingress: Vec<LoadBalancerIngress>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    pub ip: String,
    pub hostname: String,
    pub ip_mode: Option<String>,
}

impl Service {
    /// A Service without an address of its own.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }

    pub fn is_external_name(&self) -> bool {
        self.spec.r#type == "ExternalName"
    }

    /// Whether it can be reached from outside the cluster at all.
    pub fn is_external(&self) -> bool {
        matches!(self.spec.r#type.as_str(), "NodePort" | "LoadBalancer") || !self.spec.external_ips.is_empty()
    }

    /// Whether clients outside of the cluster get endpoints of the node that they ask, and no others.
    pub fn is_external_local(&self) -> bool {
        self.is_external() && self.spec.external_traffic_policy == "Local"
    }

    /// Whether clients in the cluster get endpoints of their own node, and no others.
    pub fn is_internal_local(&self) -> bool {
        self.spec.internal_traffic_policy.as_deref() == Some("Local")
    }

    /// How long a client stays with its endpoint, in seconds, if it does.
    pub fn affinity_seconds(&self) -> Option<u32> {
        /// The API's default: three hours.
        const DEFAULT: u32 = 10_800;
        let configured = || self.spec.session_affinity_config.as_ref()?.client_ip.timeout_seconds;
        (self.spec.session_affinity == "ClientIP").then(|| configured().unwrap_or(DEFAULT))
    }

    /// The addresses at which a load balancer hands packets on to nodes without changing their destination.
    pub fn balancer_ips(&self) -> impl Iterator<Item = &str> {
        let balanced = self.spec.r#type == "LoadBalancer";
        let ingress = self.status.load_balancer.ingress.iter().filter(move |_| balanced);
        let direct = ingress.filter(|at| at.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"));
        direct.map(|at| at.ip.as_str()).filter(|ip| !ip.is_empty())
    }

    /// Its addresses, the primary one first; empty for headless and not yet allocated ones.
    pub fn cluster_ips(&self) -> impl Iterator<Item = &str> {
        let alone = self.spec.cluster_ips.is_empty();
        let primary = alone.then_some(self.spec.cluster_ip.as_str());
        let all = primary.into_iter().chain(self.spec.cluster_ips.iter().map(String::as_str));
        all.filter(|ip| !ip.is_empty() && *ip != "None")
    }
}
