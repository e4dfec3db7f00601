//! `loopback`: the plugin that containerd asks for each pod's `lo` before it asks us for its network.
//!
//! Our own ADD sets `lo` up with all else of the pod, so this one only says yes, in CNI's form. It answers without
//! the agent: containerd has its configuration in its own code, with no socket in it.

use keelson_proto::cni::{MESSAGE_MAX, VERSIONS};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::ExitCode;

/// The plugin's whole run: what argv[0] `loopback` leads to.
pub fn main() -> ExitCode {
    let mut input = Vec::new();
    // An unreadable configuration is answered in the oldest of our versions.
    let _ = std::io::stdin().lock().take(MESSAGE_MAX).read_to_end(&mut input);
    let command = std::env::var("CNI_COMMAND").unwrap_or_default();
    if let Some(value) = answer(&command, &input) {
        let _ = writeln!(std::io::stdout().lock(), "{value}");
    }
    ExitCode::SUCCESS
}

/// What to print, if anything.
fn answer(command: &str, input: &[u8]) -> Option<Value> {
    let config: Value = serde_json::from_slice(input).unwrap_or_default();
    let version = config["cniVersion"].as_str().unwrap_or(VERSIONS[0]);
    match command {
        "VERSION" => Some(json!({ "cniVersion": version, "supportedVersions": VERSIONS })),
        "ADD" => Some(json!({
            "cniVersion": version,
            "interfaces": [{ "name": "lo", "mac": "00:00:00:00:00:00" }],
            "ips": [{ "address": "127.0.0.1/8", "interface": 0 }],
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn says_yes() {
        let added =
            answer("ADD", br#"{"cniVersion":"0.3.1","name":"cni-loopback","type":"loopback"}"#).unwrap();
        assert_eq!(
            (added["cniVersion"].as_str(), added["interfaces"][0]["name"].as_str()),
            (Some("0.3.1"), Some("lo"))
        );
        assert_eq!(answer("DEL", b"{}"), None);
        assert!(answer("VERSION", b"").unwrap()["supportedVersions"].is_array());
    }
}
