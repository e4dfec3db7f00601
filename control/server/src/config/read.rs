//! Reads a server's configuration file.

use super::{KIND, ServerConfig};
use keelson_api::config as document;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Document(#[from] document::ConfigError),
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
}

pub(super) fn read(path: &Path) -> Result<ServerConfig, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &path.display().to_string())
}

pub(super) fn parse(text: &str, origin: &str) -> Result<ServerConfig, ConfigError> {
    let defaults = match serde_json::to_value(ServerConfig::default()) {
        Ok(Value::Object(fields)) => fields,
        // A struct of plain fields is an object; were it not, every key would be refused.
        _ => serde_json::Map::new(),
    };
    Ok(document::parse(origin, KIND, text, defaults)?)
}
