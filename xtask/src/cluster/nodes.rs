//! The processes of a cluster: one server, one agent per node.

use super::Cluster;
use super::cgroups::v2_root;
use super::names::Names;
use super::process::{Daemon, in_netns};
use crate::run::output;
use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::time::Duration;

/// The user that the server runs as: it needs no capability.
const SERVER_USER: &str = "nobody";

/// The server writes its certificates, kubeconfig and join token below its folder; agents read the token there.
pub fn start_server(cluster: &Cluster) -> Result<()> {
    let names = &cluster.names;
    let dir = names.server_dir();
    fs::create_dir_all(&dir)?;
    let config = dir.join("server.yaml");
    let text = format!(
        "apiVersion: keelson.dev/v1alpha1\nkind: ServerConfig\nstateDir: {dir}\n\
         advertiseAddress: {ip}\nbindAddress: 0.0.0.0\nadminKubeconfig: {kubeconfig}\n",
        dir = dir.display(),
        ip = names.server_ip(),
        kubeconfig = cluster.kubeconfig().display(),
    );
    fs::write(&config, text)?;
    let mut command = in_netns(&names.netns_path("server"), &cluster.spec.program);
    command.args(["server", "--user", SERVER_USER, "--config"]).arg(&config);
    let cgroup = v2_root()?.join(names.cgroup()).join("server");
    Daemon::start(command, &cgroup, &names.log("server"), &names.pid_file("server"))?;
    Ok(())
}

/// Node `index` counts from 1.
pub fn start_agent(cluster: &Cluster, index: usize) -> Result<()> {
    let names = &cluster.names;
    let node = Names::node(index);
    let dir = names.node_dir(index);
    let bpffs = dir.join("bpf");
    fs::create_dir_all(&bpffs)?;
    mount_bpffs(&bpffs)?;
    let config = dir.join("agent.yaml");
    let text = format!(
        "apiVersion: keelson.dev/v1alpha1\nkind: AgentConfig\nserver: {server}\ntokenFile: {token}\n\
         nodeName: {node}\nnodeIP: {ip}\nstateDir: {state}\nrunDir: {run}\npinDir: {bpffs}\n\
         cgroupRoot: /{cgroup}/{node}\nsocketCgroup: /{cgroup}/{node}\nouterInterface: eth0\ndatapath: {datapath}\n",
        server = cluster.server_url(),
        token = names.server_dir().join("join-token").display(),
        ip = names.node_ip(index),
        state = dir.display(),
        run = dir.join("run").display(),
        bpffs = bpffs.display(),
        cgroup = names.cgroup(),
        datapath = cluster.spec.datapath,
    );
    fs::write(&config, text)?;
    let mut command = in_netns(&names.netns_path(&node), &cluster.spec.program);
    command.arg("agent").arg("--config").arg(&config);
    let cgroup = v2_root()?.join(names.cgroup()).join(&node).join("agent");
    Daemon::start(command, &cgroup, &names.log(&node), &names.pid_file(&node))?;
    Ok(())
}

/// Each node has a BPF file system of its own, so that no pin can outlive the cluster.
fn mount_bpffs(dir: &std::path::Path) -> Result<()> {
    let mounted = fs::read_to_string("/proc/self/mounts")?
        .lines()
        .any(|line| line.split(' ').nth(1).is_some_and(|path| std::path::Path::new(path) == dir));
    if mounted {
        return Ok(());
    }
    mount(Some("bpf"), dir, Some("bpf"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount a BPF file system at {}", dir.display()))
}

/// Hands every image to every node.
pub fn import_images(cluster: &Cluster) -> Result<()> {
    for index in 1..=cluster.spec.nodes {
        let config = cluster.names.node_dir(index).join("agent.yaml");
        for image in &cluster.spec.images {
            let mut command = in_netns(&cluster.names.netns_path(&Names::node(index)), &cluster.spec.program);
            output(command.args(["image", "import"]).arg(image).arg("--config").arg(&config))?;
        }
    }
    Ok(())
}

/// Every process that was started and noted at the cluster's state folder.
fn noted(names: &Names) -> Vec<Daemon> {
    let files = fs::read_dir(names.state()).into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|e| e == "pid"))
        .filter_map(|file| Daemon::load(&file))
        .collect()
}

pub fn is_running(names: &Names) -> bool {
    noted(names).iter().any(Daemon::is_running)
}

/// Ends agents and server in order; pods and containerd are left to the cgroup's end.
pub fn stop_all(names: &Names) -> Result<()> {
    for daemon in noted(names) {
        daemon.stop(Duration::from_secs(5))?;
    }
    Ok(())
}
