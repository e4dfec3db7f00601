//! The wire form of protobuf: varints, lengths and keys, and the few encodings that JSON needs in their place.

use super::DecodeError;

/// A field's value before its type is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Scalar<'a>)>, DecodeError> {
        let Some(key) = self.varint()? else { return Ok(None) };
        let number = u32::try_from(key >> 3).map_err(|_| DecodeError::Malformed)?;
        let scalar = match key & 7 {
            0 => Scalar::Varint(self.varint()?.ok_or(DecodeError::Malformed)?),
            1 => Scalar::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?.ok_or(DecodeError::Malformed)?;
                Scalar::Bytes(self.take(usize::try_from(length).map_err(|_| DecodeError::Malformed)?)?)
            }
            5 => Scalar::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(DecodeError::Malformed),
        };
        Ok(Some((number, scalar)))
    }

    /// The next varint; `None` at the end.
    pub(super) fn varint(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Malformed)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(Some(value));
            }
        }
        Err(DecodeError::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Malformed)
    }
}

/// Standard base64 with padding (RFC 4648, 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            if index <= chunk.len() {
                text.push(char::from(LETTERS[(group >> (18 - 6 * index) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// RFC 3339 in UTC, with microseconds or none, for the years that it can say.
pub(super) fn timestamp(seconds: i64, nanos: i64, micro: bool) -> Option<String> {
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    // Days since 0000-03-01, in eras of 400 years (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = days.checked_add(719_468)?;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(0..=9999).contains(&year) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if micro { format!(".{:06}", nanos / 1000) } else { String::new() };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_by_rfc_4648() {
        for (plain, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), wanted);
        }
    }

    #[test]
    fn times() {
        assert_eq!(timestamp(0, 0, false).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(timestamp(1_709_164_799, 5_000, true).as_deref(), Some("2024-02-28T23:59:59.000005Z"));
        assert_eq!(timestamp(1_709_164_800, 0, false).as_deref(), Some("2024-02-29T00:00:00Z"));
        assert_eq!(timestamp(-1, 0, false).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(timestamp(i64::MAX, 0, false), None);
        assert_eq!(timestamp(0, -1, false), None);
    }

    #[test]
    fn broken_bytes() {
        for bytes in [&[0x80][..], &[0x0a, 5, 1], &[0x0b], &[0x09, 1], &[0xff; 11]] {
            assert_eq!(Reader::new(bytes).field(), Err(DecodeError::Malformed), "{bytes:?}");
        }
    }
}
