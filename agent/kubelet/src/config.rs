//! What the agent tells the kubelet.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one node's kubelet. Paths are absolute.
#[derive(Clone, Debug)]
pub struct KubeletConfig {
    pub node_name: String,
    /// The node's addresses, the primary one first.
    pub node_ips: Vec<IpAddr>,
    /// Volumes and per-pod files: `/var/lib/keelson/kubelet`.
    pub root_dir: PathBuf,
    /// One folder per pod: `/var/log/pods`.
    pub pod_log_dir: PathBuf,
    /// The runtime's socket.
    pub cri_socket: PathBuf,
    /// Below each hierarchy's mount: `/`, or `/keelson/<cluster>/<node>`.
    pub cgroup_root: String,
    pub cluster_dns: Vec<IpAddr>,
    /// `cluster.local`.
    pub cluster_domain: String,
    /// The node's own resolver configuration.
    pub resolv_conf: PathBuf,
    /// Where the kubelet server listens; port 0 takes any.
    pub listen: SocketAddr,
    pub max_pods: u32,
    /// Labels that the node gets beside Kubernetes' own.
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    pub provider_id: Option<String>,
    /// Calls that make sandboxes and containers and run at the same time.
    pub parallel_starts: usize,
    /// Logs are rotated at this size and this many are kept.
    pub log_bytes_max: u64,
    pub log_files_max: usize,
    /// The image that sandboxes are made from: it is never removed.
    pub sandbox_image: String,
    /// Above the first share of the images' disk in use, unused images are removed down to the second, in percent.
    pub image_disk_percent: (u8, u8),
    /// An image that came later than this is not removed.
    pub image_age_min: Duration,
    /// How long a change that the runtime makes by itself may stay unseen where it does not report it.
    pub look_period: Duration,
}

/// A taint that the node registers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

impl KubeletConfig {
    /// Kubernetes' and Keelson's defaults for a node.
    pub fn new(node_name: &str, node_ip: IpAddr) -> Self {
        Self {
            node_name: node_name.to_owned(),
            node_ips: vec![node_ip],
            root_dir: "/var/lib/keelson/kubelet".into(),
            pod_log_dir: "/var/log/pods".into(),
            cri_socket: "/run/keelson/containerd.sock".into(),
            cgroup_root: "/".to_owned(),
            cluster_dns: vec![IpAddr::from([10, 96, 0, 10])],
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: "/etc/resolv.conf".into(),
            listen: SocketAddr::from(([0, 0, 0, 0], 10250)),
            max_pods: 110,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            provider_id: None,
            parallel_starts: 16,
            log_bytes_max: 10 << 20,
            log_files_max: 5,
            sandbox_image: "keelson.dev/pause:1".to_owned(),
            image_disk_percent: (85, 80),
            image_age_min: Duration::from_secs(120),
            look_period: Duration::from_secs(1),
        }
    }

    /// The node's addresses as text.
    pub fn host_ips(&self) -> Vec<String> {
        self.node_ips.iter().map(IpAddr::to_string).collect()
    }
}
