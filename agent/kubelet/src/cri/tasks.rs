//! The end of a task that CRI has lost: containerd's CRI never looks again for the processes of a container whose start
//! was cut off when its caller died, and then refuses to remove the container, as it has a task.

use super::client::{Cri, CriError, Result, SHORT, timed};
use keelson_proto::containerd::{DeleteTaskRequest, KillRequest};
use std::time::Duration;
use tonic::Request;
use tonic::metadata::MetadataValue;

/// The namespace in which containerd keeps what CRI makes.
const NAMESPACE: &str = "k8s.io";
/// A killed process is gone a moment later.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

fn in_namespace<T>(message: T) -> Request<T> {
    let mut request = timed(message, SHORT);
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}

impl Cri {
    /// Kills what runs of a container or sandbox and removes its task, mounts included; that there is none is fine.
    /// Runtimes other than containerd do not know the call.
    pub async fn end_task(&self, id: &str) -> Result<()> {
        let signal = u32::try_from(libc::SIGKILL).unwrap_or_default();
        let kill = KillRequest { container_id: id.into(), signal, all: true };
        // One that has ended cannot be killed, but deleted.
        let _ = self.tasks.clone().kill(in_namespace(kill)).await;
        let mut attempt = 1;
        loop {
            let delete = DeleteTaskRequest { container_id: id.into() };
            match self.tasks.clone().delete(in_namespace(delete)).await.map_err(CriError::from) {
                Err(error) if error.is_precondition() && attempt < TRIES => tokio::time::sleep(PAUSE).await,
                Err(error) if !error.is_not_found() => return Err(error),
                _ => return Ok(()),
            }
            attempt += 1;
        }
    }
}
