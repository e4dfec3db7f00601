//! Numbers that a request has taken: its service's once that is stored, free again if it is not.

use super::{Holdings, State};
use parking_lot::Mutex;
use std::sync::Arc;

/// What one request has taken. Dropped without `commit`, it gives everything back.
pub struct Hold {
    state: Option<Arc<Mutex<State>>>,
    owner: Arc<str>,
    taken: Holdings,
    /// What the service had and has no longer.
    freed: Holdings,
    dry_run: bool,
}

impl Hold {
    /// Of a request that takes nothing.
    pub fn none() -> Self {
        Self {
            state: None,
            owner: Arc::from(""),
            taken: Holdings::default(),
            freed: Holdings::default(),
            dry_run: false,
        }
    }

    pub(super) fn new(state: Arc<Mutex<State>>, owner: Arc<str>, dry_run: bool) -> Self {
        let (taken, freed) = (Holdings::default(), Holdings::default());
        Self { state: Some(state), owner, taken, freed, dry_run }
    }

    pub(super) fn owner(&self) -> Arc<str> {
        Arc::clone(&self.owner)
    }

    pub(super) fn took_ip(&mut self, ip: u32) {
        self.taken.ips.push(ip);
    }

    pub(super) fn took_port(&mut self, port: u32) {
        self.taken.ports.push(port);
    }

    pub(super) fn frees(&mut self, had: &Holdings, has: &Holdings) {
        let lost = |had: &[u32], has: &[u32]| had.iter().copied().filter(|n| !has.contains(n)).collect();
        self.freed = Holdings { ips: lost(&had.ips, &has.ips), ports: lost(&had.ports, &has.ports) };
    }

    /// The service is stored.
    pub fn commit(&mut self) {
        if self.dry_run {
            return;
        }
        let Some(state) = self.state.take() else { return };
        let mut state = state.lock();
        self.taken.ips.iter().for_each(|ip| state.ips.commit(*ip));
        self.taken.ports.iter().for_each(|port| state.ports.commit(*port));
        self.freed.ips.iter().for_each(|ip| state.ips.free(*ip, &self.owner));
        self.freed.ports.iter().for_each(|port| state.ports.free(*port, &self.owner));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        if self.taken == Holdings::default() {
            return;
        }
        let mut state = state.lock();
        self.taken.ips.iter().for_each(|ip| state.ips.free(*ip, &self.owner));
        self.taken.ports.iter().for_each(|port| state.ports.free(*port, &self.owner));
    }
}
