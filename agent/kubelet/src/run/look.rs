//! Looks at the runtime: about once per second, and at once after our own actions and its reports.

use crate::actions::Context;
use crate::cri::observe::Observer;
use crate::event::Event;
use std::sync::Arc;
use std::time::Duration;

/// Looks that are asked for come at most this often.
const PAUSE: Duration = Duration::from_millis(20);

/// Between attempts to open the event stream.
const EVENTS_RETRY: Duration = Duration::from_secs(5);

/// Lists the runtime for ever; ends with the loop.
pub(crate) async fn watch_runtime(context: Arc<Context>) {
    let mut observer = Observer::default();
    let mut first = true;
    let mut failing = false;
    loop {
        let listed = context.clock.now().mono;
        match observer.observe(&context.cri, listed).await {
            Ok(changes) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("the container runtime answers again");
                }
                // The first listing is reported even when it is empty: the loop waits for it.
                if (first || !changes.is_empty())
                    && context.events.send(Event::Observed(changes)).await.is_err()
                {
                    return;
                }
                first = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the container runtime cannot be listed");
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        // Running into the timeout is the normal case.
        let _ = tokio::time::timeout(context.config.look_period, context.look.notified()).await;
    }
}

/// Looks at once when the runtime reports an event; for runtimes that have events (containerd from 1.7).
pub(crate) async fn watch_events(context: Arc<Context>) {
    loop {
        match context.cri.events().await {
            Ok(mut events) => {
                while let Ok(Some(_)) = events.message().await {
                    context.look.notify_one();
                }
            }
            Err(error) if error.is_unimplemented() => {
                tracing::info!("the runtime has no event stream: it is listed every second");
                return;
            }
            Err(_) => {}
        }
        tokio::time::sleep(EVENTS_RETRY).await;
    }
}
