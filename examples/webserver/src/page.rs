//! What the sample app answers.

use crate::Settings;
use crate::http::{Answer, get};

/// How often the page asks the backend: each time a new connection, so that the Service spreads them.
const ASKS: usize = 8;

pub fn answer(settings: &Settings, path: &str) -> Answer {
    match (settings.role.as_str(), path) {
        (_, "/healthz") => Answer { status: "200 OK", content_type: "text/plain", body: "ok\n".to_owned() },
        ("backend", "/") => backend(settings),
        ("frontend", "/") => frontend(settings),
        _ => Answer { status: "404 Not Found", content_type: "text/plain", body: "not found\n".to_owned() },
    }
}

fn backend(settings: &Settings) -> Answer {
    let body = format!(
        "{{\"pod\":\"{}\",\"node\":\"{}\",\"greeting\":\"{}\",\"version\":\"{}\"}}\n",
        settings.pod, settings.node, settings.greeting, settings.version
    );
    Answer { status: "200 OK", content_type: "application/json", body }
}

fn frontend(settings: &Settings) -> Answer {
    let mut rows = String::new();
    for ask in 1..=ASKS {
        let line = match get(&settings.backend) {
            Ok(body) => body.trim().to_owned(),
            Err(error) => format!("no answer: {error}"),
        };
        rows.push_str(&format!("<tr><td>{ask}</td><td>{}</td></tr>\n", escape(&line)));
    }
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Keelson sample app</title>\n\
         <style>body{{font:16px system-ui;margin:3rem auto;max-width:44rem}}td{{padding:.3rem .8rem;\
         border-bottom:1px solid #ccc;font-family:monospace}}</style></head>\n<body><h1>{}</h1>\n\
         <p>This page comes from pod <b>{}</b> on node <b>{}</b>. It asked the service <b>{}</b> {ASKS} times, \
         by name; these backends answered:</p>\n<table>\n{rows}</table></body></html>\n",
        escape(&settings.greeting),
        escape(&settings.pod),
        escape(&settings.node),
        escape(&settings.backend),
    );
    Answer { status: "200 OK", content_type: "text/html; charset=utf-8", body }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
