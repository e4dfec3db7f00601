//! Secret: keys and values that are told to few; its type says which keys it must have.

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, row};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::data;
use crate::validation::value::{at, default_empty_to, dig, object_mut, remove, set, size, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    schema: "io.k8s.api.core.v1.Secret",
    table: TableDef { columns: &[NAME, column("Type"), column("Data"), AGE], row: cells },
    selectable: &[("type", |object| text(object, "type").to_owned())],
    strategy: &Secret,
    deprecation: "",
    view: None,
};

struct Secret;

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        default_empty_to(object, "type", "Opaque");
        let Some(Value::Object(plain)) = remove(object, "stringData") else { return };
        if plain.is_empty() {
            return;
        }
        if let Some(data) = object_mut(object, "data") {
            for (key, value) in plain {
                set(data, &key, STANDARD.encode(value.as_str().unwrap_or_default()));
            }
        }
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        let path = Path::new("data");
        data::keys(object, "data", &path, &mut errors, |_, _, _| {});
        data::within_limit(data::total_size(object, "data", true), &path, &mut errors);
        by_type(object, &path, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if text(new, "type") != text(old, "type") {
            errors.push(FieldError::invalid(&Path::new("type"), text(new, "type"), "field is immutable"));
        }
        errors.extend(data::immutable_fields(new, old, &["data"]));
        errors.extend(self.validate(new));
        errors
    }
}

/// What the secret's type demands of it.
fn by_type(object: &Value, path: &Path, errors: &mut FieldErrors) {
    let data = at(object, "data");
    let mut need = |key: &str| {
        let there = data.get(key).is_some();
        if !there {
            errors.push(FieldError::required(&path.key(key), ""));
        }
        there
    };
    match text(object, "type") {
        "kubernetes.io/service-account-token" => {
            let account = dig(object, &["metadata", "annotations", "kubernetes.io/service-account.name"]);
            if account.as_str().unwrap_or_default().is_empty() {
                let path =
                    Path::new("metadata").child("annotations").key("kubernetes.io/service-account.name");
                errors.push(FieldError::required(&path, ""));
            }
        }
        "kubernetes.io/dockercfg" => {
            need(".dockercfg").then(|| json_content(data, ".dockercfg", path, errors));
        }
        "kubernetes.io/dockerconfigjson" => {
            need(".dockerconfigjson").then(|| json_content(data, ".dockerconfigjson", path, errors));
        }
        "kubernetes.io/basic-auth" => {
            let (user, password) = (data.get("username").is_some(), data.get("password").is_some());
            if !user && !password {
                need("username");
                need("password");
            }
        }
        "kubernetes.io/ssh-auth" if text(data, "ssh-privatekey").is_empty() => {
            errors.push(FieldError::required(&path.key("ssh-privatekey"), ""));
        }
        "kubernetes.io/tls" => {
            need("tls.crt");
            need("tls.key");
        }
        _ => {}
    }
}

/// The key holds a JSON object or null, as Docker's configuration files do.
fn json_content(data: &Value, key: &str, path: &Path, errors: &mut FieldErrors) {
    let bytes = STANDARD.decode(text(data, key)).unwrap_or_default();
    let parsed = serde_json::from_slice::<Value>(&bytes);
    if !matches!(parsed, Ok(Value::Object(_) | Value::Null)) {
        let why = match parsed {
            Err(_) if bytes.is_empty() => "unexpected end of JSON input".to_owned(),
            Err(error) => error.to_string(),
            Ok(_) => "json: cannot unmarshal into Go value of type map[string]interface {}".to_owned(),
        };
        errors.push(FieldError::invalid(&path.key(key), "<secret contents redacted>", why));
    }
}

fn cells(object: &Value, now: i64) -> Vec<Value> {
    vec![
        row::name(object),
        Value::from(text(object, "type")),
        Value::from(size(object, "data")),
        row::age(object, now),
    ]
}
