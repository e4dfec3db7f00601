//! Images made here: busybox with links for its applets, as docker archives.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The image that test pods run, and the sandbox's.
pub const BUSYBOX: &str = "keelson.test/busybox:1";
pub const PAUSE: &str = "keelson.test/pause:1";
/// Those that nobody runs.
pub const UNUSED: [&str; 2] = ["keelson.test/unused:1", "keelson.test/unused:2"];

const APPLETS: [&str; 24] = [
    "sh", "sleep", "cat", "echo", "ls", "httpd", "nc", "wget", "true", "false", "touch", "test", "kill",
    "mount", "id", "env", "hostname", "rm", "mkdir", "stat", "seq", "date", "ps", "grep",
];

fn busybox() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .map(PathBuf::from)
        .find(|p| p.exists())
        .expect("busybox-static is installed")
}

fn entry(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    tar.append_data(&mut header, path, content).unwrap();
}

fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (dir, mode) in [("bin/", 0o755), ("tmp/", 0o1777), ("etc/", 0o755)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(mode);
        header.set_cksum();
        tar.append_data(&mut header, dir, &[][..]).unwrap();
    }
    entry(&mut tar, "bin/busybox", 0o755, &std::fs::read(busybox()).unwrap());
    for applet in APPLETS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    tar.into_inner().unwrap()
}

/// Writes one archive with all images.
pub fn write(path: &Path) {
    let layer = layer();
    let digest = format!("sha256:{:x}", Sha256::digest(&layer));
    let config = |command: serde_json::Value| {
        json!({"architecture": "amd64", "os": "linux",
               "config": {"Env": ["PATH=/bin"], "Cmd": command},
               "rootfs": {"type": "layers", "diff_ids": [digest]}})
        .to_string()
    };
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, "layer.tar", 0o644, &layer);
    entry(&mut tar, "busybox.json", 0o644, config(json!(["sh"])).as_bytes());
    entry(&mut tar, "pause.json", 0o644, config(json!(["sleep", "1000000"])).as_bytes());
    entry(&mut tar, "unused1.json", 0o644, config(json!(["true"])).as_bytes());
    entry(&mut tar, "unused2.json", 0o644, config(json!(["false"])).as_bytes());
    let manifest = json!([
        {"Config": "busybox.json", "RepoTags": [BUSYBOX], "Layers": ["layer.tar"]},
        {"Config": "pause.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]},
        {"Config": "unused1.json", "RepoTags": [UNUSED[0]], "Layers": ["layer.tar"]},
        {"Config": "unused2.json", "RepoTags": [UNUSED[1]], "Layers": ["layer.tar"]},
    ]);
    entry(&mut tar, "manifest.json", 0o644, manifest.to_string().as_bytes());
    std::fs::write(path, tar.into_inner().unwrap()).unwrap();
}
