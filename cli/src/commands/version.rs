//! `keelson version`.

use crate::arguments::Version;
use anyhow::Result;
use serde_json::json;

/// The version of Kubernetes whose API is served.
const KUBERNETES: &str = keelson_api::version::KUBERNETES;

#[allow(clippy::print_stdout, reason = "the version is the command's output")]
pub fn print(arguments: &Version) -> Result<()> {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    match arguments.output.as_str() {
        "json" => {
            let object = json!({ "keelsonVersion": version, "kubernetesVersion": KUBERNETES });
            println!("{}", serde_json::to_string_pretty(&object)?);
        }
        "yaml" => println!("keelsonVersion: {version}\nkubernetesVersion: {KUBERNETES}"),
        _ => println!("keelson {version}\nkubernetes {KUBERNETES}"),
    }
    Ok(())
}
