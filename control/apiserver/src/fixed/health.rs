//! `/livez`, `/readyz` and `/healthz`: all checks, or one of them.

use super::Server;
use crate::request::query;
use crate::respond::{self, Reply};
use crate::server::Core;
use axum::Extension;
use axum::extract::Path;
use http::{StatusCode, Uri};
use std::fmt::Write;

/// A check's name and how it stands; a failure says why.
type Check = (&'static str, Result<(), String>);

pub async fn livez(Extension(core): Server, uri: Uri) -> Reply {
    all("livez", &core.live_checks(), uri.query().unwrap_or_default())
}

pub async fn healthz(Extension(core): Server, uri: Uri) -> Reply {
    all("healthz", &core.live_checks(), uri.query().unwrap_or_default())
}

pub async fn readyz(Extension(core): Server, uri: Uri) -> Reply {
    all("readyz", &core.ready_checks(), uri.query().unwrap_or_default())
}

pub async fn live_check(Extension(core): Server, Path(check): Path<String>) -> Reply {
    one(&core.live_checks(), &check)
}

pub async fn ready_check(Extension(core): Server, Path(check): Path<String>) -> Reply {
    one(&core.ready_checks(), &check)
}

/// The paths of all checks.
pub fn paths(core: &Core) -> impl Iterator<Item = String> {
    let path = |root: &'static str| move |(name, _): Check| format!("/{root}/{name}");
    let live =
        ["healthz", "livez"].into_iter().flat_map(move |root| core.live_checks().into_iter().map(path(root)));
    live.chain(core.ready_checks().into_iter().map(path("readyz")))
}

fn all(name: &str, checks: &[Check], query: &str) -> Reply {
    let mut excluded: Vec<_> =
        query::pairs(query).filter(|(key, _)| key == "exclude").map(|(_, value)| value).collect();
    let mut out = String::new();
    let mut healthy = true;
    for (check, state) in checks {
        let before = excluded.len();
        excluded.retain(|name| name != check);
        // Writing into a String cannot fail.
        let _ = match state {
            _ if excluded.len() < before => writeln!(out, "[+]{check} excluded: ok"),
            Ok(()) => writeln!(out, "[+]{check} ok"),
            Err(_) => {
                healthy = false;
                // Anybody may ask; why it failed is for those who may ask for the one check.
                writeln!(out, "[-]{check} failed: reason withheld")
            }
        };
    }
    if !excluded.is_empty() {
        excluded.sort_unstable();
        let names = excluded.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "warn: some health checks cannot be excluded: no matches for {names}");
    }
    let verdict = if healthy { "passed" } else { "failed" };
    let _ = writeln!(out, "{name} check {verdict}");
    let (code, text) = match (healthy, query::first(query, "verbose").is_some()) {
        (true, false) => (StatusCode::OK, "ok".to_owned()),
        (true, true) => (StatusCode::OK, out),
        (false, _) => (StatusCode::INTERNAL_SERVER_ERROR, out),
    };
    plain(code, text)
}

fn one(checks: &[Check], check: &str) -> Reply {
    match checks.iter().find(|(name, _)| *name == check) {
        None => respond::no_such_path(),
        Some((_, Ok(()))) => plain(StatusCode::OK, "ok".to_owned()),
        Some((_, Err(why))) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n"))
        }
    }
}

fn plain(code: StatusCode, text: String) -> Reply {
    let mut reply = respond::text(code, text);
    // Text that quotes the request is not to be taken for a page.
    reply
        .headers_mut()
        .insert(http::header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(query: &str, failing: &[&str], want_code: u16, want: &str) {
        let checks: Vec<Check> = ["ping", "etcd", "shutdown"]
            .into_iter()
            .map(|name| (name, if failing.contains(&name) { Err("why".to_owned()) } else { Ok(()) }))
            .collect();
        let reply = all("readyz", &checks, query);
        let code = reply.status().as_u16();
        let body = axum::body::to_bytes(reply.into_body(), usize::MAX).await.unwrap();
        assert_eq!((code, &*String::from_utf8_lossy(&body)), (want_code, want), "?{query} {failing:?}");
    }

    #[tokio::test]
    async fn words() {
        check("", &[], 200, "ok").await;
        let fine = "[+]ping ok\n[+]etcd ok\n[+]shutdown ok\nreadyz check passed\n";
        check("verbose", &[], 200, fine).await;
        check("verbose=1", &[], 200, fine).await;
        let failed = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n";
        check("", &["etcd"], 500, failed).await;
        check("exclude=etcd", &["etcd"], 200, "ok").await;
        let excluded = "[+]ping ok\n[+]etcd excluded: ok\n[+]shutdown ok\nreadyz check passed\n";
        check("verbose&exclude=etcd", &["etcd"], 200, excluded).await;
        let unknown = "[+]ping ok\n[+]etcd ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: no \
                       matches for \"a\", \"b\"\nreadyz check passed\n";
        check("exclude=b&verbose&exclude=a", &[], 200, unknown).await;
        check("exclude=ping", &["etcd", "shutdown"], 500, "[+]ping excluded: ok\n[-]etcd failed: reason withheld\n[-]shutdown failed: reason withheld\nreadyz check failed\n").await;
    }

    #[tokio::test]
    async fn one_check_says_why() {
        let checks: [Check; 2] = [("ping", Ok(())), ("etcd", Err("the disk is full".to_owned()))];
        for (name, want_code, want) in [
            ("ping", 200, "ok"),
            ("etcd", 500, "internal server error: the disk is full\n"),
            ("nope", 404, "404 page not found\n"),
        ] {
            let reply = one(&checks, name);
            let code = reply.status().as_u16();
            let body = axum::body::to_bytes(reply.into_body(), usize::MAX).await.unwrap();
            assert_eq!((code, &*String::from_utf8_lossy(&body)), (want_code, want), "{name}");
        }
    }
}
