//! `cargo xtask bench`: an optimised build, a cluster of one node where one is measured, and the programs that measure.

use crate::cluster::{self, Cluster, Spec};
use crate::run::{as_root, run as run_command, step};
use crate::setup::{Need, setup};
use crate::{build, repo};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// What can be measured, in the order of a whole run: what must find a quiet cluster comes first.
pub const NAMES: [&str; 7] = ["start", "footprint", "connect", "pods", "api", "packets", "tables"];

/// What measures no cluster, or brings up its own.
const WITHOUT_CLUSTER: [&str; 3] = ["start", "packets", "tables"];

const STATE: &str = "/var/lib/keelson-bench";

/// Runs one bench, or all.
pub fn run(name: Option<&str>) -> Result<()> {
    setup(Need::Run)?;
    build::keelson(true)?;
    run_build()?;
    let state = Path::new(STATE);
    let needs_cluster = name.is_none_or(|name| !WITHOUT_CLUSTER.contains(&name));
    cluster::down(state)?;
    if needs_cluster {
        step("bringing up a cluster of one node");
        Cluster::up(Spec {
            state: state.to_owned(),
            nodes: 1,
            datapath: "auto".to_owned(),
            program: repo::program("keelson", true),
            images: Vec::new(),
            verbose: false,
        })?;
    }
    let result = NAMES
        .into_iter()
        .filter(|bench| name.is_none_or(|name| name == *bench))
        .try_for_each(|bench| measure(state, bench));
    cluster::down(state)?;
    result
}

fn run_build() -> Result<()> {
    step("building the benchmarks");
    run_command(Command::new("cargo").current_dir(repo::root()).args([
        "build",
        "--locked",
        "--release",
        "--package",
        "keelson-tests",
    ]))
}

fn measure(state: &Path, bench: &str) -> Result<()> {
    step(format!("measuring: {bench}"));
    let mut command = as_root(repo::program("keelson-bench", true));
    run_command(command.arg("--state").arg(state).arg(bench)).with_context(|| format!("bench {bench}"))
}
