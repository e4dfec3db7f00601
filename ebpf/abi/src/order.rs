//! Byte order in the type, never in a comment.

/// A 16-bit number as it lies on the wire.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Be16(u16);

impl Be16 {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// From a number in this machine's order.
    #[inline(always)]
    pub const fn new(value: u16) -> Self {
        Self(value.to_be())
    }

    /// From the 16 bits as they were read from the wire.
    #[inline(always)]
    pub const fn from_wire(raw: u16) -> Self {
        Self(raw)
    }

    /// The number in this machine's order.
    #[inline(always)]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }

    /// The 16 bits as they go to the wire.
    #[inline(always)]
    pub const fn wire(self) -> u16 {
        self.0
    }
}

impl PartialOrd for Be16 {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Be16 {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.get().cmp(&other.get())
    }
}
