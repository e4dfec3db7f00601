//! Leader election by a coordination/v1 Lease: at most one holder acts, as long as clocks run at like speed.

mod decide;

use crate::client::Client;
use crate::error::Result;
use crate::views::Lease;
use decide::{Act, Seen, decide};
use jiff::Timestamp;
use keelson_api::resource::Resource;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Which lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    pub namespace: String,
    pub name: String,
    /// Of this process. One that survives its restart takes its own lease up again without waiting.
    pub identity: String,
    /// Others may take over when the lease was not renewed for this long.
    pub duration: Duration,
    /// The holder gives up when it cannot renew for this long.
    pub renew_deadline: Duration,
    /// Between tries, both of holders and of candidates; candidates wait up to 20 % longer.
    pub retry: Duration,
    pub seed: u64,
}

impl ElectionConfig {
    /// Kubernetes' times: 15 s, 10 s, 2 s.
    pub fn new(namespace: &str, name: &str, identity: &str, seed: u64) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            seed,
        }
    }
}

/// A candidacy; it ends (without giving the lease back) when dropped.
pub struct Election {
    leading: watch::Receiver<bool>,
    release: mpsc::Sender<oneshot::Sender<()>>,
}

impl Election {
    pub fn spawn(client: Client, config: ElectionConfig) -> Self {
        let (leading_sender, leading) = watch::channel(false);
        let (release, releases) = mpsc::channel(1);
        let candidate = Candidate {
            client,
            config,
            leading: leading_sender,
            seen: Seen::default(),
            lease: None,
            renewed: None,
            start: Instant::now(),
            tries: 0,
        };
        tokio::spawn(candidate.run(releases));
        Self { leading, release }
    }

    /// True while this process holds the lease.
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Waits until the lease is held (`wanted`) or not; false when the candidacy has ended before.
    pub async fn until(&self, wanted: bool) -> bool {
        self.leading().wait_for(|leading| *leading == wanted).await.is_ok()
    }

    /// Stops leading and gives the lease back, so that another takes over at once.
    pub async fn release(self) {
        let (done, wait) = oneshot::channel();
        if self.release.send(done).await.is_ok() {
            let _ = wait.await;
        }
    }
}

struct Candidate {
    client: Client,
    config: ElectionConfig,
    leading: watch::Sender<bool>,
    seen: Seen,
    /// The lease as last read or written.
    lease: Option<Lease>,
    /// When this process last wrote it.
    renewed: Option<Instant>,
    start: Instant,
    tries: u64,
}

impl Candidate {
    async fn run(mut self, mut releases: mpsc::Receiver<oneshot::Sender<()>>) {
        loop {
            let deadline = self.config.renew_deadline;
            let turn = tokio::time::timeout(deadline, self.turn()).await;
            if let Ok(Err(e)) = &turn {
                tracing::debug!(lease = self.config.name, error = %e, "the lease was not written");
                // What was remembered may be stale: read it before the next try.
                self.lease = None;
            }
            self.update();
            tokio::select! {
                () = tokio::time::sleep(self.pause()) => {}
                request = releases.recv() => {
                    let held = self.leading.send_replace(false);
                    if let Some(done) = request {
                        if held {
                            self.give_back().await;
                        }
                        let _ = done.send(());
                    }
                    return;
                }
            }
        }
    }

    /// Tells whether this process leads: only while its last write is younger than the renew deadline.
    fn update(&mut self) {
        let leads = self.renewed.is_some_and(|at| at.elapsed() < self.config.renew_deadline);
        let changed = self.leading.send_if_modified(|old| std::mem::replace(old, leads) != leads);
        if changed {
            tracing::info!(lease = self.config.name, leads, "leadership changed");
        }
        if !leads {
            self.renewed = None;
        }
    }

    fn pause(&mut self) -> Duration {
        self.tries += 1;
        if self.renewed.is_some() {
            return self.config.retry;
        }
        let mixed = (self.config.seed ^ self.tries).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.config.retry + self.config.retry.mul_f64(0.2 * (mixed % 1000) as f64 / 1000.0)
    }

    async fn turn(&mut self) -> Result<()> {
        if self.lease.is_none() || self.renewed.is_none() {
            self.lease = self.read().await?;
        }
        let now = self.start.elapsed();
        self.seen.observe(self.lease.as_ref(), now);
        let act = decide(self.lease.as_ref(), &self.seen, &self.config.identity, now, self.config.duration);
        let before = Instant::now();
        let written: Lease = match act {
            Act::Wait => {
                self.renewed = None;
                return Ok(());
            }
            Act::Create => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": self.config.name, "namespace": self.config.namespace},
                    "spec": self.spec(0),
                });
                self.client.create(&Resource::LEASES, &self.config.namespace, &lease).await?
            }
            Act::Take { transitions } => self.patch(self.spec(transitions)).await?,
            Act::Renew => self.patch(json!({"renewTime": now_micros()})).await?,
        };
        self.lease = Some(written);
        self.seen.observe(self.lease.as_ref(), self.start.elapsed());
        self.renewed = Some(before);
        Ok(())
    }

    async fn read(&self) -> Result<Option<Lease>> {
        match self.client.get(&Resource::LEASES, &self.config.namespace, &self.config.name).await {
            Ok(lease) => Ok(Some(lease)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn patch(&self, spec: Value) -> Result<Lease> {
        let version = self.lease.as_ref().map(|l| l.metadata.resource_version.as_str()).unwrap_or_default();
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        self.client.merge_patch(&Resource::LEASES, &self.config.namespace, &self.config.name, &patch).await
    }

    /// Of a lease that is taken now.
    fn spec(&self, transitions: i64) -> Value {
        let now = now_micros();
        json!({
            "holderIdentity": self.config.identity,
            "leaseDurationSeconds": self.config.duration.as_secs().max(1),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        })
    }

    async fn give_back(&mut self) {
        let spec = json!({"holderIdentity": null, "leaseDurationSeconds": 1, "renewTime": now_micros()});
        if let Err(e) = self.patch(spec).await {
            tracing::debug!(lease = self.config.name, error = %e, "the lease was not given back");
        }
    }
}

/// The time as `metav1.MicroTime` writes it.
fn now_micros() -> String {
    format!("{:.6}", Timestamp::now())
}
