//! Heads of requests and replies on their way through: what belongs to one connection stays with it, and nobody's
//! credentials go to a backend. Pure.

use super::link::Links;
use http::Uri;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;

/// Headers about one connection (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The protocol that a head wants to change to.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked =
        named.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

/// Takes out what is about one connection.
pub fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// The headers of a request as the backend at `host` gets them; `uri` is the one that the client asked for.
pub fn onward(client: &HeaderMap, uri: &Uri, host: &str) -> HeaderMap {
    let mut headers = client.clone();
    let upgrade = upgrade(&headers);
    strip_hop(&mut headers);
    headers.remove(AUTHORIZATION);
    let who: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in who {
        headers.remove(name);
    }
    let asked = headers.remove(HOST).or_else(|| HeaderValue::from_str(uri.authority()?.as_str()).ok());
    let mut set = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("host", HeaderValue::from_str(host).ok());
    set("x-forwarded-host", asked);
    set("x-forwarded-proto", Some(HeaderValue::from_static("https")));
    set("x-forwarded-uri", HeaderValue::from_str(uri.path()).ok());
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    headers
}

/// The host that the client named, as far as it is text.
pub fn asked<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| uri.authority().map(Authority::as_str))
}

/// Makes a redirection to the backend itself one through the proxy.
pub fn redirect(headers: &mut HeaderMap, links: &Links) {
    let changed = headers.get(LOCATION).and_then(|location| links.through(location.as_bytes()));
    if let Some(location) = changed.and_then(|location| HeaderValue::from_bytes(&location).ok()) {
        headers.insert(LOCATION, location);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_goes_on() {
        let client = map(&[
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("authorization", "Bearer secret"),
            ("impersonate-user", "root"),
            ("impersonate-extra-a", "b"),
            ("host", "api:6443"),
            ("x-custom", "kept"),
        ]);
        let uri = "/api/v1/namespaces/t/pods/p/proxy/a%20b?q=1".parse().unwrap();
        let want = map(&[
            ("host", "10.0.0.1:80"),
            ("x-custom", "kept"),
            ("x-forwarded-host", "api:6443"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", "/api/v1/namespaces/t/pods/p/proxy/a%20b"),
        ]);
        assert_eq!(onward(&client, &uri, "10.0.0.1:80"), want);
        let socket = map(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
        ]);
        let headers = onward(&socket, &"https://api/x".parse().unwrap(), "h");
        assert_eq!(
            (
                &headers["connection"],
                &headers["upgrade"],
                &headers["sec-websocket-key"],
                &headers["x-forwarded-host"]
            ),
            (
                &HeaderValue::from_static("Upgrade"),
                &HeaderValue::from_static("websocket"),
                &HeaderValue::from_static("k"),
                &HeaderValue::from_static("api")
            )
        );
    }

    #[test]
    fn redirections() {
        let check = |location: &'static str, want: &str| {
            let mut headers = map(&[("location", location)]);
            redirect(&mut headers, &Links::new("/proxy", "10.0.0.1:80", false, Some("api")));
            assert_eq!(headers[LOCATION], want, "{location}");
        };
        check("/login?a=b", "/proxy/login?a=b");
        check("http://10.0.0.1:80/x", "/proxy/x");
        check("http://10.0.0.1:80", "/proxy/");
        check("https://api/x", "https://api/proxy/x");
        for elsewhere in ["http://example.com/x", "//example.com/x", "relative", "mailto:a@b"] {
            check(elsewhere, elsewhere);
        }
    }
}
