//! Packets from a host of the cluster's underlay.

use super::cluster::TestCluster;
use std::path::Path;
use std::process::Command;
use xtask::cluster::in_netns;

/// Runs a program in the network of a host (`client`, `server`, `node1` ...); stdout, or what went wrong.
pub fn in_host(cluster: &TestCluster, host: &str, program: &str, args: &[&str]) -> Result<String, String> {
    let path = xtask::run::which(program).ok_or_else(|| format!("{program} is not installed"))?;
    let output = in_netns(&cluster.names.netns_path(host), Path::new(&path))
        .args(args)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The body of `http://AUTHORITY/PATH` as `host` gets it.
pub fn http_get(cluster: &TestCluster, host: &str, url: &str) -> Result<String, String> {
    let busybox = Path::new("/bin/busybox");
    let mut command: Command = in_netns(&cluster.names.netns_path(host), busybox);
    let output =
        command.args(["wget", "-q", "-T", "5", "-O", "-", url]).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
