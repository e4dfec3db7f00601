//! Where a probe or a hook asks over HTTP, and where a redirect leads. Pure.

use std::fmt;

/// An address as probes name it: the port is always there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) https: bool,
    /// A name or an address; IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// With its query; begins with a slash.
    pub(super) path: String,
}

impl Url {
    pub(super) fn new(scheme: &str, host: &str, port: u16, path: &str) -> Self {
        let https = scheme.eq_ignore_ascii_case("https");
        Self { https, host: host.to_owned(), port, path: format!("/{}", path.trim_start_matches('/')) }
    }

    /// `host:port`, to dial and to name.
    pub(super) fn authority(&self) -> String {
        address(&self.host, self.port)
    }

    /// Where `location` leads from here; `None` when it is no HTTP address.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = location.split('#').next()?;
        let (scheme, rest) = match location.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => (scheme.to_ascii_lowercase(), Some(rest)),
            _ => (if self.https { "https" } else { "http" }.to_owned(), location.strip_prefix("//")),
        };
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let Some(rest) = rest else { return Some(Self { path: self.resolve(location), ..self.clone() }) };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self::new(&scheme, host, port, path))
    }

    /// A path relative to this one; a query alone keeps it.
    fn resolve(&self, location: &str) -> String {
        let own = self.path.split('?').next().unwrap_or("/");
        match location.as_bytes().first() {
            None => self.path.clone(),
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{own}{location}"),
            Some(_) => {
                let folder = own.rfind('/').map_or("/", |end| &own[..=end]);
                format!("{folder}{location}")
            }
        }
    }
}

pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects() {
        let from = Url::new("HTTP", "10.0.0.1", 8080, "a/b?c=d");
        assert_eq!(from.to_string(), "http://10.0.0.1:8080/a/b?c=d");
        let check = |location: &str, expect: Option<&str>| {
            assert_eq!(from.join(location).map(|u| u.to_string()).as_deref(), expect, "{location}");
        };
        check("/x", Some("http://10.0.0.1:8080/x"));
        check("x?y", Some("http://10.0.0.1:8080/a/x?y"));
        check("?y", Some("http://10.0.0.1:8080/a/b?y"));
        check("", Some("http://10.0.0.1:8080/a/b?c=d"));
        check("/x#part", Some("http://10.0.0.1:8080/x"));
        check("//other/x", Some("http://other:80/x"));
        check("https://other", Some("https://other:443/"));
        check("HTTP://user@other:81?q", Some("http://other:81/?q"));
        check("http://[fd00::1]:82/", Some("http://[fd00::1]:82/"));
        check("http://[fd00::1]/", Some("http://[fd00::1]:80/"));
        check("/x?to=http://other/", Some("http://10.0.0.1:8080/x?to=http://other/"));
        check("ftp://other/", None);
        check("http://", None);
        check("http://other:x/", None);
    }
}
