//! `/livez`, `/readyz` and `/healthz`: all checks, or one of them.

use super::Server;
use crate::request::query;
use crate::respond::{self, Reply};
use axum::Extension;
use axum::extract::Path;
use http::{StatusCode, Uri};
use std::fmt::Write;

/// The checks, by the names that Kubernetes has for them: the store stands where etcd stands there.
pub const CHECKS: [&str; 5] = ["ping", "log", "etcd", "poststarthook/rbac/bootstrap-roles", "shutdown"];

pub async fn livez(Extension(core): Server, uri: Uri) -> Reply {
    all("livez", &core.failing_checks(false), uri.query().unwrap_or_default())
}

pub async fn readyz(Extension(core): Server, uri: Uri) -> Reply {
    all("readyz", &core.failing_checks(true), uri.query().unwrap_or_default())
}

pub async fn live_check(Extension(core): Server, Path(check): Path<String>) -> Reply {
    one(&core.failing_checks(false), &check)
}

pub async fn ready_check(Extension(core): Server, Path(check): Path<String>) -> Reply {
    one(&core.failing_checks(true), &check)
}

fn all(name: &str, failing: &[(&'static str, String)], query: &str) -> Reply {
    let excluded: Vec<_> =
        query::pairs(query).filter(|(key, _)| key == "exclude").map(|(_, value)| value).collect();
    let failed = |check: &str| failing.iter().any(|(name, _)| *name == check);
    let counts = |check: &str| !excluded.iter().any(|e| e == check);
    let healthy = failing.iter().all(|(check, _)| !counts(check));
    let verbose = query::first(query, "verbose").is_some();
    if healthy && !verbose {
        return respond::text(StatusCode::OK, "ok");
    }
    let mut out = String::new();
    for check in CHECKS {
        // Writing into a String cannot fail.
        let _ = match (counts(check), failed(check)) {
            (false, _) => writeln!(out, "[+]{check} excluded: ok"),
            (true, false) => writeln!(out, "[+]{check} ok"),
            (true, true) => writeln!(out, "[-]{check} failed: reason withheld"),
        };
    }
    let _ = writeln!(out, "{name} check {}", if healthy { "passed" } else { "failed" });
    let code = if healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    respond::text(code, out)
}

fn one(failing: &[(&'static str, String)], check: &str) -> Reply {
    if !CHECKS.contains(&check) {
        return respond::no_such_path();
    }
    match failing.iter().find(|(name, _)| *name == check) {
        None => respond::text(StatusCode::OK, "ok"),
        Some((_, why)) => {
            respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n"))
        }
    }
}
