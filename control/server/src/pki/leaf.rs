//! The server's own certificates, signed by the cluster's CA.

use super::issue::{Authority, PkiError, generate_key, set_validity};
use crate::files;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The life of a certificate: one year.
const LIFE_SECONDS: i64 = 365 * 24 * 3600;

/// Which certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// The API's, towards clients.
    Server,
    /// The API server's, towards nodes.
    KubeletClient,
    /// The one in the admin kubeconfig.
    Admin,
}

pub(super) struct LeafSpec<'a> {
    pub dir: &'a Path,
    pub kind: LeafKind,
    /// `<file>.crt` and `<file>.key`.
    pub file: &'a str,
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
    /// Subject alternative names: host names and addresses.
    pub names: &'a [String],
}

impl LeafSpec<'_> {
    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.file))
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Certificate {
    pub certificate_pem: String,
    pub key_pem: String,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
}

impl Certificate {
    /// When it is to be made anew: at two thirds of its life.
    pub fn renew_at(&self) -> i64 {
        self.not_before + (self.not_after - self.not_before) / 3 * 2
    }

    /// Reads the certificate, or makes it when it is missing, due, of another CA or for other names.
    pub(super) fn open(
        authority: &Authority,
        spec: &LeafSpec<'_>,
        now_seconds: i64,
    ) -> Result<Self, PkiError> {
        if let (Some(certificate), Some(key)) =
            (files::read(&spec.path("crt"))?, files::read(&spec.path("key"))?)
            && let Some(kept) = read(authority, spec, certificate, key)
            && now_seconds < kept.renew_at()
        {
            return Ok(kept);
        }
        Self::create(authority, spec, now_seconds)
    }

    pub(super) fn create(
        authority: &Authority,
        spec: &LeafSpec<'_>,
        now_seconds: i64,
    ) -> Result<Self, PkiError> {
        let mut params = CertificateParams::new(spec.names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(organization) = spec.organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.distinguished_name.push(DnType::CommonName, spec.common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match spec.kind {
            LeafKind::Server => ExtendedKeyUsagePurpose::ServerAuth,
            LeafKind::KubeletClient | LeafKind::Admin => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now_seconds, LIFE_SECONDS);
        let key = generate_key()?;
        let certificate_pem = params.signed_by(&key, &authority.issuer)?.pem();
        let key_pem = key.serialize_pem();
        // The key first: a certificate without its key would be taken for a whole pair after a crash.
        files::write_private(&spec.path("key"), key_pem.as_bytes())?;
        files::write_private(&spec.path("crt"), certificate_pem.as_bytes())?;
        Ok(Self {
            certificate_pem,
            key_pem,
            not_before: now_seconds - super::issue::BACKDATE_SECONDS,
            not_after: now_seconds + LIFE_SECONDS,
        })
    }
}

/// A pair of files as a certificate, when it is what `spec` asks for and signed by `authority`.
fn read(
    authority: &Authority,
    spec: &LeafSpec<'_>,
    certificate_pem: String,
    key_pem: String,
) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let (_, ca) = X509Certificate::from_der(authority.certificate()).ok()?;
    let key = KeyPair::from_pem(&key_pem).ok()?;
    let matches = certificate.verify_signature(Some(ca.public_key())).is_ok()
        && certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
        && names(&certificate)? == spec.names.iter().cloned().collect();
    let validity = certificate.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    matches.then_some(Certificate { certificate_pem, key_pem, not_before, not_after })
}

fn names(certificate: &X509Certificate<'_>) -> Option<BTreeSet<String>> {
    let Some(extension) = certificate.subject_alternative_name().ok()? else { return Some(BTreeSet::new()) };
    extension
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match **bytes {
                [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
                ref longer => {
                    <[u8; 16]>::try_from(longer).ok().map(|octets| IpAddr::from(octets).to_string())
                }
            },
            _ => None,
        })
        .collect()
}
