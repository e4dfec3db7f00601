//! Every grant of the cluster, indexed by whom it is for.
//!
//! A pure value: built from the four RBAC kinds, then only read. A decision walks the few grants of the user's
//! name and groups, so its cost does not depend on how many bindings the cluster has.

use super::objects::{Binding, Role, Subject};
use super::rule::Rule;
use crate::auth::attributes::{Attributes, Decision, Reason};
use keelson_api::identity::UserInfo;
use rapidhash::RapidHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The objects that an index is built from. Keys are `name` or `namespace/name`.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub roles: BTreeMap<String, Role>,
    pub cluster_roles: BTreeMap<String, Role>,
    pub role_bindings: BTreeMap<String, Binding>,
    pub cluster_role_bindings: BTreeMap<String, Binding>,
}

/// A binding, seen from one of its subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The binding's namespace; empty for a ClusterRoleBinding.
    pub namespace: String,
    pub binding: String,
    pub role_kind: String,
    pub role: String,
    pub subject: Subject,
    /// `None` when the role does not exist.
    pub rules: Option<Arc<[Rule]>>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "ClusterRoleBinding {:?}", self.binding)?;
        } else {
            write!(f, "RoleBinding \"{}/{}\"", self.binding, self.namespace)?;
        }
        write!(f, " of {} {:?} to {} ", self.role_kind, self.role, self.subject.kind)?;
        match self.subject.kind.as_str() {
            "ServiceAccount" => write!(f, "\"{}/{}\"", self.subject.name, self.subject.namespace),
            _ => write!(f, "{:?}", self.subject.name),
        }
    }
}

impl Grant {
    fn missing(&self) -> String {
        format!("{}.rbac.authorization.k8s.io {:?} not found", self.role_kind.to_lowercase(), self.role)
    }
}

#[derive(Debug, Default)]
struct BySubject {
    /// Keyed by user name; service accounts by `system:serviceaccount:<namespace>:<name>`.
    users: RapidHashMap<String, Vec<Arc<Grant>>>,
    groups: RapidHashMap<String, Vec<Arc<Grant>>>,
}

impl BySubject {
    fn add(&mut self, grant: Arc<Grant>) {
        let subject = &grant.subject;
        let (map, key) = match subject.kind.as_str() {
            "User" => (&mut self.users, subject.name.clone()),
            "Group" => (&mut self.groups, subject.name.clone()),
            "ServiceAccount" => {
                (&mut self.users, format!("system:serviceaccount:{}:{}", subject.namespace, subject.name))
            }
            _ => return,
        };
        map.entry(key).or_default().push(grant);
    }

    fn of<'a>(&'a self, user: &'a UserInfo) -> impl Iterator<Item = &'a Arc<Grant>> {
        let named = self.users.get(&user.username).into_iter();
        named.chain(user.groups.iter().filter_map(|group| self.groups.get(group))).flatten()
    }
}

/// All grants and roles of one moment.
#[derive(Debug, Default)]
pub struct Index {
    cluster: BySubject,
    namespaces: RapidHashMap<String, BySubject>,
    roles: RapidHashMap<String, Arc<[Rule]>>,
    cluster_roles: RapidHashMap<String, Arc<[Rule]>>,
}

impl Index {
    pub fn build(objects: &Objects) -> Self {
        let mut index = Self {
            roles: objects.roles.iter().map(|(key, role)| (key.clone(), role.rules.clone())).collect(),
            cluster_roles: resolve_aggregation(&objects.cluster_roles),
            ..Self::default()
        };
        for binding in objects.cluster_role_bindings.values() {
            for grant in index.grants(binding, "") {
                index.cluster.add(grant);
            }
        }
        for binding in objects.role_bindings.values() {
            let namespace = &binding.metadata.namespace;
            let grants = index.grants(binding, namespace);
            let by_subject = index.namespaces.entry(namespace.clone()).or_default();
            grants.into_iter().for_each(|grant| by_subject.add(grant));
        }
        index
    }

