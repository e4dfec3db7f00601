//! The calls that any kubelet makes for a pod, made by hand: same image, mounts, cgroup, limits and network plugin.
//!
//! These sandboxes have no labels, so the kubelet leaves them alone, and no name, so that the plugin is asked for
//! the network of no pod (`K8S_POD_NAME` is empty) and answers as soon as it stands.

use anyhow::{Context, Result, ensure};
use keelson_proto::cri::image_service_client::ImageServiceClient;
use keelson_proto::cri::runtime_service_client::RuntimeServiceClient;
use keelson_proto::cri::security_profile::ProfileType;
use keelson_proto::cri::*;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use xtask::cluster::Names;

pub const IMAGE: &str = keelson_pause::IMAGE;
pub const CONTAINER: &str = "c";
/// As many calls that make something as the agent has at a time (`KubeletConfig::parallel_starts`).
const AT_ONCE: usize = 16;
const PAUSE: Duration = Duration::from_millis(50);

/// A node's containerd.
#[derive(Clone)]
pub struct Runtime {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    /// Where the kubelet puts pods of this class; below it each container has its own.
    cgroup: String,
    dir: PathBuf,
    making: Arc<Semaphore>,
}

impl Runtime {
    /// The runtime of node 1.
    pub fn connect(names: &Names) -> Result<Self> {
        let socket = names.node_dir(1).join("run/containerd/containerd.sock");
        let channel = Endpoint::from_shared(format!("unix://{}", socket.display()))?.connect_lazy();
        Ok(Self {
            runtime: RuntimeServiceClient::new(channel.clone()),
            images: ImageServiceClient::new(channel),
            cgroup: format!("/{}/{}/kubepods/besteffort", names.cgroup(), Names::node(1)),
            dir: names.node_dir(1).join("bench-pods"),
            making: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Starts `count` at once; the time until the last one runs. Then removes them.
    pub async fn round(&self, prefix: &str, count: usize) -> Result<Duration> {
        let dirs: Vec<PathBuf> = (0..count).map(|n| self.dir.join(format!("{prefix}-{n}"))).collect();
        for dir in &dirs {
            prepare(dir)?;
        }
        let start = Instant::now();
        let mut starts = JoinSet::new();
        for dir in dirs {
            let this = self.clone();
            starts.spawn(async move { this.start(&dir).await });
        }
        let mut sandboxes = Vec::new();
        while let Some(started) = starts.join_next().await {
            sandboxes.push(started??);
        }
        let took = start.elapsed();
        for id in sandboxes {
            self.remove(id).await?;
        }
        fs::remove_dir_all(&self.dir)?;
        Ok(took)
    }

    /// One pod's calls, in the kubelet's order.
    async fn start(&self, dir: &Path) -> Result<String> {
        let (mut runtime, mut images) = (self.runtime.clone(), self.images.clone());
        let sandbox = self.sandbox(dir);
        let id = {
            let _permit = self.making.acquire().await?;
            let config = Some(sandbox.clone());
            let request = RunPodSandboxRequest { config, runtime_handler: String::new() };
            runtime.run_pod_sandbox(request).await?.into_inner().pod_sandbox_id
        };
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.clone(), verbose: false };
        let network = runtime.pod_sandbox_status(request).await?.into_inner().status.and_then(|s| s.network);
        ensure!(network.is_some_and(|n| !n.ip.is_empty()), "the bare sandbox {id} has no address");
        let spec = ImageSpec { image: IMAGE.to_owned(), ..ImageSpec::default() };
        let image = images.image_status(ImageStatusRequest { image: Some(spec), verbose: false }).await?;
        let image = image.into_inner().image.with_context(|| format!("the node has no image {IMAGE}"))?;
        let request = CreateContainerRequest {
            pod_sandbox_id: id.clone(),
            config: Some(container(dir, &image.id)),
            sandbox_config: Some(sandbox),
        };
        let container_id = {
            let _permit = self.making.acquire().await?;
            let created = runtime.create_container(request).await?.into_inner().container_id;
            runtime.start_container(StartContainerRequest { container_id: created.clone() }).await?;
            created
        };
        runtime.container_status(ContainerStatusRequest { container_id, verbose: true }).await?;
        Ok(id)
    }

    async fn remove(&self, id: String) -> Result<()> {
        let mut runtime = self.runtime.clone();
        runtime.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.clone() }).await?;
        runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id }).await?;
        Ok(())
    }

    /// Waits until the runtime holds no sandbox at all.
    pub async fn until_empty(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let request = ListPodSandboxRequest { filter: None };
            let left = self.runtime.clone().list_pod_sandbox(request).await?.into_inner().items;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(start.elapsed() < limit, "{} sandboxes are still there after {limit:?}", left.len());
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn sandbox(&self, dir: &Path) -> PodSandboxConfig {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let metadata =
            PodSandboxMetadata { uid: name.clone(), namespace: "bare".to_owned(), ..Default::default() };
        PodSandboxConfig {
            metadata: Some(metadata),
            hostname: name,
            log_directory: dir.join("logs").display().to_string(),
            dns_config: Some(DnsConfig {
                servers: vec!["10.96.0.10".to_owned()],
                searches: ["bare.svc.cluster.local", "svc.cluster.local", "cluster.local"]
                    .map(str::to_owned)
                    .to_vec(),
                options: vec!["ndots:5".to_owned()],
            }),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    seccomp: Some(profile(ProfileType::RuntimeDefault)),
                    ..Default::default()
                }),
                resources: Some(least()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

fn container(dir: &Path, image: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: CONTAINER.to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: image.to_owned(), ..ImageSpec::default() }),
        mounts: MOUNTS
            .map(|(inside, outside, readonly)| Mount {
                container_path: inside.to_owned(),
                host_path: dir.join(outside).display().to_string(),
                readonly,
                ..Mount::default()
            })
            .to_vec(),
        // A program without libc looks at none of them; there are as many as a pod without Services has.
        envs: (0..7).map(|n| KeyValue { key: format!("SERVICE_{n}"), value: "10.96.0.1".into() }).collect(),
        log_path: format!("{CONTAINER}/0.log"),
        labels: HashMap::new(),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources { oom_score_adj: 1000, ..least() }),
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(namespaces()),
                run_as_user: Some(Int64Value { value: 65535 }),
                seccomp: Some(profile(ProfileType::Unconfined)),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}

/// What the kubelet mounts into every container: inside, on the host, read-only.
const MOUNTS: [(&str, &str, bool); 3] = [
    ("/var/run/secrets/kubernetes.io/serviceaccount", "token", true),
    ("/etc/hosts", "hosts", false),
    ("/dev/termination-log", "message", false),
];

/// The files behind the mounts; that the kubelet makes them is its own time.
fn prepare(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir.join("logs").join(CONTAINER))?;
    fs::create_dir_all(dir.join("token"))?;
    fs::write(dir.join("hosts"), "127.0.0.1\tlocalhost\n")?;
    fs::write(dir.join("message"), "")?;
    Ok(())
}

fn namespaces() -> NamespaceOption {
    NamespaceOption { pid: NamespaceMode::Container.into(), ..NamespaceOption::default() }
}

fn profile(kind: ProfileType) -> SecurityProfile {
    SecurityProfile { profile_type: kind.into(), ..SecurityProfile::default() }
}

/// The resources of a pod that asks for none.
fn least() -> LinuxContainerResources {
    LinuxContainerResources { cpu_period: 100_000, cpu_shares: 2, ..LinuxContainerResources::default() }
}
