//! One policy rule and what it matches.
//!
//! Never looks at users or bindings.

use crate::auth::attributes::Attributes;
use serde::{Deserialize, Deserializer, Serialize};

/// The wildcard of verbs, groups, resources and paths.
pub const ALL: &str = "*";

/// A `rbac.authorization.k8s.io/v1` PolicyRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    #[serde(deserialize_with = "nullable")]
    pub verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub resource_names: Vec<String>,
    #[serde(
        rename = "nonResourceURLs",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable"
    )]
    pub non_resource_urls: Vec<String>,
}

/// `null` is an empty list, as everywhere in the API.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted || item == ALL)
}

impl Rule {
    /// Whether the rule lets the request through.
    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        if !has(&self.verbs, attributes.verb) {
            return false;
        }
        if !attributes.is_resource {
            return self.matches_path(attributes.path);
        }
        has(&self.api_groups, attributes.group)
            && self.matches_resource(attributes.resource, attributes.subresource)
            && self.matches_name(attributes.name)
    }

    fn matches_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|rule| {
            if rule == ALL {
                return true;
            }
            if subresource.is_empty() {
                return rule == resource;
            }
            // `pods/log` or `*/log`.
            match rule.split_once('/') {
                Some((left, right)) => right == subresource && (left == resource || left == ALL),
                None => false,
            }
        })
    }

    fn matches_name(&self, name: &str) -> bool {
        self.resource_names.is_empty() || self.resource_names.iter().any(|n| n == name)
    }

    fn matches_path(&self, path: &str) -> bool {
        self.non_resource_urls.iter().any(|rule| match rule.strip_suffix(ALL) {
            Some(prefix) => path.starts_with(prefix),
            None => rule == path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(groups: &str, resources: &str, verbs: &str) -> Rule {
        let list = |s: &str| s.split(',').map(str::to_owned).collect::<Vec<_>>();
        Rule { verbs: list(verbs), api_groups: list(groups), resources: list(resources), ..Rule::default() }
    }

    #[track_caller]
    fn check(rule: &Rule, verb: &str, group: &str, resource: &str, subresource: &str, wanted: bool) {
        let attributes =
            Attributes { verb, group, resource, subresource, is_resource: true, ..Attributes::default() };
        assert_eq!(rule.allows(&attributes), wanted, "{rule:?} {verb} {group}/{resource}/{subresource}");
    }

    #[test]
    fn resources() {
        let pods = rule("", "pods,pods/log", "get,list");
        check(&pods, "get", "", "pods", "", true);
        check(&pods, "get", "", "pods", "log", true);
        check(&pods, "get", "", "pods", "exec", false);
        check(&pods, "delete", "", "pods", "", false);
        check(&pods, "get", "apps", "pods", "", false);
        let scale = rule("*", "*/scale", "*");
        check(&scale, "patch", "apps", "deployments", "scale", true);
        check(&scale, "patch", "apps", "deployments", "", false);
        check(&scale, "patch", "apps", "deployments", "status", false);
        check(&rule("*", "*", "*"), "x", "y", "z", "w", true);
    }

    #[test]
    fn names() {
        let mut one = rule("", "configmaps", "get");
        one.resource_names = vec!["a".to_owned()];
        let at = |name| Attributes {
            verb: "get",
            resource: "configmaps",
            name,
            is_resource: true,
            ..Attributes::default()
        };
        assert!(one.allows(&at("a")));
        assert!(!one.allows(&at("b")));
        assert!(!one.allows(&at("")));
    }

    #[test]
    fn paths() {
        let rule = Rule {
            verbs: vec!["get".to_owned()],
            non_resource_urls: vec!["/livez".to_owned(), "/api/*".to_owned()],
            ..Rule::default()
        };
        for (path, wanted) in [("/livez", true), ("/livez/ping", false), ("/api/v1", true), ("/api", false)] {
            assert_eq!(rule.allows(&Attributes::path("get", path)), wanted, "{path}");
        }
        assert!(!rule.allows(&Attributes::path("post", "/livez")));
    }
}
