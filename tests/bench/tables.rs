//! Services to tables and on to the writes of the maps: one change among many, and everything at a node's start.

use crate::stats::percentiles;
use anyhow::{Context, Result};
use keelson_client::views::{EndpointSlice, Service};
use keelson_datapath::plan::Placement;
use keelson_datapath::tables::{Compiler, Facts, ServiceView, Views};
use keelson_ebpf_abi::Address;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SERVICES: u16 = 5_000;
const ENDPOINTS: u8 = 5;
const COLD_RUNS: usize = 11;
const CHANGES: u64 = 2_000;
/// As large as on a node.
const BACKENDS_MAX: u32 = 262_144;

pub fn run() -> Result<Value> {
    let facts = facts()?;
    let services = (0..SERVICES).map(|number| service(number, 0)).collect::<Result<Vec<_>>>()?;
    let mut views = Views::default();
    for (service, slice) in services {
        views.services.push(service);
        views.slices.push(slice);
    }
    let mut cold = Vec::new();
    let mut kept = start(&facts, &views, &mut cold)?;
    for _ in 1..COLD_RUNS {
        kept = start(&facts, &views, &mut cold)?;
    }
    let (mut compiler, mut placement) = kept;
    let mut changes = Vec::new();
    for change in 1..=CHANGES {
        let number = u16::try_from(change.wrapping_mul(7_919) % u64::from(SERVICES))?;
        let (service, slice) = service(number, 1 + u8::try_from(change % 100)?)?;
        let view = ServiceView { key: service.metadata.key(), service: Some(service), slices: vec![slice] };
        let begun = Instant::now();
        compiler.set_service(view);
        let touched = compiler.take_touched().services;
        // A second apart, so that what a change gives up is free again.
        let planned = placement.plan_keys(&compiler.tables().services, touched.iter(), change * 1_000)?;
        changes.push(begun.elapsed());
        anyhow::ensure!(planned.writes.len() == 2, "a change is two writes, not {:?}", planned.writes);
    }
    Ok(json!({
        "bench": "tables",
        "services": SERVICES,
        "endpoints_of_each": ENDPOINTS,
        "all": percentiles(cold),
        "one_change": percentiles(changes),
    }))
}

/// What a node does with all Services when it starts.
fn start(facts: &Facts, views: &Views, times: &mut Vec<Duration>) -> Result<(Compiler, Placement)> {
    let begun = Instant::now();
    let (mut compiler, mut placement) = (Compiler::new(facts.clone()), Placement::new(BACKENDS_MAX));
    compiler.set_views(views);
    placement.plan(&compiler.tables().services, 0)?;
    times.push(begun.elapsed());
    compiler.take_touched();
    anyhow::ensure!(placement.len() == usize::from(SERVICES), "{} Services are placed", placement.len());
    Ok((compiler, placement))
}

pub fn address(text: &str) -> Result<Address> {
    let ip: std::net::IpAddr = text.parse().with_context(|| format!("{text} is no address"))?;
    Ok(Address::from(ip))
}

/// The node `one` of a cluster with the usual ranges; its interfaces have numbers that nothing looks up.
pub fn facts() -> Result<Facts> {
    Ok(Facts {
        node_name: "one".to_owned(),
        node: address("192.168.7.1")?,
        outer_ifindex: 1_000,
        vxlan_ifindex: 1_001,
        vni: 1,
        cluster: "10.244.0.0/16".parse()?,
        services: "10.96.0.0/12".parse()?,
        dns: Some(address("10.96.0.10")?),
        node_ports: 30_000..=32_767,
        nat_ports: 61_000..=65_535,
        flags: 0,
    })
}

/// One Service with its endpoints; another `shift` gives it others.
fn service(number: u16, shift: u8) -> Result<(Arc<Service>, Arc<EndpointSlice>)> {
    let [high, low] = number.to_be_bytes();
    let name = format!("web{number}");
    let port = json!({ "name": "", "protocol": "TCP", "port": 80 });
    let service = json!({
        "metadata": { "namespace": "default", "name": name },
        "spec": { "clusterIP": format!("10.97.{high}.{low}"), "ports": [port] },
    });
    let endpoint = |last: u8| json!({ "addresses": [format!("10.{}.{high}.{low}", last + shift)] });
    let slice = json!({
        "metadata": { "namespace": "default", "name": format!("{name}-x"),
                      "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": (1..=ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
    });
    Ok((Arc::new(serde_json::from_value(service)?), Arc::new(serde_json::from_value(slice)?)))
}
