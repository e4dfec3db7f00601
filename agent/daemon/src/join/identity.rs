//! What a node keeps of its membership: the cluster's CA, its client certificate, its serving certificate.

use super::csr::{CsrError, Issued, Purpose, request};
use super::pin::{PinError, authority, fetch_ca};
use super::token::{JoinToken, TokenError};
use crate::config::{AgentConfig, ConfigError};
use keelson_client::Client;
use keelson_client::remote::{Identity, RemoteConfig, RemoteError, RemoteTransport};
use keelson_kubelet::{ServingTls, TlsError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use x509_parser::prelude::{FromDer, X509Certificate};

const USER_AGENT: &str = concat!("keelson-agent/", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error("cannot join as node {node}: {source}")]
    Csr { node: String, source: CsrError },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("cannot use the cluster's CA: {0}")]
    Ca(#[from] TlsError),
    #[error("cannot use the certificate in {path}: {message}; remove the file to join again")]
    Certificate { path: String, message: String },
    #[error("cannot keep {path}: {source}")]
    Keep { path: String, source: io::Error },
}

/// A node's certificates, on disk and in use.
pub struct Identities {
    node: String,
    dir: PathBuf,
    transport: Arc<RemoteTransport>,
    client: Client,
    serving: ServingTls,
    addresses: Vec<IpAddr>,
}

/// The window in which a certificate is valid, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub to: i64,
}

/// Between two attempts to reach a server that is not there yet: doubled each time up to the maximum.
const RETRY: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A server that is being started needs less: nothing is said of it.
const QUIET: Duration = Duration::from_secs(3);
/// How often a node that waits says so.
const SAY: Duration = Duration::from_secs(20);

impl JoinError {
    /// Whether waiting can help: the server, or its token file, may still be on its way.
    fn is_transient(&self) -> bool {
        match self {
            JoinError::Config(ConfigError::Read { source, .. }) => source.kind() == io::ErrorKind::NotFound,
            JoinError::Pin(PinError::Connect { .. }) => true,
            JoinError::Csr { source: CsrError::Unsigned { .. }, .. } => true,
            JoinError::Csr { source: CsrError::Api(error), .. } => match error.code() {
                None => true,
                // Roles and tokens are being made while the server starts.
                Some(code) => [401, 403, 429].contains(&code) || code >= 500,
            },
            _ => false,
        }
    }

    /// What may be wrong when it does not pass.
    fn advice(&self) -> &'static str {
        match self {
            JoinError::Csr { source: CsrError::Api(error), .. } if error.code() == Some(401) => {
                "is the token this cluster's? `keelson token` prints it on the server"
            }
            JoinError::Config(_) => "the server makes it when it starts",
            _ => "is the server running, and is its port open to this machine?",
        }
    }
}

impl Identities {
    /// What was typed wrongly, before anything is started: where the server is, and the token when it will be needed.
    pub fn check(config: &AgentConfig) -> Result<(), JoinError> {
        authority(&config.server)?;
        let has_joined = config.state_dir.join("pki/client.pem").exists();
        match &config.token {
            Some(token) if !has_joined => JoinToken::parse(token.trim()).map(drop).map_err(JoinError::from),
            None if !has_joined && config.token_file.is_none() => Err(ConfigError::NoToken.into()),
            _ => Ok(()),
        }
    }

