//! Resource quantities: exact decimal numbers with a suffix, such as `100m`, `1.5Gi` or `12e6`.
//!
//! A quantity is kept as a count of nanounits. What is finer is rounded away from zero and what is larger than
//! `MAX_NANOS` saturates: a quantity never overflows and never panics. Never uses floating point.

mod format;
mod parse;

use serde_json::Value;
use std::cmp::Ordering;
use thiserror::Error;

/// Nanounits per unit.
const NANO: i128 = 1_000_000_000;
/// The largest magnitude, in nanounits: 10^36, or 10^27 units.
const MAX_NANOS: i128 = 10_i128.pow(36);

/// Why a text is no quantity, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// How a quantity was written, which is how its canonical form is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `1k`, `500m`
    Decimal,
    /// `1Ki`
    Binary,
    /// `1e3`
    Exponent,
}

/// An exact number with a suffix. Displays in canonical form; compares by value, whatever the suffix.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Reads `1`, `0.5`, `100m`, `1Gi`, `1e3` and the like.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse::quantity(text)
    }

    /// The form in which Kubernetes gives the quantity `text` back: mostly the canonical one. `None` when that is
    /// `text` itself.
    pub fn rewritten(text: &str) -> Result<Option<String>, QuantityError> {
        let quantity = parse::quantity(text)?;
        if parse::keeps(text) {
            return Ok(None);
        }
        let canonical = quantity.to_string();
        Ok((canonical != text).then_some(canonical))
    }

    /// The quantity in a JSON string or number; `None` when it is neither or does not parse.
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text).ok(),
            Value::Number(number) => Self::parse(&number.to_string()).ok(),
            _ => None,
        }
    }

    /// A whole number, decimal suffixes.
    pub fn units(units: i64) -> Self {
        Self { nanos: i128::from(units) * NANO, format: Format::Decimal }
    }

    /// Thousandths, decimal suffixes.
    pub fn milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * (NANO / 1000), format: Format::Decimal }
    }

    /// A whole number, binary suffixes.
    pub fn bytes(bytes: i64) -> Self {
        Self { nanos: i128::from(bytes) * NANO, format: Format::Binary }
    }

    /// The value rounded away from zero to a whole number; saturates.
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The value in thousandths, rounded away from zero; saturates.
    pub fn milli_value(&self) -> i64 {
        self.scaled(NANO / 1000)
    }

    fn scaled(&self, unit: i128) -> i64 {
        let rounded = divide_away_from_zero(self.nanos, unit);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }

    /// The sum; it keeps the suffix of `self`, or takes that of `other` when `self` is zero.
    pub fn add(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: bound(self.nanos + other.nanos), format }
    }

    /// The difference; suffix as in `add`.
    pub fn sub(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: bound(self.nanos - other.nanos), format }
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        match self.nanos.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
}

fn bound(nanos: i128) -> i128 {
    nanos.clamp(-MAX_NANOS, MAX_NANOS)
}

fn divide_away_from_zero(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    if value % by == 0 { quotient } else { quotient + value.signum() }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests;
