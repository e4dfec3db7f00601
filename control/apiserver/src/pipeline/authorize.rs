//! Authorization: the question put. The answer, and the words of a refusal, are `auth`'s.

use crate::auth::Attributes;
use crate::request::{ResourcePath, Verb, query};
use crate::server::Core;
use keelson_api::identity::UserInfo;
use keelson_api::selector::FieldSelector;
use keelson_api::status::Status;
use std::borrow::Cow;

/// May the user do this to the resource? `query` is the request's, not decoded.
pub fn resource(
    core: &Core,
    user: &UserInfo,
    verb: Verb,
    path: &ResourcePath<'_>,
    query: &str,
) -> Result<(), Status> {
    let (mut fields, mut labels) = (Cow::Borrowed(""), Cow::Borrowed(""));
    let mut selected = None;
    let many = matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
    if many && query.contains("Selector=") {
        fields = query::first(query, "fieldSelector").unwrap_or_default();
        labels = query::first(query, "labelSelector").unwrap_or_default();
        if path.name.is_empty() && fields.contains("metadata.name") {
            // A list of one name is authorized as that name.
            selected = FieldSelector::parse(&fields)
                .ok()
                .and_then(|selector| selector.exact("metadata.name").map(str::to_owned));
        }
    }
    let attributes = Attributes {
        verb: verb.as_str(),
        is_resource: true,
        group: path.group,
        version: path.version,
        resource: path.resource,
        subresource: path.subresource,
        namespace: path.namespace,
        name: selected.as_deref().unwrap_or(path.name),
        path: "",
        field_selector: &fields,
        label_selector: &labels,
    };
    core.auth.check(user, &attributes)
}

/// May the user do this to a path outside the resources? `verb` is the method in lower case.
pub fn path(core: &Core, user: &UserInfo, verb: &str, path: &str) -> Result<(), Status> {
    core.auth.check(user, &Attributes { verb, path, ..Attributes::default() })
}
