//! Secrets.

use super::meta::Meta;
use super::scalar::ByteString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Secret {
    pub metadata: Meta,
    pub r#type: String,
    pub data: BTreeMap<String, ByteString>,
    pub immutable: bool,
}
