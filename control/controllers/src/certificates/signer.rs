//! Signs requests with the cluster's CA.

use jiff::Timestamp;
use rcgen::{
    CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;
use time::OffsetDateTime;

/// Certificates are valid from a little earlier on, for clocks that lag behind.
const BACKDATE_SECONDS: i64 = 300;

/// A CA that cannot be used, or a request that cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("the CA's certificate cannot be read: {0}")]
    Certificate(String),
    #[error("the CA's key cannot be read: {0}")]
    Key(String),
    #[error("the request cannot be read: {0}")]
    Request(String),
    #[error("usage {0:?} is not known")]
    Usage(String),
    #[error("the request cannot be signed: {0}")]
    Sign(String),
}

/// The cluster's CA with its key.
#[derive(Clone)]
pub struct Signer {
    issuer: Arc<Issuer<'static, KeyPair>>,
    /// Nothing outlives the CA.
    not_after: i64,
}

impl Signer {
    /// Takes a CA's certificate and private key, both PEM.
    pub fn new(ca_cert_pem: &str, ca_key_pem: &str) -> Result<Self, SignerError> {
        let bad = |e: &dyn std::fmt::Display| SignerError::Certificate(e.to_string());
        let der = CertificateDer::from_pem_slice(ca_cert_pem.as_bytes()).map_err(|e| bad(&e))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|e| bad(&e))?;
        let not_after = parsed.validity().not_after.timestamp();
        let key = KeyPair::from_pem(ca_key_pem).map_err(|e| SignerError::Key(e.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|e| bad(&e))?;
        Ok(Self { issuer: Arc::new(issuer), not_after })
    }

    /// The signed certificate, PEM, valid for `seconds` from now on.
    pub(super) fn sign(
        &self,
        request_pem: &[u8],
        usages: &[String],
        seconds: i64,
        now: Timestamp,
    ) -> Result<String, SignerError> {
        let pem = std::str::from_utf8(request_pem).map_err(|e| SignerError::Request(e.to_string()))?;
        let mut request = CertificateSigningRequestParams::from_pem(pem)
            .map_err(|e| SignerError::Request(e.to_string()))?;
        let params = &mut request.params;
        let end = (now.as_second() + seconds).min(self.not_after);
        params.not_before = moment(now.as_second() - BACKDATE_SECONDS)?;
        params.not_after = moment(end)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages.clear();
        params.extended_key_usages.clear();
        for usage in usages {
            match purpose(usage).ok_or_else(|| SignerError::Usage(usage.clone()))? {
                Purpose::Key(key) => params.key_usages.push(key),
                Purpose::Extended(extended) => params.extended_key_usages.push(extended),
            }
        }
        let signed = request.signed_by(self.issuer.as_ref()).map_err(|e| SignerError::Sign(e.to_string()))?;
        Ok(signed.pem())
    }
}

fn moment(second: i64) -> Result<OffsetDateTime, SignerError> {
    OffsetDateTime::from_unix_timestamp(second).map_err(|e| SignerError::Sign(e.to_string()))
}

enum Purpose {
    Key(KeyUsagePurpose),
    Extended(ExtendedKeyUsagePurpose),
}

/// The usages of certificates.k8s.io/v1 by name.
fn purpose(usage: &str) -> Option<Purpose> {
    use ExtendedKeyUsagePurpose as E;
    use KeyUsagePurpose as K;
    Some(match usage {
        "signing" | "digital signature" => Purpose::Key(K::DigitalSignature),
        "content commitment" => Purpose::Key(K::ContentCommitment),
        "key encipherment" => Purpose::Key(K::KeyEncipherment),
        "key agreement" => Purpose::Key(K::KeyAgreement),
        "data encipherment" => Purpose::Key(K::DataEncipherment),
        "cert sign" => Purpose::Key(K::KeyCertSign),
        "crl sign" => Purpose::Key(K::CrlSign),
        "encipher only" => Purpose::Key(K::EncipherOnly),
        "decipher only" => Purpose::Key(K::DecipherOnly),
        "any" => Purpose::Extended(E::Any),
        "server auth" => Purpose::Extended(E::ServerAuth),
        "client auth" => Purpose::Extended(E::ClientAuth),
        "code signing" => Purpose::Extended(E::CodeSigning),
        "email protection" | "s/mime" => Purpose::Extended(E::EmailProtection),
        "timestamping" => Purpose::Extended(E::TimeStamping),
        "ocsp signing" => Purpose::Extended(E::OcspSigning),
        _ => return None,
    })
}
