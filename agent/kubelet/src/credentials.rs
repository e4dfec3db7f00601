//! Which credentials an image's registry gets, out of a pod's pull secrets. Pure; secrets never reach a log.

use keelson_client::views::Secret;
use keelson_proto::cri::AuthConfig;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The registry of images whose name holds none.
const DEFAULT_REGISTRY: &str = "docker.io";
const CONFIG_KEY: &str = ".dockerconfigjson";
const LEGACY_KEY: &str = ".dockercfg";

#[derive(Deserialize)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    username: String,
    password: String,
    /// Base64 of `username:password`; the runtime decodes it.
    auth: String,
    identitytoken: String,
}

/// The credentials for `image`, the most specific entry first. Secrets of another form hold none.
pub fn for_image<'a>(image: &str, secrets: impl Iterator<Item = &'a Secret>) -> Vec<AuthConfig> {
    let place = place(image);
    let mut found: Vec<(usize, AuthConfig)> = Vec::new();
    for secret in secrets {
        for (server, entry) in entries(secret) {
            let key = normal(&server);
            if covers(&key, &place) {
                let auth = AuthConfig {
                    username: entry.username,
                    password: entry.password,
                    auth: entry.auth,
                    server_address: server,
                    identity_token: entry.identitytoken,
                    registry_token: String::new(),
                };
                found.push((key.len(), auth));
            }
        }
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, auth)| auth).collect()
}

fn entries(secret: &Secret) -> BTreeMap<String, Entry> {
    if let Some(bytes) = secret.data.get(CONFIG_KEY) {
        return serde_json::from_slice::<DockerConfig>(&bytes.0).map(|c| c.auths).unwrap_or_default();
    }
    let legacy = secret.data.get(LEGACY_KEY);
    legacy.and_then(|bytes| serde_json::from_slice(&bytes.0).ok()).unwrap_or_default()
}

/// `registry/path` of an image's name, without tag and digest.
fn place(image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let path = path.split(':').next().unwrap_or(path);
    format!("{registry}/{path}")
}

/// A server as people write it (`https://index.docker.io/v1/`) in the form of [`place`].
fn normal(server: &str) -> String {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = bare.trim_end_matches("/v1").trim_end_matches("/v2");
    if bare == "index.docker.io" { DEFAULT_REGISTRY.to_owned() } else { bare.to_owned() }
}

/// Whether a key is the place's registry, or a folder of it.
fn covers(key: &str, place: &str) -> bool {
    place.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(image: &str, expect: &[&str]) {
        let config = json!({"auths": {
            "https://index.docker.io/v1/": {"username": "hub"},
            "reg.example:5000": {"username": "all"},
            "reg.example:5000/team": {"username": "team"}}});
        let secret = Secret {
            data: [(
                CONFIG_KEY.to_owned(),
                keelson_client::views::ByteString(config.to_string().into_bytes()),
            )]
            .into(),
            ..Secret::default()
        };
        let broken = Secret::default();
        let names: Vec<String> =
            for_image(image, [&broken, &secret].into_iter()).into_iter().map(|a| a.username).collect();
        assert_eq!(names, expect, "{image}");
    }

    #[test]
    fn registries() {
        check("busybox", &["hub"]);
        check("library/busybox:1", &["hub"]);
        check("reg.example:5000/team/app:1@sha256:00", &["team", "all"]);
        check("reg.example:5000/teams/app", &["all"]);
        check("other.example/app", &[]);
    }
}
