//! Whether a text can name an image at all (the grammar of the distribution project's references). Pure.

/// What Kubernetes says of a name that cannot be.
pub fn check(image: &str) -> Result<(), String> {
    why(image).map_or(Ok(()), |why| {
        Err(format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {why}"
        ))
    })
}

const INVALID: &str = "invalid reference format";
/// Of the repository's name.
const NAME_CHARS_MAX: usize = 255;
const TAG_CHARS_MAX: usize = 128;

fn why(image: &str) -> Option<String> {
    let invalid = || Some(INVALID.to_owned());
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to a port.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[path_start..].find(':') {
        Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
        None => (rest, None),
    };
    if digest.is_some_and(|d| !is_digest(d)) || tag.is_some_and(|t| !is_tag(t)) {
        return invalid();
    }
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_domain_like(first) => (Some(first), path),
        _ => (None, name),
    };
    if domain.is_some_and(|d| !is_domain(d)) {
        return invalid();
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) && path.to_ascii_lowercase().split('/').all(is_component)
    {
        return Some(format!("{INVALID}: repository name ({path}) must be lowercase"));
    }
    if !path.split('/').all(is_component) {
        return invalid();
    }
    (name.len() > NAME_CHARS_MAX)
        .then(|| format!("repository name must not be more than {NAME_CHARS_MAX} characters"))
}

/// The first part of a name is a registry when it could not be a part of a path.
fn is_domain_like(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        }
        None => domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    port.is_none_or(is_port) && host.split('.').all(is_label)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(label.bytes().next())
        && edge(label.bytes().last())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Small letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !is_word(*first) || !is_word(*last) {
        return false;
    }
    component.split(|c: char| c.is_ascii() && is_word(c as u8)).all(|joint| {
        joint.is_empty() || [".", "_", "__"].contains(&joint) || joint.bytes().all(|b| b == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_CHARS_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// An algorithm and at least 32 hex digits.
fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let parts_good = algorithm.split(['+', '.', '-', '_']).all(|part| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    parts_good && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for good in [
            "busybox",
            "busybox:1.36",
            "library/busybox",
            "keelson.dev/pause:1",
            "localhost/a",
            "localhost:5000/a/b:c",
            "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
            "Registry.example/a",
            "[fd00::1]:5000/a",
            "[fd00::1]/a",
            "a__b/c--d/e.f_g:T_1.0-x",
            &format!("a/b@{digest}"),
            &format!("a/b:1@{digest}"),
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a:",
            ":1",
            "a//b",
            "/a",
            "a/",
            "a_",
            "a..b",
            "a___b",
            "a:b c",
            "a@",
            "a@sha256:12",
            "a@sha256:zz",
            "-a/b.c/",
            "a.b-/c",
            "[fd00::g]/a",
            "[fd00::1/a",
            "a.b:x/c",
            "ä",
            "a/ä:1",
            "UPPER",
            "a:b:c",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            check("Some/Image:1:2").unwrap_err(),
            "Failed to apply default image tag \"Some/Image:1:2\": couldn't parse image name \"Some/Image:1:2\": \
             invalid reference format"
        );
        assert!(check("x/Image").unwrap_err().ends_with("repository name (x/Image) must be lowercase"));
        assert!(check(&"a".repeat(256)).unwrap_err().ends_with("255 characters"));
        assert!(check(&format!("a:{}", "t".repeat(129))).is_err());
    }
}
