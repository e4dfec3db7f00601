//! The files of ConfigMap, Secret, downward API and projected volumes. Pure.

use crate::env::Objects;
use crate::env::fields::{self, NodeFacts};
use crate::pod::spec::{
    ConfigMapSource, DownwardSource, KeyToPath, Pod, Projected, SecretSource, TokenSource, Volume,
};
use std::collections::BTreeMap;

/// The permissions of files whose volume names none.
const MODE_DEFAULT: u32 = 0o644;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub content: Vec<u8>,
    pub mode: u32,
    /// A token: readable by its pod's user alone where that is known.
    pub private: bool,
}

/// Files by their path in the volume.
pub type Payload = BTreeMap<String, File>;

/// A token that a volume asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenWant {
    pub audience: String,
    pub expiration_s: u64,
}

impl TokenWant {
    pub fn of(source: &TokenSource) -> Self {
        Self { audience: source.audience.clone(), expiration_s: source.expiration_seconds.unwrap_or(3600) }
    }
}

/// Everything that a payload is made from.
pub struct Sources<'a> {
    pub pod: &'a Pod,
    pub objects: &'a Objects,
    pub facts: &'a NodeFacts<'a>,
    pub tokens: &'a BTreeMap<TokenWant, String>,
}

/// What a volume refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub config_maps: Vec<String>,
    pub secrets: Vec<String>,
    pub tokens: Vec<TokenWant>,
}

pub fn wants(volume: &Volume) -> Wants {
    let mut wants = Wants::default();
    wants.config_maps.extend(volume.config_map.as_ref().map(|s| s.name.clone()));
    wants.secrets.extend(volume.secret.as_ref().map(|s| s.secret_name.clone()));
    for source in volume.projected.iter().flat_map(|p| &p.sources) {
        wants.config_maps.extend(source.config_map.as_ref().map(|s| s.name.clone()));
        wants.secrets.extend(source.secret.as_ref().map(|s| s.secret_name.clone()));
        wants.tokens.extend(source.service_account_token.as_ref().map(TokenWant::of));
    }
    wants
}

/// The files of `volume`, or `None` when it is of another kind.
pub fn render(volume: &Volume, sources: &Sources<'_>) -> Option<Result<Payload, String>> {
    let mut payload = Payload::new();
    let result = if let Some(source) = &volume.config_map {
        config_map(&mut payload, source, source.default_mode, sources)
    } else if let Some(source) = &volume.secret {
        secret(&mut payload, source, source.default_mode, sources)
    } else if let Some(source) = &volume.downward_api {
        downward(&mut payload, source, source.default_mode, sources)
    } else if let Some(source) = &volume.projected {
        projected(&mut payload, source, sources)
    } else {
        return None;
    };
    Some(result.map(|()| payload))
}

fn projected(payload: &mut Payload, projected: &Projected, sources: &Sources<'_>) -> Result<(), String> {
    let mode = projected.default_mode;
    for source in &projected.sources {
        if let Some(source) = &source.config_map {
            config_map(payload, source, mode, sources)?;
        } else if let Some(source) = &source.secret {
            secret(payload, source, mode, sources)?;
        } else if let Some(source) = &source.downward_api {
            downward(payload, source, mode, sources)?;
        } else if let Some(source) = &source.service_account_token {
            let want = TokenWant::of(source);
            let token = sources.tokens.get(&want).ok_or("the service account token is not there yet")?;
            let mode = mode.unwrap_or(MODE_DEFAULT);
            let file = File { content: token.clone().into_bytes(), mode, private: true };
            put(payload, &source.path, file)?;
        } else {
            return Err("a projected source is of a kind that is not served (only configMap, secret, downwardAPI and serviceAccountToken are)".to_owned());
        }
    }
    Ok(())
}

fn config_map(
    payload: &mut Payload,
    source: &ConfigMapSource,
    mode: Option<u32>,
    sources: &Sources<'_>,
) -> Result<(), String> {
    let Some(map) = sources.objects.config_maps.get(&source.name) else {
        return missing(source.optional, || format!("configmap \"{}\" not found", source.name));
    };
    let text = map.data.iter().map(|(k, v)| (k.as_str(), v.as_bytes()));
    let binary = map.binary_data.iter().map(|(k, v)| (k.as_str(), v.0.as_slice()));
    select(payload, text.chain(binary).collect(), &source.items, mode, source.optional)
}

fn secret(
    payload: &mut Payload,
    source: &SecretSource,
    mode: Option<u32>,
    sources: &Sources<'_>,
) -> Result<(), String> {
    let Some(secret) = sources.objects.secrets.get(&source.secret_name) else {
        return missing(source.optional, || format!("secret \"{}\" not found", source.secret_name));
    };
    let data = secret.data.iter().map(|(k, v)| (k.as_str(), v.0.as_slice())).collect();
    select(payload, data, &source.items, mode, source.optional)
}

