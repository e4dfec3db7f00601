//! The order in which a node comes up: checks, containerd and membership side by side, then the data plane, DNS and
//! the kubelet. It ends in the other direction, and pods run on.

use crate::config::{AgentConfig, DatapathMode};
use crate::containerd::{Containerd, ContainerdError, Layout, UntilUp};
use crate::host::{self, HostError};
use crate::images::{ImageError, import_pause};
use crate::join::{Identities, JoinError, keep_fresh};
use crate::preflight::{Machine, PreflightError, ensure_bpffs};
use crate::sandboxes;
use keelson_datapath::{Datapath, DatapathConfig, DatapathError, Mode};
use keelson_dns::{Dns, DnsConfig, DnsError};
use keelson_kubelet::{Kubelet, KubeletConfig, KubeletHandle, StartError};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;

/// The names by which containerd runs CNI plugins: ours, and the one that it always asks for `lo`.
const CNI_PLUGINS: [&str; 2] = ["keelson-cni", "loopback"];
/// UDP threads of the DNS server.
const DNS_THREADS: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error("the data plane does not start: {0}")]
    Datapath(#[from] DatapathError),
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error("the kubelet does not start: {0}")]
    Kubelet(#[from] StartError),
    #[error("cannot install the CNI plugin at {path}: {source}")]
    Plugin { path: String, source: std::io::Error },
}

/// A running node.
pub struct Agent {
    kubelet: KubeletHandle,
    dns: Dns,
    datapath: Datapath,
    containerd: Option<Arc<Containerd>>,
    tasks: JoinSet<()>,
}

/// Where this node is.
struct Place {
    name: String,
    address: IpAddr,
    interface: String,
    layout: Layout,
}

impl Place {
    fn find(config: &AgentConfig) -> Result<Self, HostError> {
        let address = config.node_ip.map_or_else(host::default_address, Ok)?;
        Ok(Self {
            name: host::node_name(config.node_name.as_deref())?,
            interface: config.outer_interface.clone().map_or_else(|| host::interface_of(address), Ok)?,
            address,
            layout: Layout::new(&config.state_dir, &config.run_dir),
        })
    }
}

impl Agent {
    /// Brings the node up and returns when its kubelet runs. Pods that run already are adopted.
    pub async fn start(config: AgentConfig) -> Result<Self, AgentError> {
        let place = Place::find(&config)?;
        let must_pin = (config.datapath == DatapathMode::Ebpf).then_some(config.pin_dir.as_path());
        Machine::look(place.address, config.kubelet_port, must_pin).check()?;
        Identities::check(&config)?;
        let until_up = UntilUp::new(config.cri_socket.is_none().then(|| place.layout.clone()));
        let mut tasks = JoinSet::new();

        let runtime = start_runtime(&config, &place);
        let membership = Identities::establish(&config, &place.name, place.address);
        let (containerd, identities) = tokio::join!(runtime, membership);
        let (containerd, identities) = (containerd?, Arc::new(identities?));
        tracing::info!(node = place.name, address = %place.address, "joined the cluster");
        if let Some(containerd) = containerd.clone() {
            tasks.spawn(async move { containerd.keep_running().await });
        }

        for plugin in CNI_PLUGINS {
            install_plugin(&place.layout.cni_bin_dir, plugin)?;
        }
        let datapath = Datapath::start(datapath_config(&config, &place), identities.client()).await?;
        let own_runtime = config.cri_socket.is_none().then(|| place.layout.pid_file.clone());
        tasks.spawn(sandboxes::watch(config.cri_socket(), own_runtime, datapath.handle()));
        // A serving certificate is approved for the addresses of a Node that exists, which the kubelet makes.
        tasks.spawn(keep_fresh(identities.clone()));

        let dns = Dns::start(dns_config(&config), identities.client()).await?;
        let kubelet_config = kubelet_config(&config, &place);
        let kubelet = Kubelet::start(kubelet_config, identities.client(), identities.serving()).await?;
        until_up.is_up();
        Ok(Self { kubelet, dns, datapath, containerd, tasks })
    }

    /// Ends the node's processes in order; pods, their programs and their maps stay.
    pub async fn shutdown(mut self) {
        self.kubelet.shutdown().await;
        self.dns.shutdown().await;
        self.datapath.shutdown().await;
        self.tasks.shutdown().await;
        if let Some(containerd) = self.containerd {
            containerd.stop().await;
        }
    }
}

/// Starts a private containerd with the pause image, unless the configuration names a runtime.
async fn start_runtime(config: &AgentConfig, place: &Place) -> Result<Option<Arc<Containerd>>, AgentError> {
    if config.cri_socket.is_some() {
        return Ok(None);
    }
    let containerd = Containerd::start(place.layout.clone()).await?;
    import_pause(containerd.socket()).await?;
    Ok(Some(Arc::new(containerd)))
}

/// The plugin is this very binary under another name.
fn install_plugin(dir: &Path, name: &str) -> Result<(), AgentError> {
    let link: PathBuf = dir.join(name);
    let install = || {
        let program = std::env::current_exe()?;
        std::fs::create_dir_all(dir)?;
        if std::fs::read_link(&link).is_ok_and(|to| to == program) {
            return Ok(());
        }
        let beside = dir.join(format!(".{name}.new"));
        let _ = std::fs::remove_file(&beside);
        symlink(&program, &beside)?;
        std::fs::rename(&beside, &link)
    };
    install().map_err(|source| AgentError::Plugin { path: link.display().to_string(), source })
}

fn datapath_config(config: &AgentConfig, place: &Place) -> DatapathConfig {
    let mode = match config.datapath {
        DatapathMode::Auto if !ensure_bpffs(&config.pin_dir) => {
            tracing::warn!(dir = %config.pin_dir.display(), "not on a BPF file system: iptables is used");
            Mode::Iptables
        }
        DatapathMode::Auto => Mode::Auto,
        DatapathMode::Ebpf => Mode::Ebpf,
        DatapathMode::Iptables => Mode::Iptables,
    };
    DatapathConfig {
        node_name: place.name.clone(),
        node_ip: place.address,
        outer_interface: place.interface.clone(),
        state_dir: config.state_dir.join("datapath"),
        socket: config.run_dir.join("cni.sock"),
        pin_dir: config.pin_dir.clone(),
        cgroup_root: config.socket_cgroup.clone(),
        service_cidr: config.service_cidr.clone(),
        cluster_cidr: config.cluster_cidr.clone(),
        cluster_dns: config.cluster_dns,
        vxlan_port: config.vxlan_port,
        cni_conf_dir: place.layout.cni_conf_dir.clone(),
        mode,
    }
}

fn dns_config(config: &AgentConfig) -> DnsConfig {
    DnsConfig {
        address: config.cluster_dns,
        port: 53,
        domain: config.cluster_domain.clone(),
        resolv_conf: config.resolv_conf.clone(),
        threads: DNS_THREADS,
    }
}

fn kubelet_config(config: &AgentConfig, place: &Place) -> KubeletConfig {
    KubeletConfig {
        root_dir: config.state_dir.join("kubelet"),
        pod_log_dir: config.state_dir.join("log/pods"),
        cri_socket: config.cri_socket(),
        cgroup_root: config.cgroup_root.clone(),
        cluster_dns: vec![config.cluster_dns],
        cluster_domain: config.cluster_domain.clone(),
        resolv_conf: config.resolv_conf.clone(),
        listen: SocketAddr::new(place.address, config.kubelet_port),
        max_pods: config.max_pods,
        labels: config.labels.clone(),
        ..KubeletConfig::new(&place.name, place.address)
    }
}
