//! What a certificate signing request asks for.

use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use crate::validation::check;
use crate::validation::value::{int, text, texts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// What a certificate may be for; sorted, as messages list them.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// The shortest life that can be asked for, in seconds.
const LIFE_MIN: i64 = 600;
const SIGNER_MAX: usize = 571;

/// Checks the spec.
pub(super) fn spec(spec: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    if let Err(why) = parse(text(spec, "request")) {
        errors.push(FieldError::invalid(&path.child("request"), text(spec, "request"), why));
    }
    let usages = texts(spec, "usages");
    if usages.is_empty() {
        errors.push(FieldError::required(&path.child("usages"), ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        check::one_of(usage, &USAGES, &path.child("usages").index(index), errors);
    }
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.into_iter().enumerate() {
        if !seen.insert(usage) {
            errors.push(FieldError::duplicate(&path.child("usages").index(index), usage));
        }
    }
    signer(text(spec, "signerName"), &path.child("signerName"), errors);
    if let Some(seconds) = int(spec, "expirationSeconds").filter(|seconds| *seconds < LIFE_MIN) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, why));
    }
}

/// A signer is `domain/path`.
fn signer(name: &str, path: &Path, errors: &mut FieldErrors) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    if name == "kubernetes.io/legacy-unknown" {
        let why = "the legacy signerName is not allowed via this API version";
        errors.push(FieldError::invalid(path, name, why));
        return;
    }
    let parts = name.split('/').collect::<Vec<_>>();
    let [domain, rest] = parts.as_slice() else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid(path, name, why));
        return;
    };
    let wrong = names::dns1123_subdomain(domain);
    if wrong.is_empty() && !domain.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(path, *domain, why));
    }
    check::each(wrong, domain, path, errors);
    check::each(names::dns1123_subdomain(rest), rest, path, errors);
    if name.len() > SIGNER_MAX {
        errors.push(FieldError::too_long(path, SIGNER_MAX));
    }
}

/// The DER in the first PEM block of that label.
fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// Why the request, PEM in base64, is none.
fn parse(request: &str) -> Result<(), String> {
    let decoded = STANDARD.decode(request).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded);
    let Some(der) = pem(&text, "CERTIFICATE REQUEST") else {
        return Err("PEM block type must be CERTIFICATE REQUEST".to_owned());
    };
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("asn1: syntax error: trailing data".to_owned());
    }
    request.verify_signature().map_err(|error| error.to_string())
}

/// Checks an issued certificate, PEM in base64.
pub(super) fn certificate(certificate: &str, path: &Path, errors: &mut FieldErrors) {
    if certificate.is_empty() {
        return;
    }
    let decoded = STANDARD.decode(certificate).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded);
    let shown = "<certificate data>";
    let Some(der) = pem(&text, "CERTIFICATE") else {
        let why = "must contain at least one CERTIFICATE PEM block";
        errors.push(FieldError::invalid(path, shown, why));
        return;
    };
    if let Err(error) = x509_parser::parse_x509_certificate(&der) {
        errors.push(FieldError::invalid(path, shown, error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A request for a node's client certificate, P-256.
    const REQUEST: &str = include_str!("../testdata/request.pem");

    fn check(change: Value, want: &[&str]) {
        let mut object = json!({
            "request": STANDARD.encode(REQUEST), "usages": ["digital signature", "client auth"],
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        });
        for (field, value) in change.as_object().into_iter().flatten() {
            object[field] = value.clone();
        }
        let mut errors = FieldErrors::new();
        spec(&object, &mut errors);
        let got = errors.iter().map(|error| error.to_string().replace(&STANDARD.encode(REQUEST), "REQUEST"));
        assert_eq!(got.collect::<Vec<_>>(), want);
    }

    #[test]
    fn requests() {
        check(json!({}), &[]);
        check(json!({"expirationSeconds": 600, "signerName": "example.com/a.b"}), &[]);
        check(
            json!({"usages": ["client auth", "client auth", "x"], "signerName": "x", "expirationSeconds": 5}),
            &[
                "spec.usages[2]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\", \"client auth\", \
                 \"code signing\", \"content commitment\", \"crl sign\", \"data encipherment\", \"decipher only\", \
                 \"digital signature\", \"email protection\", \"encipher only\", \"ipsec end system\", \"ipsec \
                 tunnel\", \"ipsec user\", \"key agreement\", \"key encipherment\", \"microsoft sgc\", \"netscape \
                 sgc\", \"ocsp signing\", \"s/mime\", \"server auth\", \"signing\", \"timestamping\"",
                "spec.usages[1]: Duplicate value: \"client auth\"",
                "spec.signerName: Invalid value: \"x\": must be a fully qualified domain and path of the form \
                 'example.com/signer-name'",
                "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 \
                 minutes)",
            ],
        );
        check(
            json!({"request": "eA==", "usages": [], "signerName": "kubernetes.io/legacy-unknown"}),
            &[
                "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST",
                "spec.usages: Required value",
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not \
                 allowed via this API version",
            ],
        );
    }

    #[test]
    fn a_request_must_be_signed_by_its_own_key() {
        let Some(der) = pem(REQUEST, "CERTIFICATE REQUEST") else { panic!("no request") };
        for place in [der.len() - 1, der.len() / 2] {
            let mut wrong = der.clone();
            wrong[place] ^= 1;
            let text = format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
                STANDARD.encode(wrong)
            );
            assert!(parse(&STANDARD.encode(text)).is_err(), "byte {place}");
        }
    }

    #[test]
    fn certificates() {
        let check = |text: &str, want: &str| {
            let mut errors = FieldErrors::new();
            certificate(&STANDARD.encode(text), &Path::new("c"), &mut errors);
            let got = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{got}");
        };
        check("", "");
        check(
            "x",
            "c: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
        );
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(no_certificate, "c: Invalid value: \"<certificate data>\": ");
    }
}
