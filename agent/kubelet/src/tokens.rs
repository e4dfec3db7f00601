//! Service account tokens of pods: asked for once, renewed at 80 % of their life.

use crate::clock::Clock;
use crate::pod::Pod;
use crate::pod::time::parse;
use crate::volume::payload::TokenWant;
use keelson_api::resource::Resource;
use keelson_client::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;

/// No token is kept longer than this before it is renewed.
const KEEP_MS_MAX: u64 = 24 * 3600 * 1000;

#[derive(Clone)]
struct Held {
    token: String,
    /// Monotonic ms.
    refresh: u64,
}

/// Tokens by pod and by what was asked for.
pub struct Tokens {
    client: Client,
    clock: Clock,
    held: Mutex<HashMap<(String, TokenWant), Held>>,
}

impl Tokens {
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, held: Mutex::default() }
    }

    /// A token of the pod's service account bound to the pod, and when to ask again (monotonic ms).
    pub async fn get(&self, pod: &Pod, want: &TokenWant) -> Result<(String, u64), String> {
        let key = (pod.meta.uid.clone(), want.clone());
        let asked = self.clock.now();
        if let Some(held) = self.held.lock().get(&key).filter(|h| h.refresh > asked.mono) {
            return Ok((held.token.clone(), held.refresh));
        }
        let account = match pod.spec.service_account_name.as_str() {
            "" => "default",
            name => name,
        };
        let request = request(pod, want);
        let reply: Value = self
            .client
            .create_subresource(&Resource::SERVICE_ACCOUNTS, &pod.meta.namespace, account, "token", &request)
            .await
            .map_err(|e| format!("failed to fetch token: {e}"))?;
        let token = reply.pointer("/status/token").and_then(Value::as_str).unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err("failed to fetch token: the reply holds none".to_owned());
        }
        let expires = reply.pointer("/status/expirationTimestamp").and_then(Value::as_str).and_then(parse);
        let life = expires.map_or(want.expiration_s * 1000, |at| u64::try_from(at - asked.wall).unwrap_or(0));
        let refresh = asked.mono + (life * 8 / 10).clamp(1000, KEEP_MS_MAX);
        self.held.lock().insert(key, Held { token: token.clone(), refresh });
        Ok((token, refresh))
    }

    /// Forgets a pod's tokens.
    pub fn forget(&self, uid: &str) {
        self.held.lock().retain(|(pod, _), _| pod != uid);
    }
}

fn request(pod: &Pod, want: &TokenWant) -> Value {
    let audiences: Vec<&str> =
        if want.audience.is_empty() { Vec::new() } else { vec![want.audience.as_str()] };
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": want.expiration_s,
            "boundObjectRef": {
                "kind": "Pod", "apiVersion": "v1", "name": pod.meta.name, "uid": pod.meta.uid,
            },
        },
    })
}
