//! The agent's settings: a YAML file of `apiVersion: keelson.dev/v1alpha1`, `kind: AgentConfig`. A key that is
//! not known is an error, because a setting that is silently ignored is worse.

use crate::containerd::Layout;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What stands in `apiVersion`.
pub const API_VERSION: &str = "keelson.dev/v1alpha1";
/// What stands in `kind`.
pub const KIND: &str = "AgentConfig";

/// How services and pods are networked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatapathMode {
    /// eBPF where the kernel has what it takes, else iptables.
    #[default]
    Auto,
    Ebpf,
    Iptables,
}

/// Every setting of an agent, with its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentConfig {
    pub api_version: String,
    pub kind: String,
    /// The API server: `https://HOST:PORT`.
    pub server: String,
    /// The join token; only needed until the node has its certificate.
    #[serde(default)]
    pub token: Option<String>,
    /// A file that holds the join token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The node's name; the host name when absent.
    #[serde(default)]
    pub node_name: Option<String>,
    /// The node's address; that of the outer interface when absent.
    #[serde(default, rename = "nodeIP")]
    pub node_ip: Option<IpAddr>,
    /// The interface towards the other nodes; that of the default route when absent.
    #[serde(default)]
    pub outer_interface: Option<String>,
    /// What must survive a reboot.
    #[serde(default = "defaults::state_dir")]
    pub state_dir: PathBuf,
    /// Sockets and what a reboot may clear.
    #[serde(default = "defaults::run_dir")]
    pub run_dir: PathBuf,
    /// Where BPF programs, links and maps are pinned; on a BPF file system.
    #[serde(default = "defaults::pin_dir")]
    pub pin_dir: PathBuf,
    /// The node's cgroup below each hierarchy's root.
    #[serde(default = "defaults::cgroup_root")]
    pub cgroup_root: String,
    /// Where services are translated at the socket, below the root of the cgroup v2 tree: `/` serves every process
    /// of the host, a node's own cgroup only what is in it.
    #[serde(default = "defaults::socket_cgroup")]
    pub socket_cgroup: String,
    #[serde(default)]
    pub datapath: DatapathMode,
    /// A runtime that is already there; a private containerd is started when absent.
    #[serde(default)]
    pub cri_socket: Option<PathBuf>,
    #[serde(default = "defaults::cluster_cidr", rename = "clusterCIDR")]
    pub cluster_cidr: String,
    #[serde(default = "defaults::service_cidr", rename = "serviceCIDR")]
    pub service_cidr: String,
    #[serde(default = "defaults::cluster_dns", rename = "clusterDNS")]
    pub cluster_dns: IpAddr,
    #[serde(default = "defaults::cluster_domain")]
    pub cluster_domain: String,
    /// The resolver configuration of the host: where names outside of the cluster are asked for.
    #[serde(default = "defaults::resolv_conf")]
    pub resolv_conf: PathBuf,
    /// The UDP port of the overlay between nodes.
    #[serde(default = "defaults::vxlan_port")]
    pub vxlan_port: u16,
    /// The port of the kubelet server.
    #[serde(default = "defaults::kubelet_port")]
    pub kubelet_port: u16,
    #[serde(default = "defaults::max_pods")]
    pub max_pods: u32,
    /// Labels that the node registers with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

mod defaults {
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::PathBuf;

    pub fn state_dir() -> PathBuf {
        "/var/lib/keelson".into()
    }
    pub fn run_dir() -> PathBuf {
        "/run/keelson".into()
    }
    pub fn pin_dir() -> PathBuf {
        "/sys/fs/bpf/keelson".into()
    }
    pub fn cgroup_root() -> String {
        "/keelson".to_owned()
    }
    pub fn socket_cgroup() -> String {
        "/".to_owned()
    }
    pub fn cluster_cidr() -> String {
        "10.244.0.0/16".to_owned()
    }
    pub fn service_cidr() -> String {
        "10.96.0.0/12".to_owned()
    }
    pub fn cluster_dns() -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10))
    }
    pub fn cluster_domain() -> String {
        "cluster.local".to_owned()
    }
    pub fn resolv_conf() -> PathBuf {
        "/etc/resolv.conf".into()
    }
    pub const fn vxlan_port() -> u16 {
        8472
    }
    pub const fn kubelet_port() -> u16 {
        10250
    }
    pub const fn max_pods() -> u32 {
        110
    }
}

