//! Controllers and scheduler: in this process, each the leader by a Lease, each with an identity of its own.

use crate::address;
use crate::in_process::InProcess;
use axum::Router;
use keelson_api::identity::UserInfo;
use keelson_apiserver::ApiServer;
use keelson_client::lease::ElectionConfig;
use keelson_controllers::{
    ControllerConfig, Controllers, ControllersHandle, RangeError, Signer, SignerError,
};
use keelson_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use std::hash::{BuildHasher, RandomState};

const NAMESPACE: &str = "kube-system";
/// The identity of shared views, and the name of the controllers' Lease.
const MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";

/// Why the components cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("the cluster's CA cannot sign certificates of nodes: {0}")]
    Signer(#[from] SignerError),
    #[error("clusterCIDR: {0}")]
    Range(#[from] RangeError),
}

/// What the components are told.
pub struct Settings<'a> {
    pub ca_pem: &'a str,
    pub ca_key_pem: &'a str,
    /// All pods' addresses, such as `10.244.0.0/16`.
    pub cluster_cidr: &'a str,
}

/// The running components.
pub struct Components {
    controllers: ControllersHandle,
    scheduler: SchedulerHandle,
}

impl Components {
    pub fn start(router: &Router, settings: &Settings<'_>) -> Result<Self, ComponentError> {
        let seed = RandomState::new().hash_one(settings.ca_pem);
        // The same after a restart, which then takes up its own Leases without waiting.
        let holder = address::host_name();
        let election = |name| Some(ElectionConfig::new(NAMESPACE, name, &holder, seed));
        let config = ControllerConfig {
            signer: Some(Signer::new(settings.ca_pem, settings.ca_key_pem)?),
            election: election(MANAGER),
            ..ControllerConfig::new(settings.ca_pem, settings.cluster_cidr, seed)?
        };
        let scheduler = SchedulerConfig { election: election(SCHEDULER), seed, ..SchedulerConfig::default() };
        let make_client = {
            let router = router.clone();
            move |name: &str| InProcess::client(&router, identity(name), &format!("keelson/{name}"))
        };
        let scheduler_client = make_client(SCHEDULER);
        Ok(Self {
            controllers: Controllers::start(config, make_client),
            scheduler: Scheduler::start(scheduler, scheduler_client),
        })
    }

    /// Makes `/readyz` wait until both have read what they follow.
    pub fn ready_checks(&self, api: &ApiServer) {
        for (name, synced) in [
            ("controllers-informer-sync", self.controllers.synced()),
            ("scheduler-informer-sync", self.scheduler.synced()),
        ] {
            api.ready_when(name, move || {
                if *synced.borrow() { Ok(()) } else { Err("its views are not synced yet".to_owned()) }
            });
        }
    }

    /// Stops both and gives their Leases back.
    pub async fn shutdown(self) {
        tokio::join!(self.controllers.shutdown(), self.scheduler.shutdown());
    }
}

/// Shared views and the scheduler are users of their own; each controller is its service account, as Kubernetes'
/// default roles have it.
fn identity(name: &str) -> UserInfo {
    match name {
        MANAGER | SCHEDULER => UserInfo::component(&format!("system:{name}")),
        controller => UserInfo::service_account(NAMESPACE, controller),
    }
}
