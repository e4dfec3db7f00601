//! A request's query: names and values, decoded.

use keelson_api::percent::decode;

/// All parameters in their order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or("").split('&').filter(|p| !p.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name, true).into_owned(), decode(value, true).into_owned())
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// True for `1` and `true`, under any of the names.
    pub(super) fn flag(&self, names: &[&str]) -> bool {
        names.iter().any(|name| matches!(self.get(name), Some("1" | "true")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let query = "command=sh&command=-c&command=echo+a%20%26%C3%A4&tty=1&x=%zz&y&sign=%+1&pl%75s=1%2b1";
        let query = Query::parse(Some(query));
        assert_eq!(query.all("command"), ["sh", "-c", "echo a &ä"]);
        assert!(query.flag(&["tty"]) && !query.flag(&["stdin", "input"]));
        assert_eq!((query.get("x"), query.get("y"), query.get("z")), (Some("%zz"), Some(""), None));
        assert_eq!((query.get("sign"), query.get("plus")), (Some("%+1"), Some("1+1")));
    }
}