/// What is wrong with a configuration; each message names the file or the key and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {message}")]
    Parse { path: String, message: String },
    #[error("{path}: {key} is {found:?}, it must be {wanted:?}")]
    Header { path: String, key: &'static str, found: String, wanted: &'static str },
    #[error(
        "neither token nor tokenFile is set, and this node has not joined yet; the server's join token is in its stateDir, in join-token"
    )]
    NoToken,
}

impl AgentConfig {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&shown, &text)
    }

    /// Parses a configuration; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_saphyr::from_str(text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        let wrong = |key, found: &str, wanted| {
            Err(ConfigError::Header { path: path.to_owned(), key, found: found.to_owned(), wanted })
        };
        if config.api_version != API_VERSION {
            return wrong("apiVersion", &config.api_version, API_VERSION);
        }
        if config.kind != KIND {
            return wrong("kind", &config.kind, KIND);
        }
        Ok(config)
    }

    /// The configuration of a node that joins with nothing but an address and a token.
    pub fn joining(server: &str, token: &str) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            server: server.to_owned(),
            token: Some(token.to_owned()),
            token_file: None,
            node_name: None,
            node_ip: None,
            outer_interface: None,
            state_dir: defaults::state_dir(),
            run_dir: defaults::run_dir(),
            pin_dir: defaults::pin_dir(),
            cgroup_root: defaults::cgroup_root(),
            socket_cgroup: defaults::socket_cgroup(),
            datapath: DatapathMode::default(),
            cri_socket: None,
            cluster_cidr: defaults::cluster_cidr(),
            service_cidr: defaults::service_cidr(),
            cluster_dns: defaults::cluster_dns(),
            cluster_domain: defaults::cluster_domain(),
            resolv_conf: defaults::resolv_conf(),
            vxlan_port: defaults::vxlan_port(),
            kubelet_port: defaults::kubelet_port(),
            max_pods: defaults::max_pods(),
            labels: BTreeMap::new(),
        }
    }

    /// Where the node's runtime serves CRI: the given one, or that of the private containerd.
    pub fn cri_socket(&self) -> PathBuf {
        let private = || Layout::new(&self.state_dir, &self.run_dir).socket;
        self.cri_socket.clone().unwrap_or_else(private)
    }

    /// The socket of the private containerd of an installed node.
    pub fn default_cri_socket() -> PathBuf {
        Layout::new(&defaults::state_dir(), &defaults::run_dir()).socket
    }

    /// The join token, from the file or the configuration itself.
    pub fn join_token(&self) -> Result<String, ConfigError> {
        if let Some(token) = &self.token {
            return Ok(token.trim().to_owned());
        }
        let path = self.token_file.as_ref().ok_or(ConfigError::NoToken)?;
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.display().to_string(), source })?;
        Ok(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: keelson.dev/v1alpha1\nkind: AgentConfig\nserver: https://10.0.0.1:6443\n";

    fn parse(more: &str) -> Result<AgentConfig, String> {
        AgentConfig::parse("agent.yaml", &format!("{HEAD}{more}")).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_an_installed_nodes() {
        let config = parse("").unwrap();
        assert_eq!(config.state_dir, Path::new("/var/lib/keelson"));
        assert_eq!(config.cluster_dns.to_string(), "10.96.0.10");
        assert_eq!((config.kubelet_port, config.vxlan_port), (10250, 8472));
        assert_eq!(config.datapath, DatapathMode::Auto);
    }

    #[test]
    fn a_typo_is_refused_by_name() {
        let error = parse("nodeNmae: a\n").unwrap_err();
        assert!(error.contains("agent.yaml") && error.contains("nodeNmae"), "{error}");
        let error = parse("datapath: ebfp\n").unwrap_err();
        assert!(error.contains("ebfp"), "{error}");
    }

    #[test]
    fn another_kind_is_refused() {
        let error = AgentConfig::parse("a.yaml", &HEAD.replace("AgentConfig", "ServerConfig")).unwrap_err();
        assert_eq!(error.to_string(), "a.yaml: kind is \"ServerConfig\", it must be \"AgentConfig\"");
    }

    #[test]
    fn a_token_can_stand_in_either_place() {
        assert_eq!(parse("token: ' abc '\n").unwrap().join_token().unwrap(), "abc");
        assert!(matches!(parse("").unwrap().join_token(), Err(ConfigError::NoToken)));
        let error = parse("tokenFile: /nonexistent\n").unwrap().join_token().unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
