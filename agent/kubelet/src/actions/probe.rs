//! Makes one probe. Success, failure, or no answer to be had (which counts for nothing).

use super::url::address;
use super::{Context, grpc, http, words};
use crate::pod::Pod;
use crate::pod::probe::ProbeKind;
use crate::pod::spec::ProbeSpec;
use std::time::Duration;

/// As much of a command's output as an event shows.
const OUTPUT_CHARS_MAX: usize = 1024;

pub(super) async fn run(
    context: &Context,
    pod: &Pod,
    name: &str,
    id: &str,
    kind: ProbeKind,
    ips: &[String],
) -> (Option<bool>, String) {
    let Some(spec) = pod.container(name).and_then(|c| kind.of(c)) else { return (None, String::new()) };
    let Ok(_permit) = context.probing.acquire().await else { return (None, String::new()) };
    let limit = Duration::from_secs(spec.timeout_seconds.max(1));
    if spec.handler.exec.is_some() {
        return exec(context, id, spec).await;
    }
    let ips = if pod.spec.host_network { context.host_ips.as_slice() } else { ips };
    let ip = ips.first().map_or("", String::as_str);
    if let Some(action) = &spec.handler.http_get {
        let get = http::Get { action, pod, container: name, ip, limit, agent: "kube-probe/1.36" };
        return match http::get(get).await {
            Ok((status, _)) if (200..400).contains(&status) => (Some(true), String::new()),
            Ok((status, _)) => (Some(false), format!("HTTP probe failed with statuscode: {status}")),
            Err(error) => (Some(false), error),
        };
    }
    if let Some(action) = &spec.handler.tcp_socket {
        let port = match http::port(&action.port, pod, name) {
            Ok(port) => port,
            Err(error) => return (Some(false), error),
        };
        let host = if action.host.is_empty() { ip } else { action.host.as_str() };
        return match tokio::time::timeout(limit, tokio::net::TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => (Some(true), String::new()),
            Ok(Err(error)) => (Some(false), words::dial(&address(host, port), &error)),
            Err(_) => (Some(false), words::dial_timeout(&address(host, port))),
        };
    }
    if let Some(action) = &spec.handler.grpc {
        let service = action.service.as_deref().unwrap_or("");
        return match grpc::check(ip, action.port, service, limit).await {
            Ok(()) => (Some(true), String::new()),
            Err(error) => (Some(false), error),
        };
    }
    (None, String::new())
}

async fn exec(context: &Context, id: &str, spec: &ProbeSpec) -> (Option<bool>, String) {
    let Some(action) = &spec.handler.exec else { return (None, String::new()) };
    match context.cri.exec_sync(id, &action.command, spec.timeout_seconds.max(1)).await {
        Ok(reply) => {
            let bytes = [reply.stdout, reply.stderr].concat();
            let text = String::from_utf8_lossy(&bytes).chars().take(OUTPUT_CHARS_MAX).collect();
            (Some(reply.exit_code == 0), text)
        }
        Err(error) if error.is_timeout() => {
            let limit = spec.timeout_seconds.max(1);
            (
                Some(false),
                format!("command timed out: \"{}\" timed out after {limit}s", action.command.join(" ")),
            )
        }
        // The runtime could not run it: that is no word of the container's.
        Err(error) => {
            tracing::debug!(container = id, %error, "an exec probe could not be made");
            (None, String::new())
        }
    }
}
