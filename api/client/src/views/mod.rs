//! Narrow structs of the API's kinds: the fields that the cluster's components read, and no others.
//!
//! A view is never written back. Unknown fields are dropped while parsing, so sending one would erase them;
//! writers send patches of the fields that they own.

mod certificate;
mod configmap;
mod deployment;
mod endpoints;
mod endpointslice;
mod lease;
mod meta;
mod namespace;
mod node;
mod pod;
mod pod_placement;
mod replicaset;
mod scalar;
mod secret;
mod selector;
mod service;
mod serviceaccount;

pub use certificate::*;
pub use configmap::*;
pub use deployment::*;
pub use endpoints::*;
pub use endpointslice::*;
pub use lease::*;
pub use meta::*;
pub use namespace::*;
pub use node::*;
pub use pod::*;
pub use pod_placement::*;
pub use replicaset::*;
pub use scalar::*;
pub use secret::*;
pub use selector::*;
pub use service::*;
pub use serviceaccount::*;

/// Implements `View` for structs whose metadata is the field `metadata`.
macro_rules! views {
    ($($kind:ident)*) => { $(
        impl View for $kind {
            fn meta(&self) -> &Meta { &self.metadata }
        }
    )* };
}

views! {
    CertificateSigningRequest ConfigMap Deployment EndpointSlice Endpoints Lease Namespace Node Partial
    Pod Raw ReplicaSet Secret Service ServiceAccount
}
