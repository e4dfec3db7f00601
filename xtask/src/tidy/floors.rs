//! The floors of the house: a dependency only ever points to a lower floor (ARCHITECTURE.md, "Code map").

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A crate: its folder, its floor, and the dependencies that it must never have.
struct Room {
    name: &'static str,
    folder: &'static str,
    floor: u8,
    never: &'static [&'static str],
}

const fn room(name: &'static str, folder: &'static str, floor: u8, never: &'static [&'static str]) -> Room {
    Room { name, folder, floor, never }
}

/// What does IO, waits or keeps time; pure crates have none of it.
const IO: &[&str] = &["tokio", "hyper", "axum", "nix", "libc", "futures", "rocksdb", "tonic"];

const ROOMS: &[Room] = &[
    room("keelson-api", "api", 1, IO),
    room("keelson-proto", "proto", 1, &["rocksdb", "nix"]),
    room("keelson-ebpf-abi", "ebpf/abi", 1, &["*"]),
    room("keelson-client", "api/client", 2, &["rocksdb", "openraft", "axum"]),
    room("keelson-store", "control/store", 2, &["axum", "hyper", "keelson-api"]),
    room("keelson-datapath", "agent/datapath", 3, &["rocksdb", "openraft", "axum"]),
    room("keelson-dns", "dns", 3, &["rocksdb", "openraft", "aya"]),
    room("keelson-kubelet", "agent/kubelet", 3, &["rocksdb", "openraft", "aya", "rtnetlink"]),
    room("keelson-controllers", "control/controllers", 3, &["keelson-store", "rocksdb", "openraft"]),
    room("keelson-scheduler", "control/scheduler", 3, &["keelson-store", "rocksdb", "openraft"]),
    room("keelson-apiserver", "control/apiserver", 3, &["rocksdb", "openraft"]),
    room("keelson-pause", "agent/pause", 4, &["tokio", "nix", "libc"]),
    room("keelson-server", "control/server", 4, &["rocksdb", "openraft"]),
    room("keelson-agent", "agent/daemon", 4, &["rocksdb", "openraft", "aya"]),
    room("keelson-cni", "agent/cni", 4, &["tokio", "aya", "rtnetlink"]),
    room("keelson", "cli", 5, &["rocksdb", "openraft", "aya"]),
];

/// Dependencies on a crate of the same floor that are part of the design.
const SAME_FLOOR: &[(&str, &str)] = &[("keelson-agent", "keelson-pause")];

/// The kernel programs: outside the workspace, they may use the shared structs and nothing else of ours.
const EBPF_MANIFEST: &str = "ebpf/programs/Cargo.toml";
const EBPF_ALLOWED: &[&str] = &["aya-ebpf", "aya-log-ebpf", "keelson-ebpf-abi"];

pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for room in ROOMS {
        for dependency in dependencies(&root.join(room.folder).join("Cargo.toml"))? {
            findings.extend(judge(room, &dependency));
        }
    }
    let manifest = root.join(EBPF_MANIFEST);
    for dependency in dependencies(&manifest)? {
        if !EBPF_ALLOWED.contains(&dependency.as_str()) {
            findings.push(format!("{EBPF_MANIFEST}: the kernel programs must not depend on {dependency}"));
        }
    }
    findings.extend(members(root)?);
    findings.extend(code_map(root));
    Ok(findings)
}

fn judge(room: &Room, dependency: &str) -> Option<String> {
    let at = format!("{}/Cargo.toml", room.folder);
    if room.never.contains(&dependency) || room.never.contains(&"*") {
        return Some(format!("{at}: {} must never depend on {dependency}", room.name));
    }
    let other = ROOMS.iter().find(|r| r.name == dependency)?;
    let allowed = other.floor < room.floor || SAME_FLOOR.contains(&(room.name, dependency));
    (!allowed).then(|| format!("{at}: floor {} depends on {dependency} of floor {}", room.floor, other.floor))
}

/// The names in `[dependencies]` (those of tests and build scripts are free).
fn dependencies(manifest: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).with_context(|| format!("{}", manifest.display()))?;
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(line[..end].to_owned());
        }
    }
    Ok(names)
}

/// Every member of the workspace is a room or a developer's crate, so that a new one gets a floor.
fn members(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join("Cargo.toml"))?;
    let list = text.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let known = |folder: &str| {
        ROOMS.iter().any(|r| r.folder == folder) || ["xtask", "tests", "examples/webserver"].contains(&folder)
    };
    Ok(list
        .lines()
        .filter_map(|l| l.trim().strip_prefix('"')?.split('"').next())
        .filter(|folder| !known(folder))
        .map(|folder| format!("Cargo.toml: {folder} has no floor in xtask/src/tidy/floors.rs"))
        .collect())
}

/// ARCHITECTURE.md names every room.
fn code_map(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    ROOMS
        .iter()
        .filter(|room| !text.contains(&format!("`{}`", room.name)))
        .map(|room| format!("ARCHITECTURE.md: the code map lacks `{}`", room.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions() {
        let api = &ROOMS[0];
        assert!(judge(api, "tokio").is_some(), "a pure crate waits for nothing");
        assert!(judge(api, "keelson-client").is_some(), "upwards");
        assert!(judge(api, "serde").is_none());
        let kubelet = ROOMS.iter().find(|r| r.name == "keelson-kubelet").unwrap();
        assert!(judge(kubelet, "keelson-datapath").is_some(), "sideways");
        assert!(judge(kubelet, "keelson-client").is_none());
        let abi = ROOMS.iter().find(|r| r.name == "keelson-ebpf-abi").unwrap();
        assert!(judge(abi, "serde").is_some(), "the abi depends on nothing");
    }
}
