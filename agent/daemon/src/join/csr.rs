//! Certificates by CertificateSigningRequest (certificates.k8s.io/v1): make a key, post the request, wait for the
//! controllers to approve and sign it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use keelson_api::resource::Resource;
use keelson_client::{Client, DeleteParams, WatchEvent, WatchParams};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long approval and signing may take; the controllers need milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

const RESOURCE: &Resource = &Resource::CERTIFICATE_SIGNING_REQUESTS;

/// What a node's certificates are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Speaking to the API as `system:node:<name>`.
    Client,
    /// Serving :10250 under these addresses.
    Serving(Vec<IpAddr>),
}

impl Purpose {
    fn signer(&self) -> &'static str {
        match self {
            Purpose::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Purpose::Serving(_) => "kubernetes.io/kubelet-serving",
        }
    }

    fn usages(&self) -> [&'static str; 2] {
        match self {
            Purpose::Client => ["digital signature", "client auth"],
            Purpose::Serving(_) => ["digital signature", "server auth"],
        }
    }
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    #[error("cannot make a key or request: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the API refuses the certificate request: {0}")]
    Api(#[from] keelson_client::Error),
    #[error("the certificate request {name} was refused: {message}")]
    Refused { name: String, message: String },
    #[error("the certificate request {name} was not signed within {} s; approve it with: kubectl certificate approve {name}", LIMIT.as_secs())]
    Unsigned { name: String },
}

/// Requests a certificate for `node` and waits for it.
pub async fn request(client: &Client, node: &str, purpose: &Purpose) -> Result<Issued, CsrError> {
    let key = KeyPair::generate()?;
    let pem = params(node, purpose)?.serialize_request(&key)?.pem()?;
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": RESOURCE.kind,
        "metadata": { "generateName": "csr-" },
        "spec": {
            "request": BASE64.encode(pem),
            "signerName": purpose.signer(),
            "usages": purpose.usages(),
        },
    });
    let created: Value = client.create(RESOURCE, "", &object).await?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let signed = timeout(LIMIT, wait_signed(client, &name, &created)).await;
    let certificate = signed.map_err(|_| CsrError::Unsigned { name: name.clone() })??;
    // The cleaner would do it in an hour; not every identity may.
    let _ = client.delete(RESOURCE, "", &name, &DeleteParams::default()).await;
    Ok(Issued { certificate, key: key.serialize_pem() })
}

fn params(node: &str, purpose: &Purpose) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    if let Purpose::Serving(addresses) = purpose {
        params.subject_alt_names.push(SanType::DnsName(node.try_into()?));
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    }
    Ok(params)
}

/// Follows the request from the moment of its creation, so that no answer is missed.
async fn wait_signed(client: &Client, name: &str, created: &Value) -> Result<String, CsrError> {
    let mut version = created["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    loop {
        let params = WatchParams {
            field_selector: format!("metadata.name={name}"),
            resource_version: version.clone(),
            ..WatchParams::default()
        };
        let mut stream = client.watch::<Value>(RESOURCE, "", &params).await?;
        while let Some(event) = stream.next().await {
            let object = match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => object,
                WatchEvent::Deleted(_) => {
                    let message = "it was deleted".to_owned();
                    return Err(CsrError::Refused { name: name.to_owned(), message });
                }
                WatchEvent::Bookmark { resource_version } => {
                    version = resource_version;
                    continue;
                }
            };
            if let Some(certificate) = verdict(name, &object)? {
                return Ok(certificate);
            }
            version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        }
    }
}

/// The certificate, when it is there; an error when the request was denied or failed.
fn verdict(name: &str, request: &Value) -> Result<Option<String>, CsrError> {
    for condition in request["status"]["conditions"].as_array().into_iter().flatten() {
        if ["Denied", "Failed"].contains(&condition["type"].as_str().unwrap_or_default()) {
            let message = condition["message"].as_str().unwrap_or("no reason is given").to_owned();
            return Err(CsrError::Refused { name: name.to_owned(), message });
        }
    }
    let encoded = request["status"]["certificate"].as_str();
    let pem = encoded.and_then(|text| BASE64.decode(text).ok()).and_then(|pem| String::from_utf8(pem).ok());
    Ok(pem.filter(|pem| !pem.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let pending = json!({ "status": { "conditions": [{ "type": "Approved" }] } });
        assert_eq!(verdict("a", &pending).unwrap(), None);
        let signed = json!({ "status": { "certificate": BASE64.encode("PEM") } });
        assert_eq!(verdict("a", &signed).unwrap().as_deref(), Some("PEM"));
        let denied = json!({ "status": { "conditions": [{ "type": "Denied", "message": "no" }] } });
        assert!(verdict("a", &denied).unwrap_err().to_string().contains("a was refused: no"));
    }

    #[test]
    fn a_request_names_the_node() {
        let key = KeyPair::generate().unwrap();
        let purpose = Purpose::Serving(vec!["10.0.0.7".parse().unwrap()]);
        let der = params("n1", &purpose).unwrap().serialize_request(&key).unwrap();
        let (_, request) = {
            use x509_parser::prelude::FromDer;
            x509_parser::certification_request::X509CertificationRequest::from_der(der.der()).unwrap()
        };
        let subject = request.certification_request_info.subject.to_string();
        assert!(subject.contains("CN=system:node:n1") && subject.contains("O=system:nodes"), "{subject}");
    }
}
