//! `proxy`: a request handed on to a pod, a Service or a node, and its answer handed back. Bodies flow through; only
//! the links of HTML are changed, so that they lead through the proxy.

mod dial;
mod head;
mod html;
mod link;
mod page;
mod target;

use crate::kubelet::{self, tunnel};
use crate::pipeline::Connect;
use crate::respond::{self, Reply};
use crate::server::Core;
use crate::storage::form;
use axum::body::Body;
use http::header::{HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use link::Links;
use std::sync::Arc;
use target::{Asked, Place};

const SLICES: &str = "endpointslices.discovery.k8s.io";

/// Answers `pods/NAME/proxy`, `services/NAME/proxy` or `nodes/NAME/proxy`, and what is below.
pub(crate) async fn answer(connect: Connect<'_>, request: Request<Body>) -> Result<Reply, Status> {
    let uri = request.uri().clone();
    let Some((prefix, rest)) = split(uri.path()) else { return Err(respond::no_such_resource()) };
    let asked = Asked::parse(connect.name).ok_or_else(|| {
        Status::bad_request(format!("invalid {} request {:?}", connect.plural, connect.name))
    })?;
    let backend = backend(&connect, &asked)?;
    if rest.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
        return redirection(&uri);
    }
    let path = onward_path(rest, uri.query());
    backend.exchange(connect.core, request, &uri, prefix, &path).await
}

/// A raw path up to and with `proxy`, and what is below it.
fn split(path: &str) -> Option<(&str, &str)> {
    // /api/v1/namespaces/NS/pods/NAME/proxy and /api/v1/nodes/NAME/proxy
    let wanted = if path.split('/').filter(|part| !part.is_empty()).nth(2)? == "namespaces" { 6 } else { 4 };
    let (mut at, mut seen) = (0, 0);
    for part in path.split('/') {
        let end = at + part.len();
        if !part.is_empty() {
            if seen == wanted {
                return (part == "proxy").then(|| path.split_at(end));
            }
            seen += 1;
        }
        at = end + 1;
    }
    None
}

fn onward_path(rest: &str, query: Option<&str>) -> String {
    let path = if rest.is_empty() { "/" } else { rest };
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// A backend's root is a folder: its relative links need the slash.
fn redirection(uri: &Uri) -> Result<Reply, Status> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{}/{query}", uri.path())).map_err(Status::internal)?;
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::MOVED_PERMANENTLY;
    reply.headers_mut().insert(LOCATION, location);
    Ok(reply)
}

enum Backend {
    At {
        place: Place,
        tls: bool,
    },
    /// The kubelet itself, with this server's credentials.
    Kubelet(kubelet::Node),
}

fn backend(connect: &Connect<'_>, asked: &Asked<'_>) -> Result<Backend, Status> {
    let (core, tls) = (connect.core, asked.https);
    match connect.plural {
        "pods" => {
            let pod = find(connect, asked.name)?;
            Ok(Backend::At { place: target::of_pod(&pod, asked)?, tls })
        }
        "services" => {
            let service = find(connect, asked.name)?;
            let port = target::service_port(&service, asked)?;
            let mut places = endpoints(core, connect.namespace, asked.name, &port)?;
            if places.is_empty() {
                let message = format!("no endpoints available for service {:?}", connect.name);
                return Err(Status::unavailable(message));
            }
            let chosen = (crate::clock::random() % places.len() as u64) as usize;
            Ok(Backend::At { place: places.swap_remove(chosen), tls })
        }
        _ => {
            let node = kubelet::node_named(core, asked.name)?;
            let port = asked.number(node.port)?;
            if port == node.port {
                return Ok(Backend::Kubelet(node));
            }
            let address = std::net::SocketAddr::new(target::reachable(&node.host)?, port);
            Ok(Backend::At { place: Place { address, node: None }, tls })
        }
    }
}

fn find(connect: &Connect<'_>, name: &str) -> Result<serde_json::Value, Status> {
    let key = format!("{}/{name}", connect.namespace);
    let found = connect.core.get_core(connect.plural, &key)?;
    found.ok_or_else(|| Status::not_found("", connect.plural, name))
}

