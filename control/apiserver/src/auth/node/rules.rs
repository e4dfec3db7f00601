//! The Node authorizer: who may touch what, by node name and by the graph of references.

use super::graph::Vertex;
use crate::auth::attributes::{Attributes, Decision, Reason};
use crate::auth::rbac::Rule;
use keelson_api::identity::UserInfo;

fn allow() -> Decision {
    Decision::Allow(Reason::None)
}

fn no(reason: &'static str) -> Decision {
    Decision::NoOpinion(Reason::Static(reason))
}

/// Decides for node agents; no opinion on anybody else. `related` asks the graph of references, `node_rules` are
/// those of the ClusterRole `system:node`, for resources that are not divided by node.
pub fn decide(
    user: &UserInfo,
    attributes: &Attributes<'_>,
    node_rules: &[Rule],
    related: &dyn Fn(&str, Vertex, &str, &str) -> bool,
) -> Decision {
    if !user.in_group(keelson_api::identity::GROUP_NODES) {
        return Decision::NoOpinion(Reason::None);
    }
    let Some(node) = user.node_name() else { return Decision::NoOpinion(Reason::None) };
    if node.is_empty() {
        return Decision::NoOpinion(Reason::Text(format!("unknown node for user {:?}", user.username)));
    }
    let request = Request { node, attributes, related };
    if attributes.is_resource {
        match (attributes.group, attributes.resource) {
            ("", "secrets") => return request.read(Vertex::Secret),
            ("", "configmaps") => return request.read(Vertex::ConfigMap),
            ("", "serviceaccounts") => return request.create_token(),
            ("", "nodes") => return request.node(),
            ("", "pods") => return request.pod(),
            ("coordination.k8s.io", "leases") => return request.lease(),
            // Not served, and never to be opened by the undivided rules below.
            ("", "persistentvolumeclaims" | "persistentvolumes")
            | ("storage.k8s.io", "volumeattachments" | "csinodes")
            | ("resource.k8s.io", _) => return Decision::NoOpinion(Reason::None),
            _ => {}
        }
    }
    if node_rules.iter().any(|rule| rule.allows(attributes)) {
        allow()
    } else {
        Decision::NoOpinion(Reason::None)
    }
}

struct Request<'a> {
    node: &'a str,
    attributes: &'a Attributes<'a>,
    related: &'a dyn Fn(&str, Vertex, &str, &str) -> bool,
}

