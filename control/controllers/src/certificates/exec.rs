//! Performs the plan for one CertificateSigningRequest.

use super::plan::{Action, KUBELET_SERVING, plan, with_condition};
use super::request;
use super::signer::Signer;
use crate::context::now;
use crate::shared::Shared;
use crate::worker::Next;
use crate::written::Written;
use keelson_client::views::{ByteString, CertificateSigningRequest, Partial};
use keelson_client::{Client, DeleteParams, Error, Key, PatchKind, Resource};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// When a requester without the right is looked at again: roles may change.
const REVIEW_AGAIN: Duration = Duration::from_secs(60);
const CLIENT_APPROVED: &str = "Auto approving kubelet client certificate after SubjectAccessReview.";

pub(super) struct Certificates {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    /// Without one, approved requests wait for another signer.
    pub(super) signer: Option<Signer>,
    pub(super) written: Written<Key>,
}

impl Certificates {
    pub(super) async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        self.written.settle(&key, &self.shared.requests).await;
        let Some(csr) = self.shared.requests.store().get("", &key.name) else { return Ok(Next::Done) };
        let request = request::parse(&csr.spec.request.0);
        let node = (csr.spec.signer_name == KUBELET_SERVING)
            .then(|| csr.spec.username.strip_prefix("system:node:"))
            .flatten()
            .and_then(|name| self.shared.nodes.store().get("", name));
        let now = now();
        match plan(&csr, &request, node.as_deref(), now) {
            Action::Wait(after) => return Ok(after.into()),
            Action::Delete => return self.delete(&csr).await,
            Action::Review { subresource } => {
                if !self.may(&csr, subresource).await? {
                    return Ok(Next::After(REVIEW_AGAIN));
                }
                self.approve(&key, &csr, CLIENT_APPROVED).await?;
            }
            Action::Approve { message } => self.approve(&key, &csr, message).await?,
            Action::Fail { reason, message } => {
                let conditions = with_condition(&csr, "Failed", reason, &message, now);
                self.write(&key, &csr, "status", json!({"conditions": conditions})).await?;
            }
            Action::Sign { seconds } => {
                let Some(signer) = &self.signer else { return Ok(Next::Done) };
                let status = match signer.sign(&csr.spec.request.0, &csr.spec.usages, seconds, now) {
                    Ok(pem) => json!({"certificate": ByteString(pem.into_bytes())}),
                    Err(e) => {
                        let message = e.to_string();
                        let failed = with_condition(&csr, "Failed", "SigningError", &message, now);
                        json!({"conditions": failed})
                    }
                };
                self.write(&key, &csr, "status", status).await?;
            }
        }
        // What follows is decided on the request as it is now.
        Ok(Next::After(Duration::ZERO))
    }

    async fn approve(&self, key: &Key, csr: &CertificateSigningRequest, message: &str) -> Result<(), Error> {
        let conditions = with_condition(csr, "Approved", "AutoApproved", message, now());
        self.write(key, csr, "approval", json!({"conditions": conditions})).await
    }

    /// Whether the requester may create this subresource of requests: the right to be approved.
    async fn may(&self, csr: &CertificateSigningRequest, subresource: &str) -> Result<bool, Error> {
        let resource = &Resource::CERTIFICATE_SIGNING_REQUESTS;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": csr.spec.username, "uid": csr.spec.uid, "groups": csr.spec.groups,
                "extra": csr.spec.extra,
                "resourceAttributes": {
                    "group": resource.group, "resource": resource.plural, "subresource": subresource,
                    "verb": "create", "version": "*",
                },
            },
        });
        let answer: Value = self.client.create(&Resource::SUBJECT_ACCESS_REVIEWS, "", &review).await?;
        Ok(answer["status"]["allowed"] == true)
    }

    async fn write(
        &self,
        key: &Key,
        csr: &CertificateSigningRequest,
        subresource: &str,
        status: Value,
    ) -> Result<(), Error> {
        let patch = json!({
            "metadata": {"resourceVersion": csr.metadata.resource_version},
            "status": status,
        });
        let resource = &Resource::CERTIFICATE_SIGNING_REQUESTS;
        let reply: Partial = self
            .client
            .patch_subresource(resource, "", &key.name, subresource, PatchKind::Merge, &patch)
            .await?;
        self.written.note(key, &reply.metadata);
        Ok(())
    }

    async fn delete(&self, csr: &CertificateSigningRequest) -> Result<Next, Error> {
        let params = DeleteParams { uid: Some(csr.metadata.uid.clone()), ..DeleteParams::default() };
        let resource = &Resource::CERTIFICATE_SIGNING_REQUESTS;
        match self.client.delete(resource, "", &csr.metadata.name, &params).await {
            Err(e) if !e.is_not_found() && !e.is_conflict() => Err(e),
            _ => Ok(Next::Done),
        }
    }
}
