//! The quality-of-service class of a pod, by which nodes choose what to evict.

use crate::quantity::Quantity;
use crate::validation::pod_level;
use crate::validation::value::{at, entries, list};
use serde_json::Value;
use std::collections::BTreeMap;

/// `Guaranteed`, `Burstable` or `BestEffort`, from the cpu and memory that the pod asks for.
pub fn class(spec: &Value) -> &'static str {
    if pod_level::is_set(spec) {
        return of(&[at(spec, "resources")]);
    }
    let containers = list(spec, "initContainers").iter().chain(list(spec, "containers"));
    of(&containers.map(|container| at(container, "resources")).collect::<Vec<_>>())
}

fn of(all: &[&Value]) -> &'static str {
    let mut guaranteed = true;
    let mut anything = false;
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    for resources in all {
        let mut count = |field: &str, sums: &mut BTreeMap<String, Quantity>| {
            let mut found = 0;
            for (name, value) in entries(resources, field) {
                let Ok(quantity) = Quantity::parse(value.as_str().unwrap_or_default()) else { continue };
                if !matches!(name, "cpu" | "memory") || quantity.sign() <= 0 {
                    continue;
                }
                found += 1;
                anything = true;
                let sum = sums.remove(name).map_or_else(|| quantity, |sum| sum.add(&quantity));
                sums.insert(name.to_owned(), sum);
            }
            found
        };
        count("requests", &mut requests);
        guaranteed &= count("limits", &mut limits) == 2;
    }
    if !anything {
        return "BestEffort";
    }
    let equal = requests.len() == limits.len()
        && requests.iter().all(|(name, sum)| limits.get(name).is_some_and(|limit| limit.cmp(sum).is_eq()));
    if guaranteed && equal { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        for (containers, want) in [
            (json!([{}]), "BestEffort"),
            (json!([{"resources": {"requests": {"cpu": "0"}}}]), "BestEffort"),
            (json!([{"resources": {"requests": {"cpu": "1"}}}]), "Burstable"),
            (json!([{"resources": {"requests": both, "limits": both}}]), "Guaranteed"),
            (json!([{"resources": {"requests": both, "limits": both}}, {}]), "Burstable"),
            (
                json!([{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": both}}]),
                "Burstable",
            ),
            (
                json!([{"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": both}}]),
                "Guaranteed",
            ),
        ] {
            assert_eq!(class(&json!({"containers": containers})), want, "{containers}");
        }
        assert_eq!(class(&json!({"containers": [{}], "resources": {"limits": {"cpu": "1"}}})), "Burstable");
        let containers = json!([{"resources": {"requests": both, "limits": both}}]);
        assert_eq!(class(&json!({"containers": containers, "resources": {}})), "Guaranteed");
    }
}
