//! Objects as the store keeps them: their form, their keys and the kinds that are served. Never decides who may
//! do what.

pub mod catalog;
pub mod expiry;
pub mod form;
pub mod frames;
pub mod horizon;
pub mod pace;
pub mod turns;

use keelson_api::kinds::KindDef;
use keelson_api::status::Status;
use keelson_store::{HistoryError, WriteError};

/// The key of an object: `namespace/name`, or `name` for cluster-scoped kinds.
pub fn key(def: &KindDef, namespace: &str, name: &str) -> String {
    if def.namespaced { format!("{namespace}/{name}") } else { name.to_owned() }
}

/// The prefix of the keys in a namespace; empty for all of them.
pub fn prefix(def: &KindDef, namespace: &str) -> String {
    if def.namespaced && !namespace.is_empty() { format!("{namespace}/") } else { String::new() }
}

/// A write that the store refused.
pub fn write_error(error: WriteError) -> Status {
    match error {
        WriteError::TooLarge { .. } => Status::too_large(format!("Request entity too large: {error}")),
        WriteError::ShuttingDown | WriteError::Unavailable(_) => Status::unavailable(error.to_string()),
        WriteError::DiskFull(_) => Status::new(507, "StorageError", error.to_string()),
        other => Status::internal(other),
    }
}

/// History that cannot be had: 410 for what is gone, 504 for what has not happened yet.
pub fn history_error(error: HistoryError, asked: u64) -> Status {
    match error {
        HistoryError::Compacted { oldest } => {
            Status::expired(format!("too old resource version: {asked} ({oldest})"))
        }
        HistoryError::Future { current } => too_large_version(asked, current),
        HistoryError::Closed => Status::unavailable(error.to_string()),
        other => Status::internal(other),
    }
}

/// A list or watch from a resourceVersion that this server has not reached.
pub fn too_large_version(asked: u64, current: u64) -> Status {
    let mut status = Status::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {asked}, current: {current}"),
    );
    status.details = Some(Box::new(keelson_api::status::Details {
        causes: vec![keelson_api::status::Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        }],
        retry_after_seconds: Some(1),
        ..Default::default()
    }));
    status
}
