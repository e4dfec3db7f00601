//! Priority: the number behind a priority class. The kind PriorityClass is not served; the two classes of the
//! system exist by name.

use super::Admission;
use keelson_api::status::Status;
use serde_json::Value;

/// The classes that every cluster has.
const CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const PREEMPTS: &str = "PreemptLowerPriority";

pub fn admit(admission: &Admission<'_>, pod: &mut Value) -> Result<(), Status> {
    let spec = &mut pod["spec"];
    let class = spec["priorityClassName"].as_str().unwrap_or_default();
    let priority = match class {
        "" => 0,
        name => CLASSES
            .iter()
            .find(|(class, _)| *class == name)
            .map(|(_, priority)| *priority)
            .ok_or_else(|| admission.forbid(&format!("no PriorityClass with name {name} was found")))?,
    };
    if spec["priority"].as_i64().is_some_and(|given| given != priority) {
        return Err(admission.forbid(&format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name",
            spec["priority"]
        )));
    }
    if spec["preemptionPolicy"].as_str().is_some_and(|given| given != PREEMPTS) {
        return Err(admission.forbid(&format!(
            "the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission controller computed {PREEMPTS} from the given PriorityClass name",
            spec["preemptionPolicy"].as_str().unwrap_or_default()
        )));
    }
    spec["priority"] = priority.into();
    spec["preemptionPolicy"] = PREEMPTS.into();
    Ok(())
}
