//! Replaces certificates in time, without a restart and without breaking a connection.

use crate::files;
use crate::pki::{Certificate, LeafKind, Pki};
use keelson_apiserver::KubeletClient;
use keelson_apiserver::serve::tls::ServerCertificate;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::Identity;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock may jump, so the time is looked at again at least this often.
const LOOK: Duration = Duration::from_secs(3600);
/// After a failure, such as a full disk.
const RETRY: Duration = Duration::from_secs(60);

/// Unix time in seconds.
pub(crate) fn now_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Where certificates are in use.
pub(crate) struct Users {
    pub server: Arc<ServerCertificate>,
    pub kubelet: Arc<KubeletClient>,
    pub admin_kubeconfig: PathBuf,
    /// `https://host:port`, for the kubeconfig.
    pub url: String,
}

impl Users {
    /// Writes the administrator's kubeconfig.
    pub fn write_kubeconfig(&self, pki: &Pki) -> Result<(), files::FileError> {
        let identity = Identity {
            cert_pem: pki.admin.certificate_pem.clone().into_bytes(),
            key_pem: pki.admin.key_pem.clone().into_bytes(),
        };
        let text = Kubeconfig::render(
            "keelson",
            &self.url,
            pki.authority.certificate_pem.as_bytes(),
            Some(&identity),
        );
        if let Some(parent) = self.admin_kubeconfig.parent() {
            files::create_dir(parent)?;
        }
        files::write_private(&self.admin_kubeconfig, text.as_bytes())
    }

    fn take(&self, pki: &Pki, kind: LeafKind) -> Result<(), String> {
        match kind {
            LeafKind::Server => {
                let chain = chain(&pki.server, pki);
                self.server.swap(chain.as_bytes(), pki.server.key_pem.as_bytes()).map_err(|e| e.to_string())
            }
            LeafKind::KubeletClient => {
                let client = &pki.kubelet_client;
                let ca = pki.authority.certificate_pem.as_bytes();
                self.kubelet
                    .swap(ca, client.certificate_pem.as_bytes(), client.key_pem.as_bytes())
                    .map_err(|e| e.to_string())
            }
            LeafKind::Admin => self.write_kubeconfig(pki).map_err(|e| e.to_string()),
        }
    }
}

/// The certificate with its CA: an agent that knows only the CA's hash finds the CA in the handshake.
pub(crate) fn chain(certificate: &Certificate, pki: &Pki) -> String {
    format!("{}{}", certificate.certificate_pem, pki.authority.certificate_pem)
}

/// Runs until aborted.
pub(crate) async fn keep_fresh(mut pki: Pki, users: Users) {
    loop {
        let left = u64::try_from(pki.next_renewal() - now_seconds()).unwrap_or(0);
        tokio::time::sleep(LOOK.min(Duration::from_secs(left))).await;
        match pki.renew(now_seconds()) {
            Ok(renewed) => {
                for kind in renewed {
                    match users.take(&pki, kind) {
                        Ok(()) => tracing::info!(certificate = ?kind, "a certificate was renewed"),
                        Err(error) => {
                            tracing::error!(certificate = ?kind, error, "a renewed certificate is not in use");
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "certificates could not be renewed");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
