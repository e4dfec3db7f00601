use super::*;

fn check(path: &str, want: Option<(&str, &str, &str, &str, &str, &str)>) {
    let got = parse_path(path).map(|p| (p.group, p.version, p.namespace, p.resource, p.name, p.subresource));
    assert_eq!(got, want, "{path}");
}

#[test]
fn paths() {
    check("/api/v1/pods", Some(("", "v1", "", "pods", "", "")));
    check("/api/v1/namespaces", Some(("", "v1", "", "namespaces", "", "")));
    check("/api/v1/namespaces/a", Some(("", "v1", "a", "namespaces", "a", "")));
    check("/api/v1/namespaces/a/status", Some(("", "v1", "a", "namespaces", "a", "status")));
    check("/api/v1/namespaces/a/finalize", Some(("", "v1", "a", "namespaces", "a", "finalize")));
    check("/api/v1/namespaces/a/pods", Some(("", "v1", "a", "pods", "", "")));
    check("/api/v1/namespaces/a/pods/b/log", Some(("", "v1", "a", "pods", "b", "log")));
    check("/apis/apps/v1/namespaces/a/deployments/b", Some(("apps", "v1", "a", "deployments", "b", "")));
    check("/apis/apps/v1/deployments", Some(("apps", "v1", "", "deployments", "", "")));
    check("/api/v1/watch/namespaces/a/pods/b", Some(("", "v1", "a", "pods", "b", "")));
    for path in
        ["/", "/version", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/livez/ping", ""]
    {
        check(path, None);
    }
}

#[test]
fn verbs() {
    let check = |method: Method, path: &str, query: &str, want: Option<Verb>| {
        let parsed = parse_path(path).expect("a resource path");
        assert_eq!(verb(&method, &parsed, query), want, "{method} {path}?{query}");
    };
    check(Method::GET, "/api/v1/pods", "", Some(Verb::List));
    check(Method::GET, "/api/v1/pods", "watch=1", Some(Verb::Watch));
    check(Method::GET, "/api/v1/pods", "watch=true&resourceVersion=3", Some(Verb::Watch));
    check(Method::GET, "/api/v1/pods", "watch=false", Some(Verb::List));
    check(Method::GET, "/api/v1/pods", "labelSelector=watch%3D1", Some(Verb::List));
    check(Method::GET, "/api/v1/pods", "watch=false&watch=1", Some(Verb::List));
    check(Method::GET, "/api/v1/watch/pods", "", Some(Verb::Watch));
    check(Method::GET, "/api/v1/namespaces/a/pods/b", "", Some(Verb::Get));
    check(Method::GET, "/api/v1/namespaces/a/pods/b", "watch=1", Some(Verb::Get));
    check(Method::DELETE, "/api/v1/namespaces/a/pods", "", Some(Verb::DeleteCollection));
    check(Method::DELETE, "/api/v1/namespaces/a/pods/b", "", Some(Verb::Delete));
    check(Method::PATCH, "/api/v1/namespaces/a/pods/b", "", Some(Verb::Patch));
    check(Method::OPTIONS, "/api/v1/pods", "", None);
    check(Method::OPTIONS, "/api/v1/namespaces/a/pods/b/proxy/x", "", Some(Verb::Other));
    check(Method::HEAD, "/api/v1/nodes/b/proxy", "", Some(Verb::Get));
}

#[test]
fn escapes() {
    assert_eq!(decode_path("/api/v1/nodes/a%3Ab"), "/api/v1/nodes/a:b");
    assert_eq!(decode_path("/api/v1/nodes/%zz"), "/api/v1/nodes/%zz");
    assert_eq!(decode_path("/api/v1/nodes/%ff"), "/api/v1/nodes/%ff");
}
