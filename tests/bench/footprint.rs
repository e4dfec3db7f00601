//! Memory: the proportional set size of every process of a cluster, keelson's own and the runtime's apart.

use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use xtask::cluster::Names;

/// How long the cluster is left alone first.
const REST: Duration = Duration::from_secs(60);

pub async fn run(state: &Path) -> Result<Value> {
    let names = Names::of(state);
    eprintln!("leaving the cluster alone for {} s", REST.as_secs());
    tokio::time::sleep(REST).await;
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    for pid in xtask::cluster::processes(&names) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let kind = if name.trim() == "keelson" {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("keelson {}", line.split('\0').nth(1).unwrap_or_default())
        } else {
            name.trim().to_owned()
        };
        *by_name.entry(kind).or_default() += pss_kb(pid);
    }
    let keelson: u64 = by_name.iter().filter(|(name, _)| name.starts_with("keelson")).map(|(_, kb)| kb).sum();
    Ok(
        json!({ "bench": "footprint", "keelson_pss_mb": keelson as f64 / 1024.0, "pss_kb_by_process": by_name }),
    )
}

fn pss_kb(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
