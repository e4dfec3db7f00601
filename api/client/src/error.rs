//! What a call can fail with.

use crate::transport::TransportError;
use keelson_api::status::Status;

pub type Result<T> = std::result::Result<T, Error>;

/// The failure of one call. `Transport`, `Timeout` and an `Api` error of 429 or 5xx may be retried after a
/// back-off; nothing is known about whether a write among them took place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, in Kubernetes' words.
    #[error("{0}")]
    Api(Box<Status>),
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The reply is not what the caller's type expects.
    #[error("{what}: {source}")]
    Decode {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the request cannot be encoded: {0}")]
    Encode(#[source] serde_json::Error),
    #[error("no reply within 30 s")]
    Timeout,
}

impl Error {
    /// The HTTP status of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api(status) => Some(status.code),
            _ => None,
        }
    }

    fn has(&self, code: u16, reason: &str) -> bool {
        matches!(self, Self::Api(status) if status.code == code && status.reason == reason)
    }

    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// The object was changed meanwhile, or a precondition does not hold.
    pub fn is_conflict(&self) -> bool {
        self.has(409, "Conflict")
    }

    pub fn is_already_exists(&self) -> bool {
        self.has(409, "AlreadyExists")
    }

    /// The history that was asked for is gone: list again.
    pub fn is_gone(&self) -> bool {
        self.code() == Some(410)
    }

    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    pub fn is_invalid(&self) -> bool {
        self.code() == Some(422)
    }

    /// A create refused because its namespace is being deleted; retrying cannot help.
    pub fn is_namespace_terminating(&self) -> bool {
        let Self::Api(status) = self else { return false };
        status.code == 403
            && status
                .details
                .as_ref()
                .is_some_and(|d| d.causes.iter().any(|c| c.reason == "NamespaceTerminating"))
    }
}
