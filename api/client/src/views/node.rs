//! Nodes.

use super::meta::Meta;
use super::pod::{Condition, ResourceList};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    pub metadata: Meta,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<String>,
    #[serde(rename = "providerID")]
    pub provider_id: String,
    pub unschedulable: bool,
    pub taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Taint {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStatus {
    pub capacity: ResourceList,
    pub allocatable: ResourceList,
    pub conditions: Vec<Condition>,
    pub addresses: Vec<NodeAddress>,
    pub images: Vec<NodeImage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, `InternalDNS` or `ExternalDNS`.
    pub r#type: String,
    pub address: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeImage {
    pub names: Vec<String>,
    pub size_bytes: i64,
}

/// The label that names a node's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl Node {
    /// The zone that it is in, if it is known.
    pub fn zone(&self) -> Option<&str> {
        self.metadata.label(ZONE_LABEL)
    }

    /// The first address of a type.
    pub fn address(&self, r#type: &str) -> Option<&str> {
        self.status.addresses.iter().find(|a| a.r#type == r#type).map(|a| a.address.as_str())
    }

    pub fn condition(&self, r#type: &str) -> Option<&Condition> {
        super::pod::condition(&self.status.conditions, r#type)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    /// Pod ranges, the primary one first.
    pub fn pod_cidrs(&self) -> impl Iterator<Item = &str> {
        let alone = self.spec.pod_cidrs.is_empty() && !self.spec.pod_cidr.is_empty();
        let primary = alone.then_some(self.spec.pod_cidr.as_str());
        primary.into_iter().chain(self.spec.pod_cidrs.iter().map(String::as_str))
    }
}