/// The ready endpoints of a Service's port.
fn endpoints(core: &Core, namespace: &str, service: &str, port: &str) -> Result<Vec<Place>, Status> {
    let slices = core.store.snapshot(SLICES);
    let prefix = format!("{namespace}/");
    let mut places = Vec::new();
    for (_, stored) in slices.range(&prefix, None) {
        places.extend(target::endpoints(&form::parse(stored)?, service, port));
    }
    Ok(places)
}

impl Backend {
    async fn exchange(
        &self,
        core: &Arc<Core>,
        mut request: Request<Body>,
        uri: &Uri,
        prefix: &str,
        path: &str,
    ) -> Result<Reply, Status> {
        let (host, tls) = match self {
            Backend::At { place, tls } => (place.address.to_string(), *tls),
            Backend::Kubelet(node) => (node.authority(), true),
        };
        let links = Links::new(prefix, &host, tls, head::asked(request.headers(), uri));
        let client_side = request.extensions_mut().remove::<OnUpgrade>();
        let method = request.method().clone();
        let headers = head::onward(request.headers(), uri, &host);
        let wants = head::upgrade(&headers).is_some();
        let mut onward = Request::builder()
            .method(method)
            .uri(path)
            .body(request.into_body())
            .map_err(Status::internal)?;
        *onward.headers_mut() = headers;
        let mut response = self.send(core, onward).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let client_side = client_side
                .filter(|_| wants)
                .ok_or_else(|| dial::unreachable(&"the backend changed the protocol unasked"))?;
            let backend_side = hyper::upgrade::on(&mut response);
            let running = core.metrics.start_long();
            tokio::spawn(tunnel(client_side, backend_side, running, Arc::clone(core)));
            let (parts, _) = response.into_parts();
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        head::strip_hop(response.headers_mut());
        head::redirect(response.headers_mut(), &links);
        Ok(page::onward(response, links))
    }

    async fn send(&self, core: &Arc<Core>, onward: Request<Body>) -> Result<Response<Incoming>, Status> {
        let stream = match self {
            Backend::At { place, tls } => dial::dial(core, place, *tls).await?,
            Backend::Kubelet(node) => {
                let client = kubelet::credentials(core)?;
                return client.send(node, onward).await.map_err(|error| dial::unreachable(&error));
            }
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream))
            .await
            .map_err(|error| dial::unreachable(&error))?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(onward).await.map_err(|error| dial::unreachable(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_behind_proxy() {
        let check = |path: &str, want: Option<(&str, &str)>| assert_eq!(split(path), want, "{path}");
        let pod = "/api/v1/namespaces/t/pods/p/proxy";
        check(pod, Some((pod, "")));
        check("/api/v1/namespaces/t/pods/p/proxy/", Some((pod, "/")));
        check("/api/v1/namespaces/t/pods/p/proxy/a%2Fb//c/", Some((pod, "/a%2Fb//c/")));
        check("/api/v1/nodes/n:10250/proxy/metrics", Some(("/api/v1/nodes/n:10250/proxy", "/metrics")));
        // A name may be any word.
        check(
            "/api/v1/namespaces/proxy/pods/proxy/proxy/x",
            Some(("/api/v1/namespaces/proxy/pods/proxy/proxy", "/x")),
        );
        check("/api/v1/namespaces/t/pods/p", None);
        check("/api/v1/namespaces/t/pods/p/log/proxy", None);
        check("/", None);
    }

    #[test]
    fn what_is_below_goes_on_as_it_is() {
        assert_eq!(onward_path("", Some("a=b")), "/?a=b");
        assert_eq!(onward_path("/x%20y/", None), "/x%20y/");
        let reply = redirection(&"/api/v1/nodes/n/proxy?a=b".parse().unwrap()).unwrap();
        assert_eq!(
            (reply.status().as_u16(), &reply.headers()[LOCATION]),
            (301, &HeaderValue::from_static("/api/v1/nodes/n/proxy/?a=b"))
        );
    }
}
