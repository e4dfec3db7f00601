//! `cargo xtask`: the developer's one entry point. See `cargo xtask --help`.
#![allow(clippy::print_stdout, reason = "its output is for the developer at the terminal")]

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::cluster::{self, Cluster, Spec};
use xtask::run::as_root;
use xtask::setup::{Need, find_kubectls, setup};
use xtask::{bench, build, images, suite, verify};

/// Builds, runs and tests Keelson.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install and build what this machine lacks; a second run does nothing
    Setup,
    /// Build the kernel programs
    Bpf,
    /// Build the keelson binary
    Build {
        /// Optimised, as it is shipped
        #[arg(long)]
        release: bool,
    },
    /// Make the image archives of the sample app and the tests
    Image,
    /// Bring up a cluster on this machine and wait until it serves
    Up(Up),
    /// End the cluster and remove all that belonged to it
    Down {
        /// The cluster's state folder
        #[arg(long, default_value = cluster::DEFAULT_STATE)]
        state: PathBuf,
    },
    /// Run the tests: units, packet tables, and a cluster driven by kubectl
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
        /// Only this crate's tests (may be given several times)
        #[arg(short, long)]
        package: Vec<String>,
    },
    #[command(about = format!("Measure an optimised build: {}; JSON on stdout", bench::NAMES.join(", ")))]
    Bench {
        /// Only this one; all when absent
        #[arg(value_parser = bench::NAMES)]
        name: Option<String>,
    },
    /// Check formatting, house rules, licences and clippy; writes nothing
    Verify,
    /// Format, and apply what clippy can mend by itself
    Fix,
}

#[derive(clap::Args)]
struct Up {
    /// How many nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    nodes: u8,
    /// How services and pods are networked
    #[arg(long, default_value = "auto", value_parser = ["auto", "ebpf", "iptables"])]
    datapath: String,
    /// Use an optimised build
    #[arg(long)]
    release: bool,
    /// The cluster's state folder; each has its own cluster
    #[arg(long, default_value = cluster::DEFAULT_STATE)]
    state: PathBuf,
    /// Already set up and built (used when raising to root)
    #[arg(long, hide = true)]
    built: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup(Need::Run),
        Task::Bpf => build::bpf(),
        Task::Build { release } => {
            setup(Need::Build)?;
            let program = build::keelson(release)?;
            println!("{}", program.display());
            Ok(())
        }
        Task::Image => {
            for archive in images::build_all()? {
                println!("{}", archive.display());
            }
            Ok(())
        }
        Task::Up(up) => bring_up(&up),
        Task::Down { state } => {
            raise_to_root()?;
            cluster::down(&state)?;
            println!("nothing is left of the cluster at {}", state.display());
            Ok(())
        }
        Task::Test { filter, package } => suite::test(filter.as_deref(), &package),
        Task::Bench { name } => bench::run(name.as_deref()),
        Task::Verify => verify::verify(),
        Task::Fix => verify::fix(),
    }
}

fn bring_up(up: &Up) -> Result<()> {
    if !up.built {
        setup(Need::Run)?;
        build::keelson(up.release)?;
        images::build_all()?;
    }
    if !nix::unistd::geteuid().is_root() {
        return raise(&["--built"]);
    }
    let mut archives: Vec<_> = std::fs::read_dir(images::dir())?.flatten().map(|e| e.path()).collect();
    archives.sort();
    let cluster = Cluster::up(Spec {
        state: up.state.clone(),
        nodes: up.nodes.into(),
        datapath: up.datapath.clone(),
        program: xtask::repo::program("keelson", up.release),
        images: archives,
        verbose: true,
    })?;
    let kubectl = find_kubectls().pop().map_or_else(|| "kubectl".into(), |k| k.path.display().to_string());
    println!(
        "\nThe cluster serves.\n  kubeconfig:   {kubeconfig}\n  node address: {node}\n\nTry:\n  \
         export KUBECONFIG={kubeconfig}\n  {kubectl} get nodes -o wide\n  {kubectl} apply -f examples/\n  \
         {kubectl} -n sample rollout status deployment/frontend\n  curl http://{node}:30080/\n\n\
         `cargo xtask down` ends it.",
        kubeconfig = kubeconfig_for_caller(&cluster)?.display(),
        node = cluster.names.node_ip(1),
    );
    Ok(())
}

/// A copy of the kubeconfig for the one who called, through sudo or not; nobody else can read it.
fn kubeconfig_for_caller(cluster: &Cluster) -> Result<PathBuf> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (uid, gid) = (number("SUDO_UID").unwrap_or(0), number("SUDO_GID").unwrap_or(0));
    let copy = cluster.spec.state.join("kubeconfig");
    // A copy keeps the mode, 0600.
    std::fs::copy(cluster.kubeconfig(), &copy)?;
    std::os::unix::fs::chown(&copy, Some(uid), Some(gid))?;
    Ok(copy)
}

/// Goes on as root, through sudo, when we are not.
fn raise_to_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { raise(&[]) }
}

/// Replaces this process by itself as root, with the same arguments and some more.
fn raise(more: &[&str]) -> Result<()> {
    let program = std::env::current_exe()?;
    let error = as_root(&program).args(std::env::args_os().skip(1)).args(more).exec();
    bail!("cannot become root through sudo: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_names_every_bench() {
        let help = Arguments::command().render_help().to_string();
        let listed = format!(": {}; JSON", bench::NAMES.join(", "));
        assert!(help.contains(&listed), "{help}");
    }
}
