//! Names in wire form: length-prefixed labels up to the empty one, lower case, as keys of the answer table.

use std::borrow::Borrow;
use std::fmt;

/// The longest name in wire form (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// The longest label.
pub const LABEL_BYTES_MAX: usize = 63;

/// A lower-case name in wire form, without compression.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// `labels` below `suffix`; `None` when a label is empty or too long, or the whole is.
    pub fn below(labels: &[&str], suffix: &Name) -> Option<Self> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            if label.is_empty() || label.len() > LABEL_BYTES_MAX {
                return None;
            }
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
        }
        wire.extend_from_slice(&suffix.0);
        (wire.len() <= NAME_BYTES_MAX).then(|| Self(wire.into()))
    }

    /// A name in dotted form; a final dot may be left out.
    pub fn parse(dotted: &str) -> Option<Self> {
        let dotted = dotted.strip_suffix('.').unwrap_or(dotted);
        if dotted.is_empty() {
            return Some(Self::root());
        }
        let labels: Vec<_> = dotted.split('.').collect();
        Self::below(&labels, &Self::root())
    }

    /// The empty name.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// The name under which the address is found (`in-addr.arpa`, `ip6.arpa`).
    pub fn reverse(address: std::net::IpAddr) -> Self {
        let dotted = match address {
            std::net::IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            std::net::IpAddr::V6(v6) => {
                let mut text = String::with_capacity(72);
                for byte in v6.octets().iter().rev() {
                    text.push_str(&format!("{:x}.{:x}.", byte & 15, byte >> 4));
                }
                text + "ip6.arpa"
            }
        };
        // Such a name is never too long.
        Self::parse(&dotted).unwrap_or_else(Self::root)
    }

    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in labels(&self.0) {
            write!(f, "{}.", String::from_utf8_lossy(label))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The labels of a name in wire form, without the empty one at its end.
pub fn labels(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = wire.split_first().filter(|(length, _)| **length > 0)?;
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        wire = rest;
        Some(label)
    })
}

/// What is above `suffix` in `wire`, when `wire` is `suffix` or below it: the bytes of the leading labels.
pub fn strip_suffix<'a>(wire: &'a [u8], suffix: &Name) -> Option<&'a [u8]> {
    let above = wire.len().checked_sub(suffix.0.len())?;
    if wire[above..] != *suffix.0 {
        return None;
    }
    // The cut must be between labels: bytes inside a label may look like a name.
    let mut at = 0;
    while at < above {
        at += 1 + usize::from(wire[at]);
    }
    (at == above).then(|| &wire[..above])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let zone = Name::parse("cluster.local.").unwrap();
        assert_eq!(zone.as_wire(), b"\x07cluster\x05local\0");
        let name = Name::below(&["Web", "default", "svc"], &zone).unwrap();
        assert_eq!(name.to_string(), "web.default.svc.cluster.local.");
        assert_eq!(Name::parse("").unwrap(), Name::root());
        assert!(Name::parse("a..b").is_none());
        assert!(Name::below(&["x".repeat(64).as_str()], &zone).is_none());
        let long = "x".repeat(63);
        assert!(Name::below(&[&long, &long, &long, &long], &Name::root()).is_none());
    }

    #[test]
    fn reverse_names() {
        let check = |address: &str, name: &str| {
            assert_eq!(Name::reverse(address.parse().unwrap()).to_string(), name);
        };
        check("10.96.0.1", "1.0.96.10.in-addr.arpa.");
        check("fd00::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.");
    }

    #[test]
    fn a_suffix_is_cut_between_labels() {
        let zone = Name::parse("local").unwrap();
        let strip = |wire: &'static [u8]| strip_suffix(wire, &zone);
        assert_eq!(strip(b"\x01a\x05local\0"), Some(&b"\x01a"[..]));
        assert_eq!(strip(b"\x05local\0"), Some(&b""[..]));
        assert_eq!(strip(b"\x08aa\x05local\0"), None, "inside a label");
        assert_eq!(strip(b"\x01a\0"), None);
    }
}
