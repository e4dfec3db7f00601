//! Query strings: pairs in order, percent escapes decoded. Nothing here fails: what is not an escape stands for
//! itself, as the clients in use never send it.

use keelson_api::percent::decode;
use std::borrow::Cow;
use std::collections::HashSet;

/// The pairs of a query string, decoded, in order.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key, true), decode(value, true))
    })
}

/// The pairs of a query string with the first value of each key, as Kubernetes reads what is no list. Whoever judges
/// a request and whoever answers it must read the same of it.
pub fn firsts(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let mut seen = HashSet::new();
    pairs(query).filter(move |(key, _)| seen.insert(key.clone()))
}

/// The first value of `name`.
pub fn first<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    if query.is_empty() {
        return None;
    }
    pairs(query).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Whether a boolean parameter is set: an empty value counts, `0` and `false` do not.
pub fn truthy(value: &str) -> bool {
    !(value == "0" || value.eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds() {
        assert_eq!(first("a=1&b=2&a=3", "a").as_deref(), Some("1"));
        assert_eq!(first("a", "a").as_deref(), Some(""));
        assert_eq!(first("", "a"), None);
        let firsts: Vec<_> =
            firsts("a=1&b=2&%61=3&b=&c").map(|(key, value)| format!("{key}:{value}")).collect();
        assert_eq!(firsts, ["a:1", "b:2", "c:"]);
        assert!(truthy("1") && truthy("true") && truthy("") && !truthy("0") && !truthy("False"));
    }
}
