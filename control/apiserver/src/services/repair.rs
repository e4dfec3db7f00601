//! The repair pass: frees what no service has any more, takes in what a service has and the index lacks, and
//! tells by Events when two services have the same.

use super::{Holdings, owner_of};
use crate::pipeline::Context;
use crate::request::Verb;
use crate::request::options::WriteOptions;
use crate::server::Core;
use crate::storage::form;
use crate::verbs::create;
use crate::verbs::write::Owners;
use http::HeaderMap;
use keelson_api::identity::UserInfo;
use keelson_api::meta;
use keelson_api::status::Status;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(180);
/// Rounds for which something must be missing before it is freed: a request may be between store and index.
const ROUNDS: u8 = 2;

/// Something that two services have.
#[derive(Debug, PartialEq)]
pub struct Duplicate {
    pub service: Value,
    pub reason: &'static str,
    pub message: String,
}

/// Runs until shutdown begins.
pub async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let (freed, duplicates) = round(&core);
        if freed > 0 {
            tracing::warn!(freed, "freed service addresses and ports that no service has");
        }
        for duplicate in duplicates {
            tracing::warn!(service = %owner_of(&duplicate.service), "{}", duplicate.message);
            // Best effort: the log has the same line.
            if let Err(error) = report(&core, &duplicate).await {
                tracing::warn!(%error, "the event of a doubly assigned address was not written");
            }
        }
    }
}

/// One comparison: how many numbers were freed, and what two services have.
pub fn round(core: &Core) -> (usize, Vec<Duplicate>) {
    let snapshot = core.store.snapshot("services");
    let services: Vec<Value> =
        snapshot.range("", None).filter_map(|(_, stored)| form::parse(stored).ok()).collect();
    let (mut ips, mut ports) = (HashMap::new(), HashMap::new());
    let mut duplicates = Vec::new();
    for object in &services {
        let (owner, holdings) = (owner_of(object), Holdings::of(object));
        for ip in holdings.ips {
            if let Some(other) = ips.insert(ip, owner.clone()) {
                let address = Ipv4Addr::from(ip);
                let message = format!(
                    "Cluster IP {address} was assigned to multiple services: {other} and {owner}; please recreate service"
                );
                duplicates.push(Duplicate {
                    service: object.clone(),
                    reason: "ClusterIPAlreadyAllocated",
                    message,
                });
            }
        }
        for port in holdings.ports {
            if let Some(other) = ports.insert(port, owner.clone()) {
                let message = format!(
                    "Node port {port} was assigned to multiple services: {other} and {owner}; please recreate service"
                );
                duplicates.push(Duplicate {
                    service: object.clone(),
                    reason: "PortAlreadyAllocated",
                    message,
                });
            }
        }
    }
    let mut state = core.services.state().lock();
    let freed = state.ips.sweep(ROUNDS, |n| ips.contains_key(&n))
        + state.ports.sweep(ROUNDS, |n| ports.contains_key(&n));
    ips.iter().for_each(|(ip, owner)| state.ips.adopt(*ip, owner));
    ports.iter().for_each(|(port, owner)| state.ports.adopt(*port, owner));
    (freed, duplicates)
}

/// Writes the Event.
pub async fn report(core: &Arc<Core>, duplicate: &Duplicate) -> Result<(), Status> {
    let Some(served) = core.catalog.core("events").cloned() else { return Ok(()) };
    let service = &duplicate.service;
    let now = crate::clock::timestamp();
    let namespace = meta::namespace(service).to_owned();
    let name = format!("{}.{:016x}", meta::name(service), crate::clock::random());
    let event = json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "kind": "Service", "apiVersion": "v1", "namespace": namespace,
            "name": meta::name(service), "uid": meta::uid(service),
        },
        "reason": duplicate.reason, "message": duplicate.message, "type": "Warning", "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": "ipallocator-repair-controller"},
        "reportingComponent": "ipallocator-repair-controller",
    });
    let user = Arc::new(UserInfo::component("system:apiserver"));
    let headers = HeaderMap::new();
    let mut ctx = Context {
        core,
        served: &served,
        user: &user,
        verb: Verb::Create,
        namespace: &namespace,
        name: "",
        subresource: "",
        query: "",
        headers: &headers,
        warnings: Vec::new(),
    };
    create::store_new(&mut ctx, event, &WriteOptions::default(), Owners::Writer("")).await?;
    Ok(())
}
