//! What a PKCS #10 request asks for.

use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// The names in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
    pub(super) dns_names: Vec<String>,
    pub(super) ips: Vec<IpAddr>,
    /// Addresses of mail, URIs and anything else.
    pub(super) other_names: usize,
    /// An attribute of the subject stands there twice.
    pub(super) repeats: bool,
}

/// Reads a request's PEM block; the error says what is wrong with it. Its signature is not verified here.
pub(super) fn parse(pem: &[u8]) -> Result<Request, String> {
    let der = CertificateSigningRequestDer::from_pem_slice(pem)
        .map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())?;
    let (_, csr) =
        X509CertificationRequest::from_der(&der).map_err(|e| format!("unable to parse the request: {e}"))?;
    let subject = &csr.certification_request_info.subject;
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().map(str::to_owned).unwrap_or_default()
    };
    let mut seen = BTreeSet::new();
    let mut request = Request {
        common_name: subject.iter_common_name().next().map(text).unwrap_or_default(),
        organizations: subject.iter_organization().map(text).collect(),
        repeats: subject.iter_attributes().any(|a| !seen.insert(a.attr_type().to_id_string())),
        ..Request::default()
    };
    for extension in csr.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(names) = extension else { continue };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => request.dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => match address(bytes) {
                    Some(ip) => request.ips.push(ip),
                    None => request.other_names += 1,
                },
                _ => request.other_names += 1,
            }
        }
    }
    Ok(request)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
