//! A token among the subprotocols: a browser cannot set `Authorization` on a WebSocket, so Kubernetes takes
//! `base64url.bearer.authorization.k8s.io.TOKEN` there. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use keelson_api::status::Status;

const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// Makes such a token the request's `Authorization`, unless it has one, and takes it off the subprotocols: whoever
/// the request is handed on to must not see it. A token that is not well formed is a 401.
pub fn take_token(headers: &mut HeaderMap) -> Result<(), Status> {
    if !super::asked(headers) {
        return Ok(());
    }
    let (tokens, rest): (Vec<&str>, Vec<&str>) =
        super::offered(headers).into_iter().partition(|name| name.starts_with(PREFIX));
    if tokens.is_empty() {
        return Ok(());
    }
    // One is left to be chosen: without any the client would take the reply for a refusal.
    let ([token], false) = (tokens.as_slice(), rest.is_empty()) else { return Err(Status::unauthorized()) };
    let bearer = bearer(token).ok_or_else(Status::unauthorized)?;
    let rest = HeaderValue::from_str(&rest.join(", ")).map_err(|_| Status::unauthorized())?;
    headers.insert(SEC_WEBSOCKET_PROTOCOL, rest);
    headers.entry(AUTHORIZATION).or_insert(bearer);
    Ok(())
}

/// The header that says the same.
fn bearer(name: &str) -> Option<HeaderValue> {
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(name.strip_prefix(PREFIX)?).ok()?).ok()?;
    if token.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the headers of `upgrade` with these subprotocols become: token and subprotocols.
    fn check(upgrade: &str, given: Option<&str>, protocols: &str, want: Result<(&str, &str), u16>) {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| headers.insert(name, value.parse().unwrap());
        set("connection", "Upgrade");
        set("upgrade", upgrade);
        set("sec-websocket-protocol", protocols);
        if let Some(given) = given {
            set("authorization", given);
        }
        let got = take_token(&mut headers).map_err(|status| status.code);
        let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let got = got.map(|()| (text("authorization"), text("sec-websocket-protocol")));
        assert_eq!(got, want, "{protocols}");
    }

    #[test]
    fn tokens() {
        // "secret" and "zwei\n"
        const SECRET: &str = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
        let and = |rest: &str| format!("{SECRET}, {rest}");
        check("websocket", None, &and("a, b"), Ok(("Bearer secret", "a, b")));
        check("websocket", None, "a", Ok(("", "a")));
        check("websocket", Some("Bearer own"), &and("a"), Ok(("Bearer own", "a")));
        check("SPDY/3.1", None, &and("a"), Ok(("", &and("a"))));
        check("websocket", None, SECRET, Err(401));
        check("websocket", None, &and(&and("a")), Err(401));
        for bad in ["", "c2VjcmV0=", "*", "endlaQo", "_w"] {
            check("websocket", None, &format!("{PREFIX}{bad}, a"), Err(401));
        }
    }
}
