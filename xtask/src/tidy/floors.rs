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
    findings.extend(dependencies(&root.join(EBPF_MANIFEST))?.iter().filter_map(|name| judge_kernel(name)));
    findings.extend(members(root)?);
    findings.extend(code_map(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default()));
    Ok(findings)
}

fn judge_kernel(dependency: &str) -> Option<String> {
    let wrong = || format!("{EBPF_MANIFEST}: the kernel programs must not depend on {dependency}");
    (!EBPF_ALLOWED.contains(&dependency)).then(wrong)
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

fn dependencies(manifest: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).with_context(|| format!("{}", manifest.display()))?;
    Ok(names(&text))
}

/// The names in `[dependencies]` and in `[target.*.dependencies]`, also as tables of their own; those of tests and
/// build scripts are free. A crate that is renamed counts by what it is.
fn names(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let (above, last) = section.rsplit_once("dependencies").unwrap_or((section, "none"));
            let ours = above.is_empty() || (above.starts_with("target.") && above.ends_with('.'));
            inside = ours && last.is_empty();
            if ours && let Some(name) = last.strip_prefix('.') {
                names.push(name.trim_matches('"').to_owned());
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(line[..end].trim_matches('"').to_owned());
        }
        // In a table of its own, and inline.
        if let Some(at) = line.find("package = \"").filter(|_| !line.starts_with('#')) {
            names.extend(line[at..].split('"').nth(1).map(str::to_owned));
        }
    }
    names
}

/// Every member of the workspace is a room or a developer's crate, so that a new one gets a floor.
fn members(root: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(root.join("Cargo.toml"))?;
    Ok(homeless(&text))
}

fn homeless(manifest: &str) -> Vec<String> {
    let list =
        manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let known = |folder: &str| {
        ROOMS.iter().any(|r| r.folder == folder) || ["xtask", "tests", "examples/webserver"].contains(&folder)
    };
    list.lines()
        .filter_map(|l| l.trim().strip_prefix('"')?.split('"').next())
        .filter(|folder| !known(folder))
        .map(|folder| format!("Cargo.toml: {folder} has no floor in xtask/src/tidy/floors.rs"))
        .collect()
}

/// ARCHITECTURE.md names every room.
fn code_map(text: &str) -> Vec<String> {
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

    /// What never stands in a manifest is found in whichever way it stands there.
    #[test]
    fn every_form_of_a_dependency() {
        let found = names(
            "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# b = \"1\"\nc = { version = \"1\" }\n\
             d = { package = \"e\", version = \"1\" }\n[target.'cfg(unix)'.dependencies]\nf = \"1\"\n\
             [target.x86_64-unknown-linux-gnu.dependencies.g]\nversion = \"1\"\n[dependencies.h]\npackage = \"i\"\n\
             [dev-dependencies]\nj = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nk = \"1\"\n[build-dependencies]\n\
             l = \"1\"\n[workspace.dependencies]\nm = \"1\"\n[lints]\nworkspace = true\n",
        );
        assert_eq!(found, ["a", "c", "d", "e", "f", "g", "h", "i"]);
    }

    #[test]
    fn the_kernel_programs_have_little() {
        assert!(judge_kernel("keelson-api").is_some());
        assert!(judge_kernel("keelson-ebpf-abi").is_none());
    }

    #[test]
    fn a_new_member_needs_a_floor_and_a_place_on_the_map() {
        let manifest = "[workspace]\nmembers = [\n    \"api\",\n    \"attic\",\n    \"xtask\",\n]\n";
        let found = homeless(manifest);
        assert!(found.len() == 1 && found[0].contains("attic"), "{found:?}");
        let all: String = ROOMS.iter().map(|room| format!("`{}` ", room.name)).collect();
        assert_eq!(code_map(&all), [""; 0]);
        let found = code_map(&all.replace("`keelson-dns` ", ""));
        assert!(found.len() == 1 && found[0].contains("`keelson-dns`"), "{found:?}");
    }
}
