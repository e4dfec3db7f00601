//! CertificateSigningRequest: a request for a certificate, its approval and the certificate.

mod conditions;
mod row;
mod spec;

pub use conditions::stamp_conditions;

use super::{
    AGE, ALL_VERBS, KindDef, NAME, SUBRESOURCE_VERBS, Strategy, Subresource, TableDef, column, status_of,
};
use crate::field::{FieldError, FieldErrors, Path};
use crate::validation::value::{at, carry_over, object_mut, set, text};
use serde_json::{Value, json};

pub(super) static KIND: KindDef = KindDef {
    group: "certificates.k8s.io",
    version: "v1",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[
        Subresource {
            name: "approval",
            kind: "CertificateSigningRequest",
            group_version: None,
            verbs: SUBRESOURCE_VERBS,
        },
        status_of("CertificateSigningRequest"),
    ],
    schema: "io.k8s.api.certificates.v1.CertificateSigningRequest",
    table: TableDef {
        columns: &[
            NAME,
            AGE,
            column("SignerName"),
            column("Requestor"),
            column("RequestedDuration"),
            column("Condition"),
        ],
        row: row::cells,
    },
    selectable: &[("spec.signerName", |object| text(at(object, "spec"), "signerName").to_owned())],
    strategy: &Request,
    deprecation: "",
    view: None,
};

struct Request;

impl Strategy for Request {
    fn prepare_create(&self, object: &mut Value) {
        // Nobody makes a request that is approved already.
        set(object, "status", json!({}));
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        carry_over(new, old, "status");
    }

    fn prepare_subresource_update(&self, subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
        if subresource == "approval"
            && let Some(status) = object_mut(new, "status")
        {
            carry_over(status, at(old, "status"), "certificate");
        }
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        spec::spec(at(object, "spec"), &mut errors);
        conditions::conditions(object, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        conditions::changes(new, old, false, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, subresource: &str, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = self.validate(new);
        conditions::changes(new, old, subresource == "approval", &mut errors);
        let path = Path::new("status").child("certificate");
        let (certificate, was) =
            (text(at(new, "status"), "certificate"), text(at(old, "status"), "certificate"));
        if certificate != was {
            if !was.is_empty() {
                let why = "updates may not modify existing certificate content";
                errors.push(FieldError::forbidden(&path, why));
            }
            spec::certificate(certificate, &path, &mut errors);
        }
        errors
    }

    fn validate_name(&self, _name: &str, _prefix: bool) -> Vec<String> {
        Vec::new()
    }
}
