//! Keelson's own configuration files: YAML with the header of a Kubernetes object and a mapping of known keys.
//!
//! A key that is not known is refused, with the name that was probably meant: a setting that is silently ignored is
//! worse than none.

mod keys;

pub use keys::{Key, describe};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The `apiVersion` of every configuration file.
pub const API_VERSION: &str = "keelson.dev/v1alpha1";

/// Why a text is no configuration. Each message names the file and the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {message}")]
    Parse { origin: String, message: String },
    #[error("{origin}: unknown key {key:?}{}", hint(.suggestion))]
    UnknownKey { origin: String, key: String, suggestion: Option<String> },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
}

/// Reads a configuration of `kind`. `origin` names the text in messages, usually by its path; `defaults` has every
/// key that there is beside `apiVersion` and `kind`. A text without anything in it stands for the defaults.
pub fn parse<T: DeserializeOwned>(
    origin: &str,
    kind: &str,
    text: &str,
    defaults: Map<String, Value>,
) -> Result<T, ConfigError> {
    let wrong = |message: String| ConfigError::Parse { origin: origin.to_owned(), message };
    let fields = if is_blank(text) { Map::new() } else { fields(origin, kind, text)? };
    let known: Vec<&String> = defaults.keys().collect();
    if let Some(key) = fields.keys().find(|key| !known.contains(key)) {
        let suggestion = closest(key, &known);
        return Err(ConfigError::UnknownKey { origin: origin.to_owned(), key: key.clone(), suggestion });
    }
    // Field by field, so that an error names its field.
    let mut config = Value::Object(defaults);
    for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        config[&key] = value;
        T::deserialize(&config).map_err(|error| wrong(format!("{key}: {error}")))?;
    }
    T::deserialize(&config).map_err(|error| wrong(error.to_string()))
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The keys behind the header, which must be that of `kind`.
fn fields(origin: &str, kind: &str, text: &str) -> Result<Map<String, Value>, ConfigError> {
    let wrong = |message: String| ConfigError::Parse { origin: origin.to_owned(), message };
    let document: Value =
        serde_saphyr::from_str(text).map_err(|error| wrong(first_line(&error.to_string())))?;
    let Value::Object(mut fields) = document else {
        return Err(wrong("a configuration is a mapping of keys to values".to_owned()));
    };
    for (key, wanted) in [("apiVersion", API_VERSION), ("kind", kind)] {
        match fields.remove(key) {
            Some(Value::String(found)) if found == wanted => {}
            Some(found) => return Err(wrong(format!("{key} is {found}, wanted \"{wanted}\""))),
            None => return Err(wrong(format!("{key} is missing, wanted {key}: {wanted}"))),
        }
    }
    Ok(fields)
}

/// What the parser says, without the picture of the text that it draws below.
fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The known key that `key` was probably meant to be.
fn closest(key: &str, known: &[&String]) -> Option<String> {
    let wanted = key.to_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 2 + key.len() / 4)
        .map(|(_, candidate)| (*candidate).clone())
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b = b.chars().collect::<Vec<_>>();
    let mut row = (0..=b.len()).collect::<Vec<_>>();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Settings {
        listen_port: u16,
        labels: Vec<String>,
    }

    #[track_caller]
    fn check(text: &str, wanted: Result<(u16, &[&str]), &str>) {
        let defaults = json!({ "listenPort": 80, "labels": [] });
        let found = parse::<Settings>("a.yaml", "Settings", text, defaults.as_object().unwrap().clone());
        let wanted = wanted.map(|(listen_port, labels)| Settings {
            listen_port,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        });
        assert_eq!(found.map_err(|error| error.to_string()), wanted.map_err(str::to_owned), "{text}");
    }

    const HEAD: &str = "apiVersion: keelson.dev/v1alpha1\nkind: Settings\n";

    #[test]
    fn what_is_set_goes_before_defaults() {
        check("", Ok((80, &[])));
        check("# nothing\n\n", Ok((80, &[])));
        check(HEAD, Ok((80, &[])));
        check(&format!("{HEAD}listenPort: 8080\nlabels: [a]\n"), Ok((8080, &["a"])));
        check(&format!("{HEAD}listenPort: null\n"), Ok((80, &[])));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(
            &format!("{HEAD}listenProt: 1\n"),
            Err("a.yaml: unknown key \"listenProt\"; did you mean \"listenPort\"?"),
        );
        check(&format!("{HEAD}colour: red\n"), Err("a.yaml: unknown key \"colour\""));
        check(
            &format!("{HEAD}listenPort: 70000\n"),
            Err("a.yaml: listenPort: invalid value: integer `70000`, expected u16"),
        );
        check(
            "listenPort: 1\n",
            Err("a.yaml: apiVersion is missing, wanted apiVersion: keelson.dev/v1alpha1"),
        );
        check(
            "apiVersion: v1\nkind: Settings\n",
            Err("a.yaml: apiVersion is \"v1\", wanted \"keelson.dev/v1alpha1\""),
        );
        check(&HEAD.replace("Settings", "Other"), Err("a.yaml: kind is \"Other\", wanted \"Settings\""));
        check("[1]", Err("a.yaml: a configuration is a mapping of keys to values"));
    }

    /// A parser's message is one line, and says where.
    #[test]
    fn what_does_not_parse_is_said_in_a_line() {
        let error = parse::<Settings>("a.yaml", "Settings", "kind: [\n", Map::new()).unwrap_err().to_string();
        assert!(error.starts_with("a.yaml: ") && error.contains("line "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
