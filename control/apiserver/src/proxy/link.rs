//! Links that a backend makes to itself: they are made to lead through the proxy, whose path it does not know. Pure.

use std::ops::Range;

/// What `//` and a scheme take at most.
const SCHEME_MAX: usize = "https://".len();

/// Where a backend is, and where it was asked.
#[derive(Clone, Debug)]
pub struct Links {
    /// The path that stands for the backend's root, without the slash at its end.
    prefix: String,
    /// The backend's own names.
    own: Vec<String>,
    /// The name under which the client knows this server, which backends are told too.
    asked: Option<String>,
}

/// What to change in a link.
#[derive(Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What is cut out.
    pub cut: Range<usize>,
    /// What is put in its place.
    pub with: &'a str,
    /// A slash comes behind that.
    pub slash: bool,
}

impl Links {
    /// `authority` is the backend's, with its port; `asked` the host that the client named.
    pub fn new(prefix: &str, authority: &str, tls: bool, asked: Option<&str>) -> Self {
        let usual = if tls { ":443" } else { ":80" };
        let bare = authority.strip_suffix(usual).map(str::to_owned);
        let own = std::iter::once(authority.to_owned()).chain(bare).collect();
        Self { prefix: prefix.to_owned(), own, asked: asked.map(str::to_owned) }
    }

    /// The same for links that stand in attributes of HTML.
    pub fn in_html(mut self) -> Self {
        for (plain, escaped) in
            [("&", "&amp;"), ("\"", "&quot;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;")]
        {
            self.prefix = self.prefix.replace(plain, escaped);
        }
        self
    }

    /// As many of a link's first bytes as decide what becomes of it.
    pub fn head_max(&self) -> usize {
        let authority = self.own.iter().chain(&self.asked).map(String::len).max().unwrap_or_default();
        SCHEME_MAX + authority + self.prefix.len() + 1
    }

    /// What to change in a link of which `head` is the whole or at least the first [`Links::head_max`] bytes. `None`
    /// for links that are relative, lead elsewhere, or through the proxy already.
    pub fn edit(&self, head: &[u8]) -> Option<Edit<'_>> {
        let (authority, path) = parts(head)?;
        let is = |name: &String| authority.is_some_and(|host| host.eq_ignore_ascii_case(name.as_bytes()));
        let own = authority.is_none() || self.own.iter().any(is);
        if !own && !self.asked.as_ref().is_some_and(is) {
            return None;
        }
        let cut = if own { 0..path } else { path..path };
        let path = &head[path..];
        let inside = path
            .strip_prefix(self.prefix.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b'#')));
        if inside {
            return (!cut.is_empty()).then_some(Edit { cut, with: "", slash: false });
        }
        Some(Edit { cut, with: &self.prefix, slash: path.first() != Some(&b'/') })
    }

    /// The link as it goes to the client, if it has to change.
    pub fn through(&self, link: &[u8]) -> Option<Vec<u8>> {
        let edit = self.edit(link)?;
        let mut out = Vec::with_capacity(link.len() + edit.with.len() + 1);
        edit.write(link, &mut out);
        Some(out)
    }
}

impl Edit<'_> {
    /// Appends the changed link.
    pub fn write(&self, head: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&head[..self.cut.start]);
        out.extend_from_slice(self.with.as_bytes());
        if self.slash {
            out.push(b'/');
        }
        out.extend_from_slice(&head[self.cut.end..]);
    }
}

/// The authority of a link, if it has one, and where its path begins. `None` for relative links and other schemes.
fn parts(link: &[u8]) -> Option<(Option<&[u8]>, usize)> {
    let after = |start: &str| {
        let begins = link.get(..start.len())?.eq_ignore_ascii_case(start.as_bytes());
        begins.then_some(start.len())
    };
    if let Some(begin) = after("//").or_else(|| after("http://")).or_else(|| after("https://")) {
        let length = link[begin..].iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
        let end = length.map_or(link.len(), |length| begin + length);
        return Some((Some(&link[begin..end]), end));
    }
    link.starts_with(b"/").then_some((None, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let check = |tls: bool, link: &str, want: &str| {
            let (authority, asked) =
                if tls { ("[fd00::7]:443", None) } else { ("10.0.0.1:80", Some("api:6443")) };
            let links = Links::new("/proxy", authority, tls, asked);
            let got = links.through(link.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(got.as_deref().unwrap_or(link), want, "{link}");
        };
        for (link, want) in [
            ("/", "/proxy/"),
            ("/login?a=b#c", "/proxy/login?a=b#c"),
            ("/login/", "/proxy/login/"),
            ("http://10.0.0.1:80/x", "/proxy/x"),
            ("HTTP://10.0.0.1/x", "/proxy/x"),
            ("//10.0.0.1:80/x", "/proxy/x"),
            ("https://10.0.0.1:80", "/proxy/"),
            ("http://10.0.0.1:80?a=/b", "/proxy/?a=/b"),
            ("http://10.0.0.1:80#c", "/proxy/#c"),
            ("http://API:6443/x", "http://API:6443/proxy/x"),
            ("https://api:6443", "https://api:6443/proxy/"),
            ("//api:6443/x", "//api:6443/proxy/x"),
            // These know where they are.
            ("/proxy", "/proxy"),
            ("/proxy/x", "/proxy/x"),
            ("/proxy?x", "/proxy?x"),
            ("http://10.0.0.1:80/proxy/x", "/proxy/x"),
            ("https://api:6443/proxy/x", "https://api:6443/proxy/x"),
            ("/proxying", "/proxy/proxying"),
            // These lead elsewhere.
            ("", ""),
            ("x/y", "x/y"),
            ("?a=/b", "?a=/b"),
            ("#c", "#c"),
            ("//", "//"),
            ("http://", "http://"),
            ("http://10.0.0.1:81/x", "http://10.0.0.1:81/x"),
            ("http://10.0.0.1:8080/x", "http://10.0.0.1:8080/x"),
            ("http://10.0.0.1.example.com/x", "http://10.0.0.1.example.com/x"),
            ("http://u@10.0.0.1:80/x", "http://u@10.0.0.1:80/x"),
            ("//example.com/x", "//example.com/x"),
            ("ftp://10.0.0.1:80/x", "ftp://10.0.0.1:80/x"),
            ("mailto:a@b", "mailto:a@b"),
            ("javascript:/x/", "javascript:/x/"),
            ("data:/x/", "data:/x/"),
        ] {
            check(false, link, want);
        }
        check(true, "https://[fd00::7]:443/x", "/proxy/x");
        check(true, "https://[fd00::7]/x", "/proxy/x");
        check(true, "https://api:6443/x", "https://api:6443/x");
    }

    /// Whatever a link's first bytes leave open does not change what becomes of it.
    #[test]
    fn heads_decide() {
        let links = Links::new("/proxy", "10.0.0.1:80", false, Some("some.name:6443"));
        for start in
            ["/", "/proxy", "/proxy/", "//10.0.0.1", "https://10.0.0.1:80", "https://some.name:6443/proxy"]
        {
            for rest in ["", "/", "0", "1/", "?", "a", "/proxy", "/proxying"] {
                let link = format!("{start}{rest}{}", "x".repeat(100));
                let head = &link.as_bytes()[..links.head_max()];
                assert_eq!(links.edit(head), links.edit(link.as_bytes()), "{link}");
            }
        }
    }

    #[test]
    fn html_has_letters_of_its_own() {
        let links = Links::new("/a&\"'<>", "h:1", false, None).in_html();
        assert_eq!(links.through(b"/x").unwrap(), b"/a&amp;&quot;&#39;&lt;&gt;/x");
    }
}
