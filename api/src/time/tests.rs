use super::*;
use proptest::prelude::*;

#[test]
fn formats() {
    for (unix, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_767_323_045, "2026-01-02T03:04:05Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (4_102_444_799, "2099-12-31T23:59:59Z"),
        (i64::MAX, "9999-12-31T23:59:59Z"),
        (i64::MIN, "0000-01-01T00:00:00Z"),
    ] {
        assert_eq!(seconds(unix), text);
    }
    assert_eq!(micros(1_500_000), "1970-01-01T00:00:01.500000Z");
    assert_eq!(micros(-1), "1969-12-31T23:59:59.999999Z");
}

#[test]
fn parses_zones_and_fractions() {
    for (text, unix) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T19:30:00-04:30", 0),
        ("2000-02-29T00:00:00.999Z", 951_782_400),
        ("1969-12-31T23:59:59.5Z", -1),
    ] {
        assert_eq!(parse(text), Ok(unix), "{text}");
    }
    assert_eq!(parse_micros("1970-01-01T00:00:01.5Z"), Ok(1_500_000));
    assert_eq!(parse_micros("1970-01-01T00:00:01.1234567Z"), Ok(1_123_456));
    assert_eq!(parse_micros("1970-01-01T00:00:01Z"), Ok(1_000_000));
}

#[test]
fn errors_speak_as_go_does() {
    for (text, wanted) in [
        ("x", r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#),
        ("", r#"parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006""#),
        ("2026", r#"parsing time "2026" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "-""#),
        ("2026-13-01T00:00:00Z", r#"parsing time "2026-13-01T00:00:00Z": month out of range"#),
        ("2026-02-29T00:00:00Z", r#"parsing time "2026-02-29T00:00:00Z": day out of range"#),
        ("2026-02-01T24:00:00Z", r#"parsing time "2026-02-01T24:00:00Z": hour out of range"#),
        (
            "2026-02-01T00:00:00",
            r#"parsing time "2026-02-01T00:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00""#,
        ),
        ("2026-02-01T00:00:00Zx", r#"parsing time "2026-02-01T00:00:00Zx": extra text: "x""#),
    ] {
        assert_eq!(parse(text), Err(wanted.to_owned()), "{text}");
    }
}

proptest! {
    #[test]
    fn round_trips(unix in -62_167_219_200_i64..253_402_300_800, micro in 0_i64..1_000_000) {
        prop_assert_eq!(parse(&seconds(unix)), Ok(unix));
        prop_assert_eq!(parse_micros(&micros(unix * 1_000_000 + micro)), Ok(unix * 1_000_000 + micro));
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}", near in "[0-9TZ:.+-]{0,40}") {
        let _ = parse(&text);
        let _ = parse_micros(&near);
    }
}
