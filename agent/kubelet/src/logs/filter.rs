//! Which lines of a log a reader gets, and in what form. Pure.

use super::line::Line;

/// What `kubectl logs` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    pub follow: bool,
    /// Microseconds since the epoch; earlier lines are left out.
    pub since: Option<i64>,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub timestamps: bool,
}

/// Turns lines of the file into what the reader sees.
pub struct Filter {
    since: Option<i64>,
    left: Option<u64>,
    timestamps: bool,
    /// The next text begins a line of the container's.
    line_start: bool,
}

impl Filter {
    pub fn new(options: &LogOptions) -> Self {
        Self {
            since: options.since,
            left: options.limit_bytes,
            timestamps: options.timestamps,
            line_start: true,
        }
    }

    /// Appends what of `raw` (one line of the file with its newline) is wanted. False when the limit is
    /// reached and nothing more will come.
    pub fn push(&mut self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(line) = Line::parse(raw) else { return true };
        if let Some(since) = self.since {
            if keelson_api::time::parse_micros(line.time).is_ok_and(|time| time < since) {
                return true;
            }
            // Lines only get later.
            self.since = None;
        }
        let before = out.len();
        if self.timestamps && self.line_start {
            out.extend_from_slice(line.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        if !line.partial {
            out.push(b'\n');
        }
        self.line_start = !line.partial;
        let Some(left) = &mut self.left else { return true };
        let added = u64::try_from(out.len() - before).unwrap_or(u64::MAX);
        if added >= *left {
            out.truncate(before + usize::try_from(*left).unwrap_or(usize::MAX));
            *left = 0;
            return false;
        }
        *left -= added;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: LogOptions, expect: &str) {
        let file = "2026-01-01T00:00:01.5Z stdout P par\n\
                    2026-01-01T00:00:01.6Z stdout F tial\n\
                    not a line\n\
                    2026-01-01T00:00:02.5Z stderr F second\n";
        let mut filter = Filter::new(&options);
        let mut out = Vec::new();
        for raw in file.as_bytes().split_inclusive(|b| *b == b'\n') {
            if !filter.push(raw, &mut out) {
                break;
            }
        }
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn options() {
        check(LogOptions::default(), "partial\nsecond\n");
        check(
            LogOptions { timestamps: true, ..Default::default() },
            "2026-01-01T00:00:01.5Z partial\n2026-01-01T00:00:02.5Z second\n",
        );
        let since = keelson_api::time::parse_micros("2026-01-01T00:00:02Z").ok();
        check(LogOptions { since, ..Default::default() }, "second\n");
        check(LogOptions { limit_bytes: Some(9), ..Default::default() }, "partial\ns");
        check(LogOptions { limit_bytes: Some(0), ..Default::default() }, "");
    }
}
