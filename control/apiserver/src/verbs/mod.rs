//! The verbs on resources. Each file is one verb or subresource; `write` holds what creating and updating share.

pub mod binding;
pub mod continue_token;
pub mod create;
pub mod delete;
pub mod delete_collection;
pub mod evict;
pub mod get;
pub mod list;
pub mod patch;
pub mod scale;
pub mod update;
pub mod watch;
pub mod write;
