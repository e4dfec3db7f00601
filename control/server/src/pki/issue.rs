//! The certificate authority of the cluster.

use crate::files::{self, FileError};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The life of a CA: ten years. It is the anchor of every node's trust and is not replaced while running.
const LIFE_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// Certificates begin to be valid a little earlier, for clocks that lag behind.
pub(super) const BACKDATE_SECONDS: i64 = 300;

/// Why keys or certificates cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path}: {why}")]
    Unusable { path: PathBuf, why: String },
    #[error("{there} is there but {missing} is not; put it back, or remove both to make a new CA")]
    Half { there: PathBuf, missing: PathBuf },
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// The CA: its certificate, and its key to sign with.
pub struct Authority {
    pub certificate_pem: String,
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads `ca.crt` and `ca.key`, or makes them when neither is there.
    pub fn open(dir: &Path, now_seconds: i64) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        let (certificate_pem, key_pem) = match (files::read(&certificate_path)?, files::read(&key_path)?) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(PkiError::Half { there: certificate_path, missing: key_path }),
            (None, Some(_)) => return Err(PkiError::Half { there: key_path, missing: certificate_path }),
            (None, None) => {
                let (certificate, key) = generate(now_seconds)?;
                files::write_private(&key_path, key.as_bytes())?;
                files::write_private(&certificate_path, certificate.as_bytes())?;
                (certificate, key)
            }
        };
        let unusable = |path: &Path, why: String| PkiError::Unusable { path: path.to_owned(), why };
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| unusable(&certificate_path, format!("no certificate in PEM: {error}")))?;
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|error| unusable(&key_path, format!("no private key in PEM: {error}")))?;
        if !is_pair(&certificate, &key) {
            return Err(unusable(&key_path, "the key is not that of ca.crt".to_owned()));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate_pem, key_pem, certificate, issuer })
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of the certificate's DER in hex: what join tokens pin.
    pub fn hash(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in digest(&SHA256, &self.certificate).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

fn is_pair(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, certificate)| {
        certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    })
}

pub(super) fn generate_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
}

/// Sets the time of validity: from a little before `now_seconds`, for `life_seconds`.
pub(super) fn set_validity(params: &mut CertificateParams, now_seconds: i64, life_seconds: i64) {
    let at = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    params.not_before = at(now_seconds - BACKDATE_SECONDS);
    params.not_after = at(now_seconds + life_seconds);
}

fn generate(now_seconds: i64) -> Result<(String, String), rcgen::Error> {
    let key = generate_key()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "keelson-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now_seconds, LIFE_SECONDS);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}
