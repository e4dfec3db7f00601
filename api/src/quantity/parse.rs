//! Reading a quantity: sign, digits, suffix.

use super::{Format, MAX_NANOS, NANO, Quantity, QuantityError, bound};

/// The characters that a suffix may start with.
const SUFFIX_CHARS: &[u8] = b"eEinumkKMGTP";
/// The largest whole number that a binary suffix can give, in nanounits.
const MAX_BINARY: i128 = i64::MAX as i128 * NANO;
/// Digits after the point that a binary quantity takes into account.
const BINARY_FRACTION: usize = 18;

/// The pieces of a quantity's text.
struct Pieces<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    suffix: &'a [u8],
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn split(text: &str) -> Result<Pieces<'_>, QuantityError> {
    let mut rest = text.as_bytes();
    if rest.is_empty() {
        return Err(QuantityError::Format);
    }
    let negative = rest[0] == b'-';
    if matches!(rest[0], b'-' | b'+') {
        rest = &rest[1..];
    }
    let (whole, mut rest) = rest.split_at(digits(rest));
    let mut fraction: &[u8] = &[];
    if let Some(after) = rest.strip_prefix(b".") {
        (fraction, rest) = after.split_at(digits(after));
    }
    let letters = rest.iter().take_while(|b| SUFFIX_CHARS.contains(b)).count();
    let mut tail = &rest[letters..];
    if let [b'-' | b'+', after @ ..] = tail {
        tail = after;
    }
    if digits(tail) != tail.len() {
        return Err(QuantityError::Format);
    }
    Ok(Pieces { negative, whole, fraction, suffix: rest })
}

/// The exponent that a suffix stands for: of ten, or of two for binary ones.
fn exponent(suffix: &[u8]) -> Result<(Format, i32), QuantityError> {
    Ok(match suffix {
        b"" => (Format::Decimal, 0),
        b"n" => (Format::Decimal, -9),
        b"u" => (Format::Decimal, -6),
        b"m" => (Format::Decimal, -3),
        b"k" => (Format::Decimal, 3),
        b"M" => (Format::Decimal, 6),
        b"G" => (Format::Decimal, 9),
        b"T" => (Format::Decimal, 12),
        b"P" => (Format::Decimal, 15),
        b"E" => (Format::Decimal, 18),
        b"Ki" => (Format::Binary, 10),
        b"Mi" => (Format::Binary, 20),
        b"Gi" => (Format::Binary, 30),
        b"Ti" => (Format::Binary, 40),
        b"Pi" => (Format::Binary, 50),
        b"Ei" => (Format::Binary, 60),
        [b'e' | b'E', number @ ..] => {
            let number = std::str::from_utf8(number).map_err(|_| QuantityError::Suffix)?;
            // More than any quantity holds: enough to saturate or to vanish.
            let number = number.parse::<i64>().map_err(|_| QuantityError::Suffix)?.clamp(-10_000, 10_000);
            (Format::Exponent, number as i32)
        }
        _ => return Err(QuantityError::Suffix),
    })
}

pub(super) fn quantity(text: &str) -> Result<Quantity, QuantityError> {
    let pieces = split(text)?;
    let (mut format, exponent) = exponent(pieces.suffix)?;
    let magnitude = match format {
        Format::Binary => binary(&pieces, exponent),
        Format::Decimal | Format::Exponent => decimal(&pieces, i64::from(exponent)),
    };
    if format == Format::Binary && magnitude < NANO && magnitude > 0 {
        format = Format::Decimal;
    }
    let nanos = if pieces.negative { -magnitude } else { magnitude };
    Ok(Quantity { nanos, format })
}

/// Whether Kubernetes takes a text, which is a quantity, for canonical and keeps it as it is written. It looks at
/// the text alone, so `1.234` and `+5` stay although their canonical forms are `1234m` and `5`.
pub(super) fn keeps(text: &str) -> bool {
    let Ok(pieces) = split(text) else { return false };
    let Ok((format, exponent)) = exponent(pieces.suffix) else { return false };
    let zeros = pieces.whole.iter().take_while(|b| **b == b'0').count();
    let whole: &[u8] = match &pieces.whole[zeros..] {
        [] => b"0",
        whole => whole,
    };
    let digits = || whole.iter().chain(pieces.fraction);
    match format {
        Format::Binary => {
            let precise = (whole.len() as i32) + exponent * 3 / 10 < 15;
            let low_bits =
                whole.iter().fold(0_u64, |sum, b| sum.wrapping_mul(10).wrapping_add(u64::from(b - b'0')));
            pieces.fraction.is_empty() && precise && low_bits & 7 != 0
        }
        Format::Decimal | Format::Exponent => {
            let scale = exponent - pieces.fraction.len() as i32;
            let count = digits().count();
            count <= 18
                && scale >= -9
                && scale % 3 == 0
                && whole[0] != b'0'
                && !(count >= 3 && digits().skip(count - 3).all(|b| *b == b'0'))
        }
    }
}

/// Walks the digits by the power of ten that each stands for; what is finer than a nanounit only rounds up.
fn decimal(pieces: &Pieces<'_>, exponent: i64) -> i128 {
    let mut power = pieces.whole.len() as i64 - 1 + exponent + 9;
    let mut nanos: i128 = 0;
    let mut finer = false;
    for digit in pieces.whole.iter().chain(pieces.fraction).map(|b| i128::from(b - b'0')) {
        if power >= 0 {
            nanos = bound(nanos * 10 + digit);
        } else {
            finer |= digit != 0;
        }
        power -= 1;
    }
    // Digits that the text leaves out.
    while power >= 0 && nanos != 0 && nanos < MAX_NANOS {
        nanos = bound(nanos * 10);
        power -= 1;
    }
    bound(nanos + i128::from(finer))
}

fn binary(pieces: &Pieces<'_>, exponent: i32) -> i128 {
    let kept = pieces.fraction.len().min(BINARY_FRACTION);
    let (fraction, finer) = pieces.fraction.split_at(kept);
    let finer = finer.iter().any(|b| *b != b'0');
    let mantissa = pieces
        .whole
        .iter()
        .chain(fraction)
        .try_fold(0_i128, |sum, b| sum.checked_mul(10)?.checked_add(i128::from(b - b'0')));
    let Some(scaled) = mantissa.and_then(|m| m.checked_mul(1_i128 << exponent)) else { return MAX_BINARY };
    let nanos = if kept <= 9 {
        match scaled.checked_mul(10_i128.pow(9 - kept as u32)) {
            Some(nanos) => nanos,
            None => return MAX_BINARY,
        }
    } else {
        super::divide_away_from_zero(scaled, 10_i128.pow(kept as u32 - 9))
    };
    (nanos + i128::from(finer)).min(MAX_BINARY)
}
