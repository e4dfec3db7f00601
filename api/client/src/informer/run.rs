//! Performs the commands of the protocol: the only part of an informer that talks to the server.

use super::step::{Command, Input, START, step};
use super::{Health, Options, Scope, Shared};
use crate::client::Client;
use crate::error::Error;
use crate::params::{ListParams, WatchParams};
use crate::views::View;
use crate::watch::{WatchEvent, WatchStream};
use keelson_api::resource::Resource;
use std::sync::Arc;

/// A watch is renewed after this many seconds, plus up to the same again.
const WATCH_SECONDS: u32 = 300;

pub(super) struct Runner<T: View> {
    client: Client,
    resource: Resource,
    scope: Scope,
    page: u32,
    metadata_only: bool,
    random: u64,
    shared: Arc<Shared<T>>,
    stream: Option<WatchStream<T>>,
}

impl<T: View> Runner<T> {
    pub(super) fn new(
        client: Client,
        resource: Resource,
        scope: Scope,
        options: &Options<T>,
        shared: Arc<Shared<T>>,
    ) -> Self {
        let Options { page, metadata_only, seed, .. } = *options;
        Self { client, resource, scope, page, metadata_only, random: seed, shared, stream: None }
    }

    pub(super) async fn run(mut self) {
        let (mut state, mut command) = START;
        loop {
            let input = self.perform(command).await;
            let health = match &input {
                Input::Opened | Input::Heard { .. } => Health { connected: true, failures: 0 },
                Input::Failed { .. } => Health { connected: false, failures: self.failures() + 1 },
                _ => Health { connected: self.stream.is_some(), failures: self.failures() },
            };
            self.shared.health.send_if_modified(|old| std::mem::replace(old, health) != health);
            let jitter = self.next_random();
            (state, command) = step(state, input, jitter);
        }
    }

    fn failures(&self) -> u32 {
        self.shared.health.borrow().failures
    }

    async fn perform(&mut self, command: Command) -> Input {
        match command {
            Command::List => self.list().await,
            Command::Watch { revision } => self.open(revision).await,
            Command::Read => self.read().await,
            Command::Sleep(pause) => {
                tokio::time::sleep(pause).await;
                Input::Slept
            }
        }
    }

    async fn list(&mut self) -> Input {
        let params = ListParams {
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            limit: self.page,
            metadata_only: self.metadata_only,
            ..ListParams::default()
        };
        match self.client.list_all::<T>(&self.resource, &self.scope.namespace, &params).await {
            Ok(list) => {
                let changes = self.shared.store.replace(list.items);
                self.reach(&list.resource_version);
                self.shared.feeds.publish(&changes);
                self.shared.feeds.synced();
                Input::Listed { revision: list.resource_version }
            }
            Err(e) => self.failed("list", &e),
        }
    }

    async fn open(&mut self, revision: String) -> Input {
        let spread = u32::try_from(self.next_random() % u64::from(WATCH_SECONDS)).unwrap_or(0);
        let params = WatchParams {
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            resource_version: revision,
            timeout_seconds: WATCH_SECONDS + spread,
            metadata_only: self.metadata_only,
        };
        match self.client.watch(&self.resource, &self.scope.namespace, &params).await {
            Ok(stream) => {
                self.stream = Some(stream);
                Input::Opened
            }
            Err(e) => self.failed("watch", &e),
        }
    }

    async fn read(&mut self) -> Input {
        let Some(stream) = &mut self.stream else { return Input::Ended };
        let (changes, revision) = match stream.next().await {
            None => {
                self.stream = None;
                return Input::Ended;
            }
            Some(Err(e @ Error::Decode { .. })) => {
                tracing::warn!(resource = self.resource.plural, error = %e, "an object cannot be read");
                return Input::Unreadable;
            }
            Some(Err(e)) => {
                self.stream = None;
                return self.failed("watch", &e);
            }
            Some(Ok(WatchEvent::Bookmark { resource_version })) => (Vec::new(), resource_version),
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let revision = object.meta().resource_version.clone();
                (self.shared.store.apply(object), revision)
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                let revision = object.meta().resource_version.clone();
                (self.shared.store.delete(object), revision)
            }
        };
        // Whoever hears of the change finds store and revision there already.
        self.reach(&revision);
        self.shared.feeds.publish(&changes);
        Input::Heard { revision }
    }

    fn failed(&self, what: &'static str, error: &Error) -> Input {
        let resource = self.resource.plural;
        // A server that is away is one line, not one per attempt.
        if self.failures() == 0 && !error.is_gone() {
            tracing::warn!(resource, error = %error, "{what} failed; retrying");
        } else {
            tracing::debug!(resource, error = %error, "{what} failed");
        }
        Input::Failed { gone: error.is_gone() }
    }

    fn reach(&self, revision: &str) {
        let revision = revision.parse().unwrap_or(0);
        self.shared.revision.send_if_modified(|old| {
            let changed = old.is_none_or(|old| revision > old);
            if changed {
                *old = Some(revision);
            }
            changed
        });
    }

    /// SplitMix64: enough for spreading load.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
