//! `/containerLogs/{namespace}/{pod}/{container}`.

use super::query::Query;
use super::{Body, text};
use crate::actions::Context;
use crate::cri::container::log_path;
use crate::logs::filter::LogOptions;
use crate::logs::reader;
use crate::run::Directory;
use bytes::Bytes;
use http::{Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

pub(super) struct Target<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
}

fn options(query: &Query, now_micros: i64) -> Result<LogOptions, String> {
    let number = |name: &str| match query.get(name) {
        None | Some("") => Ok(None),
        Some(value) => {
            value.parse::<u64>().map(Some).map_err(|_| format!("invalid value for {name}: \"{value}\""))
        }
    };
    let seconds = number("sinceSeconds")?;
    let since = match (seconds, query.get("sinceTime")) {
        (Some(seconds), _) => {
            Some(now_micros - i64::try_from(seconds).unwrap_or(i64::MAX / 2_000_000) * 1_000_000)
        }
        (None, Some(time)) if !time.is_empty() => Some(keelson_api::time::parse_micros(time)?),
        _ => None,
    };
    Ok(LogOptions {
        follow: query.flag(&["follow"]),
        since,
        tail_lines: number("tailLines")?,
        limit_bytes: number("limitBytes")?,
        timestamps: query.flag(&["timestamps"]),
    })
}

pub(super) fn answer(
    context: &Arc<Context>,
    directory: &Arc<Directory>,
    target: Target<'_>,
    uri: &Uri,
) -> Response<Body> {
    let query = Query::parse(uri.query());
    let options = match options(&query, context.clock.now().wall * 1000) {
        Ok(options) => options,
        Err(message) => return text(StatusCode::BAD_REQUEST, &message),
    };
    let Target { namespace, pod, container } = target;
    let Some(entry) = directory.get(namespace, pod) else {
        return text(StatusCode::NOT_FOUND, &format!("pod \"{pod}\" does not exist"));
    };
    let Some(state) = entry.containers.get(container) else {
        return text(StatusCode::NOT_FOUND, &format!("container \"{container}\" not found in pod \"{pod}\""));
    };
    let previous = query.flag(&["previous"]);
    let attempt = match (previous, &state.id, state.previous) {
        (true, _, Some(previous)) => previous,
        (true, _, None) => {
            let message = format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
            return text(StatusCode::BAD_REQUEST, &message);
        }
        (false, Some(_), _) => state.restart_count,
        // Between two lives the last one's log is the newest there is.
        (false, None, Some(previous)) => previous,
        (false, None, None) => {
            let why = state.waiting.as_deref().unwrap_or("ContainerCreating");
            let message = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {why}");
            return text(StatusCode::BAD_REQUEST, &message);
        }
    };
    let path = context.log_dir(&entry.pod).join(log_path(container, attempt));
    let id = state.id.clone().filter(|_| !previous);
    let directory = Arc::clone(directory);
    let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
    let running = move || {
        let entry = directory.get(&key.0, &key.1);
        entry.and_then(|e| e.containers.get(&key.2).cloned()).is_some_and(|c| c.running && c.id == id)
    };
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        if let Err(error) = reader::read(path.clone(), options, running, sender).await {
            tracing::debug!(path = %path.display(), %error, "a log was not read");
        }
    });
    let frames = ReceiverStream::new(receiver).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
