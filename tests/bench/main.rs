//! The benchmarks behind `cargo xtask bench`: each prints one JSON object to stdout and says on stderr what it does.
//!
//! They report CPU time of the servers per operation first, because wall time on a shared machine is noise.
#![allow(clippy::print_stdout, reason = "the figures are the program's output")]

mod api;
mod connect;
mod cpu;
mod footprint;
mod packets;
mod pods;
mod start;
mod stats;
mod tables;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures a cluster of an optimised build.
#[derive(Parser)]
struct Arguments {
    /// The cluster's state folder
    #[arg(long, default_value = "/var/lib/keelson-bench")]
    state: PathBuf,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Clone, Copy, Subcommand)]
enum Bench {
    /// Create, get, patch, list, delete and watch ConfigMaps of 1 KB with 64 clients over TLS
    Api,
    /// Memory of all keelson processes, a minute after start
    Footprint,
    /// From an empty folder to a ready API and a Ready node
    Start,
    /// connect() through a ClusterIP, beside a direct one
    Connect,
    /// From a pod's creation to Ready, alone and 30 at once, beside the same runtime calls made bare
    Pods,
    /// The kernel programs per packet, beside a program that does nothing
    Packets,
    /// One change among 5,000 Services, compiled and planned, and all of them
    Tables,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    if matches!(arguments.bench, Bench::Api) {
        // Before there are threads, which would stay where they are.
        api::enter(&arguments.state)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let state = arguments.state.as_path();
    let figures = match arguments.bench {
        Bench::Api => runtime.block_on(api::run(state))?,
        Bench::Footprint => runtime.block_on(footprint::run(state))?,
        Bench::Connect => runtime.block_on(connect::run(state))?,
        Bench::Pods => runtime.block_on(pods::run(state))?,
        Bench::Start => runtime.block_on(start::run(state))?,
        Bench::Packets => packets::run()?,
        Bench::Tables => tables::run()?,
    };
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}
