//! Networks of sandboxes that the runtime has forgotten are released: a runtime that died between our ADD and its
//! own note of the sandbox, or lost its state, never sends DEL.
//!
//! A sandbox that is being started is not listed either, for as long as the runtime takes. So one look is never
//! enough, and what this runtime's process may still be starting is waited for until nobody waits for it any more.

use keelson_datapath::{Attached, Handle};
use keelson_proto::cri::ListPodSandboxRequest;
use keelson_proto::cri::runtime_service_client::RuntimeServiceClient;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::transport::{Channel, Endpoint};

/// How often the runtime is looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// Longer than the kubelet waits for a sandbox to start; after that the runtime gives up and sends DEL, or has died.
const STARTING_MAX: Duration = Duration::from_secs(250);
/// A listing takes no longer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A listing of many sandboxes with their labels.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// Which sandboxes were missing, and since when.
#[derive(Debug, Default)]
struct Looks(BTreeMap<String, Instant>);

impl Looks {
    /// Takes one look: what the data plane has given out and what the runtime lists. The sandboxes returned are gone.
    fn take(
        &mut self,
        attached: &[Attached],
        listed: &BTreeSet<String>,
        runtime_since: Option<SystemTime>,
        now: Instant,
    ) -> Vec<String> {
        let missing: Vec<&Attached> = attached.iter().filter(|a| !listed.contains(&a.sandbox)).collect();
        self.0.retain(|id, _| missing.iter().any(|a| a.sandbox == *id));
        let mut gone = Vec::new();
        for attached in missing {
            let since = *self.0.entry(attached.sandbox.clone()).or_insert(now);
            // Whoever asked for it has died with an earlier process of the runtime.
            let orphaned = runtime_since.is_some_and(|since| attached.since < since);
            let patience = if orphaned { PERIOD / 2 } else { STARTING_MAX };
            if now.duration_since(since) >= patience {
                gone.push(attached.sandbox.clone());
            }
        }
        gone
    }
}

/// Looks again and again until it is dropped. `pid_file` is written when our own runtime is started; without one
/// nothing is known of the runtime's process.
pub async fn watch(socket: PathBuf, pid_file: Option<PathBuf>, datapath: Handle) {
    let mut client = match connect(&socket) {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "sandboxes cannot be listed: leftovers stay"),
    };
    let mut looks = Looks::default();
    let mut ticks = interval(PERIOD);
    // Two looks are never close together, also after a machine has slept.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Before the listing: what is attached after it cannot be missing from it.
        let Some(attached) = datapath.attached().await else { return };
        let runtime_since = pid_file.as_deref().and_then(written);
        let listed = match list(&mut client).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "listing sandboxes");
                continue;
            }
        };
        // A runtime that was started in between may know less than the one that was asked.
        if pid_file.as_deref().and_then(written) != runtime_since {
            continue;
        }
        let gone = looks.take(&attached, &listed, runtime_since, Instant::now());
        if !gone.is_empty() {
            tracing::warn!(sandboxes = ?gone, "the runtime knows them no more: releasing their networks");
            datapath.release(gone.into_iter().collect()).await;
        }
    }
}

fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn connect(socket: &Path) -> Result<RuntimeServiceClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))?.connect_timeout(TIMEOUT);
    let client = RuntimeServiceClient::new(endpoint.connect_lazy());
    Ok(client.max_decoding_message_size(REPLY_BYTES_MAX))
}

async fn list(client: &mut RuntimeServiceClient<Channel>) -> Result<BTreeSet<String>, tonic::Status> {
    let mut request = tonic::Request::new(ListPodSandboxRequest { filter: None });
    request.set_timeout(TIMEOUT);
    let reply = client.list_pod_sandbox(request).await?.into_inner();
    Ok(reply.items.into_iter().map(|sandbox| sandbox.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of a series of looks, seconds after the first, releases. The runtime was started at second 100 of
    /// the wall clock, and `a` attached at `attached_at`.
    fn check(attached_at: u64, looks: &[(u64, &[&str], &[&str])]) {
        let wall = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let attached = [Attached { sandbox: "a".to_owned(), since: wall(attached_at) }];
        let (mut state, begun) = (Looks::default(), Instant::now());
        for (after, listed, expected) in looks {
            let listed = listed.iter().map(|id| (*id).to_owned()).collect();
            let now = begun + Duration::from_secs(*after);
            assert_eq!(state.take(&attached, &listed, Some(wall(100)), now), *expected, "{after}");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_runtime_began_is_gone_at_the_second_look() {
        check(50, &[(0, &["a"], &[]), (10, &[], &[]), (20, &[], &["a"])]);
        check(50, &[(0, &[], &[]), (10, &["a"], &[]), (20, &[], &[]), (30, &["a"], &[])]);
    }

    #[tokio::test]
    async fn what_this_runtime_may_be_starting_is_waited_for() {
        check(150, &[(0, &[], &[]), (10, &[], &[]), (240, &[], &[]), (250, &[], &["a"])]);
        check(150, &[(0, &[], &[]), (200, &["a"], &[]), (260, &[], &[])]);
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_what_is_not_attached() {
        let mut state = Looks::default();
        let attached = [Attached { sandbox: "a".to_owned(), since: SystemTime::UNIX_EPOCH }];
        state.take(&attached, &BTreeSet::new(), None, Instant::now());
        state.take(&[], &BTreeSet::new(), None, Instant::now());
        assert!(state.0.is_empty());
    }
}
