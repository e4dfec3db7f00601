//! Reads and renders kubeconfig files. Exec and auth-provider plugins are refused, not ignored.

use crate::remote::{Identity, RemoteConfig, TokenProvider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kubeconfig that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    #[error("{path}: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("{path}: {what} is missing")]
    Missing { path: PathBuf, what: String },
    #[error("{path}: {what} is not supported")]
    Unsupported { path: PathBuf, what: &'static str },
}

/// Reading and writing of kubeconfig files.
pub struct Kubeconfig;

impl Kubeconfig {
    /// The server and identity of the current context.
    pub fn load(path: impl AsRef<Path>) -> Result<RemoteConfig, KubeconfigError> {
        let path = path.as_ref();
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        let file: File = serde_saphyr::from_str(&text)
            .map_err(|e| KubeconfigError::Parse { path: path.to_owned(), message: e.to_string() })?;
        Loader { path }.resolve(file)
    }

    /// The text of a kubeconfig with one cluster, user and context, all named `name`.
    pub fn render(name: &str, server: &str, ca_pem: &[u8], identity: Option<&Identity>) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let name = quoted(name);
        let mut text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {ca}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    \
             user: {name}\ncurrent-context: {name}\nusers:\n- name: {name}\n",
            server = quoted(server),
            ca = STANDARD.encode(ca_pem),
        );
        match identity {
            None => text.push_str("  user: {}\n"),
            Some(identity) => text.push_str(&format!(
                "  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
                STANDARD.encode(&identity.cert_pem),
                STANDARD.encode(&identity.key_pem)
            )),
        }
        text
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KubeconfigError> {
    std::fs::read(path).map_err(|source| KubeconfigError::Read { path: path.to_owned(), source })
}

struct Loader<'a> {
    path: &'a Path,
}

impl Loader<'_> {
    fn missing(&self, what: impl Into<String>) -> KubeconfigError {
        KubeconfigError::Missing { path: self.path.to_owned(), what: what.into() }
    }

    fn resolve(&self, file: File) -> Result<RemoteConfig, KubeconfigError> {
        let current = &file.current_context;
        let context = file
            .contexts
            .iter()
            .find(|c| c.name == *current)
            .ok_or_else(|| self.missing(format!("the context {current:?}")))?;
        let cluster = file
            .clusters
            .iter()
            .find(|c| c.name == context.context.cluster)
            .ok_or_else(|| self.missing(format!("the cluster {:?}", context.context.cluster)))?;
        let user = file
            .users
            .iter()
            .find(|u| u.name == context.context.user)
            .ok_or_else(|| self.missing(format!("the user {:?}", context.context.user)))?;
        if cluster.cluster.insecure_skip_tls_verify {
            return Err(self.unsupported("insecure-skip-tls-verify"));
        }
        let ca_pem = self
            .material(&cluster.cluster.certificate_authority_data, &cluster.cluster.certificate_authority)?
            .ok_or_else(|| self.missing("certificate-authority"))?;
        Ok(RemoteConfig {
            server: cluster.cluster.server.clone(),
            ca_pem,
            identity: self.identity(&user.user)?,
            token: self.token(&user.user)?,
        })
    }

    fn unsupported(&self, what: &'static str) -> KubeconfigError {
        KubeconfigError::Unsupported { path: self.path.to_owned(), what }
    }

    fn identity(&self, user: &User) -> Result<Option<Identity>, KubeconfigError> {
        if user.exec.is_some() {
            return Err(self.unsupported("an exec plugin"));
        }
        if user.auth_provider.is_some() {
            return Err(self.unsupported("auth-provider"));
        }
        let cert = self.material(&user.client_certificate_data, &user.client_certificate)?;
        let key = self.material(&user.client_key_data, &user.client_key)?;
        match (cert, key) {
            (Some(cert_pem), Some(key_pem)) => Ok(Some(Identity { cert_pem, key_pem })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.missing("client-key")),
            (None, Some(_)) => Err(self.missing("client-certificate")),
        }
    }

    fn token(&self, user: &User) -> Result<Option<TokenProvider>, KubeconfigError> {
        if !user.token_file.is_empty() {
            let path = self.absolute(&user.token_file);
            read(&path)?;
            // Tokens in files are rotated: each request reads the newest one.
            let provider = move || std::fs::read_to_string(&path).ok().map(|t| t.trim().to_owned());
            return Ok(Some(Arc::new(provider)));
        }
        if user.token.is_empty() {
            return Ok(None);
        }
        let token = user.token.clone();
        Ok(Some(Arc::new(move || Some(token.clone()))))
    }

    fn absolute(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn material(&self, data: &str, path: &str) -> Result<Option<Vec<u8>>, KubeconfigError> {
        if !data.is_empty() {
            let bytes = STANDARD.decode(data.trim()).map_err(|e| KubeconfigError::Parse {
                path: self.path.to_owned(),
                message: format!("base64 data: {e}"),
            })?;
            return Ok(Some(bytes));
        }
        if path.is_empty() { Ok(None) } else { read(&self.absolute(path)).map(Some) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
struct File {
    current_context: String,
    clusters: Vec<NamedCluster>,
    contexts: Vec<NamedContext>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: String,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: String,
    client_certificate_data: String,
    client_key: String,
    client_key_data: String,
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<RemoteConfig, KubeconfigError> {
        let path = std::env::temp_dir().join(format!("kubeconfig-{}-{:p}", std::process::id(), text));
        std::fs::write(&path, text).unwrap();
        let loaded = Kubeconfig::load(&path);
        std::fs::remove_file(&path).unwrap();
        loaded
    }

    #[test]
    fn what_is_rendered_can_be_read() {
        let identity = Identity { cert_pem: b"cert".to_vec(), key_pem: b"key".to_vec() };
        let text = Kubeconfig::render("admin", "https://10.0.0.1:6443", b"ca", Some(&identity));
        let config = load(&text).unwrap();
        assert_eq!(config.server, "https://10.0.0.1:6443");
        assert_eq!(config.ca_pem, b"ca");
        assert_eq!(config.identity.unwrap().key_pem, b"key");
        assert!(config.token.is_none());
    }

    #[test]
    fn tokens_and_refusals() {
        let text = Kubeconfig::render("a", "https://x", b"ca", None);
        let with_token = text.replace("user: {}", "user:\n    token: abc");
        assert_eq!(load(&with_token).unwrap().token.unwrap()().as_deref(), Some("abc"));
        let exec = text.replace("user: {}", "user:\n    exec: {command: x}");
        assert!(matches!(load(&exec), Err(KubeconfigError::Unsupported { .. })));
        let lost = text.replace("current-context: \"a\"", "current-context: b");
        assert!(matches!(load(&lost), Err(KubeconfigError::Missing { .. })));
        assert!(matches!(load("clusters: 3"), Err(KubeconfigError::Parse { .. })));
        assert!(matches!(Kubeconfig::load("/nowhere/at/all"), Err(KubeconfigError::Read { .. })));
    }
}
