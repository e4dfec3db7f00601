//! What a ServiceAccount token says (KEP-1205, KEP-4193).

use super::super::x509::CREDENTIAL_ID;
use keelson_api::identity::UserInfo;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// A single audience may stand as a plain string (RFC 7519, 4.1.3); ours are lists.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// Unix seconds, like `iat` and `nbf`.
    pub exp: i64,
    pub iat: i64,
    pub iss: String,
    pub jti: String,
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Kubernetes,
    pub nbf: i64,
    pub sub: String,
}

/// The private claims: whom the token is for, and the objects whose end is its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kubernetes {
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<ObjectRef>,
    pub serviceaccount: ObjectRef,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectRef {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(deserializer)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}

impl Claims {
    /// The user that the token stands for.
    pub fn user(&self) -> UserInfo {
        let kubernetes = &self.kubernetes;
        let mut user = UserInfo::service_account(&kubernetes.namespace, &kubernetes.serviceaccount.name);
        user.uid.clone_from(&kubernetes.serviceaccount.uid);
        let mut extra = |key: &str, value: &str| {
            if !value.is_empty() {
                user.extra.insert(key.to_owned(), vec![value.to_owned()]);
            }
        };
        if !self.jti.is_empty() {
            extra(CREDENTIAL_ID, &format!("JTI={}", self.jti));
        }
        if let Some(pod) = &kubernetes.pod {
            extra("authentication.kubernetes.io/pod-name", &pod.name);
            extra("authentication.kubernetes.io/pod-uid", &pod.uid);
        }
        if let Some(node) = &kubernetes.node {
            extra("authentication.kubernetes.io/node-name", &node.name);
            extra("authentication.kubernetes.io/node-uid", &node.uid);
        }
        user
    }
}
