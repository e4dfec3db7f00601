//! Reviews of who somebody is: `kubectl auth whoami` and TokenReview.

use super::{answered, spec};
use crate::auth::{Auth, clock};
use keelson_api::identity::UserInfo;
use keelson_api::status::Status;
use serde::Deserialize;
use serde_json::{Value, json};

const API_VERSION: &str = "authentication.k8s.io/v1";

/// Says who is asking.
pub(super) fn self_subject(user: &UserInfo, now: &str) -> Value {
    json!({
        "kind": "SelfSubjectReview",
        "apiVersion": API_VERSION,
        "metadata": {"creationTimestamp": now},
        "status": {"userInfo": user},
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenSpec {
    token: String,
    audiences: Option<Vec<String>>,
}

/// Says whose token it is, if it is anybody's.
pub(super) fn token(auth: &Auth, object: Value) -> Result<Value, Status> {
    let asked: TokenSpec = spec(&object)?;
    if asked.token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = asked.audiences.filter(|list| !list.is_empty());
    let audiences = audiences.unwrap_or_else(|| auth.issuer.api_audiences().to_vec());
    let status = match auth.authenticator.token(&asked.token, &audiences, clock::unix_seconds()) {
        Ok((user, audiences)) => json!({"authenticated": true, "user": &*user, "audiences": audiences}),
        Err(error) => json!({"user": {}, "error": error.to_string()}),
    };
    Ok(answered("TokenReview", API_VERSION, &object, status))
}
