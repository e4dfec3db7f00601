//! Addresses, address ranges and ports.

use super::value::{list, remove, set, text};
use crate::field::{FieldError, FieldErrors, Path};
use crate::names;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The protocols of ports.
pub const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

const IP_WHY: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR_WHY: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const PORT_WHY: &str = "must be between 1 and 65535, inclusive";

/// An IP address as old API fields take it: with leading zeroes in its IPv4 parts, too.
pub fn parse_ip(value: &str) -> Option<IpAddr> {
    if let Ok(ip) = value.parse() {
        return Some(ip);
    }
    let mut parts = [0u8; 4];
    let mut count = 0;
    for part in value.split('.') {
        let digits = part.trim_start_matches('0');
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) || count == 4 {
            return None;
        }
        parts[count] = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        count += 1;
    }
    (count == 4).then(|| IpAddr::V4(Ipv4Addr::from(parts)))
}

/// An address range: an address and the length of its prefix.
pub fn parse_cidr(value: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = value.split_once('/')?;
    let ip = parse_ip(ip)?;
    let fits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: u8 = length.parse().ok().filter(|_| fits)?;
    let max = if ip.is_ipv4() { 32 } else { 128 };
    (length <= max).then_some((ip, length))
}

/// Whether `inner` lies in `outer` and is smaller.
pub fn strictly_within(inner: (IpAddr, u8), outer: (IpAddr, u8)) -> bool {
    let (a, b) = (bits(inner.0), bits(outer.0));
    if inner.0.is_ipv4() != outer.0.is_ipv4() || inner.1 <= outer.1 {
        return false;
    }
    let width = if inner.0.is_ipv4() { 32 } else { 128 };
    let shift = width - u32::from(outer.1);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Checks an IP address.
pub fn ip(value: &str, path: &Path, errors: &mut FieldErrors) -> Option<IpAddr> {
    let ip = parse_ip(value);
    if ip.is_none() {
        errors.push(FieldError::invalid(path, value, IP_WHY));
    }
    ip
}

/// Checks an address range.
pub fn cidr(value: &str, path: &Path, errors: &mut FieldErrors) -> Option<(IpAddr, u8)> {
    let cidr = parse_cidr(value);
    if cidr.is_none() {
        errors.push(FieldError::invalid(path, value, CIDR_WHY));
    }
    cidr
}

/// Whether a list of addresses or ranges has both families.
pub fn is_dual_stack(values: &[&str]) -> bool {
    let family = |value: &&str| value.split('/').next().and_then(parse_ip).map(|ip| ip.is_ipv4());
    values.iter().any(|v| family(v) == Some(true)) && values.iter().any(|v| family(v) == Some(false))
}

/// An address that endpoints may not have: those of the host itself, of its link and of groups.
pub fn not_special(value: &str, path: &Path, errors: &mut FieldErrors) {
    let Some(ip) = parse_ip(value) else { return };
    let mut refuse = |wrong: bool, why: &str| {
        if wrong {
            errors.push(FieldError::invalid(path, value, why));
        }
    };
    let (link_local, link_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (is_link_local(ip), ip.segments()[0] & 0xff0f == 0xff02),
    };
    refuse(ip.is_unspecified(), "may not be unspecified (0.0.0.0 or ::)");
    refuse(ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    refuse(link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    refuse(link_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// Checks a port number.
pub fn port(value: i64, path: &Path, errors: &mut FieldErrors) {
    if !(1..=65535).contains(&value) {
        errors.push(FieldError::invalid(path, value, PORT_WHY));
    }
}

/// Checks a port that is a number or the name of a container's port.
pub fn port_or_name(value: &Value, path: &Path, errors: &mut FieldErrors) {
    match value {
        Value::String(name) => {
            for why in names::port_name(name) {
                errors.push(FieldError::invalid(path, name.as_str(), why));
            }
        }
        other => port(other.as_i64().unwrap_or_default(), path, errors),
    }
}

/// Checks a protocol.
pub fn protocol(value: &str, path: &Path, errors: &mut FieldErrors) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !PROTOCOLS.contains(&value) {
        errors.push(FieldError::not_supported(path, value, &PROTOCOLS));
    }
}

/// Keeps an older singular field and its newer list in step, as with `podIP` and `podIPs`. Where they disagree
/// the singular one is taken. `wrap` is the field of the list's elements that holds the value.
pub fn sync_singular(object: &mut Value, singular: &str, plural: &str, wrap: Option<&str>) {
    let one = text(object, singular).to_owned();
    let read = |element: &Value| match wrap {
        Some(field) => text(element, field).to_owned(),
        None => element.as_str().unwrap_or_default().to_owned(),
    };
    let first = list(object, plural).first().map(read);
    match first {
        Some(first) if one.is_empty() || one == first => {
            if !first.is_empty() {
                set(object, singular, first);
            }
        }
        _ if one.is_empty() => {
            remove(object, plural);
        }
        _ => {
            let element = match wrap {
                Some(field) => json!({ field: one }),
                None => Value::from(one),
            };
            set(object, plural, vec![element]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (value, want) in [
            ("10.0.0.1", true),
            ("010.0.0.01", true),
            ("::1", true),
            ("10.0.0", false),
            ("10.0.0.256", false),
            ("10.0.0.1.", false),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(parse_ip(value).is_some(), want, "{value}");
        }
        for (value, want) in [
            ("10.0.0.0/8", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0", false),
            ("::/0", true),
            ("::/+1", false),
        ] {
            assert_eq!(parse_cidr(value).is_some(), want, "{value}");
        }
    }

    #[test]
    fn ranges_within_ranges() {
        for (inner, outer, want) in [
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("11.0.0.0/16", "10.0.0.0/8", false),
            ("2001:db8::/64", "::/0", true),
            ("10.0.0.0/16", "::/0", false),
        ] {
            let (a, b) = (parse_cidr(inner).unwrap(), parse_cidr(outer).unwrap());
            assert_eq!(strictly_within(a, b), want, "{inner} {outer}");
        }
    }

    #[test]
    fn singular_and_plural() {
        let check = |given: Value, want: Value| {
            let mut object = given;
            sync_singular(&mut object, "podIP", "podIPs", Some("ip"));
            assert_eq!(object, want);
        };
        check(json!({}), json!({}));
        check(json!({"podIP": "1.1.1.1"}), json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}]}));
        check(json!({"podIPs": [{"ip": "::1"}]}), json!({"podIP": "::1", "podIPs": [{"ip": "::1"}]}));
        check(
            json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "2.2.2.2"}]}),
            json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}]}),
        );
    }
}