/// All keys, or the chosen ones at their paths.
fn select(
    payload: &mut Payload,
    data: BTreeMap<&str, &[u8]>,
    items: &[KeyToPath],
    mode: Option<u32>,
    optional: bool,
) -> Result<(), String> {
    let default = mode.unwrap_or(MODE_DEFAULT);
    if items.is_empty() {
        for (key, content) in data {
            put(payload, key, File { content: content.to_vec(), mode: default, private: false })?;
        }
        return Ok(());
    }
    for item in items {
        let Some(content) = data.get(item.key.as_str()) else {
            missing(optional, || format!("references non-existent config key: {}", item.key))?;
            continue;
        };
        let mode = item.mode.unwrap_or(default);
        put(payload, &item.path, File { content: content.to_vec(), mode, private: false })?;
    }
    Ok(())
}

fn downward(
    payload: &mut Payload,
    source: &DownwardSource,
    mode: Option<u32>,
    sources: &Sources<'_>,
) -> Result<(), String> {
    for item in &source.items {
        let text = if let Some(field) = &item.field_ref {
            fields::field(sources.pod, &field.field_path, sources.facts)?
        } else if let Some(resource) = &item.resource_field_ref {
            fields::resource(sources.pod, None, resource, sources.facts)?
        } else {
            String::new()
        };
        let mode = item.mode.or(mode).unwrap_or(MODE_DEFAULT);
        put(payload, &item.path, File { content: text.into_bytes(), mode, private: false })?;
    }
    Ok(())
}

fn missing(optional: bool, message: impl Fn() -> String) -> Result<(), String> {
    if optional { Ok(()) } else { Err(message()) }
}

/// A path must stay inside the volume and not touch the writer's own names.
fn put(payload: &mut Payload, path: &str, file: File) -> Result<(), String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.is_empty() || path.starts_with('/') || parts.contains(&"..") || parts[0].starts_with("..") {
        return Err(format!("invalid path: {path}"));
    }
    payload.insert(parts.join("/"), file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn check(volume: Value, expect: Result<&[(&str, &str, u32)], &str>) {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"a": "1", "b": "x\"y"}},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}}))
        .unwrap();
        let map = serde_json::from_value(json!({"data": {"k": "v", "l": "w"}})).unwrap();
        let secret = serde_json::from_value(json!({"data": {"p": "cHc="}})).unwrap();
        let objects = Objects {
            config_maps: [("cm".to_owned(), Arc::new(map))].into(),
            secrets: [("s".to_owned(), Arc::new(secret))].into(),
        };
        let facts =
            NodeFacts { host_ips: &[], pod_ips: &[], cpu_milli: 1000, memory_bytes: 1, disk_bytes: 1 };
        let want = TokenWant { audience: String::new(), expiration_s: 3607 };
        let tokens = [(want, "tok".to_owned())].into();
        let sources = Sources { pod: &pod, objects: &objects, facts: &facts, tokens: &tokens };
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let got = render(&volume, &sources).unwrap().map(|payload| {
            payload
                .into_iter()
                .map(|(path, file)| (path, String::from_utf8(file.content).unwrap(), file.mode))
                .collect::<Vec<_>>()
        });
        let expect = expect
            .map(|list| list.iter().map(|(p, c, m)| ((*p).to_owned(), (*c).to_owned(), *m)).collect())
            .map_err(str::to_owned);
        assert_eq!(got, expect);
    }

    #[test]
    fn config_maps_and_secrets() {
        check(json!({"configMap": {"name": "cm"}}), Ok(&[("k", "v", 0o644), ("l", "w", 0o644)]));
        check(
            json!({"configMap": {"name": "cm", "defaultMode": 256, "items": [{"key": "k", "path": "d/e"},
                   {"key": "l", "path": "f", "mode": 511}]}}),
            Ok(&[("d/e", "v", 0o400), ("f", "w", 0o777)]),
        );
        check(json!({"configMap": {"name": "no"}}), Err("configmap \"no\" not found"));
        check(json!({"configMap": {"name": "no", "optional": true}}), Ok(&[]));
        check(
            json!({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}),
            Err("references non-existent config key: z"),
        );
        check(
            json!({"secret": {"secretName": "s", "items": [{"key": "p", "path": "../x"}]}}),
            Err("invalid path: ../x"),
        );
    }

    #[test]
    fn projected_ones_that_are_not_served() {
        let words = "a projected source is of a kind that is not served (only configMap, secret, downwardAPI and serviceAccountToken are)";
        for source in [
            json!({"clusterTrustBundle": {"name": "b", "path": "ca.pem", "optional": true}}),
            json!({"podCertificate": {"signerName": "s/s", "keyType": "ED25519", "credentialBundlePath": "c"}}),
        ] {
            check(json!({"projected": {"sources": [{"secret": {"name": "s"}}, source]}}), Err(words));
        }
    }

    #[test]
    fn projected_ones() {
        check(
            json!({"projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "cm", "items": [{"key": "k", "path": "ca.crt"}]}},
                {"secret": {"name": "s"}},
                {"downwardAPI": {"items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu",
                     "divisor": "1m"}}]}}]}}),
            Ok(&[
                ("ca.crt", "v", 0o644),
                ("cpu", "1000", 0o644),
                ("labels", "a=\"1\"\nb=\"x\\\"y\"", 0o644),
                ("p", "pw", 0o644),
                ("token", "tok", 0o644),
            ]),
        );
    }
}
