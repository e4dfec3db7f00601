//! Whether one set of rules grants all that another one grants: nobody hands out more than they hold.

use super::rule::{ALL, Rule};
use std::collections::BTreeMap;

/// The parts of `wanted` that `held` does not grant; empty when all is covered.
pub fn covers(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    wanted
        .iter()
        .flat_map(break_down)
        .filter(|part| !held.iter().any(|rule| rule_covers(rule, part)))
        .collect()
}

/// One rule per combination of group, resource, verb and name, or of path and verb.
fn break_down(rule: &Rule) -> Vec<Rule> {
    let mut parts = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let part = Rule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..Rule::default()
                };
                if rule.resource_names.is_empty() {
                    parts.push(part);
                    continue;
                }
                for name in &rule.resource_names {
                    parts.push(Rule { resource_names: vec![name.clone()], ..part.clone() });
                }
            }
        }
    }
    for path in &rule.non_resource_urls {
        for verb in &rule.verbs {
            parts.push(Rule {
                verbs: vec![verb.clone()],
                non_resource_urls: vec![path.clone()],
                ..Rule::default()
            });
        }
    }
    parts
}

fn rule_covers(rule: &Rule, part: &Rule) -> bool {
    let names = rule.resource_names.is_empty()
        || (!part.resource_names.is_empty() && has_all(&rule.resource_names, &part.resource_names));
    (has(&rule.verbs, ALL) || has_all(&rule.verbs, &part.verbs))
        && (has(&rule.api_groups, ALL) || has_all(&rule.api_groups, &part.api_groups))
        && part.resources.iter().all(|resource| covers_resource(&rule.resources, resource))
        && part.non_resource_urls.iter().all(|path| covers_path(&rule.non_resource_urls, path))
        && names
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted)
}

fn has_all(list: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|item| has(list, item))
}

fn covers_resource(held: &[String], wanted: &str) -> bool {
    has(held, ALL)
        || has(held, wanted)
        || wanted.split_once('/').is_some_and(|(_, subresource)| has(held, &format!("*/{subresource}")))
}

fn covers_path(held: &[String], wanted: &str) -> bool {
    held.iter().any(|path| match path.strip_suffix(ALL) {
        Some(prefix) => wanted.starts_with(prefix),
        None => path == wanted,
    })
}

/// Joins rules that differ in their verbs alone.
pub fn compact(rules: &[Rule]) -> Vec<Rule> {
    let mut joined: BTreeMap<(String, String, Option<String>), Rule> = BTreeMap::new();
    let mut rest = Vec::new();
    for rule in rules {
        let ([group], [resource], true, true) = (
            rule.api_groups.as_slice(),
            rule.resources.as_slice(),
            rule.resource_names.len() < 2,
            rule.non_resource_urls.is_empty(),
        ) else {
            rest.push(rule.clone());
            continue;
        };
        let key = (group.clone(), resource.clone(), rule.resource_names.first().cloned());
        let entry = joined.entry(key).or_insert_with(|| Rule { verbs: Vec::new(), ..rule.clone() });
        for verb in &rule.verbs {
            if !has(&entry.verbs, verb) {
                entry.verbs.push(verb.clone());
            }
        }
    }
    rest.extend(joined.into_values());
    rest
}

/// A rule as refusals show it: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`.
pub fn describe(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ];
    let shown = parts
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name}:{}", quoted_list(list)))
        .collect::<Vec<_>>();
    format!("{{{}}}", shown.join(", "))
}

/// `["a" "b"]`, as messages show lists of names.
pub fn quoted_list(list: &[String]) -> String {
    let quoted = list.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(held: Value, wanted: Value, missing: &[&str]) {
        let rules = |value| serde_json::from_value::<Vec<Rule>>(value).unwrap();
        let left = compact(&covers(&rules(held), &rules(wanted)));
        assert_eq!(left.iter().map(describe).collect::<Vec<_>>(), missing);
    }

    #[test]
    fn coverage() {
        let pods = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]);
        check(pods.clone(), pods.clone(), &[]);
        check(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]), pods.clone(), &[]);
        check(
            json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
            pods.clone(),
            &[
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list"]}"#,
                r#"{APIGroups:[""], Resources:["pods/log"], Verbs:["get" "list"]}"#,
            ],
        );
        check(
            json!([{"apiGroups": [""], "resources": ["pods", "*/log"], "verbs": ["get", "list"]}]),
            pods.clone(),
            &[],
        );
        check(
            json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]}]),
            json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
            &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#],
        );
        check(
            json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]}]),
            json!([{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a", "b"], "verbs": ["get"]}]),
            &[r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}"#],
        );
        check(
            json!([{"nonResourceURLs": ["/api/*"], "verbs": ["get"]}]),
            json!([{"nonResourceURLs": ["/api/v1", "/apis"], "verbs": ["get"]}]),
            &[r#"{NonResourceURLs:["/apis"], Verbs:["get"]}"#],
        );
    }
}
