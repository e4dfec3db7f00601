//! Lengths of time, written as Go writes them: `1h`, `90m`, `1h30m0s`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no length of time such as 1h, 90m or 1h30m0s")]
pub struct PeriodError {
    text: String,
}

impl Period {
    pub const fn from_hours(hours: u64) -> Self {
        Self(Duration::from_secs(hours * 3600))
    }

    pub const fn from_minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// Seconds of a text of numbers with units, the larger unit first and each at most once.
fn seconds(text: &str) -> Option<u64> {
    let mut units = [('h', 3600), ('m', 60), ('s', 1)].into_iter();
    let (mut rest, mut sum) = (text, 0u64);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.checked_mul(length)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(sum)
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let wrong = || PeriodError { text: text.to_owned() };
        seconds(text).map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;

    fn try_from(text: String) -> Result<Self, PeriodError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> String {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, s) => write!(f, "{s}s"),
            (0, m, s) => write!(f, "{m}m{s}s"),
            (h, m, s) => write!(f, "{h}h{m}m{s}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, wanted: Option<(u64, &str)>| {
            let found = text.parse::<Period>().ok().map(|period| (period.0.as_secs(), period.to_string()));
            assert_eq!(found, wanted.map(|(seconds, text)| (seconds, text.to_owned())), "{text:?}");
        };
        check("1h", Some((3600, "1h0m0s")));
        check("1h0m0s", Some((3600, "1h0m0s")));
        check("90m", Some((5400, "1h30m0s")));
        check("61s", Some((61, "1m1s")));
        check("1h5s", Some((3605, "1h0m5s")));
        check("0s", Some((0, "0s")));
        for wrong in ["", "1", "h", "1d", "1s1h", "1h1h", "-1h", "1.5h", "1h ", "1µ", "99999999999999999999s"]
        {
            check(wrong, None);
        }
        check("9999999999999999h", None);
    }
}
