//! Who may approve and sign certificate requests, and what no request may ask for.

use super::{refuse, text};
use crate::admission::{Admission, Operation};
use crate::auth::{Attributes, Auth};
use keelson_api::identity::GROUP_MASTERS;
use keelson_api::status::Status;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

pub(super) fn validate(auth: &Auth, admission: &Admission<'_>) -> Result<(), Status> {
    let object = admission.object.unwrap_or(&Value::Null);
    let old = admission.old.unwrap_or(&Value::Null);
    match (admission.operation, admission.subresource) {
        (Operation::Create, "") => restrict_subject(admission, object),
        (Operation::Update, "approval") => permit(auth, admission, "approve", text(old, "/spec/signerName")),
        (Operation::Update, "status") if signs(old, object) => {
            permit(auth, admission, "sign", text(old, "/spec/signerName"))
        }
        _ => Ok(()),
    }
}

fn signs(old: &Value, new: &Value) -> bool {
    ["/status/certificate", "/status/conditions"].iter().any(|field| old.pointer(field) != new.pointer(field))
}

/// Rights over signers are given by name, or by domain as `example.com/*`.
fn permit(auth: &Auth, admission: &Admission<'_>, verb: &str, signer: &str) -> Result<(), Status> {
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    let wildcard = format!("{domain}/*");
    let allowed = [signer, &wildcard].into_iter().any(|name| {
        let attributes = Attributes {
            verb,
            group: "certificates.k8s.io",
            version: "*",
            resource: "signers",
            name,
            is_resource: true,
            ..Attributes::default()
        };
        auth.authorize(admission.user, &attributes).allowed()
    });
    if allowed {
        return Ok(());
    }
    Err(refuse(admission, &format!("user not permitted to {verb} requests with signerName {signer:?}")))
}

/// Nobody becomes all-mighty by a certificate request.
fn restrict_subject(admission: &Admission<'_>, object: &Value) -> Result<(), Status> {
    if text(object, "/spec/signerName") != CLIENT_SIGNER {
        return Ok(());
    }
    let organizations = organizations(text(object, "/spec/request"))
        .ok_or_else(|| refuse(admission, "failed to parse CSR: the request cannot be read"))?;
    if organizations.iter().any(|organization| organization == GROUP_MASTERS) {
        return Err(refuse(
            admission,
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
        ));
    }
    Ok(())
}

/// The organizations in a request (base64 of PEM).
fn organizations(request: &str) -> Option<Vec<String>> {
    use base64::Engine;
    let pem = base64::engine::general_purpose::STANDARD.decode(request).ok()?;
    let der = CertificateSigningRequestDer::from_pem_slice(&pem).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
    let subject = &request.certification_request_info.subject;
    subject.iter_organization().map(|o| o.as_str().ok().map(str::to_owned)).collect()
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
