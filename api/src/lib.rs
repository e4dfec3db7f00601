//! Kubernetes objects and their rules: kinds, selectors, quantities, defaulting, validation, patches, schema
//! table and Table form.
//!
//! Never does IO, never reads a clock or a random number, never spawns: every function here is a value of its
//! arguments. Objects are `serde_json::Value`; what the cluster's components read of them are the narrow
//! structs of `keelson-client::views`.
#![forbid(unsafe_code)]

pub mod age;
pub mod apply;
pub mod config;
pub mod decode;
pub mod field;
mod go;
pub mod identity;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod patch;
pub mod percent;
pub mod quantity;
pub mod resource;
pub mod schema;
pub mod selector;
pub mod status;
pub mod table;
pub mod time;
pub mod validation;
pub mod version;
