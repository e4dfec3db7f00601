//! Who is asking: the result of authentication, and the identity that in-process components carry.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group of every authenticated request.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// The group of every request without credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group that authorization lets do anything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The group of node agents; their user names are `system:node:<name>`.
pub const GROUP_NODES: &str = "system:nodes";
/// The group of all service accounts.
pub const GROUP_SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// The user name of requests without credentials.
pub const USER_ANONYMOUS: &str = "system:anonymous";

/// An authenticated user (`authentication.k8s.io/v1` UserInfo).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    pub username: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A component of the control plane such as `system:kube-scheduler`, in `system:authenticated` only.
    pub fn component(username: &str) -> Self {
        Self {
            username: username.to_owned(),
            groups: vec![GROUP_AUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// The service account `namespace/name`, with the groups that its tokens give.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            username: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                GROUP_SERVICE_ACCOUNTS.to_owned(),
                format!("{GROUP_SERVICE_ACCOUNTS}:{namespace}"),
                GROUP_AUTHENTICATED.to_owned(),
            ],
            ..Self::default()
        }
    }

    /// Whether the user is in `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node's name when this is a node agent (`system:node:<name>` in `system:nodes`).
    pub fn node_name(&self) -> Option<&str> {
        let name = self.username.strip_prefix("system:node:")?;
        self.in_group(GROUP_NODES).then_some(name)
    }
}
