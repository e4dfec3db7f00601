//! JSON for human eyes: the `pretty` parameter, and the tools that people read with. Written anew byte by byte as it
//! goes out, so that a long list stays a stream and keys keep their order.

use super::{JSON, Reply};
use crate::request::query;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;

/// User agents that show replies as they are.
const TOOLS: [&str; 3] = ["curl/", "Wget/", "Mozilla/"];

/// Whether the client wants lines and indents: it says so, or is a tool that somebody reads with.
fn wanted(query: &str, headers: &HeaderMap) -> bool {
    if let Some(value) = query::first(query, "pretty") {
        return query::truthy(&value);
    }
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    TOOLS.iter().any(|tool| agent.starts_with(tool))
}

/// The same by the head of a request, which then does not ask for compression.
pub fn ask(parts: &mut Parts) -> bool {
    let wanted = wanted(parts.uri.query().unwrap_or_default(), &parts.headers);
    if wanted {
        parts.headers.remove(ACCEPT_ENCODING);
    }
    wanted
}

/// The reply with its JSON indented, if it is wanted so; what is anything else, or compressed, stays as it is.
pub fn reply(reply: Reply, wanted: bool) -> Reply {
    let headers = reply.headers();
    if !wanted || headers.get(CONTENT_TYPE) != Some(&JSON) || headers.contains_key(CONTENT_ENCODING) {
        return reply;
    }
    let (mut parts, body) = reply.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let chunks = stream::unfold((body.into_data_stream(), Indenter::default()), |state| async move {
        let (mut body, mut indenter) = state;
        let chunk = body.next().await?.map(|bytes| indenter.feed(&bytes));
        Some((chunk, (body, indenter)))
    });
    Reply::from_parts(parts, Body::from_stream(chunks))
}

/// Writes JSON with two spaces per level.
#[derive(Default)]
struct Indenter {
    depth: usize,
    string: bool,
    escaped: bool,
    /// An object or array has begun, and it is not known yet whether it is empty.
    begun: bool,
}

impl Indenter {
    fn feed(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(bytes.len() * 2);
        for &byte in bytes {
            self.step(byte, &mut out);
        }
        Bytes::from(out)
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.string {
            out.push(byte);
            self.string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => return,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.begun) {
                    self.line(out);
                }
            }
            _ if std::mem::take(&mut self.begun) => self.line(out),
            _ => {}
        }
        out.push(byte);
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.begun = true;
            }
            b',' => self.line(out),
            b':' => out.push(b' '),
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn indented<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut indenter = Indenter::default();
        let out: Vec<u8> = pieces.into_iter().flat_map(|piece| indenter.feed(piece)).collect();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms() {
        let check = |json: &str, want: &str| {
            assert_eq!(indented([json.as_bytes()]), want);
            assert_eq!(indented(json.as_bytes().chunks(1)), want);
            // Once more changes nothing.
            assert_eq!(indented([want.as_bytes()]), want);
        };
        check("1", "1");
        check("{}", "{}");
        check("[[],{}]", "[\n  [],\n  {}\n]");
        check(
            r#"{"b":"{\"a\\\":[,]}\\","a":[1,-2.5e3,null,{"é":true}]}"#,
            "{\n  \"b\": \"{\\\"a\\\\\\\":[,]}\\\\\",\n  \"a\": [\n    1,\n    -2.5e3,\n    null,\n    {\n      \"é\": true\n    }\n  ]\n}",
        );
    }

    #[test]
    fn who_wants_it() {
        let check = |query: &str, agent: &'static str, want: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, http::HeaderValue::from_static(agent));
            assert_eq!(wanted(query, &headers), want, "{query} {agent}");
        };
        check("", "kubectl/v1.36.0", false);
        check("pretty", "kubectl/v1.36.0", true);
        check("limit=1&pretty=true", "kubectl/v1.36.0", true);
        check("", "curl/8.0", true);
        check("", "Mozilla/5.0 (X11)", true);
        check("pretty=0", "curl/8.0", false);
        check("pretty=false", "Wget/1.21", false);
        check("", "my-curl/1", false);
    }

    proptest! {
        /// The same document, in the form that serde_json gives it, too.
        #[test]
        fn as_others_do(value in any_json()) {
            let text = value.to_string();
            let got = indented(text.as_bytes().chunks(7));
            prop_assert_eq!(got, serde_json::to_string_pretty(&value).unwrap());
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
