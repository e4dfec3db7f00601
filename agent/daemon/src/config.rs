//! The agent's settings: a YAML file of `apiVersion: keelson.dev/v1alpha1`, `kind: AgentConfig`, or the two that it
//! takes to join.

use crate::containerd::Layout;
use keelson_api::config as document;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// The `kind` of an agent's configuration file.
pub const KIND: &str = "AgentConfig";

/// How services and pods are networked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatapathMode {
    /// eBPF where the kernel has what it takes, else iptables.
    #[default]
    Auto,
    Ebpf,
    Iptables,
}

keelson_api::settings! {
    /// Every setting of an agent. All but `server` have a default.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    pub struct AgentConfig {
        /// The API server: `https://HOST:PORT`. The one key that every file needs.
        pub server: String,
        /// The join token; only needed until the node has its certificate.
        pub token: Option<String>,
        /// A file that holds the join token.
        pub token_file: Option<PathBuf>,
        /// The node's name. Default: the host name.
        pub node_name: Option<String>,
        /// The node's address. Default: that of the outer interface.
        #[serde(rename = "nodeIP")]
        pub node_ip: Option<IpAddr>,
        /// The interface towards the other nodes. Default: that of the default route.
        pub outer_interface: Option<String>,
        /// What must survive a reboot.
        pub state_dir: PathBuf,
        /// Sockets and what a reboot may clear.
        pub run_dir: PathBuf,
        /// Where BPF programs, links and maps are pinned; on a BPF file system.
        pub pin_dir: PathBuf,
        /// The node's cgroup below each hierarchy's root.
        pub cgroup_root: String,
        /// Where services are translated at the socket, below the root of the cgroup v2 tree: `/` serves
        /// every process of the host, a node's own cgroup only what is in it.
        pub socket_cgroup: String,
        /// How services and pods are networked: `auto` is `ebpf` where the kernel has what it takes, else `iptables`.
        pub datapath: DatapathMode,
        /// A runtime that is already there. Default: a private containerd is started.
        pub cri_socket: Option<PathBuf>,
        /// The network of pods.
        #[serde(rename = "clusterCIDR")]
        pub cluster_cidr: String,
        /// The network of Services.
        #[serde(rename = "serviceCIDR")]
        pub service_cidr: String,
        /// The Service address of cluster DNS.
        #[serde(rename = "clusterDNS")]
        pub cluster_dns: IpAddr,
        /// The domain of Services.
        pub cluster_domain: String,
        /// The resolver configuration of the host: where names outside of the cluster are asked for.
        pub resolv_conf: PathBuf,
        /// The UDP port of the overlay between nodes.
        pub vxlan_port: u16,
        /// The port of the kubelet server.
        pub kubelet_port: u16,
        /// Pods that the node takes at most.
        pub max_pods: u32,
        /// Labels that the node registers with. Default: none.
        pub labels: BTreeMap<String, String>,
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            server: String::new(),
            token: None,
            token_file: None,
            node_name: None,
            node_ip: None,
            outer_interface: None,
            state_dir: "/var/lib/keelson".into(),
            run_dir: "/run/keelson".into(),
            pin_dir: "/sys/fs/bpf/keelson".into(),
            cgroup_root: "/keelson".to_owned(),
            socket_cgroup: "/".to_owned(),
            datapath: DatapathMode::default(),
            cri_socket: None,
            cluster_cidr: "10.244.0.0/16".to_owned(),
            service_cidr: "10.96.0.0/12".to_owned(),
            cluster_dns: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)),
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: "/etc/resolv.conf".into(),
            vxlan_port: 8472,
            kubelet_port: 10250,
            max_pods: 110,
            labels: BTreeMap::new(),
        }
    }
}

/// What is wrong with a configuration; each message names the file or the key and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error(transparent)]
    Document(#[from] document::ConfigError),
    #[error("{origin}: server is missing: where the API is, such as server: https://10.0.0.1:6443")]
    NoServer { origin: String },
    #[error(
        "there is no join token, and this node has not joined yet: give --token, KEELSON_TOKEN, or token or tokenFile in \
         the agent's configuration; `keelson token` prints it on the server"
    )]
    NoToken,
}

impl AgentConfig {
    /// A list of the keys of the file, for its writer.
    pub fn help() -> String {
        document::describe(KIND, Self::KEYS, &Self::default())
    }

    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&shown, &text)
    }

    /// Parses a configuration; `origin` names it in messages.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ConfigError> {
        let defaults = match serde_json::to_value(Self::default()) {
            Ok(serde_json::Value::Object(fields)) => fields,
            // A struct of plain fields is an object; were it not, every key would be refused.
            _ => serde_json::Map::new(),
        };
        let config: Self = document::parse(origin, KIND, text, defaults)?;
        if config.server.is_empty() {
            return Err(ConfigError::NoServer { origin: origin.to_owned() });
        }
        Ok(config)
    }

    /// The configuration of a node that joins with nothing but an address and a token, which it needs only once.
    pub fn joining(server: &str, token: Option<String>) -> Self {
        Self { server: server.to_owned(), token, ..Self::default() }
    }

    /// Where the node's runtime serves CRI: the given one, or that of the private containerd.
    pub fn cri_socket(&self) -> PathBuf {
        let private = || Layout::new(&self.state_dir, &self.run_dir).socket;
        self.cri_socket.clone().unwrap_or_else(private)
    }

    /// Where the private containerd of an installed node serves.
    pub fn default_cri_socket() -> PathBuf {
        Self::default().cri_socket()
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
        let server = "https://10.0.0.1:6443";
        assert_eq!(config, AgentConfig::joining(server, None));
        assert_eq!(config.server, server);
        assert_eq!(config.state_dir, Path::new("/var/lib/keelson"));
        assert_eq!(config.cluster_dns.to_string(), "10.96.0.10");
        assert_eq!((config.kubelet_port, config.vxlan_port), (10250, 8472));
        assert_eq!(config.datapath, DatapathMode::Auto);
    }

    #[track_caller]
    fn refuses(text: &str, wanted: &str) {
        assert_eq!(AgentConfig::parse("a.yaml", text).unwrap_err().to_string(), wanted);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refuses(
            &format!("{HEAD}nodeNmae: a\n"),
            "a.yaml: unknown key \"nodeNmae\"; did you mean \"nodeName\"?",
        );
        refuses(
            &format!("{HEAD}nodeIp: 10.0.0.7\n"),
            "a.yaml: unknown key \"nodeIp\"; did you mean \"nodeIP\"?",
        );
        refuses(
            &format!("{HEAD}datapath: ebfp\n"),
            "a.yaml: datapath: unknown variant `ebfp`, expected one of `auto`, `ebpf`, `iptables`",
        );
        refuses(
            &HEAD.replace(KIND, "ServerConfig"),
            "a.yaml: kind is \"ServerConfig\", wanted \"AgentConfig\"",
        );
        let no_server = "a.yaml: server is missing: where the API is, such as server: https://10.0.0.1:6443";
        refuses("", no_server);
        refuses(&HEAD.replace("server:", "#"), no_server);
    }

    #[test]
    fn a_token_can_stand_in_either_place() {
        assert_eq!(parse("token: ' abc '\n").unwrap().join_token().unwrap(), "abc");
        assert!(matches!(parse("").unwrap().join_token(), Err(ConfigError::NoToken)));
        let error = parse("tokenFile: /nonexistent\n").unwrap().join_token().unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
