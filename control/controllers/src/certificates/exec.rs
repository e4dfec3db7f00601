//! Performs the plan for one CertificateSigningRequest.

use super::plan::{Action, KUBELET_SERVING, plan, with_condition};
use super::request;
use super::signer::Signer;
use crate::context::now;
use crate::shared::Shared;
use crate::worker::Next;
use crate::written::Written;
use keelson_client::views::{ByteString, CertificateSigningRequest, Partial};
use keelson_client::{Client, DeleteParams, Error, Key, Resource};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

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
            Action::Approve { message } => {
                let conditions = with_condition(&csr, "Approved", "AutoApproved", message, now);
                self.write(&key, &csr, "approval", json!({"conditions": conditions})).await?;
            }
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
        let reply: Partial = self.client.amend(resource, "", &key.name, subresource, &patch).await?;
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
