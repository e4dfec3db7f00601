//! A certificate authority for one test: the server's certificate and its callers'.

use crate::ServingTls;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

pub struct Tls {
    pub serving: ServingTls,
    ca: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Tls {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let serving = ServingTls::new(ca.pem().as_bytes()).unwrap();
        let issuer = Issuer::new(params, key);
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = server.signed_by(&key, &issuer).unwrap();
        serving.replace(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Self { serving, ca: ca.der().clone(), issuer }
    }

    /// A client's configuration; `None` has no certificate.
    pub fn client(&self, name: Option<&str>) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let Some(name) = name else { return Arc::new(builder.with_no_client_auth()) };
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Arc::new(builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap())
    }
}
