//! A store with objects in it, for tests of this folder.

use super::rbac::defaults;
use super::{Auth, AuthConfig};
use keelson_store::{Expect, Options, Outcome, Store, Template, Write};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

/// The issuer and audience of tests.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub async fn open() -> (TempDir, Store) {
    open_with(|_| {}).await
}

pub async fn open_with(change: impl FnOnce(&mut Options)) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path());
    change(&mut options);
    let store = Store::open(options).await.unwrap();
    (dir, store)
}

fn put(kind: &str, object: &Value) -> Write {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = json!("");
    let json = object.to_string();
    let marker = "\"resourceVersion\":\"";
    let version_at = json.find(marker).unwrap() + marker.len();
    let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let key = match meta("namespace") {
        "" => meta("name").to_owned(),
        namespace => format!("{namespace}/{}", meta("name")),
    };
    let value = Template { json: json.into_bytes(), version_at };
    Write::Put { kind: kind.into(), key, expect: Expect::Any, value }
}

/// Writes `object` and returns its revision.
pub async fn write(store: &Store, kind: &str, object: &Value) -> u64 {
    match store.write(put(kind, object)).await.unwrap() {
        Outcome::Done(stored) => stored.revision,
        Outcome::Conflict(_) => panic!("conflict"),
    }
}

pub async fn write_defaults(store: &Store) {
    let all = defaults().into_iter().map(|default| async move {
        let kind = format!("{}.{}", default.resource.plural, default.resource.group);
        write(store, &kind, &default.object).await
    });
    futures::future::join_all(all).await;
}

pub fn auth(store: &Store) -> Arc<Auth> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca: CertificateDer<'static> = params.self_signed(&key).unwrap().der().clone();
    let config = AuthConfig {
        client_ca: vec![ca],
        signing_key_pem: key.serialize_pem(),
        issuer: ISSUER.to_owned(),
        api_audiences: vec![ISSUER.to_owned()],
        jwks_uri: "https://10.0.0.1:6443/openid/v1/jwks".to_owned(),
    };
    Auth::new(config, store.clone()).unwrap()
}
