//! Rules for names, keys and label values, with Kubernetes' messages for what breaks them.
//!
//! Every rule answers with the list of what is wrong; a valid value costs a scan of its bytes and no
//! allocation. Never uses regular expressions: the ones in the messages are shown, not run.

/// Longest DNS label, label value and name part of a qualified name, in bytes.
pub const LABEL_MAX: usize = 63;
/// Longest DNS subdomain and ConfigMap key, in bytes.
pub const SUBDOMAIN_MAX: usize = 253;
/// Longest service name by IANA's rules, in bytes (RFC 6335).
const PORT_NAME_MAX: usize = 15;

const LABEL_RE: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_RE: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1035_RE: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_RE: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

fn shape_error(text: &str, regex: &str, examples: &[&str]) -> String {
    let mut message = text.to_owned();
    message.push_str(" (e.g. ");
    for (i, example) in examples.iter().enumerate() {
        if i > 0 {
            message.push_str(" or ");
        }
        message.push_str(&format!("'{example}', "));
    }
    message.push_str(&format!("regex used for validation is '{regex}')"));
    message
}

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn label_shape(v: &[u8]) -> bool {
    match (v.first(), v.last()) {
        (Some(&first), Some(&last)) => {
            lower_or_digit(first) && lower_or_digit(last) && v.iter().all(|&b| lower_or_digit(b) || b == b'-')
        }
        _ => false,
    }
}

fn subdomain_shape(v: &[u8]) -> bool {
    v.split(|&b| b == b'.').all(label_shape)
}

fn qualified_shape(v: &[u8]) -> bool {
    match (v.first(), v.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && v.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        }
        _ => false,
    }
}

/// A label of a DNS name (RFC 1123): names of namespaces, containers, volumes, ports of slices.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !label_shape(value.as_bytes()) {
        errors.push(if subdomain_shape(value.as_bytes()) {
            "must not contain dots".to_owned()
        } else {
            shape_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
                 and must start and end with an alphanumeric character",
                LABEL_RE,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// A DNS name (RFC 1123): names of most kinds.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    if !subdomain_shape(value.as_bytes()) {
        errors.push(shape_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
             and must start and end with an alphanumeric character",
            SUBDOMAIN_RE,
            &["example.com"],
        ));
    }
    errors
}

/// A DNS name whose first label is `*`.
pub fn wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    if !value.strip_prefix("*.").is_some_and(|rest| subdomain_shape(rest.as_bytes())) {
        errors.push(shape_error(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
             consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{SUBDOMAIN_RE}"),
            &["*.example.com"],
        ));
    }
    errors
}

/// A label of a DNS name by the older rule that wants a letter first (RFC 1035).
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    let starts_with_letter = value.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if !(starts_with_letter && label_shape(value.as_bytes())) {
        errors.push(shape_error(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
             alphabetic character, and end with an alphanumeric character",
            DNS1035_RE,
            &["my-name", "abc-123"],
        ));
    }
    errors
}

/// A key of labels, annotations, taints and the like: `name` or `prefix/name`.
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let shape = || shape_error(QUALIFIED_TEXT, QUALIFIED_RE, &["MyName", "my.name", "123-abc"]);
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            errors.push(format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                shape()
            ));
            return errors;
        }
        Some(("", name)) => {
            errors.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            errors.extend(dns1123_subdomain(prefix).into_iter().map(|e| format!("prefix part {e}")));
            name
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part {}", too_long(LABEL_MAX)));
    }
    if !qualified_shape(name.as_bytes()) {
        errors.push(format!("name part {}", shape()));
    }
    errors
}

/// The value of a label; may be empty.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_MAX {
        errors.push(too_long(LABEL_MAX));
    }
    if !value.is_empty() && !qualified_shape(value.as_bytes()) {
        errors.push(shape_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
             and must start and end with an alphanumeric character",
            &format!("({QUALIFIED_RE})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// The name of an environment variable: any printable ASCII but `=` (KEP-4369).
pub fn env_var_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.is_empty() {
        errors.push("environment variable name must be non-empty".to_owned());
    }
    if value.bytes().any(|b| !(b' '..=b'~').contains(&b) || b == b'=') {
        errors.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .to_owned(),
        );
    }
    errors
}

/// A key of a ConfigMap or Secret, which may become a file name.
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > SUBDOMAIN_MAX {
        errors.push(too_long(SUBDOMAIN_MAX));
    }
    let shape = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if value.is_empty() || !value.bytes().all(shape) {
        errors.push(shape_error(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        _ if value.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

/// The name of a container's port (RFC 6335 service name, lower case).
pub fn port_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let bytes = value.as_bytes();
    if bytes.len() > PORT_NAME_MAX {
        errors.push(too_long(PORT_NAME_MAX));
    }
    if bytes.is_empty() || !bytes.iter().all(|&b| lower_or_digit(b) || b == b'-') {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !bytes.iter().any(u8::is_ascii_lowercase) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// A DNS name with at least three labels, such as a signer's domain. An empty value is the caller's to judge.
pub fn fully_qualified_name(value: &str) -> Vec<String> {
    let mut errors = dns1123_subdomain(value);
    if errors.is_empty() && value.split('.').count() < 3 {
        errors.push("should be a domain with at least three segments separated by dots".to_owned());
    }
    errors
}

/// What can stand as one segment of a URL path.
pub fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    path_segment_prefix(value)
}

fn path_segment_prefix(value: &str) -> Vec<String> {
    ["/", "%"]
        .iter()
        .filter(|part| value.contains(*part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A generateName may end in a dash, which a suffix will follow.
fn without_trailing_dash(value: &str, prefix: bool) -> std::borrow::Cow<'_, str> {
    match value.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => {
            let mut kept = rest.to_owned();
            kept.pop();
            kept.push('a');
            kept.into()
        }
        _ => value.into(),
    }
}

/// The name rule of most kinds. `prefix` is set when the value is a `generateName`.
pub fn name_is_subdomain(value: &str, prefix: bool) -> Vec<String> {
    dns1123_subdomain(&without_trailing_dash(value, prefix))
}

/// The name rule of namespaces and services.
pub fn name_is_label(value: &str, prefix: bool) -> Vec<String> {
    dns1123_label(&without_trailing_dash(value, prefix))
}

/// The name rule of what must be an RFC 1035 label.
pub fn name_is_dns1035(value: &str, prefix: bool) -> Vec<String> {
    dns1035_label(&without_trailing_dash(value, prefix))
}

/// The name rule of RBAC's kinds.
pub fn name_is_path_segment(value: &str, prefix: bool) -> Vec<String> {
    if prefix { path_segment_prefix(value) } else { path_segment(value) }
}

#[cfg(test)]
mod tests;
