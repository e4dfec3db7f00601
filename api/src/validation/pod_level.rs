//! What a pod asks for as a whole (KEP-2837), and what is left of it to its containers.

use super::value::{at, default_to, entries, has, list, object_mut, size, text};
use crate::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

const HUGE_PAGES: &str = "hugepages-";

type Amounts = BTreeMap<String, Quantity>;

/// Whether `spec.resources` asks for anything that can be asked for a pod as a whole.
pub fn is_set(spec: &Value) -> bool {
    let whole = at(spec, "resources");
    entries(whole, "requests").chain(entries(whole, "limits")).any(|(name, _)| is_supported(name))
}

fn is_supported(name: &str) -> bool {
    may_be_shared(name) || name.starts_with(HUGE_PAGES)
}

/// Resources of which limits may exceed requests.
fn may_be_shared(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

/// Fills in what the pod as a whole asks for. Huge pages: the containers' limits. Requests: where the pod has limits,
/// the containers' requests, and where they have none, the limits. Comes after the containers' own defaults.
pub fn fill_in(spec: &mut Value) {
    let whole = at(spec, "resources");
    if size(whole, "limits") == 0 && size(whole, "requests") == 0 {
        return;
    }
    let (requests, limits) = (together(spec, "requests"), together(spec, "limits"));
    let Some(whole) = object_mut(spec, "resources") else { return };
    let pages: Vec<_> = limits
        .iter()
        .filter(|(name, _)| name.starts_with(HUGE_PAGES) && !has(at(whole, "requests"), name))
        .collect();
    if !pages.is_empty()
        && let Some(own) = object_mut(whole, "limits")
    {
        pages.into_iter().for_each(|(name, amount)| default_to(own, name, amount.to_string()));
    }
    if size(whole, "limits") == 0 {
        return;
    }
    let limits: Vec<(String, Value)> = entries(whole, "limits")
        .filter(|(name, _)| is_supported(name))
        .map(|(name, amount)| (name.to_owned(), amount.clone()))
        .collect();
    let Some(own) = object_mut(whole, "requests") else { return };
    for (name, amount) in requests.iter().filter(|(name, _)| may_be_shared(name)) {
        default_to(own, name, amount.to_string());
    }
    limits.into_iter().for_each(|(name, amount)| default_to(own, &name, amount));
}

/// What the containers have of `field` (`requests` or `limits`) together: the sum of those that run at the same time
/// or the largest moment of the pod's start, whichever is more.
fn together(spec: &Value, field: &str) -> Amounts {
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in list(spec, "initContainers") {
        let own = amounts(container, field);
        if text(container, "restartPolicy") == "Always" {
            add(&mut sidecars, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut moment = sidecars.clone();
            add(&mut moment, &own);
            raise(&mut peak, &moment);
        }
    }
    let mut sum = sidecars;
    list(spec, "containers").iter().for_each(|container| add(&mut sum, &amounts(container, field)));
    raise(&mut sum, &peak);
    sum
}

fn amounts(container: &Value, field: &str) -> Amounts {
    let amount = |(name, value): (&str, &Value)| Some((name.to_owned(), Quantity::from_value(value)?));
    entries(at(container, "resources"), field).filter_map(amount).collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = sum.get(name).map_or(*amount, |held| held.add(amount));
        sum.insert(name.clone(), total);
    }
}

fn raise(held: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if held.get(name).is_none_or(|have| have < amount) {
            held.insert(name.clone(), *amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out() {
        let check = |whole: Value, containers: Value, inits: Value, expect: Value| {
            let mut spec = json!({"resources": whole, "containers": containers, "initContainers": inits});
            fill_in(&mut spec);
            assert_eq!(spec["resources"], expect, "{whole}");
            fill_in(&mut spec);
            assert_eq!(spec["resources"], expect, "filled in twice");
        };
        let asks = |requests: Value| json!({"resources": {"requests": requests}});
        let both = |limits: Value, requests: Value| json!({"limits": limits, "requests": requests});
        let none = || json!([]);
        check(json!({}), json!([asks(json!({"cpu": "1"}))]), none(), json!({}));
        let memory = json!({"memory": "64Mi"});
        check(json!({"limits": memory}), json!([{}]), none(), both(memory.clone(), memory.clone()));
        check(json!({"requests": memory}), json!([{}]), none(), json!({"requests": memory}));
        check(
            json!({"limits": memory}),
            json!([
                asks(json!({"cpu": "250m", "memory": "8Mi"})),
                asks(json!({"cpu": "250m", "example.org/x": "1"}))
            ]),
            none(),
            both(memory.clone(), json!({"cpu": "500m", "memory": "8Mi"})),
        );
        let mut sidecar = asks(json!({"cpu": "1"}));
        sidecar["restartPolicy"] = json!("Always");
        check(
            json!({"limits": {"cpu": "4"}}),
            json!([asks(json!({"cpu": "1"}))]),
            json!([sidecar, asks(json!({"cpu": "2"}))]),
            both(json!({"cpu": "4"}), json!({"cpu": "3"})),
        );
        let pages = json!({"hugepages-2Mi": "4Mi"});
        check(
            json!({"requests": {"cpu": "1"}}),
            json!([{"resources": {"limits": pages, "requests": pages}}]),
            none(),
            both(pages.clone(), json!({"cpu": "1", "hugepages-2Mi": "4Mi"})),
        );
    }

    #[test]
    fn whether_it_is_set() {
        for (resources, expect) in [
            (json!({}), false),
            (json!({"limits": {}}), false),
            (json!({"limits": {"example.org/x": "1"}}), false),
            (json!({"limits": {"memory": "1"}}), true),
            (json!({"requests": {"hugepages-2Mi": "2Mi"}}), true),
        ] {
            assert_eq!(is_set(&json!({"resources": resources})), expect, "{resources}");
        }
        assert!(!is_set(&json!({})));
    }
}
