//! Addresses are 128 bit everywhere but in parse and rewrite.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv6Addr};

/// The family a packet or socket speaks on the wire.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

/// An IPv6 address, or an IPv4 address in its mapped form `::ffff:a.b.c.d`. Network order.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Address {
    words: [u32; 4],
}

/// The third word of a mapped IPv4 address.
const MAPPED: u32 = 0x0000_ffff_u32.to_be();

impl Address {
    /// No address; as a service address it stands for "any address of a node" (NodePort).
    pub const UNSPECIFIED: Self = Self { words: [0; 4] };

    /// The bits that precede an IPv4 prefix in its mapped form.
    pub const MAPPED_BITS: u32 = 96;

    /// From four words as they lie on the wire.
    #[inline(always)]
    pub const fn from_words(words: [u32; 4]) -> Self {
        Self { words }
    }

    /// From the word of an IPv4 header as it lies on the wire.
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self { words: [0, 0, MAPPED, word] }
    }

    /// The four words as they lie on the wire.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// The word that an IPv4 header carries; meaningless for an IPv6 address.
    #[inline(always)]
    pub const fn v4_word(&self) -> u32 {
        self.words[3]
    }

    /// Whether this is an IPv4 address in mapped form.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.words[0] | self.words[1] | (self.words[2] ^ MAPPED) == 0
    }

    /// Whether this is [`Self::UNSPECIFIED`].
    #[inline(always)]
    pub const fn is_unspecified(&self) -> bool {
        self.words[0] | self.words[1] | self.words[2] | self.words[3] == 0
    }

    /// The family spoken on the wire.
    #[inline(always)]
    pub const fn family(&self) -> Family {
        if self.is_v4() { Family::V4 } else { Family::V6 }
    }

    /// The sixteen bytes in network order.
    pub const fn bytes(&self) -> [u8; 16] {
        let [a, b, c, d] = self.words;
        let (a, b, c, d) = (a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes(), d.to_ne_bytes());
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1], d[2], d[3]]
    }

    /// From sixteen bytes in network order.
    pub const fn from_bytes(b: [u8; 16]) -> Self {
        Self {
            words: [
                u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
                u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
                u32::from_ne_bytes([b[8], b[9], b[10], b[11]]),
                u32::from_ne_bytes([b[12], b[13], b[14], b[15]]),
            ],
        }
    }

    /// The address with all but its first `bits` (of 128) cleared.
    pub fn masked(&self, bits: u32) -> Self {
        let mut bytes = self.bytes();
        for (index, byte) in bytes.iter_mut().enumerate() {
            let keep = bits.saturating_sub(index as u32 * 8).min(8);
            *byte &= (0xff00_u16 >> keep) as u8;
        }
        Self::from_bytes(bytes)
    }

    /// As the standard library's type, mapped addresses as IPv4.
    pub fn to_ip(self) -> IpAddr {
        Ipv6Addr::from(self.bytes()).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::from_bytes(match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        })
    }
}

impl PartialEq for Address {
    /// Without branches: a chain of comparisons becomes a call of bcmp, which the verifier refuses.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        (self.words[0] ^ other.words[0])
            | (self.words[1] ^ other.words[1])
            | (self.words[2] ^ other.words[2])
            | (self.words[3] ^ other.words[3])
            == 0
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(&other.bytes())
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.to_ip().fmt(f)
    }
}

impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.to_ip().fmt(f)
    }
}
