//! `CONNECT ADDRESS:PORT`: a connection to a pod of this node, for an API server that has no route to pods.
//!
//! HTTP CONNECT is what Kubernetes' egress selector speaks too (KEP-1281). Only addresses of pods that run here are
//! reached, and of the node where a pod shares its network.

use super::{Body, text};
use crate::actions::Context;
use crate::run::Directory;
use http::uri::Authority;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// A pod is on this machine: what does not answer by then is not there.
const DIAL: Duration = Duration::from_secs(10);

/// The address that is asked for: numbers only, `10.0.0.1:80` or `[fd00::1]:80`, and nothing beside it.
fn target(uri: &Uri) -> Result<SocketAddr, String> {
    let words = |found: &str| {
        format!("CONNECT wants an address and a port, like 10.244.0.7:80 or [fd00::7]:80, not {found:?}")
    };
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    let address: SocketAddr = authority.parse().map_err(|_| words(authority))?;
    let bare = uri.scheme().is_none() && uri.path_and_query().is_none_or(|p| p.as_str().is_empty());
    if address.port() == 0 || !bare {
        return Err(words(&uri.to_string()));
    }
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Whether a pod that has something running here now has the address.
fn is_pods(directory: &Directory, ip: IpAddr) -> bool {
    directory.list().iter().filter(|entry| entry.sandbox.is_some()).any(|entry| {
        let listed = entry.status.get("podIPs").and_then(Value::as_array).into_iter().flatten();
        let mut ips = listed.filter_map(|i| i.get("ip")?.as_str()?.parse::<IpAddr>().ok());
        ips.any(|pods| pods == ip)
    })
}

pub(super) async fn connect(
    context: &Context,
    directory: &Directory,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let address = match target(request.uri()) {
        Ok(address) => address,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    if !is_pods(directory, address.ip()) {
        let message =
            format!("no pod that runs on node {} has the address {}", context.config.node_name, address.ip());
        return text(StatusCode::FORBIDDEN, &message);
    }
    let mut stream = match dial(address).await {
        Ok(stream) => stream,
        Err(error) => return text(StatusCode::BAD_GATEWAY, &format!("dial tcp {address}: {error}")),
    };
    let caller = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match caller.await {
            // A side that goes away in the middle is the usual end of a connection.
            Ok(caller) => drop(tokio::io::copy_bidirectional(&mut TokioIo::new(caller), &mut stream).await),
            Err(error) => tracing::debug!(%error, "a CONNECT was not taken up"),
        }
    });
    Response::new(Empty::new().boxed_unsync())
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let timed_out = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {DIAL:?}"));
    let stream = tokio::time::timeout(DIAL, TcpStream::connect(address)).await.map_err(|_| timed_out())??;
    // What flows through is somebody else's: nothing may wait here for more of it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_numbers_and_nothing_else() {
        let check = |text: &str, expect: Option<&str>| {
            let got = text.parse::<Uri>().ok().and_then(|uri| target(&uri).ok());
            assert_eq!(got.map(|a| a.to_string()).as_deref(), expect, "{text}");
        };
        check("10.244.0.7:80", Some("10.244.0.7:80"));
        check("[fd00::7]:65535", Some("[fd00::7]:65535"));
        // One address has one spelling in the comparison with the pods'.
        check("[::ffff:10.244.0.7]:80", Some("10.244.0.7:80"));
        for bad in [
            "10.244.0.7",
            "10.244.0.7:0",
            "10.244.0.7:65536",
            "10.244.0.7:",
            "10.244.0.256:80",
            "localhost:80",
            "user@10.244.0.7:80",
            "http://10.244.0.7:80/",
            "/10.244.0.7:80",
            "fd00::7:80",
            "[fd00::7%eth0]:80",
            "*",
        ] {
            check(bad, None);
        }
    }

    /// Whatever a caller sends is refused or is an address; nothing panics.
    #[test]
    fn any_bytes() {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let alphabet = b"0123456789abcdef.:[]%@/?#-x \xff";
        for _ in 0..200_000 {
            let mut bytes = Vec::new();
            for _ in 0..state % 24 {
                // xorshift64: the same bytes in every run.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                bytes.push(alphabet[usize::try_from(state % alphabet.len() as u64).unwrap()]);
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let Ok(uri) = Uri::try_from(bytes.as_slice()) else { continue };
            if let Ok(address) = target(&uri) {
                assert!(address.port() != 0, "{uri}");
            }
        }
    }
}
