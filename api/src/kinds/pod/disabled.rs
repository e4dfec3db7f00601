//! Fields of features that Kubernetes v1.36 knows and leaves off: new pods lose them, as they do there.

use crate::validation::value::{at, list_mut, remove};
use serde_json::Value;

/// `lifecycle.stopSignal` (KEP-4960, alpha). The runtimes that run here could not be told of it either.
pub(super) fn drop(spec: &mut Value) {
    for field in ["initContainers", "containers"] {
        for container in list_mut(spec, field) {
            let Some(lifecycle) = container.get_mut("lifecycle").filter(|l| !at(l, "stopSignal").is_null())
            else {
                continue;
            };
            remove(lifecycle, "stopSignal");
            if lifecycle.as_object().is_some_and(|fields| fields.values().all(Value::is_null)) {
                remove(container, "lifecycle");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stop_signals_are_dropped() {
        for (lifecycle, want) in [
            (json!({"stopSignal": "SIGUSR1"}), json!({"name": "c"})),
            (
                json!({"stopSignal": "SIGUSR1", "preStop": {}}),
                json!({"name": "c", "lifecycle": {"preStop": {}}}),
            ),
            (json!({}), json!({"name": "c", "lifecycle": {}})),
        ] {
            let container = json!({"name": "c", "lifecycle": lifecycle});
            let mut spec = json!({"containers": [container], "initContainers": [container, {"name": "d"}]});
            drop(&mut spec);
            assert_eq!(spec, json!({"containers": [want], "initContainers": [want, {"name": "d"}]}));
        }
    }
}
