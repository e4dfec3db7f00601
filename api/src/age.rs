//! Durations as the columns of `kubectl get` show them: `5s`, `3m20s`, `4h`, `2d3h`, `1y20d`.

use crate::time;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// Two units at most, the second only while it tells something. Clock skew of a second counts as zero; more
/// of it is `<invalid>`.
pub fn human_duration(seconds: i64) -> String {
    let minutes = seconds / MINUTE;
    let hours = seconds / HOUR;
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % MINUTE, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, 'd', hours % 24, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", hours / 24),
        _ if seconds < 8 * YEAR => two(seconds / YEAR, 'y', seconds % YEAR / DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two(first: i64, unit: char, second: i64, small: char) -> String {
    if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{small}") }
}

/// The age of something that happened at `timestamp` (RFC 3339); `<unknown>` when there is none.
pub fn since(timestamp: Option<&str>, now_seconds: i64) -> String {
    match timestamp.and_then(|t| time::parse(t).ok()) {
        Some(then) => human_duration(now_seconds - then),
        None => "<unknown>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (1, "1s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_199, "7d23h"),
            (691_200, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + DAY, "2y1d"),
            (8 * YEAR, "8y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn ages() {
        assert_eq!(since(Some("1970-01-01T00:00:10Z"), 15), "5s");
        assert_eq!(since(None, 15), "<unknown>");
        assert_eq!(since(Some("x"), 15), "<unknown>");
    }
}
