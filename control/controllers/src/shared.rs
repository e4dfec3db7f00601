//! The views that controllers share: one list and watch per kind, however many read it.

use keelson_client::informer::{Informer, Options, Scope};
use keelson_client::views::{
    CertificateSigningRequest, ConfigMap, Deployment, EndpointSlice, Endpoints, Lease, Namespace, Node, Pod,
    ReplicaSet, Service, ServiceAccount,
};
use keelson_client::{Client, Meta, Resource, View};

/// The index of objects by the uid of their controller; those without one are under `ORPHAN`.
pub(crate) const BY_OWNER: &str = "owner";
/// The index of pods by node; those without one are under the empty name.
pub(crate) const BY_NODE: &str = "node";
/// Stands for 'no controller' in `BY_OWNER`, together with the namespace.
const ORPHAN: &str = "orphan/";
/// Where agents keep their nodes' leases.
pub(crate) const NODE_LEASES: &str = "kube-node-lease";
/// The ConfigMap with the cluster's CA in every namespace.
pub(crate) const ROOT_CA_NAME: &str = "kube-root-ca.crt";

pub(crate) struct Shared {
    pub(crate) pods: Informer<Pod>,
    pub(crate) nodes: Informer<Node>,
    pub(crate) services: Informer<Service>,
    pub(crate) slices: Informer<EndpointSlice>,
    pub(crate) endpoints: Informer<Endpoints>,
    pub(crate) namespaces: Informer<Namespace>,
    pub(crate) deployments: Informer<Deployment>,
    pub(crate) replica_sets: Informer<ReplicaSet>,
    pub(crate) service_accounts: Informer<ServiceAccount>,
    pub(crate) root_cas: Informer<ConfigMap>,
    pub(crate) requests: Informer<CertificateSigningRequest>,
    pub(crate) leases: Informer<Lease>,
}

impl Shared {
    pub(crate) fn spawn(client: &Client, seed: u64) -> Self {
        let named =
            |name: &str| Scope { field_selector: format!("metadata.name={name}"), ..Scope::default() };
        Self {
            pods: spawn(
                client,
                Resource::PODS,
                Scope::default(),
                seed,
                vec![
                    (BY_OWNER, |p: &Pod| vec![owner_index(&p.metadata)]),
                    (BY_NODE, |p: &Pod| vec![p.spec.node_name.clone()]),
                ],
            ),
            nodes: spawn(client, Resource::NODES, Scope::default(), seed + 1, vec![]),
            services: spawn(client, Resource::SERVICES, Scope::default(), seed + 2, vec![]),
            slices: spawn(
                client,
                Resource::ENDPOINT_SLICES,
                Scope::default(),
                seed + 3,
                vec![(BY_OWNER, |s: &EndpointSlice| vec![service_index(s)])],
            ),
            endpoints: spawn(client, Resource::ENDPOINTS, Scope::default(), seed + 4, vec![]),
            namespaces: spawn(client, Resource::NAMESPACES, Scope::default(), seed + 5, vec![]),
            deployments: spawn(client, Resource::DEPLOYMENTS, Scope::default(), seed + 6, vec![]),
            replica_sets: spawn(
                client,
                Resource::REPLICA_SETS,
                Scope::default(),
                seed + 7,
                vec![(BY_OWNER, |s: &ReplicaSet| vec![owner_index(&s.metadata)])],
            ),
            service_accounts: spawn(client, Resource::SERVICE_ACCOUNTS, named("default"), seed + 8, vec![]),
            root_cas: spawn(client, Resource::CONFIG_MAPS, named(ROOT_CA_NAME), seed + 9, vec![]),
            requests: spawn(
                client,
                Resource::CERTIFICATE_SIGNING_REQUESTS,
                Scope::default(),
                seed + 10,
                vec![],
            ),
            leases: spawn(
                client,
                Resource::LEASES,
                Scope { namespace: NODE_LEASES.to_owned(), ..Scope::default() },
                seed + 11,
                vec![],
            ),
        }
    }
}

impl Shared {
    /// Waits until every view has been read once.
    pub(crate) async fn synced(&self) {
        self.pods.synced().await;
        self.nodes.synced().await;
        self.services.synced().await;
        self.slices.synced().await;
        self.endpoints.synced().await;
        self.namespaces.synced().await;
        self.deployments.synced().await;
        self.replica_sets.synced().await;
        self.service_accounts.synced().await;
        self.root_cas.synced().await;
        self.requests.synced().await;
        self.leases.synced().await;
    }
}

type Indexes<T> = Vec<(&'static str, fn(&T) -> Vec<String>)>;

fn spawn<T: View>(
    client: &Client,
    resource: Resource,
    scope: Scope,
    seed: u64,
    indexes: Indexes<T>,
) -> Informer<T> {
    let options = Options { seed, indexes, ..Options::default() };
    Informer::spawn_with(client.clone(), resource, scope, options)
}

/// The value of `BY_OWNER` for an object.
fn owner_index(meta: &Meta) -> String {
    meta.controller().map_or_else(|| orphans(&meta.namespace), |owner| owner.uid.clone())
}

/// The value of `BY_OWNER` of a namespace's objects without a controller.
pub(crate) fn orphans(namespace: &str) -> String {
    format!("{ORPHAN}{namespace}")
}

/// Slices are found by the Service that their label names.
fn service_index(slice: &EndpointSlice) -> String {
    service_value(&slice.metadata.namespace, slice.service_name().unwrap_or_default())
}

/// The value of `BY_OWNER` of a Service's slices.
pub(crate) fn service_value(namespace: &str, service: &str) -> String {
    format!("{namespace}/{service}")
}
