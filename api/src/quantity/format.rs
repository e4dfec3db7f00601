//! The canonical form: the largest suffix that leaves a whole number.

use super::{Format, NANO, Quantity};
use std::fmt;

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        match self.format {
            Format::Binary if self.nanos.abs() >= 1024 * NANO && self.nanos % NANO == 0 => {
                let (number, steps) = strip(self.nanos / NANO, 1024, BINARY.len() - 1);
                write!(f, "{number}{}", BINARY[steps])
            }
            Format::Exponent => {
                let (number, steps) = strip(self.nanos, 1000, usize::MAX);
                match steps as i64 * 3 - 9 {
                    0 => write!(f, "{number}"),
                    exponent => write!(f, "{number}e{exponent}"),
                }
            }
            Format::Binary | Format::Decimal => {
                let (number, steps) = strip(self.nanos, 1000, DECIMAL.len() - 1);
                write!(f, "{number}{}", DECIMAL[steps])
            }
        }
    }
}

/// Divides by `base` as often as it goes without a remainder, at most `limit` times.
fn strip(mut number: i128, base: i128, limit: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps < limit && number % base == 0 {
        number /= base;
        steps += 1;
    }
    (number, steps)
}
