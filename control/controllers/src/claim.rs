//! Who owns what: adoption of matching orphans and release of what no longer matches.

use keelson_client::Meta;
use keelson_client::Resource;
use keelson_client::views::{LabelSelector, OwnerReference};
use serde_json::{Value, json};

/// How an object stands to a would-be controller of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Mine,
    /// Nobody's and matching: it may be adopted.
    Adopt,
    /// Ours but no longer matching: it is let go.
    Release,
    /// Another's, or not matching.
    Other,
}

/// Judges `object` for a controller with this metadata and selector.
pub(crate) fn claim(owner: &Meta, selector: &LabelSelector, object: &Meta) -> Claim {
    let matches = !selector.is_empty() && selector.matches(&object.labels);
    match object.controller() {
        Some(controller) if controller.uid != owner.uid => Claim::Other,
        Some(_) if matches => Claim::Mine,
        Some(_) if owner.is_deleting() => Claim::Other,
        Some(_) => Claim::Release,
        None if !matches || owner.is_deleting() || object.is_deleting() => Claim::Other,
        None => Claim::Adopt,
    }
}

/// The owner reference that makes `owner` the controller of an object.
pub(crate) fn controller_reference(resource: &Resource, owner: &Meta) -> OwnerReference {
    OwnerReference {
        api_version: resource.api_version(),
        kind: resource.kind.to_owned(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: true,
        block_owner_deletion: true,
    }
}

/// The strategic merge patch that adopts the object with this uid.
pub(crate) fn adoption(resource: &Resource, owner: &Meta, uid: &str) -> Value {
    json!({"metadata": {"ownerReferences": [controller_reference(resource, owner)], "uid": uid}})
}

/// The strategic merge patch that lets go of the object with this uid.
pub(crate) fn release(owner: &Meta, uid: &str) -> Value {
    json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": owner.uid}], "uid": uid}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelson_client::views::ReplicaSet;

    fn check(owner_deleting: bool, object: Value, expected: Claim) {
        let mut owner: ReplicaSet = serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": "1"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}
        }))
        .unwrap();
        if owner_deleting {
            owner.metadata.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH);
        }
        let meta: Meta = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(claim(&owner.metadata, &owner.spec.selector, &meta), expected, "{object}");
    }

    #[test]
    fn claims() {
        let by = |uid: &str| json!([{"uid": uid, "controller": true}]);
        let labels = json!({"a": "b"});
        let epoch = "1970-01-01T00:00:00Z";
        check(false, json!({"labels": labels, "ownerReferences": by("1")}), Claim::Mine);
        check(false, json!({"ownerReferences": by("1")}), Claim::Release);
        check(true, json!({"ownerReferences": by("1")}), Claim::Other);
        check(false, json!({"labels": labels, "ownerReferences": by("2")}), Claim::Other);
        check(false, json!({"labels": labels}), Claim::Adopt);
        check(false, json!({"labels": labels, "ownerReferences": [{"uid": "1"}]}), Claim::Adopt);
        check(true, json!({"labels": labels}), Claim::Other);
        check(false, json!({"labels": labels, "deletionTimestamp": epoch}), Claim::Other);
        check(false, json!({}), Claim::Other);
    }
}
