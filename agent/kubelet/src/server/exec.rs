//! `/exec`, `/attach` and `/portForward`: the runtime's streaming server does the work, the kubelet tunnels.

use super::query::Query;
use super::{Body, text, tunnel};
use crate::actions::Context;
use crate::cri::CriError;
use crate::run::Directory;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use keelson_proto::cri::{AttachRequest, ExecRequest, PortForwardRequest};

pub(super) struct Target<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
}

/// Streams that a request asks for; the names are the kubelet's, then the API's.
struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    fn parse(query: &Query) -> Result<Self, String> {
        let tty = query.flag(&["tty"]);
        let streams = Self {
            stdin: query.flag(&["input", "stdin"]),
            stdout: query.flag(&["output", "stdout"]),
            // A terminal has one output.
            stderr: query.flag(&["error", "stderr"]) && !tty,
            tty,
        };
        if !streams.stdin && !streams.stdout && !streams.stderr {
            return Err("you must specify at least 1 of stdin, stdout, stderr".to_owned());
        }
        Ok(streams)
    }
}

/// The running container's id, or the refusal.
fn container(directory: &Directory, target: &Target<'_>) -> Result<String, (StatusCode, String)> {
    let Some(entry) = directory.get(target.namespace, target.pod) else {
        return Err((StatusCode::NOT_FOUND, "pod does not exist".to_owned()));
    };
    let found = entry.containers.get(target.container).filter(|c| c.running).and_then(|c| c.id.clone());
    let message = format!("container not found (\"{}\")", target.container);
    found.ok_or((StatusCode::INTERNAL_SERVER_ERROR, message))
}

pub(super) async fn exec(
    context: &Context,
    directory: &Directory,
    target: &Target<'_>,
    request: Request<Incoming>,
) -> Response<Body> {
    let query = Query::parse(request.uri().query());
    let streams = match Streams::parse(&query) {
        Ok(streams) => streams,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    let id = match container(directory, target) {
        Ok(id) => id,
        Err((status, message)) => return text(status, &message),
    };
    let Streams { stdin, stdout, stderr, tty } = streams;
    let command = query.all("command");
    let url = context.cri.exec(ExecRequest { container_id: id, cmd: command, tty, stdin, stdout, stderr });
    forward(url.await, request).await
}

pub(super) async fn attach(
    context: &Context,
    directory: &Directory,
    target: &Target<'_>,
    request: Request<Incoming>,
) -> Response<Body> {
    let query = Query::parse(request.uri().query());
    let streams = match Streams::parse(&query) {
        Ok(streams) => streams,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    let id = match container(directory, target) {
        Ok(id) => id,
        Err((status, message)) => return text(status, &message),
    };
    let Streams { stdin, stdout, stderr, tty } = streams;
    let url = context.cri.attach(AttachRequest { container_id: id, stdin, tty, stdout, stderr });
    forward(url.await, request).await
}

pub(super) async fn port_forward(
    context: &Context,
    directory: &Directory,
    target: &Target<'_>,
    request: Request<Incoming>,
) -> Response<Body> {
    let Some(entry) = directory.get(target.namespace, target.pod) else {
        return text(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let Some(sandbox) = entry.sandbox else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the pod has no sandbox");
    };
    let port = match ports(&Query::parse(request.uri().query())) {
        Ok(port) => port,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    let url = context.cri.port_forward(PortForwardRequest { pod_sandbox_id: sandbox, port });
    forward(url.await, request).await
}

/// The ports that are named beforehand: by callers whose streams do not.
fn ports(query: &Query) -> Result<Vec<i32>, String> {
    let parse = |value: &String| value.parse::<u16>().ok().filter(|port| *port > 0).map(i32::from);
    let words = |value: &String| format!("port {value:?} must be a number, 1 to 65535");
    query.all("port").iter().map(|value| parse(value).ok_or_else(|| words(value))).collect()
}

async fn forward(url: Result<String, CriError>, request: Request<Incoming>) -> Response<Body> {
    match url {
        Ok(url) => tunnel::upgrade(&url, request).await,
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_query() {
        let check = |query: &str, want: Result<Vec<i32>, &str>| {
            let got = ports(&Query::parse(Some(query)));
            assert_eq!(got.as_deref().map_err(String::as_str), want.as_deref().map_err(|e| *e), "{query}");
        };
        check("", Ok(vec![]));
        check("port=80&x=1&port=65535", Ok(vec![80, 65_535]));
        for bad in ["0", "65536", "-1", "web", ""] {
            let words = format!("port {bad:?} must be a number, 1 to 65535");
            check(&format!("port=80&port={bad}"), Err(&words));
        }
    }
}
