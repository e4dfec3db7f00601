use super::*;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

fn check(rule: fn(&str) -> Vec<String>, value: &str, wanted: &[&str]) {
    assert_eq!(rule(value), wanted, "for {value:?}");
}

#[test]
fn labels_and_subdomains() {
    let long = "a".repeat(64);
    for good in ["a", "0", "a-b", "a--b", &long[..63]] {
        check(dns1123_label, good, &[]);
        check(dns1123_subdomain, good, &[]);
    }
    check(dns1123_label, "a.b", &["must not contain dots"]);
    check(dns1123_label, &long, &["must be no more than 63 characters"]);
    for bad in ["", "A", "-a", "a-", "a_b", "a b", "ä"] {
        check(dns1123_label, bad, &[LABEL]);
        check(dns1123_subdomain, bad, &[SUBDOMAIN]);
    }
    check(dns1123_subdomain, "a.b-c.d", &[]);
    for bad in ["a..b", ".a", "a.", "a.-b"] {
        check(dns1123_subdomain, bad, &[SUBDOMAIN]);
    }
    let long = "a.".repeat(126) + "aa";
    check(dns1123_subdomain, &long, &["must be no more than 253 characters"]);
    assert!(dns1123_subdomain(&long[1..].replacen('.', "", 1)).is_empty());
}

#[test]
fn dns1035_wants_a_letter_first() {
    check(dns1035_label, "a1-b", &[]);
    assert_eq!(
        dns1035_label("1a"),
        [
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        ]
    );
    assert_eq!(dns1035_label("").len(), 1);
}

#[test]
fn wildcards() {
    check(wildcard_dns1123_subdomain, "*.a.b", &[]);
    for bad in ["*", "a.b", "*.a.*", "*.", "**.a"] {
        assert_eq!(wildcard_dns1123_subdomain(bad).len(), 1, "{bad}");
    }
}

#[test]
fn qualified_names() {
    for good in ["a", "A.b_c-D", "example.com/My.Name", "k8s.io/1"] {
        check(qualified_name, good, &[]);
    }
    check(qualified_name, "-bad", &[NAME_PART]);
    check(qualified_name, "bad key", &[NAME_PART]);
    check(qualified_name, "", &["name part must be non-empty", NAME_PART]);
    check(qualified_name, "/a", &["prefix part must be non-empty"]);
    check(qualified_name, "a/", &["name part must be non-empty", NAME_PART]);
    check(qualified_name, "A/b", &[&format!("prefix part {SUBDOMAIN}")]);
    check(qualified_name, &"x".repeat(64), &["name part must be no more than 63 characters"]);
    let slashes = qualified_name("a/b/c");
    assert_eq!(slashes.len(), 1);
    assert!(slashes[0].starts_with("a qualified name must consist of"));
    assert!(
        slashes[0].ends_with(" with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
    );
}

#[test]
fn label_values() {
    for good in ["", "a", "A_b.c-1"] {
        check(label_value, good, &[]);
    }
    for bad in ["b@d", "-a", "a-", "a b"] {
        check(label_value, bad, &[VALUE]);
    }
    check(label_value, &"x".repeat(64), &["must be no more than 63 characters"]);
}

#[test]
fn keys_env_names_and_ports() {
    check(config_map_key, "a.b_C-1", &[]);
    check(config_map_key, "bad key!", &[KEY]);
    check(config_map_key, "", &[KEY]);
    check(config_map_key, ".", &["must not be '.'"]);
    check(config_map_key, "..", &["must not be '..'"]);
    check(config_map_key, "..a", &["must not start with '..'"]);
    check(config_map_key, ".a", &[]);

    check(env_var_name, "1 bad", &[]);
    check(env_var_name, "", &["environment variable name must be non-empty"]);
    assert_eq!(env_var_name("a=b").len(), 1);
    assert_eq!(env_var_name("a\n").len(), 1);
    assert_eq!(env_var_name("ä").len(), 1);

    check(port_name, "http-1", &[]);
    check(port_name, "80", &["must contain at least one letter (a-z)"]);
    check(port_name, "a--b", &["must not contain consecutive hyphens"]);
    check(port_name, "-a", &["must not begin or end with a hyphen"]);
    check(port_name, "a234567890123456", &["must be no more than 15 characters"]);
    assert_eq!(port_name("").len(), 2);
    assert_eq!(port_name("HTTP").len(), 2);
}

#[test]
fn domains_and_segments() {
    check(fully_qualified_name, "a.b.c", &[]);
    check(
        fully_qualified_name,
        "a.b",
        &["should be a domain with at least three segments separated by dots"],
    );
    check(fully_qualified_name, "A.b", &[SUBDOMAIN]);
    check(path_segment, "system:node", &[]);
    check(path_segment, ".", &["may not be '.'"]);
    check(path_segment, "a/b%", &["may not contain '/'", "may not contain '%'"]);
}

#[test]
fn generate_name_may_end_in_a_dash() {
    assert!(name_is_subdomain("gen-", true).is_empty());
    assert!(name_is_label("gen-", true).is_empty());
    assert!(name_is_dns1035("gen-", true).is_empty());
    assert!(name_is_path_segment(".", true).is_empty());
    assert!(!name_is_subdomain("gen-", false).is_empty());
    assert!(!name_is_subdomain("-", true).is_empty());
    assert!(!name_is_path_segment(".", false).is_empty());
    assert!(name_is_label("ä-", true).len() <= 1);
}