    fn grants(&self, binding: &Binding, namespace: &str) -> Vec<Arc<Grant>> {
        let rules = self.role(&binding.role_ref.kind, &binding.role_ref.name, namespace);
        binding
            .subjects
            .iter()
            .map(|subject| {
                let mut subject = subject.clone();
                if subject.kind == "ServiceAccount" && subject.namespace.is_empty() {
                    subject.namespace = namespace.to_owned();
                }
                Arc::new(Grant {
                    namespace: namespace.to_owned(),
                    binding: binding.metadata.name.clone(),
                    role_kind: binding.role_ref.kind.clone(),
                    role: binding.role_ref.name.clone(),
                    subject,
                    rules: rules.clone(),
                })
            })
            .collect()
    }

    /// The rules of a role, with aggregation resolved; `None` when there is no such role.
    pub fn role(&self, kind: &str, name: &str, namespace: &str) -> Option<Arc<[Rule]>> {
        match kind {
            "ClusterRole" => self.cluster_roles.get(name).cloned(),
            "Role" => self.roles.get(&format!("{namespace}/{name}")).cloned(),
            _ => None,
        }
    }

    /// Whether RBAC allows the request. Never denies: what it does not grant it has no opinion on.
    pub fn decide(&self, user: &UserInfo, attributes: &Attributes<'_>) -> Decision {
        let allows = |grant: &&Arc<Grant>| {
            grant.rules.as_ref().is_some_and(|rules| rules.iter().any(|rule| rule.allows(attributes)))
        };
        match self.grants_of(user, attributes.namespace).find(allows) {
            Some(grant) => Decision::Allow(Reason::Grant(grant.clone())),
            None => Decision::NoOpinion(self.resolution_errors(user, attributes.namespace)),
        }
    }

    /// The grants that count for `user`: those of the cluster and those of `namespace`.
    fn grants_of<'a>(&'a self, user: &'a UserInfo, namespace: &str) -> impl Iterator<Item = &'a Arc<Grant>> {
        let local = self.namespaces.get(namespace).into_iter().flat_map(|by| by.of(user));
        self.cluster.of(user).chain(local)
    }

    /// All rules that count for `user` in `namespace`, and what could not be resolved.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let mut rules = Vec::new();
        let mut errors = Vec::new();
        for grant in self.grants_of(user, namespace) {
            match &grant.rules {
                Some(granted) => rules.extend(granted.iter().cloned()),
                None => errors.push(grant.missing()),
            }
        }
        (rules, errors)
    }

    fn resolution_errors(&self, user: &UserInfo, namespace: &str) -> Reason {
        let missing = self
            .grants_of(user, namespace)
            .filter(|grant| grant.rules.is_none())
            .map(|grant| grant.missing())
            .collect::<BTreeSet<_>>();
        match missing.len() {
            0 => Reason::None,
            1 => Reason::Text(format!("RBAC: {}", missing.into_iter().next().unwrap_or_default())),
            _ => Reason::Text(format!("RBAC: [{}]", missing.into_iter().collect::<Vec<_>>().join(", "))),
        }
    }
}

/// The rules of every ClusterRole, where an aggregated one has those of all roles that it selects, over any
/// number of steps (view goes into edit, edit into admin).
pub fn resolve_aggregation(roles: &BTreeMap<String, Role>) -> RapidHashMap<String, Arc<[Rule]>> {
    roles
        .iter()
        .map(|(name, role)| {
            if role.aggregation_rule.is_none() {
                return (name.clone(), role.rules.clone());
            }
            let mut seen = BTreeSet::from([name.as_str()]);
            let mut rules = Vec::new();
            collect_aggregated(roles, role, &mut seen, &mut rules);
            (name.clone(), rules.into())
        })
        .collect()
}

fn collect_aggregated<'a>(
    roles: &'a BTreeMap<String, Role>,
    role: &Role,
    seen: &mut BTreeSet<&'a str>,
    rules: &mut Vec<Rule>,
) {
    let Some(aggregation) = &role.aggregation_rule else {
        for rule in role.rules.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>() {
            rules.push(rule);
        }
        return;
    };
    for selector in &aggregation.cluster_role_selectors {
        for (name, selected) in roles {
            if selector.matches(&selected.metadata.labels) && seen.insert(name) {
                collect_aggregated(roles, selected, seen, rules);
            }
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
