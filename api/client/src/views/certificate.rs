//! CertificateSigningRequests.

use super::meta::Meta;
use super::pod::Condition;
use super::scalar::ByteString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct CertificateSigningRequest {
    pub metadata: Meta,
    pub spec: CertificateSigningRequestSpec,
    pub status: CertificateSigningRequestStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateSigningRequestSpec {
    /// A PEM block of a PKCS #10 request.
    pub request: ByteString,
    pub signer_name: String,
    pub expiration_seconds: Option<i64>,
    pub usages: Vec<String>,
    /// Who asked; set by the API server.
    pub username: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct CertificateSigningRequestStatus {
    /// `Approved`, `Denied`, `Failed`.
    pub conditions: Vec<Condition>,
    /// The signed chain, PEM.
    pub certificate: ByteString,
}

impl CertificateSigningRequest {
    /// Whether a condition of this type is there (their status is always `True`).
    pub fn has_condition(&self, r#type: &str) -> bool {
        super::pod::condition(&self.status.conditions, r#type).is_some()
    }
}
