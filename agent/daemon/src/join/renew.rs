//! The serving certificate is requested once the node is up; both certificates are renewed at two thirds of their
//! life, without a restart.

use super::identity::{Identities, Validity};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at the clock: a machine may have slept.
const LOOK: Duration = Duration::from_secs(60);
/// After a serving certificate was not to be had.
const SERVING_RETRY: Duration = Duration::from_secs(2);
/// After a renewal that failed.
const RETRY: Duration = Duration::from_secs(30);

/// Requests what is missing, then renews forever.
pub async fn keep_fresh(identities: Arc<Identities>) {
    while let Err(error) = identities.establish_serving().await {
        tracing::warn!(%error, "no serving certificate yet: logs and exec have to wait");
        sleep(SERVING_RETRY).await;
    }
    loop {
        let now = jiff::Timestamp::now().as_second();
        let mut failed = false;
        for name in ["client", "serving"] {
            if !identities.validity(name).is_some_and(|validity| is_due(validity, now)) {
                continue;
            }
            let result = match name {
                "client" => identities.renew_client().await,
                _ => identities.renew_serving().await,
            };
            match result {
                Ok(()) => tracing::info!(certificate = name, "renewed"),
                Err(error) => {
                    failed = true;
                    tracing::warn!(certificate = name, %error, "cannot renew, the old one is kept");
                }
            }
        }
        sleep(if failed { RETRY } else { LOOK }).await;
    }
}

/// Whether two thirds of the life are over at `now` (Unix seconds).
fn is_due(validity: Validity, now: i64) -> bool {
    let life = validity.to.saturating_sub(validity.from);
    now >= validity.from.saturating_add(life / 3 * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_two_thirds() {
        let validity = Validity { from: 0, to: 300 };
        assert!(!is_due(validity, 199));
        assert!(is_due(validity, 200));
        assert!(is_due(validity, 1000));
    }
}
