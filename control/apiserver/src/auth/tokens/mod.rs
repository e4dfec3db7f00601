//! ServiceAccount tokens: JSON Web Tokens signed with ES256 (RFC 7515, RFC 7518) and bound to objects.

mod bootstrap;
mod cache;
mod claims;
mod issuer;
mod jwt;
mod key;
mod request;
mod verifier;

pub use bootstrap::{BootstrapToken, SECRET_TYPE as BOOTSTRAP_SECRET_TYPE};
pub use claims::{Claims, Kubernetes, ObjectRef};
pub use issuer::TokenIssuer;
pub use key::{KeyError, SigningKeys};
pub(crate) use request::create_token;
pub use verifier::{TokenError, TokenVerifier};
