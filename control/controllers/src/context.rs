//! What every controller is given at start: the shared views, a client of its own identity, its tasks.

use crate::shared::Shared;
use crate::start::ControllerConfig;
use jiff::Timestamp;
use keelson_client::queue::Queue;
use keelson_client::{Client, Key};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that end together.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task until it ends or all are stopped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Given to each controller's `start`.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a ControllerConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Tasks,
    /// Namespaces that are being deleted; whoever sees content of theirs end wakes them.
    pub(crate) emptying: Queue<Key>,
    pub(crate) make_client: &'a (dyn Fn(&str) -> Client + Send + Sync),
}

impl Context<'_> {
    /// The client for a controller's writes, by the name of its service account.
    pub(crate) fn client(&self, controller: &str) -> Client {
        (self.make_client)(controller)
    }
}

/// The time at the resolution of `metav1.Time`.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
