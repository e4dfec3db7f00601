//! The plugin's requests. ADD is answered when the pod's network is in force, its policy set with it: the endpoint is
//! in the maps and this node's view has the pod. A pod that stays unknown is refused, never let through.

use super::Task;
use crate::attachment::Key;
use crate::cni::{self, Incoming};
use crate::engine::{Added, EngineError};
use keelson_proto::cni::{Command, Error, Reply, Request, code};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a pod may be unknown to this node's view.
const PATIENCE: Duration = Duration::from_secs(5);

/// An ADD whose network stands and whose pod the view does not have yet.
pub struct Waiting {
    pub deadline: Instant,
    added: Added,
    uid: String,
    version: String,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    pub fn key(&self) -> &Key {
        &self.added.attachment.key
    }

    fn finish(self) {
        let Added { attachment, host_mac, mtu } = &self.added;
        let value = cni::result(&self.version, attachment, *host_mac, *mtu);
        // A plugin that has gone is followed by DEL.
        let _ = self.reply.send(Reply::Ok(Some(value)));
    }
}

impl Task {
    /// Serves one request.
    pub(super) async fn request(&mut self, incoming: Incoming) {
        let Incoming { request, reply } = incoming;
        if request.command == Command::Add {
            return self.add(&request, reply).await;
        }
        let answer = self.answer(&request).await;
        let _ = reply.send(answer.map_or_else(Reply::Error, Reply::Ok));
    }

    async fn answer(&mut self, request: &Request) -> Result<Option<Value>, Error> {
        match request.command {
            Command::Del => {
                let sandbox = cni::sandbox(request)?;
                // Its ADD must not succeed after this.
                self.waiting.retain(|waiting| *waiting.key() != sandbox.key);
                self.engine.delete(&sandbox.key).await.map_err(failure)?;
            }
            Command::Check => {
                cni::version(request)?;
                self.engine.check(&cni::sandbox(request)?.key).await.map_err(failure)?;
            }
            Command::Gc => {
                cni::version(request)?;
                let wanted = cni::valid_attachments(request)?;
                self.engine.collect(|key| wanted.contains(key)).await;
            }
            Command::Status => {
                cni::version(request)?;
                let unavailable = |error: EngineError| Error::new(code::NOT_AVAILABLE, error.to_string());
                self.engine.ready().map_err(unavailable)?;
            }
            // Answered by `add`, which may take its time.
            Command::Add => {}
        }
        Ok(None)
    }

    async fn add(&mut self, request: &Request, reply: oneshot::Sender<Reply>) {
        match self.attach(request).await {
            Ok((added, version)) => {
                let uid = request.args.get("K8S_POD_UID").cloned().unwrap_or_default();
                let deadline = Instant::now() + PATIENCE;
                self.waiting.push(Waiting { deadline, added, uid, version, reply });
                // Its host ports, if the pod is known already.
                self.take_pods().await;
                self.settle(Instant::now()).await;
            }
            Err(error) => drop(reply.send(Reply::Error(error))),
        }
    }

    async fn attach(&mut self, request: &Request) -> Result<(Added, String), Error> {
        let version = cni::version(request)?;
        let sandbox = cni::sandbox(request)?;
        if sandbox.netns.as_os_str().is_empty() {
            return Err(Error::new(code::INVALID_ENVIRONMENT, "CNI_NETNS is missing"));
        }
        let added = self.engine.add(&sandbox).await.map_err(failure)?;
        Ok((added, version))
    }

    /// Answers what has waited: pods that the view now has, and those that it still does not have at their
    /// deadline.
    pub(super) async fn settle(&mut self, now: Instant) {
        let mut index = 0;
        while index < self.waiting.len() {
            let waiting = &self.waiting[index];
            let pod = &waiting.added.attachment;
            // Not a pod of Kubernetes: no view will ever have it.
            let known = pod.pod_name.is_empty()
                || self.sources.knows(&pod.pod_namespace, &pod.pod_name, &waiting.uid);
            if known {
                self.waiting.swap_remove(index).finish();
            } else if waiting.deadline <= now {
                let waiting = self.waiting.swap_remove(index);
                self.give_up(waiting).await;
            } else {
                index += 1;
            }
        }
    }

    async fn give_up(&mut self, waiting: Waiting) {
        let pod = &waiting.added.attachment;
        let message = format!("pod {}/{} is not known to this node yet", pod.pod_namespace, pod.pod_name);
        if let Err(error) = self.engine.delete(waiting.key()).await {
            tracing::warn!(container = waiting.key().container_id, %error, "undoing an ADD");
        }
        let _ = waiting.reply.send(Reply::Error(Error::new(code::TRY_AGAIN, message)));
    }
}

/// An engine's error as CNI codes it.
fn failure(error: EngineError) -> Error {
    let code = match &error {
        EngineError::Unknown(_) => code::UNKNOWN_CONTAINER,
        EngineError::Exists(_) => code::INVALID_ENVIRONMENT,
        error if error.is_temporary() => code::TRY_AGAIN,
        _ => code::NETWORK,
    };
    Error::new(code, error.to_string())
}