    /// Like `try_establish`, again and again while the server may be on its way. Says so, now and then.
    pub async fn establish(config: &AgentConfig, node: &str, address: IpAddr) -> Result<Self, JoinError> {
        let begin = Instant::now();
        let (mut pause, mut say_at) = (RETRY, QUIET);
        loop {
            let error = match Self::try_establish(config, node, address).await {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            let waited = begin.elapsed();
            if waited >= say_at {
                say_at = waited + SAY;
                let (server, advice, waited_s) = (&config.server, error.advice(), waited.as_secs());
                tracing::warn!(server, waited_s, %error, advice, "cannot join yet, trying on");
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Takes what an earlier run left, and requests what is missing or out of date.
    async fn try_establish(config: &AgentConfig, node: &str, address: IpAddr) -> Result<Self, JoinError> {
        let dir = config.state_dir.join("pki");
        fs::create_dir_all(&dir)
            .map_err(|source| JoinError::Keep { path: dir.display().to_string(), source })?;
        let ca_pem = cluster_ca(config, &dir.join("ca.crt"))?;
        let transport = RemoteTransport::new(RemoteConfig {
            server: config.server.trim_end_matches('/').to_owned(),
            ca_pem: ca_pem.clone().into_bytes(),
            identity: None,
            token: None,
        })?;
        let mut identities = Self {
            node: node.to_owned(),
            client: Client::new(transport.clone(), USER_AGENT),
            serving: ServingTls::new(ca_pem.as_bytes())?,
            addresses: vec![address],
            dir,
            transport,
        };
        identities.establish_client(config).await?;
        Ok(identities)
    }

    async fn establish_client(&mut self, config: &AgentConfig) -> Result<(), JoinError> {
        if let Some(kept) = self.kept("client")? {
            return self.use_client(&kept);
        }
        let bearer = JoinToken::parse(&config.join_token()?)?.bearer;
        self.transport.set_token(Some(Arc::new(move || Some(bearer.clone()))));
        let result = self.renew_client().await;
        self.transport.set_token(None);
        result
    }

    /// Requests a serving certificate unless a good one is kept. Needs the client certificate.
    pub async fn establish_serving(&self) -> Result<(), JoinError> {
        match self.kept("serving")? {
            Some(kept) if names_all(&kept.certificate, &self.addresses) => self.use_serving(&kept),
            _ => self.renew_serving().await,
        }
    }

    /// Requests a new client certificate with whatever identity is in use, and uses it.
    pub async fn renew_client(&self) -> Result<(), JoinError> {
        let issued = self.request(&Purpose::Client).await?;
        self.use_client(&issued)?;
        self.keep("client", &issued)
    }

    /// Requests a new serving certificate and uses it.
    pub async fn renew_serving(&self) -> Result<(), JoinError> {
        let issued = self.request(&Purpose::Serving(self.addresses.clone())).await?;
        self.use_serving(&issued)?;
        self.keep("serving", &issued)
    }

    async fn request(&self, purpose: &Purpose) -> Result<Issued, JoinError> {
        request(&self.client, &self.node, purpose)
            .await
            .map_err(|source| JoinError::Csr { node: self.node.clone(), source })
    }

    fn use_client(&self, issued: &Issued) -> Result<(), JoinError> {
        self.transport.set_identity(Some(Identity {
            cert_pem: issued.certificate.clone().into_bytes(),
            key_pem: issued.key.clone().into_bytes(),
        }))?;
        Ok(())
    }

    fn use_serving(&self, issued: &Issued) -> Result<(), JoinError> {
        let set = self.serving.replace(issued.certificate.as_bytes(), issued.key.as_bytes());
        set.map_err(|error| self.unusable("serving", error.to_string()))
    }

    /// The API, as this node.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// For the server on :10250.
    pub fn serving(&self) -> ServingTls {
        self.serving.clone()
    }

    /// When the certificate kept under `name` (`client`, `serving`) is valid.
    pub fn validity(&self, name: &str) -> Option<Validity> {
        validity(&fs::read_to_string(self.file(name)).ok()?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    fn unusable(&self, name: &str, message: String) -> JoinError {
        JoinError::Certificate { path: self.file(name).display().to_string(), message }
    }

    /// A certificate of an earlier run, if it is still valid.
    fn kept(&self, name: &str) -> Result<Option<Issued>, JoinError> {
        let Ok(text) = fs::read_to_string(self.file(name)) else { return Ok(None) };
        let valid = validity(&text).ok_or_else(|| self.unusable(name, "it does not parse".to_owned()))?;
        let now = jiff::Timestamp::now().as_second();
        let issued = Issued { certificate: text.clone(), key: text };
        Ok((now < valid.to).then_some(issued))
    }

    fn keep(&self, name: &str, issued: &Issued) -> Result<(), JoinError> {
        let text = format!("{}\n{}", issued.certificate.trim_end(), issued.key);
        write_private(&self.file(name), &text)
    }
}

/// The cluster's CA from an earlier run, or from the server when its hash is that of the token.
fn cluster_ca(config: &AgentConfig, path: &Path) -> Result<String, JoinError> {
    if let Ok(pem) = fs::read_to_string(path) {
        return Ok(pem);
    }
    let token = JoinToken::parse(&config.join_token()?)?;
    let der = fetch_ca(&config.server, token.ca_sha256)?;
    let pem = to_pem(&der);
    write_private(path, &pem)?;
    Ok(pem)
}

fn to_pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(digit);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
fn write_private(path: &Path, text: &str) -> Result<(), JoinError> {
    let keep = |source| JoinError::Keep { path: path.display().to_string(), source };
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(keep)
}

fn validity(pem: &str) -> Option<Validity> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let validity = certificate.validity();
    Some(Validity { from: validity.not_before.timestamp(), to: validity.not_after.timestamp() })
}

/// Whether the certificate's names hold every address.
fn names_all(pem: &str, addresses: &[IpAddr]) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    addresses.iter().all(|address| {
        names.value.general_names.iter().any(|name| {
            matches!(name, x509_parser::extensions::GeneralName::IPAddress(found) if *found == octets(address))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A typo ends before a runtime is started, and a node that has joined needs no token.
    #[test]
    fn what_is_checked_before_anything_runs() {
        let dir = tempfile::tempdir().unwrap();
        let check = |server: &str, token: Option<&str>| {
            let mut config = AgentConfig::joining(server, token.map(str::to_owned));
            config.state_dir = dir.path().to_owned();
            Identities::check(&config).map_err(|error| error.to_string())
        };
        let (server, token) =
            ("https://10.0.0.1:6443", format!("K10{}::abc123.0123456789abcdef", "0".repeat(64)));
        assert_eq!(check(server, Some(&format!(" {token}\n"))), Ok(()));
        assert!(check("10.0.0.1:6443", Some(&token)).unwrap_err().contains("https://HOST:PORT"));
        assert!(check(server, Some("abc")).unwrap_err().contains("K10"));
        assert!(check(server, None).unwrap_err().contains("there is no join token"));
        fs::create_dir(dir.path().join("pki")).unwrap();
        fs::write(dir.path().join("pki/client.pem"), "").unwrap();
        assert_eq!(check(server, None), Ok(()));
    }
}
