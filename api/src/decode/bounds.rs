//! What a YAML body may not be: found out by its events, before a value is made of it.
//!
//! A few bytes of YAML can stand for more than a machine holds (an alias of aliases, and so on), and a deserializer that
//! meets mappings as keys of mappings copies each once per level. JSON has neither, so little is lost by refusing them.

use super::SyntaxError;
use serde_saphyr::granit_parser::{Event, Parser};
use std::collections::HashMap;

/// Mappings and sequences within each other. An object's own schema is at most half as deep.
const DEPTH_MAX: usize = 64;
/// What aliases may repeat in all, in bytes: of each node its text and [`NODE`].
const REPEATED_MAX: usize = 1 << 20;
/// What a node costs beside its text: about that of a `Value`.
const NODE: usize = 32;

/// An open mapping or sequence.
struct Open {
    /// 0 when it has no anchor.
    anchor: usize,
    /// Of all within it, what aliases stand for included.
    weight: usize,
    /// Whether the next node within it is a key; never in a sequence.
    key: Option<bool>,
}

/// What an alias of an anchor stands for.
#[derive(Clone, Copy)]
struct Anchored {
    weight: usize,
    is_scalar: bool,
}

#[derive(Default)]
struct Bounds {
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    repeated: usize,
}

/// Refuses a text that is no YAML, is nested too deeply, repeats too much by aliases, or has keys that are no scalars.
pub(super) fn check(text: &str) -> Result<(), SyntaxError> {
    let refuse = |why: String| SyntaxError(format!("error converting YAML to JSON: yaml: {why}"));
    let mut bounds = Bounds::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            refuse(format!("line {} column {}: {}", mark.line(), mark.col() + 1, error.info()))
        })?;
        bounds.take(&event).map_err(|why| refuse(format!("line {}: {why}", span.start.line())))?;
    }
    Ok(())
}

impl Bounds {
    fn take(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.node(Anchored { weight: NODE + text.len(), is_scalar: true }, *anchor)
            }
            Event::Alias(anchor) => {
                // An anchor within itself has no end yet: whoever makes the value refuses it.
                let Some(meant) = self.anchors.get(anchor).copied() else { return Ok(()) };
                self.repeated = self.repeated.saturating_add(meant.weight);
                if self.repeated > REPEATED_MAX {
                    return Err(format!("aliases repeat more than {REPEATED_MAX} bytes"));
                }
                self.node(meant, 0)
            }
            Event::SequenceStart(_, anchor, _) => self.start(*anchor, None),
            Event::MappingStart(_, anchor, _) => self.start(*anchor, Some(true)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn start(&mut self, anchor: usize, key: Option<bool>) -> Result<(), String> {
        if self.awaits_key() {
            return Err("a mapping's key must be a string, a number or a boolean".to_owned());
        }
        if self.open.len() == DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} levels deep"));
        }
        self.open.push(Open { anchor, weight: NODE, key });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        // The parser closes what it opened, and nothing else.
        let Some(Open { anchor, weight, .. }) = self.open.pop() else { return Ok(()) };
        self.node(Anchored { weight, is_scalar: false }, anchor)
    }

    /// A node that is complete.
    fn node(&mut self, node: Anchored, anchor: usize) -> Result<(), String> {
        if self.awaits_key() && !node.is_scalar {
            return Err("a mapping's key must be a string, a number or a boolean".to_owned());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        if let Some(parent) = self.open.last_mut() {
            parent.weight = parent.weight.saturating_add(node.weight);
            parent.key = parent.key.map(|key| !key);
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.key == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use crate::decode::parse_yaml;
    use serde_json::json;

    /// `wanted` is what is said after the prefix of all YAML errors, or nothing.
    #[track_caller]
    fn check(text: &str, wanted: &str) {
        let said = parse_yaml(text.as_bytes()).map_or_else(|error| error.0, |_| String::new());
        let said = said.strip_prefix("error converting YAML to JSON: yaml: ").unwrap_or(&said);
        assert_eq!(said, wanted, "{}", text.chars().take(200).collect::<String>());
    }

    #[test]
    fn depth() {
        let lists = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
        check(&lists(63), "");
        check(&lists(64), "line 1: nested more than 64 levels deep");
        let maps = |depth: usize| (0..depth).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>();
        check(&maps(64), "");
        check(&maps(65), "line 65: nested more than 64 levels deep");
        check(&"- ".repeat(1_000_000), "line 1: nested more than 64 levels deep");
        check(&"[".repeat(1_000_000), "line 1 column 256: recursion limit exceeded");
        check(&"{a: ".repeat(1_000_000), "line 1 column 1021: recursion limit exceeded");
    }

    /// Ten of the one before, and so on: four billion nodes in 500 bytes.
    fn laughs(first: &str) -> String {
        let mut text = format!("a0: &a0 [{first}]\n");
        for i in 1..10 {
            let before = vec![format!("*a{}", i - 1); 10].join(",");
            text += &format!("a{i}: &a{i} [{before}]\n");
        }
        text
    }

    #[test]
    fn aliases() {
        check("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]\n", "");
        let value = parse_yaml(b"a: &a {b: 1}\nc: {<<: *a, d: 2}\ne: &e k\n*e : *e\n").unwrap();
        assert_eq!(value, json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": "k", "k": "k"}));
        check(&laughs("lol,lol"), "line 5: aliases repeat more than 1048576 bytes");
        check(&laughs(&"x".repeat(100_000)), "line 3: aliases repeat more than 1048576 bytes");
        let text =
            |count: usize| format!("a: &a {}\nb: [{}]\n", "x".repeat(9968), vec!["*a"; count].join(","));
        check(&text(104), "");
        check(&text(105), "line 2: aliases repeat more than 1048576 bytes");
    }

    /// Each level of mappings as keys doubles the work of whoever makes the value.
    #[test]
    fn keys() {
        check("? a\n: 1\n? 2\n: 3\n? ~\n? true\n", "");
        let wanted = |line| format!("line {line}: a mapping's key must be a string, a number or a boolean");
        check(&("? ".repeat(60) + "a"), &wanted(1));
        check("a: 1\n? {b: c}\n: d\n", &wanted(2));
        check("a: 1\n[b]: d\n", &wanted(2));
        check("a: &a [b]\n*a : d\n", &wanted(2));
        check("- a: b\n  c: [{d: {[e]: f}}]\n", &wanted(2));
    }

    #[test]
    fn what_is_no_yaml() {
        check("a: [", "line 1 column 4: unclosed bracket '['");
        check("a: *b", "line 1 column 4: while parsing node, found unknown anchor");
        assert!(parse_yaml(b"a: &a [*a]").is_err(), "a sequence within itself");
        assert!(parse_yaml(b"a: 1\n--- \nb: 2").is_err(), "two documents");
    }
}
