//! Logs, exec, attach and port-forward: handed through to the kubelet of the pod's node. What flows is not looked at:
//! SPDY and the older WebSocket protocols pass as bytes in both directions, what kubectl speaks over WebSockets goes
//! on as SPDY.

mod channel;
mod client;
mod exec;
mod log;
mod session;
mod spdy;
mod translate;
mod tunnel;

pub use client::{KubeletClient, KubeletClientError};
pub(crate) use client::{Node, TunnelError};
pub(crate) use exec::tunnel;

use crate::respond::{self, Reply};
use crate::server::Core;
use axum::body::Body;
use http::Request;
use keelson_api::status::Status;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// The port of a kubelet that does not say another.
const PORT: u16 = 10250;

/// The pod that a request is about.
pub(crate) struct Target<'a> {
    pub core: &'a Arc<Core>,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The subresources of pods that are connections to a container or pod, in whatever verb they are asked for.
pub(crate) const STREAMS: [&str; 3] = ["attach", "exec", "portforward"];

/// Answers `pods/NAME/log`, or opens one of the [`STREAMS`].
pub(crate) async fn answer(
    target: Target<'_>,
    subresource: &str,
    request: Request<Body>,
) -> Result<Reply, Status> {
    let key = format!("{}/{}", target.namespace, target.name);
    let pod =
        target.core.get_core("pods", &key)?.ok_or_else(|| Status::not_found("", "pods", target.name))?;
    let reply = match subresource {
        "log" => log::answer(&target, &pod, request).await?,
        "exec" => exec::exec(&target, &pod, request).await?,
        "attach" => exec::attach(&target, &pod, request).await?,
        "portforward" => exec::port_forward(&target, &pod, request).await?,
        _ => return Err(respond::no_such_resource()),
    };
    Ok(reply)
}

/// Writes to a kubelet until all is on its way: TLS keeps what the socket has no room for until it is flushed.
async fn write(kubelet: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    kubelet.write_all(bytes).await?;
    kubelet.flush().await
}

/// The container that is meant: the one asked for, or the only one there is.
fn container(target: &Target<'_>, pod: &Value, asked: &str) -> Result<String, Status> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let names = |list: &str| -> Vec<&str> {
        pod["spec"][list].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
    };
    if !asked.is_empty() {
        if lists.iter().any(|list| names(list).contains(&asked)) {
            return Ok(asked.to_owned());
        }
        return Err(Status::bad_request(format!("container {asked} is not valid for pod {}", target.name)));
    }
    let containers = names("containers");
    if let [only] = containers.as_slice() {
        return Ok((*only).to_owned());
    }
    let choice = |list: &[&str]| format!("[{}]", list.join(" "));
    let mut message = format!(
        "a container name must be specified for pod {}, choose one of: {}",
        target.name,
        choice(&containers)
    );
    let init = names("initContainers");
    if !init.is_empty() {
        message.push_str(&format!(" or one of the init containers: {}", choice(&init)));
    }
    Err(Status::bad_request(message))
}

/// Where the kubelet of the pod's node listens.
fn node(target: &Target<'_>, pod: &Value) -> Result<Node, Status> {
    let name = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", target.name)));
    }
    node_named(target.core, name)
}

/// Where the kubelet of a node listens.
pub(crate) fn node_named(core: &Core, name: &str) -> Result<Node, Status> {
    let node = core.get_core("nodes", name)?.ok_or_else(|| Status::not_found("", "nodes", name))?;
    let address = |kind: &str| {
        node["status"]["addresses"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|address| address["type"] == kind)
            .and_then(|address| address["address"].as_str())
    };
    let host = address("InternalIP").or_else(|| address("Hostname")).ok_or_else(|| {
        Status::internal(format!("no preferred addresses found for node {name}; known addresses: []"))
    })?;
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .unwrap_or(PORT);
    Ok(Node { host: host.to_owned(), port })
}

fn client(target: &Target<'_>) -> Result<Arc<KubeletClient>, Status> {
    credentials(target.core)
}

/// How this server shows itself to kubelets.
pub(crate) fn credentials(core: &Core) -> Result<Arc<KubeletClient>, Status> {
    core.config.kubelet.clone().ok_or_else(|| {
        Status::unavailable("this server has no credentials for kubelets: logs and exec are not available")
    })
}

/// The words with which Kubernetes tells that a kubelet cannot be reached.
fn unreachable(url: &str, error: &dyn std::fmt::Display) -> Status {
    Status::internal(format!("error dialing backend: {url}: {error}"))
}
