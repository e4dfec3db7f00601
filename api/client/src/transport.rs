//! The seam between the client's calls and what carries them.

use bytes::Bytes;
use futures::future::BoxFuture;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A reply's body, streamed.
pub type ResponseBody = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// The request did not get a reply: no connection, broken TLS, a closed stream.
#[derive(Debug, thiserror::Error)]
#[error("{}", chain(self.0.as_ref()))]
pub struct TransportError(#[source] pub BoxError);

impl TransportError {
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// An error with its causes: connection failures hide the reason behind "client error (Connect)".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Carries one request to the API. The URI holds path and query only; a transport adds scheme, authority and
/// identity.
pub trait Transport: Send + Sync + 'static {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<ResponseBody>, TransportError>>;
}
