//! Reads a configuration file. What it does not know it refuses, with the name that was probably meant.

use super::{API_VERSION, KIND, ServerConfig};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{origin}: {message}")]
    Parse { origin: String, message: String },
    #[error("{origin}: unknown key {key:?}{}", hint(.suggestion))]
    UnknownKey { origin: String, key: String, suggestion: Option<String> },
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
}

pub(super) fn read(path: &Path) -> Result<ServerConfig, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, Some(path))
}

pub(super) fn parse(text: &str, path: Option<&Path>) -> Result<ServerConfig, ConfigError> {
    let origin = path.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    let wrong = |message: String| ConfigError::Parse { origin: origin.clone(), message };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(ServerConfig::default());
    }
    let document: Value = serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let Value::Object(mut fields) = document else {
        return Err(wrong("a configuration is a mapping of keys to values".to_owned()));
    };
    for (key, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        match fields.remove(key) {
            Some(Value::String(found)) if found == wanted => {}
            Some(found) => return Err(wrong(format!("{key} is {found}, wanted \"{wanted}\""))),
            None => return Err(wrong(format!("{key} is missing, wanted {key}: {wanted}"))),
        }
    }
    let known = known_keys();
    if let Some(key) = fields.keys().find(|key| !known.contains(key)) {
        let suggestion = closest(key, &known);
        return Err(ConfigError::UnknownKey { origin, key: key.clone(), suggestion });
    }
    // Field by field, so that an error names its field.
    let mut config =
        serde_json::to_value(ServerConfig::default()).map_err(|error| wrong(error.to_string()))?;
    for (key, value) in fields {
        if value.is_null() {
            continue;
        }
        config[&key] = value;
        if let Err(error) = ServerConfig::deserialize(&config) {
            return Err(wrong(format!("{key}: {error}")));
        }
    }
    ServerConfig::deserialize(&config).map_err(|error| wrong(error.to_string()))
}

/// The keys of a configuration file, beside `apiVersion` and `kind`.
fn known_keys() -> Vec<String> {
    match serde_json::to_value(ServerConfig::default()) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

/// The known key that `key` was probably meant to be.
fn closest(key: &str, known: &[String]) -> Option<String> {
    let wanted = key.to_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(distance, _)| *distance <= 2 + key.len() / 4)
        .map(|(_, candidate)| candidate.clone())
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