impl Request<'_> {
    fn by_relation(&self, vertex: Vertex) -> Decision {
        let attributes = self.attributes;
        if attributes.name.is_empty() {
            return no("No Object name found");
        }
        if (self.related)(self.node, vertex, attributes.namespace, attributes.name) {
            return allow();
        }
        Decision::NoOpinion(Reason::Text(format!(
            "no relationship found between node '{}' and this object",
            self.node
        )))
    }

    fn read(&self, vertex: Vertex) -> Decision {
        let attributes = self.attributes;
        if !matches!(attributes.verb, "get" | "list" | "watch") {
            no("can only read resources of this type")
        } else if !attributes.subresource.is_empty() {
            no("cannot read subresource")
        } else if attributes.namespace.is_empty() {
            no("can only read namespaced object of this type")
        } else {
            self.by_relation(vertex)
        }
    }

    fn create_token(&self) -> Decision {
        let attributes = self.attributes;
        if attributes.verb != "create" || attributes.name.is_empty() {
            no("can only create tokens for individual service accounts")
        } else if attributes.subresource != "token" {
            no("can only create token subresource of serviceaccount")
        } else {
            self.by_relation(Vertex::ServiceAccount)
        }
    }

    /// Creation is judged by NodeRestriction, which sees the object's name.
    fn lease(&self) -> Decision {
        let attributes = self.attributes;
        if !matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete") {
            no("can only get, create, update, patch, or delete a node lease")
        } else if attributes.namespace != "kube-node-lease" {
            no(r#"can only access leases in the "kube-node-lease" system namespace"#)
        } else if attributes.verb != "create" && attributes.name != self.node {
            no("can only access node lease with the same name as the requesting node")
        } else {
            allow()
        }
    }

    /// Writes are judged by NodeRestriction, which sees the object.
    fn node(&self) -> Decision {
        let attributes = self.attributes;
        match (attributes.subresource, attributes.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => allow(),
            ("", "get" | "list" | "watch") if attributes.name == self.node => allow(),
            ("", "get" | "list" | "watch") => {
                let what = match attributes.name {
                    "" => "all nodes".to_owned(),
                    name => format!("'{name}'"),
                };
                Decision::NoOpinion(Reason::Text(format!(
                    "node '{}' cannot read {what}, only its own Node object",
                    self.node
                )))
            }
            _ => Decision::NoOpinion(Reason::None),
        }
    }

    fn pod(&self) -> Decision {
        let attributes = self.attributes;
        match (attributes.subresource, attributes.verb) {
            ("", "get") => self.by_relation(Vertex::Pod),
            ("", "list" | "watch") if attributes.selects_field("spec.nodeName", self.node) => allow(),
            ("", "list" | "watch") if !attributes.name.is_empty() => self.by_relation(Vertex::Pod),
            ("", "list" | "watch") => no("can only list/watch pods with spec.nodeName field selector"),
            // Mirror pods, status and evictions of its own pods: NodeRestriction sees the object.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => allow(),
            _ => Decision::NoOpinion(Reason::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelson_api::identity::GROUP_NODES;
    use keelson_api::resource::Resource;

    #[track_caller]
    fn check(attributes: Attributes<'_>, wanted: Result<(), &str>) {
        let mut user = UserInfo::component("system:node:n1");
        user.groups.push(GROUP_NODES.to_owned());
        let related = |node: &str, vertex: Vertex, namespace: &str, name: &str| {
            node == "n1" && namespace == "t" && name == "mine" && vertex != Vertex::ConfigMap
        };
        let rules = [Rule {
            verbs: vec!["list".to_owned()],
            api_groups: vec![String::new()],
            resources: vec!["services".to_owned()],
            ..Rule::default()
        }];
        let decision = decide(&user, &attributes, &rules, &related);
        match wanted {
            Ok(()) => assert!(decision.allowed(), "{attributes:?}: {decision:?}"),
            Err(reason) => {
                assert!(!decision.allowed(), "{attributes:?}");
                assert_eq!(decision.reason().to_string(), reason, "{attributes:?}");
            }
        }
    }

    #[test]
    fn by_reference() {
        let unrelated = Err("no relationship found between node 'n1' and this object");
        check(Attributes::resource("get", &Resource::SECRETS, "t", "mine"), Ok(()));
        check(Attributes::resource("watch", &Resource::SECRETS, "t", "mine"), Ok(()));
        check(Attributes::resource("get", &Resource::SECRETS, "t", "other"), unrelated);
        check(Attributes::resource("list", &Resource::SECRETS, "t", ""), Err("No Object name found"));
        check(
            Attributes::resource("list", &Resource::SECRETS, "", ""),
            Err("can only read namespaced object of this type"),
        );
        check(
            Attributes::resource("delete", &Resource::SECRETS, "t", "mine"),
            Err("can only read resources of this type"),
        );
        check(Attributes::resource("get", &Resource::CONFIG_MAPS, "t", "mine"), unrelated);
        let token = |name| Attributes::resource("create", &Resource::SERVICE_ACCOUNTS, "t", name);
        check(token("mine").with_subresource("token"), Ok(()));
        check(token("other").with_subresource("token"), unrelated);
        check(token("mine"), Err("can only create token subresource of serviceaccount"));
    }

    #[test]
    fn by_name() {
        check(Attributes::resource("get", &Resource::NODES, "", "n1"), Ok(()));
        check(
            Attributes::resource("get", &Resource::NODES, "", "n2"),
            Err("node 'n1' cannot read 'n2', only its own Node object"),
        );
        check(
            Attributes::resource("list", &Resource::NODES, "", ""),
            Err("node 'n1' cannot read all nodes, only its own Node object"),
        );
        check(Attributes::resource("delete", &Resource::NODES, "", "n1"), Err(""));
        check(Attributes::resource("update", &Resource::LEASES, "kube-node-lease", "n1"), Ok(()));
        check(
            Attributes::resource("update", &Resource::LEASES, "kube-node-lease", "n2"),
            Err("can only access node lease with the same name as the requesting node"),
        );
        check(
            Attributes::resource("get", &Resource::LEASES, "kube-system", "n1"),
            Err(r#"can only access leases in the "kube-node-lease" system namespace"#),
        );
    }

    #[test]
    fn pods() {
        let mut list = Attributes::resource("list", &Resource::PODS, "", "");
        check(list, Err("can only list/watch pods with spec.nodeName field selector"));
        list.field_selector = "spec.nodeName=n1";
        check(list, Ok(()));
        list.field_selector = "spec.nodeName=n2";
        check(list, Err("can only list/watch pods with spec.nodeName field selector"));
        check(Attributes::resource("get", &Resource::PODS, "t", "mine"), Ok(()));
        check(Attributes::resource("get", &Resource::PODS, "t", "mine").with_subresource("exec"), Err(""));
        check(Attributes::resource("create", &Resource::PODS, "t", "mine").with_subresource("exec"), Err(""));
        check(Attributes::resource("update", &Resource::PODS, "t", "mine"), Err(""));
        check(Attributes::resource("patch", &Resource::PODS, "t", "mine").with_subresource("status"), Ok(()));
    }

    #[test]
    fn the_rest_by_rules() {
        check(Attributes::resource("list", &Resource::SERVICES, "", ""), Ok(()));
        check(Attributes::resource("delete", &Resource::SERVICES, "t", "s"), Err(""));
        let anonymous = UserInfo::component("system:node:n1");
        let attributes = Attributes::resource("get", &Resource::NODES, "", "n1");
        assert!(!decide(&anonymous, &attributes, &[], &|_, _, _, _| true).allowed());
    }
}
