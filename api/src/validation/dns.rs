//! Name resolution of a pod: its policy, its configuration and its host aliases.

use super::check;
use super::network;
use super::value::{at, has, list, text, texts};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::{Value, json};

/// What the C library takes: name servers, search paths and characters of them all.
const NAME_SERVERS: usize = 3;
const SEARCH_PATHS: usize = 32;
const SEARCH_CHARACTERS: usize = 2048;

/// Checks `dnsConfig` against `dnsPolicy`.
pub fn config(spec: &Value, path: &Path, errors: &mut FieldErrors) {
    let config = at(spec, "dnsConfig");
    let servers = texts(config, "nameservers");
    if text(spec, "dnsPolicy") == "None" {
        if !has(spec, "dnsConfig") {
            errors.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(FieldError::required(&path.child("nameservers"), why));
            return;
        }
    }
    let at_servers = path.child("nameservers");
    if servers.len() > NAME_SERVERS {
        let why = format!("must not have more than {NAME_SERVERS} nameservers");
        errors.push(FieldError::invalid(&at_servers, json!(servers), why));
    }
    for (index, server) in servers.into_iter().enumerate() {
        network::ip(server, &at_servers.index(index), errors);
    }
    searches(&texts(config, "searches"), &path.child("searches"), errors);
    for (index, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.push(FieldError::required(&path.child("options").index(index), "must not be empty"));
        }
    }
}

fn searches(searches: &[&str], path: &Path, errors: &mut FieldErrors) {
    let mut refuse = |wrong: bool, why: String| {
        if wrong {
            errors.push(FieldError::invalid(path, json!(searches), why));
        }
    };
    refuse(searches.len() > SEARCH_PATHS, format!("must not have more than {SEARCH_PATHS} search paths"));
    let why = format!(
        "must not have more than {SEARCH_CHARACTERS} characters (including spaces) in the search list"
    );
    refuse(searches.join(" ").len() > SEARCH_CHARACTERS, why);
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| **search != ".") {
        // Underscores are not for host names, but search paths have them.
        let plain = search.trim_end_matches('.').replace('_', "-");
        for why in names::dns1123_subdomain(&plain) {
            let why = why
                .replace(
                    "lower case alphanumeric characters, '-' or '.'",
                    "lower case alphanumeric characters, '_', '-' or '.'",
                )
                .replace(
                    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
                    "[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*",
                );
            errors.push(FieldError::invalid(&path.index(index), *search, why));
        }
    }
}

/// Checks `hostAliases`.
pub fn host_aliases(aliases: &[Value], path: &Path, errors: &mut FieldErrors) {
    for (index, alias) in aliases.iter().enumerate() {
        let path = path.index(index);
        network::ip(text(alias, "ip"), &path.child("ip"), errors);
        for (index, name) in texts(alias, "hostnames").into_iter().enumerate() {
            check::each(names::dns1123_subdomain(name), name, &path.child("hostnames").index(index), errors);
        }
    }
}
