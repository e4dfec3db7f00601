//! The rules of metadata, in Kubernetes' order and words.

use super::{
    FINALIZER_FOREGROUND, FINALIZER_ORPHAN, annotations, finalizers, generate_name, generation, labels, list,
    metadata, name, namespace, owner_references, resource_version,
};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::{Map, Value};

/// All keys and values of annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// The longest name of a field manager, in bytes.
const MANAGER_MAX: usize = 128;
const IMMUTABLE: &str = "field is immutable";

fn at(field: &str) -> Path {
    Path::new("metadata").child(field)
}

fn invalid_each(errors: &mut FieldErrors, path: &Path, value: &str, messages: Vec<String>) {
    errors.extend(messages.into_iter().map(|message| FieldError::invalid(path, value, message)));
}

/// The rules of a new object's metadata. `name_rule` is the kind's rule for names; its second argument is set
/// when the value is a generateName.
pub fn validate_meta_create(
    object: &Value,
    namespaced: bool,
    name_rule: &dyn Fn(&str, bool) -> Vec<String>,
) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let generate = generate_name(object);
    if !generate.is_empty() {
        invalid_each(&mut errors, &at("generateName"), generate, name_rule(generate, true));
    }
    match name(object) {
        "" => errors.push(FieldError::required(&at("name"), "name or generateName is required")),
        name => invalid_each(&mut errors, &at("name"), name, name_rule(name, false)),
    }
    match (namespaced, namespace(object)) {
        (true, "") => errors.push(FieldError::required(&at("namespace"), "")),
        (true, namespace) => {
            invalid_each(&mut errors, &at("namespace"), namespace, names::dns1123_label(namespace));
        }
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden(&at("namespace"), "not allowed on this type")),
    }
    if generation(object) < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&at("generation"), generation(object), detail));
    }
    validate_maps_and_owners(&mut errors, object);
    validate_finalizers(&mut errors, object);
    validate_managed_fields(&mut errors, object);
    errors
}

/// The rules of an update's metadata. Kubernetes runs them twice, once for all kinds and once in each kind's
/// own validation, so that a Status lists their causes twice.
pub fn validate_meta_update(new: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if metadata(old).is_some_and(|m| m.contains_key("deletionTimestamp")) {
        validate_no_new_finalizers(&mut errors, new, old);
    }
    if resource_version(new).is_empty() {
        errors.push(FieldError::invalid(&at("resourceVersion"), "", "must be specified for an update"));
    }
    if generation(new) < generation(old) {
        errors.push(FieldError::invalid(&at("generation"), generation(new), "must not be decremented"));
    }
    let immutable =
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    for field in immutable {
        let was = metadata(old).and_then(|m| m.get(field));
        let is = metadata(new).and_then(|m| m.get(field));
        if was != is {
            errors.push(FieldError::invalid(&at(field), is.cloned().unwrap_or_default(), IMMUTABLE));
        }
    }
    validate_maps_and_owners(&mut errors, new);
    validate_managed_fields(&mut errors, new);
    for (i, finalizer) in finalizers(new).iter().enumerate() {
        validate_standard_finalizer(&mut errors, i, finalizer);
    }
    errors
}

/// The error of an update without a resourceVersion of a kind that wants one.
pub fn missing_resource_version() -> FieldError {
    FieldError::invalid(&at("resourceVersion"), 0, "must be specified for an update")
}

fn validate_maps_and_owners(errors: &mut FieldErrors, object: &Value) {
    if let Some(labels) = labels(object) {
        validate_labels(errors, &at("labels"), labels);
    }
    if let Some(annotations) = annotations(object) {
        validate_annotations(errors, annotations);
    }
    validate_owners(errors, owner_references(object));
}

