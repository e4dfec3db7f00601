//! Kubernetes' own answers, replayed: what our server answers to the same requests in the same order.

use super::{Server, admin};
use axum::body::Body;
use http::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const RECORDED: &str = include_str!("../testdata/exchanges.txt");

/// Exchanges that differ, each with its reason. This list must shrink: a difference that is not in it fails the
/// test, and so does one in it that is gone.
const KNOWN: &[(&str, &str)] = &[
    ("network kinds/0", "the reply warns that policies are not enforced yet"),
    ("network kinds/1", "the reply warns that policies are not enforced yet"),
    ("unknown and odd/8", "gitCommit, goVersion and compiler are not Go's"),
];

/// One request with the answer that it had.
#[derive(Default)]
struct Exchange<'a> {
    name: &'a str,
    method: &'a str,
    path: &'a str,
    kind: &'a str,
    body: String,
    code: u16,
    warnings: Vec<&'a str>,
    want: Value,
    want_text: Option<String>,
}

fn recorded() -> Vec<Exchange<'static>> {
    let mut all: Vec<Exchange<'static>> = Vec::new();
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON in the recording");
    let text = |text: &str| serde_json::from_str::<String>(text).expect("a string in the recording");
    for line in RECORDED.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            all.push(Exchange { name, ..Exchange::default() });
            continue;
        }
        let Some(one) = all.last_mut() else { continue };
        if let Some(value) = line.strip_prefix("> type: ") {
            one.kind = value;
        } else if let Some(value) = line.strip_prefix("> body: ") {
            one.body = value.to_owned();
        } else if let Some(value) = line.strip_prefix("> text: ") {
            one.body = text(value);
        } else if let Some(value) = line.strip_prefix("> ") {
            (one.method, one.path) = value.split_once(' ').expect("method and path");
        } else if let Some(value) = line.strip_prefix("< warning: ") {
            one.warnings.push(value);
        } else if let Some(value) = line.strip_prefix("< body: ") {
            one.want = parse(value);
        } else if let Some(value) = line.strip_prefix("< text: ") {
            one.want_text = Some(text(value));
        } else if let Some(value) = line.strip_prefix("< ") {
            one.code = value.parse().expect("a code");
        }
    }
    all
}

/// Where two bodies differ first; `want` may hold placeholders.
fn difference(want: &Value, got: &Value, path: &str) -> Option<String> {
    let differ = || Some(format!("{path}: want {want}, got {got}"));
    match (want, got) {
        (Value::Object(want_map), Value::Object(got_map)) => {
            for (key, value) in want_map {
                let path = format!("{path}.{key}");
                match got_map.get(key) {
                    None => return Some(format!("{path}: want {value}, got nothing")),
                    Some(got) => {
                        if let Some(found) = difference(value, got, &path) {
                            return Some(found);
                        }
                    }
                }
            }
            let extra = got_map.iter().find(|(key, _)| !want_map.contains_key(*key));
            extra.map(|(key, value)| format!("{path}.{key}: want nothing, got {value}"))
        }
        (Value::Array(want_list), Value::Array(got_list)) => {
            if want_list.len() != got_list.len() {
                return differ();
            }
            let mut pairs = want_list.iter().zip(got_list).enumerate();
            pairs.find_map(|(i, (want, got))| difference(want, got, &format!("{path}[{i}]")))
        }
        (Value::String(want_text), Value::String(got_text)) => {
            if matches(want_text, got_text) {
                None
            } else {
                differ()
            }
        }
        _ => {
            if want == got {
                None
            } else {
                differ()
            }
        }
    }
}

/// Whether a text is the wanted one, whose placeholders stand for anything that is not empty.
fn matches(want: &str, got: &str) -> bool {
    const PLACEHOLDERS: [&str; 6] = ["<uid>", "<uuid>", "<time>", "<resourceVersion>", "<suffix>", "<ip>"];
    let first = PLACEHOLDERS.iter().filter_map(|p| Some((want.find(p)?, p.len()))).min();
    let Some((at, length)) = first else { return want == got };
    let Some(rest) = got.strip_prefix(&want[..at]) else { return false };
    let want = &want[at + length..];
    (1..=rest.len()).any(|end| rest.is_char_boundary(end) && matches(want, &rest[end..]))
}

fn without_managed_fields(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("managedFields");
            map.values_mut().for_each(without_managed_fields);
        }
        Value::Array(list) => list.iter_mut().for_each(without_managed_fields),
        _ => {}
    }
}

async fn replay(server: &Server, one: &Exchange<'_>) -> Option<String> {
    let mut request = Request::builder().method(one.method).uri(one.path).header("user-agent", "cases");
    if !one.kind.is_empty() {
        request = request.header("content-type", one.kind);
    }
    let answer = server.send(request.body(Body::from(one.body.clone())).unwrap()).await;
    let mut got = answer.json();
    without_managed_fields(&mut got);
    if answer.code != one.code {
        return Some(format!("want {}, got {}: {}", one.code, answer.code, answer.text()));
    }
    let warnings: Vec<_> = answer.headers.get_all("warning").iter().filter_map(|w| w.to_str().ok()).collect();
    if warnings != one.warnings {
        return Some(format!("want warnings {:?}, got {warnings:?}", one.warnings));
    }
    match &one.want_text {
        Some(text) => (*text != answer.text()).then(|| format!("want {text:?}, got {:?}", answer.text())),
        None => difference(&one.want, &got, ""),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_kubernetes() {
    let mut server = Server::start().await;
    let mut user = (*admin()).clone();
    // The recorded administrator came with a client certificate.
    let credential = "X509SHA256=a4b040daadf092833d04f41fdebaae1abbfda6dd1509400392e1069afdd6aedc";
    user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![credential.to_owned()]);
    server.user = Arc::new(user);
    let exchanges = recorded();
    let mut differences = BTreeMap::new();
    for (index, one) in exchanges.iter().enumerate() {
        // Kubernetes' roles reach its authorizer by a watch: what the next question is about must have arrived.
        server.api.core().auth.reached(server.store.revision()).await;
        if let Some(found) = replay(&server, one).await {
            differences.insert(one.name, (index, found));
        }
    }
    println!("{} of {} exchanges agree", exchanges.len() - differences.len(), exchanges.len());
    let mut unknown: Vec<_> =
        differences.iter().filter(|(name, _)| !KNOWN.iter().any(|(known, _)| known == *name)).collect();
    unknown.sort_by_key(|(_, (index, _))| *index);
    for (name, (_, found)) in &unknown {
        println!("{name}: {found}");
    }
    assert!(unknown.is_empty(), "{} exchanges differ that agreed before", unknown.len());
    for (name, reason) in KNOWN {
        assert!(differences.contains_key(name), "{name} agrees now; it was known to differ: {reason}");
    }
}

#[test]
fn placeholders() {
    let check = |want: &str, got: &str, ok: bool| assert_eq!(matches(want, got), ok, "{want} {got}");
    check("gen-<suffix>", "gen-abcde", true);
    check("gen-<suffix>", "gen-", false);
    check("a <uid> b <time>", "a 1 b 2", true);
    check("a <uid> b", "a 1 c", false);
    check("same", "same", true);
}
