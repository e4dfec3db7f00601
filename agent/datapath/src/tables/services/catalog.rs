//! Who claims what, kept from change to change: a Service that changes costs itself and not all others.

use super::{Compiled, HealthCheck, ServicePort, Services};
use crate::tables::Problem;
use keelson_client::views::Key;
use keelson_ebpf_abi::ServiceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How strong a claim is: of two for the same place the first in this order holds. An address of the cluster comes
/// before all that users may choose freely, so that nobody takes another's traffic by naming its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A ClusterIP.
    Cluster,
    /// A NodePort.
    NodePort,
    /// A port of this node that one of its pods has.
    HostPort,
    /// An address of a load balancer.
    Balancer,
    /// One of `spec.externalIPs`.
    External,
}

/// What claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A Service.
    Service(Key),
    /// A pod of this node, by its uid.
    Pod(Key, String),
}

#[derive(Clone, Debug)]
struct Claim {
    rank: Rank,
    owner: Arc<Owner>,
    port: Arc<ServicePort>,
}

/// What is kept of one owner beside its claims.
#[derive(Clone, Debug, Default, PartialEq)]
struct Kept {
    keys: Vec<ServiceKey>,
    health_port: Option<u16>,
    problems: Vec<Problem>,
}

/// Every claim.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    owners: BTreeMap<Arc<Owner>, Kept>,
    /// Never empty, best first.
    claims: BTreeMap<ServiceKey, Vec<Claim>>,
    /// Keys with more than one claim.
    contested: BTreeSet<ServiceKey>,
    /// What load balancers ask for, by port and who wants it asked.
    health: BTreeMap<(u16, Arc<Owner>), HealthCheck>,
    troubled: BTreeSet<Arc<Owner>>,
}

impl Catalog {
    /// Replaces what an owner claims and brings `table` there. The keys whose content has changed go to `touched`.
    /// True when load balancers have something to do with it, before or after.
    pub fn put(
        &mut self,
        owner: Owner,
        compiled: Compiled,
        table: &mut Services,
        touched: &mut BTreeSet<ServiceKey>,
    ) -> bool {
        let owner = Arc::new(owner);
        let before = self.withdraw(&owner);
        let mut keys: BTreeSet<ServiceKey> = before.keys.into_iter().collect();
        let Compiled { entries, health, problems } = compiled;
        let asked = before.health_port.is_some() || health.is_some();
        let mut kept = Kept { keys: Vec::with_capacity(entries.len()), health_port: None, problems };
        if let Some((port, check)) = health {
            kept.health_port = Some(port);
            self.health.insert((port, owner.clone()), check);
        }
        for (key, rank, port) in entries {
            let claims = self.claims.entry(key).or_default();
            let claim = Claim { rank, owner: owner.clone(), port };
            // One owner may name an address twice, as external and as its load balancer's.
            if claims.iter().any(|other| other.owner == owner && other.rank <= rank) {
                continue;
            }
            claims.push(claim);
            claims.sort_by(|a, b| (a.rank, &a.owner).cmp(&(b.rank, &b.owner)));
            kept.keys.push(key);
            keys.insert(key);
        }
        if !kept.problems.is_empty() {
            self.troubled.insert(owner.clone());
        }
        if kept != Kept::default() {
            self.owners.insert(owner, kept);
        }
        for key in keys {
            self.settle(key, table, touched);
        }
        asked
    }

    /// Every owner.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owners.keys().map(|owner| owner.as_ref())
    }

    /// What load balancers ask for, by port.
    pub fn health(&self) -> BTreeMap<u16, HealthCheck> {
        self.health.iter().map(|((port, _), check)| (*port, check.clone())).collect()
    }

    /// What cannot be served, claims that do not hold among it.
    pub fn problems(&self) -> Vec<Problem> {
        let troubled = self.troubled.iter().filter_map(|owner| self.owners.get(owner));
        let mut all: Vec<Problem> = troubled.flat_map(|kept| kept.problems.clone()).collect();
        for key in &self.contested {
            let Some([winner, others @ ..]) = self.claims.get(key).map(Vec::as_slice) else { continue };
            let lost = others.iter().filter(|claim| claim.owner != winner.owner);
            all.extend(lost.map(|claim| lost_claim(key, claim, winner)));
        }
        all.dedup();
        all
    }

    fn withdraw(&mut self, owner: &Arc<Owner>) -> Kept {
        let Some(kept) = self.owners.remove(owner) else { return Kept::default() };
        self.troubled.remove(owner);
        if let Some(port) = kept.health_port {
            self.health.remove(&(port, owner.clone()));
        }
        for key in &kept.keys {
            if let Some(claims) = self.claims.get_mut(key) {
                claims.retain(|claim| claim.owner != *owner);
            }
        }
        kept
    }

    /// Brings one key of the table to who holds it now.
    fn settle(&mut self, key: ServiceKey, table: &mut Services, touched: &mut BTreeSet<ServiceKey>) {
        let claims = self.claims.get(&key).map_or(&[][..], Vec::as_slice);
        if claims.len() > 1 {
            self.contested.insert(key)
        } else {
            self.contested.remove(&key)
        };
        let winner = claims.first();
        let changed = match winner {
            Some(winner) if table.get(&key) == Some(&winner.port) => false,
            Some(winner) => {
                table.insert(key, winner.port.clone());
                true
            }
            None => {
                self.claims.remove(&key);
                table.remove(&key).is_some()
            }
        };
        if changed {
            touched.insert(key);
        }
    }
}

fn lost_claim(key: &ServiceKey, lost: &Claim, winner: &Claim) -> Problem {
    let (object, what) = match lost.owner.as_ref() {
        Owner::Service(name) => (format!("Service {name}"), "its address"),
        Owner::Pod(name, _) => (format!("Pod {name}"), "its host port"),
    };
    let message = format!(
        "{what} {}:{} belongs to {} already: choose another",
        key.address,
        key.port.get(),
        winner.port.name
    );
    Problem { object, message }
}
