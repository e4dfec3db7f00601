//! RuntimeClass: the kind is not served, so that no class exists. A pod that names one asks for an isolation that
//! nobody would give it, and is refused.

use super::Admission;
use keelson_api::status::Status;
use serde_json::Value;

pub fn admit(admission: &Admission<'_>, pod: &Value) -> Result<(), Status> {
    let spec = &pod["spec"];
    let class = spec["runtimeClassName"].as_str().unwrap_or_default();
    if !class.is_empty() {
        return Err(admission.forbid(&format!("pod rejected: RuntimeClass {class:?} not found")));
    }
    if spec["overhead"].as_object().is_some_and(|overhead| !overhead.is_empty()) {
        let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        return Err(admission.forbid(why));
    }
    Ok(())
}
