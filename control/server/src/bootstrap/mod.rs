//! The objects that every cluster has, made at the first start and mended at every later one.
//!
//! All of it goes through the API. The identity is `system:apiserver` in `system:masters`, as in Kubernetes: before
//! roles exist nobody else may make them. No component but the server itself carries it.

mod aggregation;
mod objects;
mod rbac;

pub(crate) use aggregation::follow as follow_aggregation;

use crate::join_token::JoinToken;
use futures::future::{try_join, try_join_all};
use keelson_api::identity::{GROUP_MASTERS, UserInfo};
use keelson_client::Client;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How often the API's own endpoints are compared with where it listens.
const ENDPOINTS_PERIOD: Duration = Duration::from_secs(10);

/// Why the objects of a cluster could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the cluster's own objects cannot be written: {0}")]
pub struct BootstrapError(#[from] keelson_client::Error);

/// What the objects say.
#[derive(Clone, Debug)]
pub struct Facts {
    pub kubernetes_address: Ipv4Addr,
    pub dns_address: Ipv4Addr,
    pub advertise_address: IpAddr,
    pub secure_port: u16,
    pub ca_pem: String,
    pub join_token: JoinToken,
}

/// The identity of the API server towards itself.
pub fn identity() -> UserInfo {
    let mut user = UserInfo::component("system:apiserver");
    user.groups.push(GROUP_MASTERS.to_owned());
    user
}

/// Makes and mends everything.
pub async fn run(client: &Client, facts: &Facts) -> Result<(), BootstrapError> {
    // Everything else lives in a namespace.
    try_join_all(objects::namespaces().into_iter().map(|wanted| objects::ensure(client, wanted))).await?;
    let singles = [
        objects::kubernetes_service(facts),
        objects::dns_service(facts),
        objects::join_secret(facts),
        objects::client_ca(facts),
    ];
    let wanted = singles.into_iter().chain(objects::kubernetes_endpoints(facts));
    let singles = try_join_all(wanted.map(|wanted| objects::ensure(client, wanted)));
    try_join(rbac::reconcile(client), singles).await?;
    Ok(())
}

/// Keeps the endpoints of `default/kubernetes` right, whoever changes or deletes them.
pub async fn keep_endpoints(client: Client, facts: Facts) {
    loop {
        tokio::time::sleep(ENDPOINTS_PERIOD).await;
        let wanted =
            [objects::kubernetes_service(&facts)].into_iter().chain(objects::kubernetes_endpoints(&facts));
        if let Err(error) = try_join_all(wanted.map(|wanted| objects::ensure(&client, wanted))).await {
            tracing::warn!(%error, "the endpoints of default/kubernetes could not be kept");
        }
    }
}
