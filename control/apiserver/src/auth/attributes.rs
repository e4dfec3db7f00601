//! What a request wants to do, in the terms of authorization, and what was decided.

use crate::auth::rbac::Grant;
use keelson_api::identity::UserInfo;
use keelson_api::resource::Resource;
use keelson_api::status::Status;
use std::fmt;
use std::sync::Arc;

/// A request as authorization sees it; an empty string stands for what the request does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for paths the method in
    /// lower case.
    pub verb: &'a str,
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// The object's name; for lists and watches the value of a `metadata.name=` field selector.
    pub name: &'a str,
    /// The path of a request for no resource, such as `/version`.
    pub path: &'a str,
    pub is_resource: bool,
    /// The `fieldSelector` parameter as it was sent.
    pub field_selector: &'a str,
    /// The `labelSelector` parameter as it was sent.
    pub label_selector: &'a str,
}

impl<'a> Attributes<'a> {
    /// A request for `resource`; `namespace` and `name` may be empty.
    pub fn resource(verb: &'a str, resource: &Resource, namespace: &'a str, name: &'a str) -> Self {
        Self {
            verb,
            group: resource.group,
            version: resource.version,
            resource: resource.plural,
            namespace,
            name,
            is_resource: true,
            ..Self::default()
        }
    }

    /// A request for a path outside the resources.
    pub fn path(verb: &'a str, path: &'a str) -> Self {
        Self { verb, path, ..Self::default() }
    }

    #[must_use]
    pub fn with_subresource(mut self, subresource: &'a str) -> Self {
        self.subresource = subresource;
        self
    }

    /// Whether the field selector demands that `field` equals `value`.
    pub fn selects_field(&self, field: &str, value: &str) -> bool {
        self.field_selector.split(',').any(|term| {
            let Some((left, right)) = term.split_once('=') else { return false };
            // `a==b` is `a=b`; `a!=b` demands the contrary.
            left.trim() == field && right.strip_prefix('=').unwrap_or(right).trim() == value
        })
    }
}

/// The outcome of authorization. `NoOpinion` from every authorizer refuses.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Allow(Reason),
    Deny(Reason),
    NoOpinion(Reason),
}

impl Decision {
    pub fn allowed(&self) -> bool {
        matches!(self, Decision::Allow(_))
    }

    pub fn reason(&self) -> &Reason {
        match self {
            Decision::Allow(reason) | Decision::Deny(reason) | Decision::NoOpinion(reason) => reason,
        }
    }
}

/// Why; put into words only when somebody asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Reason {
    #[default]
    None,
    Static(&'static str),
    Text(String),
    /// A binding that grants a role.
    Grant(Arc<Grant>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::None => Ok(()),
            Reason::Static(text) => f.write_str(text),
            Reason::Text(text) => f.write_str(text),
            Reason::Grant(grant) => write!(f, "RBAC: allowed by {grant}"),
        }
    }
}

impl Reason {
    pub fn is_empty(&self) -> bool {
        match self {
            Reason::None => true,
            Reason::Text(text) => text.is_empty(),
            Reason::Static(_) | Reason::Grant(_) => false,
        }
    }
}

/// The 403 of a request that authorization did not allow, in Kubernetes' words.
pub fn forbidden(user: &UserInfo, attributes: &Attributes<'_>, reason: &Reason) -> Status {
    let mut why = refusal(user, attributes);
    if !reason.is_empty() {
        why.push_str(": ");
        why.push_str(&reason.to_string());
    }
    if attributes.is_resource {
        Status::forbidden(attributes.group, attributes.resource, attributes.name, &why)
    } else {
        let mut status = Status::forbidden("", "", "", &why);
        status.details = Some(Box::default());
        status
    }
}

fn refusal(user: &UserInfo, attributes: &Attributes<'_>) -> String {
    let name = &user.username;
    if !attributes.is_resource {
        return format!("User {name:?} cannot {} path {:?}", attributes.verb, attributes.path);
    }
    let resource = if attributes.subresource.is_empty() {
        attributes.resource.to_owned()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    };
    let place = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", attributes.namespace)
    };
    format!(
        "User {name:?} cannot {} resource {resource:?} in API group {:?} {place}",
        attributes.verb, attributes.group
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attributes: &Attributes<'_>, reason: Reason, wanted: &str) {
        assert_eq!(forbidden(&UserInfo::component("x"), attributes, &reason).message, wanted);
    }

    #[test]
    fn words() {
        check(
            &Attributes::resource("list", &Resource::PODS, "y", ""),
            Reason::None,
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y""#,
        );
        check(
            &Attributes::resource("get", &Resource::DEPLOYMENTS, "", "d").with_subresource("scale"),
            Reason::Static("why"),
            "deployments.apps \"d\" is forbidden: User \"x\" cannot get resource \"deployments/scale\" in API group \"apps\" at the cluster scope: why",
        );
        check(
            &Attributes::path("get", "/metrics"),
            Reason::None,
            r#"forbidden: User "x" cannot get path "/metrics""#,
        );
    }

    #[test]
    fn field_selectors() {
        let with = |field_selector| Attributes { field_selector, ..Attributes::default() };
        for (selector, wanted) in [
            ("spec.nodeName=n", true),
            ("spec.nodeName==n", true),
            ("a=b, spec.nodeName = n", true),
            ("spec.nodeName!=n", false),
            ("spec.nodeName=nn", false),
            ("", false),
        ] {
            assert_eq!(with(selector).selects_field("spec.nodeName", "n"), wanted, "{selector}");
        }
    }
}
