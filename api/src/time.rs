//! RFC 3339 times as Kubernetes writes them: `Time` in whole seconds, `MicroTime` with six digits, both in UTC.
//!
//! Never reads a clock: Unix time comes in as an argument.

/// Seconds in a day.
const DAY: i64 = 86_400;

/// `2026-01-02T03:04:05Z` from seconds since the Unix epoch. Years outside 0..=9999 are clamped.
pub fn seconds(unix_seconds: i64) -> String {
    let (date, rest) = split(unix_seconds);
    format!("{date}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// `2026-01-02T03:04:05.000006Z` from microseconds since the Unix epoch.
pub fn micros(unix_micros: i64) -> String {
    let mut text = seconds(unix_micros.div_euclid(1_000_000));
    text.pop();
    text.push_str(&format!(".{:06}Z", unix_micros.rem_euclid(1_000_000)));
    text
}

fn split(unix_seconds: i64) -> (String, i64) {
    // The first second of year 0 and the last of year 9999.
    let clamped = unix_seconds.clamp(-62_167_219_200, 253_402_300_799);
    let (year, month, day) = civil(clamped.div_euclid(DAY));
    (format!("{year:04}-{month:02}-{day:02}"), clamped.rem_euclid(DAY))
}

/// The Gregorian date of a day number counted from 1970-01-01 (Hinnant, "chrono-compatible low-level date
/// algorithms": years begin in March so that the leap day is the last).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since the Unix epoch of an RFC 3339 time; a fraction is dropped. The error is worded as Go's.
pub fn parse(text: &str) -> Result<i64, String> {
    Ok(parse_micros_with(text, "2006-01-02T15:04:05Z07:00")?.div_euclid(1_000_000))
}

/// Microseconds since the Unix epoch of an RFC 3339 time; digits beyond the sixth are dropped.
pub fn parse_micros(text: &str) -> Result<i64, String> {
    parse_micros_with(text, "2006-01-02T15:04:05.000000Z07:00")
}

/// Reads a time piece by piece; an error names the rest of the text and the piece of Go's reference layout
/// that it fails.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    layout: &'static str,
}

impl<'a> Reader<'a> {
    fn failed(&self, rest: &str, piece: &str) -> String {
        format!("parsing time {:?} as {:?}: cannot parse {rest:?} as {piece:?}", self.text, self.layout)
    }

    fn out_of_range(&self, what: &str) -> String {
        format!("parsing time {:?}: {what} out of range", self.text)
    }

    /// Exactly `width` digits, standing for `piece` of the layout.
    fn number(&mut self, width: usize, piece: &str) -> Result<i64, String> {
        let head = self.rest.as_bytes().get(..width).filter(|head| head.iter().all(u8::is_ascii_digit));
        let Some(head) = head else { return Err(self.failed(self.rest, piece)) };
        let number = head.iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        self.rest = &self.rest[width..];
        Ok(number)
    }

    fn literal(&mut self, literal: char) -> Result<(), String> {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.failed(self.rest, &literal.to_string())),
        }
    }

    /// The fraction in microseconds, 0 when there is none.
    fn fraction(&mut self) -> i64 {
        let Some(rest) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return 0;
        }
        let padded = rest[..digits].bytes().chain(std::iter::repeat(b'0')).take(6);
        self.rest = &rest[digits..];
        padded.fold(0, |sum, b| sum * 10 + i64::from(b - b'0'))
    }

    /// The zone's offset in seconds.
    fn zone(&mut self) -> Result<i64, String> {
        let start = self.rest;
        let fail = |reader: &Self| reader.failed(start, "Z07:00");
        if let Some(rest) = start.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let sign = match start.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(fail(self)),
        };
        self.rest = &start[1..];
        let hours = self.number(2, "").map_err(|_| fail(self))?;
        self.literal(':').map_err(|_| fail(self))?;
        let minutes = self.number(2, "").map_err(|_| fail(self))?;
        if hours > 24 {
            return Err(self.out_of_range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(self.out_of_range("time zone offset minute"));
        }
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

fn parse_micros_with(text: &str, layout: &'static str) -> Result<i64, String> {
    let mut reader = Reader { text, rest: text, layout };
    let year = reader.number(4, "2006")?;
    reader.literal('-')?;
    let month = reader.number(2, "01")?;
    if !(1..=12).contains(&month) {
        return Err(reader.out_of_range("month"));
    }
    reader.literal('-')?;
    let day = reader.number(2, "02")?;
    reader.literal('T')?;
    let hour = reader.number(2, "15")?;
    if hour > 23 {
        return Err(reader.out_of_range("hour"));
    }
    reader.literal(':')?;
    let minute = reader.number(2, "04")?;
    if minute > 59 {
        return Err(reader.out_of_range("minute"));
    }
    reader.literal(':')?;
    let second = reader.number(2, "05")?;
    if second > 59 {
        return Err(reader.out_of_range("second"));
    }
    let fraction = reader.fraction();
    let offset = reader.zone()?;
    if !reader.rest.is_empty() {
        return Err(format!("parsing time {text:?}: extra text: {:?}", reader.rest));
    }
    if day < 1 || day > days_in_month(year, month) {
        return Err(reader.out_of_range("day"));
    }
    let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Ok(seconds * 1_000_000 + fraction)
}

#[cfg(test)]
mod tests;
