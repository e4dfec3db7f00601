//! The cluster's keys and certificates, in `<state>/pki`.
//!
//! Made once. Certificates are made anew at two thirds of their life, or when the names they must carry change;
//! the CA and the ServiceAccount key stay. Nothing here is ever sent anywhere.

mod issue;
mod leaf;

pub use issue::{Authority, PkiError};
pub use leaf::{Certificate, LeafKind};

use crate::files;
use leaf::LeafSpec;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The user name of the API server towards nodes.
pub const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";
/// The user name in the admin kubeconfig.
pub const ADMIN: &str = "kubernetes-admin";

/// What certificates are made for.
#[derive(Clone, Debug)]
pub struct PkiConfig {
    /// The folder of keys and certificates.
    pub dir: PathBuf,
    /// Every name and address under which clients reach the API.
    pub server_names: Vec<String>,
}

/// All keys and certificates of a server.
pub struct Pki {
    config: PkiConfig,
    pub authority: Authority,
    pub server: Certificate,
    pub kubelet_client: Certificate,
    pub admin: Certificate,
    /// The P-256 key that signs ServiceAccount tokens, PKCS#8 PEM.
    pub service_account_key_pem: String,
}

impl Pki {
    /// Reads what is there and makes what is missing, due or made for other names. `now_seconds` is Unix time.
    pub fn open(config: PkiConfig, now_seconds: i64) -> Result<Self, PkiError> {
        files::create_dir(&config.dir)?;
        let authority = Authority::open(&config.dir, now_seconds)?;
        let leaf = |kind| Certificate::open(&authority, &spec(&config, kind), now_seconds);
        Ok(Self {
            server: leaf(LeafKind::Server)?,
            kubelet_client: leaf(LeafKind::KubeletClient)?,
            admin: leaf(LeafKind::Admin)?,
            service_account_key_pem: signing_key(&config.dir)?,
            authority,
            config,
        })
    }

    /// Makes the certificates anew that are due; says which.
    pub fn renew(&mut self, now_seconds: i64) -> Result<Vec<LeafKind>, PkiError> {
        let mut renewed = Vec::new();
        for kind in [LeafKind::Server, LeafKind::KubeletClient, LeafKind::Admin] {
            let current = self.leaf(kind);
            if now_seconds >= current.renew_at() {
                let fresh = Certificate::create(&self.authority, &spec(&self.config, kind), now_seconds)?;
                match kind {
                    LeafKind::Server => self.server = fresh,
                    LeafKind::KubeletClient => self.kubelet_client = fresh,
                    LeafKind::Admin => self.admin = fresh,
                }
                renewed.push(kind);
            }
        }
        Ok(renewed)
    }

    /// When `renew` will next have something to do, in Unix seconds.
    pub fn next_renewal(&self) -> i64 {
        self.server.renew_at().min(self.kubelet_client.renew_at()).min(self.admin.renew_at())
    }

    fn leaf(&self, kind: LeafKind) -> &Certificate {
        match kind {
            LeafKind::Server => &self.server,
            LeafKind::KubeletClient => &self.kubelet_client,
            LeafKind::Admin => &self.admin,
        }
    }
}

fn spec(config: &PkiConfig, kind: LeafKind) -> LeafSpec<'_> {
    let (file, common_name, organization, names) = match kind {
        LeafKind::Server => ("apiserver", "kube-apiserver", None, config.server_names.as_slice()),
        LeafKind::KubeletClient => ("apiserver-kubelet-client", KUBELET_CLIENT, None, [].as_slice()),
        LeafKind::Admin => ("admin", ADMIN, Some(keelson_api::identity::GROUP_MASTERS), [].as_slice()),
    };
    LeafSpec { dir: &config.dir, kind, file, common_name, organization, names }
}

/// The ServiceAccount key; made when missing. A key that is lost ends every token.
fn signing_key(dir: &Path) -> Result<String, PkiError> {
    let path = dir.join("sa.key");
    if let Some(pem) = files::read(&path)? {
        return Ok(pem);
    }
    let pem = issue::generate_key()?.serialize_pem();
    files::write_private(&path, pem.as_bytes())?;
    Ok(pem)
}

/// The names of a server certificate: those that every cluster has, then the given ones, without duplicates.
pub fn server_names(domain: &str, service_address: IpAddr, given: &[String]) -> Vec<String> {
    let fixed = [
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{domain}"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        service_address.to_string(),
    ];
    let mut names: Vec<String> = Vec::new();
    for name in fixed.into_iter().chain(given.iter().cloned()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