/// Keys and values of a map of labels, wherever it stands.
pub(crate) fn validate_labels(errors: &mut FieldErrors, path: &Path, labels: &Map<String, Value>) {
    for (key, value) in labels {
        invalid_each(errors, path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        invalid_each(errors, path, value, names::label_value(value));
    }
}

fn validate_annotations(errors: &mut FieldErrors, annotations: &Map<String, Value>) {
    let path = at("annotations");
    let mut size = 0;
    for (key, value) in annotations {
        // Keys are compared without case; only one that has upper-case letters pays for a copy.
        let messages = if key.bytes().any(|b| b.is_ascii_uppercase()) {
            names::qualified_name(&key.to_lowercase())
        } else {
            names::qualified_name(key)
        };
        invalid_each(errors, &path, key, messages);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(&path, ANNOTATIONS_MAX));
    }
}

fn validate_owners(errors: &mut FieldErrors, owners: &[Value]) {
    let path = at("ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("apiVersion");
        if api_version.rsplit('/').next().unwrap_or_default().is_empty() {
            errors.push(FieldError::invalid(
                &path.child("apiVersion"),
                api_version,
                "version must not be empty",
            ));
        }
        for field in ["kind", "name", "uid"] {
            if text(field).is_empty() {
                errors.push(FieldError::invalid(&path.child(field), "", "must not be empty"));
            }
        }
        if api_version == "v1" && text("kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(&path, owner.clone(), detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => errors.push(FieldError::invalid(
                    &path,
                    owners.to_vec(),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for \
                         {first} and {this}"
                    ),
                )),
                None => controller = Some(this),
            }
        }
    }
}

fn validate_finalizers(errors: &mut FieldErrors, object: &Value) {
    let path = at("finalizers");
    let all = finalizers(object);
    for finalizer in &all {
        invalid_each(errors, &path, finalizer, names::qualified_name(finalizer));
    }
    if all.contains(&FINALIZER_ORPHAN) && all.contains(&FINALIZER_FOREGROUND) {
        let detail = format!("finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid(&path, list(object, "finalizers").to_vec(), detail));
    }
    for (i, finalizer) in all.iter().enumerate() {
        validate_standard_finalizer(errors, i, finalizer);
    }
}

fn validate_standard_finalizer(errors: &mut FieldErrors, index: usize, finalizer: &str) {
    let standard = matches!(finalizer, "kubernetes" | FINALIZER_ORPHAN | FINALIZER_FOREGROUND);
    if !finalizer.contains('/') && !standard {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(FieldError::invalid(&at("finalizers").index(index), finalizer, detail));
    }
}

fn validate_no_new_finalizers(errors: &mut FieldErrors, new: &Value, old: &Value) {
    let before = finalizers(old);
    let mut added: Vec<_> = finalizers(new).into_iter().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return;
    }
    added.sort_unstable();
    added.dedup();
    let shown = added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ");
    errors.push(FieldError::forbidden(
        &at("finalizers"),
        format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
        ),
    ));
}

fn validate_managed_fields(errors: &mut FieldErrors, object: &Value) {
    let path = at("managedFields");
    for (i, entry) in list(object, "managedFields").iter().enumerate() {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let path = path.index(i);
        if !matches!(text("operation"), "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(FieldError::invalid(&path.child("operation"), text("operation"), detail));
        }
        if !matches!(text("fieldsType"), "" | "FieldsV1") {
            let detail = "must be `FieldsV1`";
            errors.push(FieldError::invalid(&path.child("fieldsType"), text("fieldsType"), detail));
        }
        errors.extend(validate_manager(text("manager"), &path.child("manager")));
    }
}

/// The rules of a field manager's name, from managedFields or from the request's `fieldManager`.
pub fn validate_manager(manager: &str, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if manager.len() > MANAGER_MAX {
        errors.push(FieldError::too_long(path, MANAGER_MAX));
    }
    if manager.chars().any(char::is_control) {
        errors.push(FieldError::invalid(path, manager, "should only contain printable characters"));
    }
    errors
}
