//! Waiting for a cluster to serve, as its user sees it: by kubectl.

use super::Cluster;
use super::names::Names;
use crate::setup::find_kubectls;
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Until the server is ready to serve every request.
pub fn wait_for_api(cluster: &Cluster, limit: Duration) -> Result<()> {
    let kubeconfig = cluster.kubeconfig();
    poll(cluster, "server", limit, || {
        kubeconfig.exists() && kubectl(cluster, &["get", "--raw", "/readyz"]).is_ok_and(|text| text == "ok")
    })
    .context("the API server does not become ready")
}

/// Until every node is Ready.
pub fn wait_for_nodes(cluster: &Cluster, limit: Duration) -> Result<()> {
    let path = "-o=jsonpath={range .items[*]}{.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    let wanted = cluster.spec.nodes;
    poll(cluster, &Names::node(1), limit, || {
        kubectl(cluster, &["get", "nodes", path])
            .is_ok_and(|text| text.lines().filter(|l| *l == "True").count() == wanted)
    })
    .context("not every node becomes Ready")
}

/// Asks `done` again and again; a process that has ended is an error at once.
fn poll(cluster: &Cluster, process: &str, limit: Duration, done: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + limit;
    while !done() {
        let daemon = super::Daemon::load(&cluster.names.pid_file(process));
        if !daemon.is_some_and(|d| d.is_running()) {
            let log = std::fs::read_to_string(cluster.names.log(process)).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(5).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            bail!("{process} has ended; its last lines:\n{}", tail.join("\n"));
        }
        if Instant::now() > end {
            bail!("no success within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let kubectl = find_newest()?;
    let output = Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .arg("--request-timeout=5s")
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("kubectl failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn find_newest() -> Result<std::path::PathBuf> {
    static FOUND: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    FOUND
        .get_or_init(|| find_kubectls().pop().map(|k| k.path))
        .clone()
        .context("no kubectl 1.27 or later on the PATH")
}
