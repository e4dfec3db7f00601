//! The network configuration that the runtime reads.

use serde_json::json;
use std::path::Path;

/// The conflist for a runtime: version 1.0.0 for containerd 1.x, 1.1.0 for 2.x.
pub fn conflist(version: &str, plugin: &str, socket: &Path) -> String {
    let list = json!({
        "cniVersion": version,
        "name": "keelson",
        "plugins": [{"type": plugin, "socket": socket}],
    });
    format!("{list:#}\n")
}
