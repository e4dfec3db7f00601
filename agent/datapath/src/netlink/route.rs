//! Routes.

use super::{Netlink, NetlinkError, is_errno, refused, v4};
use crate::tables::Prefix;
use keelson_ebpf_abi::Address;
use netlink_packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::RouteMessageBuilder;
use std::net::Ipv4Addr;

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to.
    pub to: Prefix,
    /// By which gateway; directly without one.
    pub via: Option<Address>,
    /// The gateway is reachable although no address of the interface says so.
    pub onlink: bool,
    /// The source address of what this host sends.
    pub source: Option<Address>,
}

impl Route {
    /// A route to what is on the link itself.
    pub fn direct(to: Prefix, source: Option<Address>) -> Self {
        Self { to, via: None, onlink: false, source }
    }
}

impl Netlink {
    /// Adds or replaces a route through an interface.
    pub async fn set_route(&self, index: u32, route: &Route) -> Result<(), NetlinkError> {
        let message = message(index, route)?;
        let request = self.handle.route().add(message).replace();
        request.execute().await.map_err(|error| refused(format!("route to {}", route.to), error))
    }

    /// Removes a route; one that is gone is fine.
    pub async fn remove_route(&self, index: u32, route: &Route) -> Result<(), NetlinkError> {
        match self.handle.route().del(message(index, route)?).execute().await {
            Err(error) if is_errno(&error, libc::ESRCH) => Ok(()),
            result => result.map_err(|error| refused(format!("remove route to {}", route.to), error)),
        }
    }
}

fn message(index: u32, route: &Route) -> Result<RouteMessage, NetlinkError> {
    let mut builder = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(v4(route.to.address)?, route.to.family_bits())
        .output_interface(index);
    if let Some(via) = route.via {
        builder = builder.gateway(v4(via)?);
    } else {
        builder = builder.scope(RouteScope::Link);
    }
    if route.onlink {
        builder = builder.onlink();
    }
    if let Some(source) = route.source {
        builder = builder.pref_source(v4(source)?);
    }
    Ok(builder.build())
}
