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

const SEARCH_WHY: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' \
    or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";

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
        let name = search.strip_suffix('.').unwrap_or(search);
        if name.len() > names::SUBDOMAIN_MAX || !name.split('.').all(is_search_label) {
            errors.push(FieldError::invalid(&path.index(index), *search, SEARCH_WHY));
        }
    }
}

/// A label of a search path: as of a host name, but for underscores at its start and within.
fn is_search_label(label: &str) -> bool {
    let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.len() <= names::LABEL_MAX
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|b| plain(b) || matches!(b, b'-' | b'_'))
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
