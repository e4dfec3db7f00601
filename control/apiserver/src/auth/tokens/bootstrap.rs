//! Bootstrap tokens: what a new node joins with. Kept as Secrets of type `bootstrap.kubernetes.io/token`.

use crate::auth::lookup::Lookup;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::identity::{GROUP_AUTHENTICATED, UserInfo};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The `type` of a Secret that holds a bootstrap token.
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// The group of everybody who comes with a bootstrap token.
const GROUP: &str = "system:bootstrappers";

/// A token `id.secret`: the id names the Secret `bootstrap-token-<id>` in kube-system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapToken {
    /// Six of `[a-z0-9]`; not secret.
    pub id: String,
    /// Sixteen of `[a-z0-9]`.
    pub secret: String,
}

impl BootstrapToken {
    /// Parses `id.secret`.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let plain = |part: &str, length| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        (plain(id, 6) && plain(secret, 16)).then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The user of the token, when its Secret is there, holds the same secret, has not expired and is meant for
    /// authentication.
    pub(crate) fn authenticate(&self, objects: &dyn Lookup, now_seconds: i64) -> Option<UserInfo> {
        let key = format!("kube-system/bootstrap-token-{}", self.id);
        let (_, bytes) = objects.lookup("secrets", &key)?;
        let secret: Secret = serde_json::from_slice(&bytes).ok()?;
        if secret.kind != SECRET_TYPE || secret.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let field = |name: &str| {
            let value = STANDARD.decode(secret.data.get(name)?).ok()?;
            String::from_utf8(value).ok()
        };
        let matches = same(field("token-secret")?.as_bytes(), self.secret.as_bytes())
            && field("token-id")? == self.id
            && field("usage-bootstrap-authentication")? == "true";
        let fresh = match field("expiration") {
            None => true,
            Some(time) => time.parse::<jiff::Timestamp>().is_ok_and(|time| time.as_second() > now_seconds),
        };
        if !matches || !fresh {
            return None;
        }
        let mut groups = vec![GROUP.to_owned()];
        if let Some(extra) = field("auth-extra-groups") {
            // Only groups below system:bootstrappers: can be given by a token.
            groups.extend(
                extra
                    .split(',')
                    .map(str::trim)
                    .filter(|g| g.starts_with("system:bootstrappers:"))
                    .map(str::to_owned),
            );
        }
        groups.push(GROUP_AUTHENTICATED.to_owned());
        Some(UserInfo { username: format!("system:bootstrap:{}", self.id), groups, ..UserInfo::default() })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Secret {
    metadata: Meta,
    #[serde(rename = "type")]
    kind: String,
    data: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    deletion_timestamp: Option<String>,
}

/// Compares in a time that does not depend on where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::lookup::testing::Map;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000;

    fn secret(change: &[(&str, &str)]) -> Value {
        let mut data = BTreeMap::from([
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", "system:bootstrappers:x,system:masters"),
        ]);
        data.extend(change.iter().copied());
        let data = data
            .into_iter()
            .map(|(k, v)| (k.to_owned(), json!(STANDARD.encode(v))))
            .collect::<serde_json::Map<_, _>>();
        json!({"metadata": {"name": "bootstrap-token-abcdef"}, "type": SECRET_TYPE, "data": data})
    }

    #[track_caller]
    fn check(stored: &Value, token: &str, wanted: bool) {
        let objects = Map::default();
        objects.put("secrets", "kube-system/bootstrap-token-abcdef", stored);
        let user = BootstrapToken::parse(token).and_then(|token| token.authenticate(&objects, NOW));
        assert_eq!(user.is_some(), wanted, "{stored} {token}");
        if let Some(user) = user {
            assert_eq!(user.username, "system:bootstrap:abcdef");
            assert_eq!(
                user.groups,
                ["system:bootstrappers", "system:bootstrappers:x", "system:authenticated"]
            );
        }
    }

    #[test]
    fn only_the_right_token_at_the_right_time() {
        let good = "abcdef.0123456789abcdef";
        check(&secret(&[]), good, true);
        check(&secret(&[("expiration", "2100-01-01T00:00:00Z")]), good, true);
        check(&secret(&[("expiration", "2020-01-01T00:00:00Z")]), good, false);
        check(&secret(&[("expiration", "soon")]), good, false);
        check(&secret(&[("usage-bootstrap-authentication", "false")]), good, false);
        check(&secret(&[("token-id", "abcdeg")]), good, false);
        check(&secret(&[]), "abcdef.0123456789abcdeg", false);
        check(&secret(&[]), "abcdee.0123456789abcdef", false);
        check(&secret(&[]), "ABCDEF.0123456789abcdef", false);
        check(&secret(&[]), "abcdef.0123456789abcdef0", false);
        let mut other = secret(&[]);
        other["type"] = json!("Opaque");
        check(&other, good, false);
    }
}
