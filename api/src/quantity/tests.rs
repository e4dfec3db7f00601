use super::*;
use proptest::prelude::*;
use serde_json::json;

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn canonical_forms() {
    for (text, canonical) in [
        ("0", "0"),
        ("0m", "0"),
        ("-0", "0"),
        ("+1", "1"),
        ("1", "1"),
        ("007", "7"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1.G", "1G"),
        ("1.2345", "1234500u"),
        ("0.0000000001", "1n"),
        ("-0.0000000001", "-1n"),
        ("0.00000000100000001", "2n"),
        ("100000", "100k"),
        ("12345", "12345"),
        ("1Ki", "1Ki"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Mi", "512Ki"),
        ("0.5Ki", "512"),
        ("0.1Gi", "107374182400m"),
        ("100.5Ki", "102912"),
        ("0.25Ki", "256"),
        ("0.0001Ki", "102400u"),
        ("1e3", "1e3"),
        ("12E3", "12e3"),
        ("12e6", "12e6"),
        ("1e0", "1"),
        ("1e-3", "1e-3"),
        ("5e-1", "500e-3"),
        ("1E", "1E"),
        ("1000E", "1000E"),
        ("100Ei", "9223372036854775807"),
        ("9223372036854775807", "9223372036854775807"),
        ("1e9999999", "1e27"),
        ("1e-9999999", "1e-9"),
        ("1n", "1n"),
        ("1000n", "1u"),
    ] {
        assert_eq!(quantity(text).to_string(), canonical, "{text}");
    }
}

#[test]
fn texts_that_are_kept_as_written() {
    for (text, given_back) in [
        ("0", "0"),
        ("1", "1"),
        ("1.234", "1.234"),
        ("1.500", "1.500"),
        ("+5", "+5"),
        ("005", "005"),
        ("12E3", "12E3"),
        ("100k", "100k"),
        ("1023Ki", "1023Ki"),
        ("0.500", "500m"),
        ("1.5", "1500m"),
        ("1.50", "1500m"),
        ("1000m", "1"),
        ("1000k", "1M"),
        ("5.000", "5"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1.0Gi", "1Gi"),
        ("00", "0"),
        ("1.0000000001", "1000000001n"),
    ] {
        let rewritten = Quantity::rewritten(text).unwrap();
        assert_eq!(rewritten.as_deref().unwrap_or(text), given_back, "{text}");
    }
    assert!(Quantity::rewritten("x").is_err());
}

#[test]
fn errors() {
    for text in ["", "abc", "1x", "1 ", " 1", "1..2", "1m ", "1e3x", "1m1x", "true"] {
        assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text:?}");
    }
    for text in ["1mm", "1ki", "--1", "1e", "1e+", "1m5", "1Mi2", "1i"] {
        assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text:?}");
    }
    assert_eq!(
        QuantityError::Format.to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

#[test]
fn values_round_away_from_zero() {
    for (text, value, milli) in [
        ("100m", 1, 100),
        ("-100m", -1, -100),
        ("1.5", 2, 1500),
        ("1n", 1, 1),
        ("2Gi", 2_147_483_648, 2_147_483_648_000),
        ("10E", i64::MAX, i64::MAX),
        ("-10E", i64::MIN, i64::MIN),
        ("0", 0, 0),
    ] {
        let q = quantity(text);
        assert_eq!((q.value(), q.milli_value()), (value, milli), "{text}");
    }
}

#[test]
fn compares_by_value() {
    assert_eq!(quantity("1Ki"), quantity("1024"));
    assert_eq!(quantity("1e3"), quantity("1k"));
    assert!(quantity("999m") < quantity("1"));
    assert!(quantity("1Gi") > quantity("1G"));
    assert_eq!((quantity("-1").sign(), quantity("0").sign(), quantity("1").sign()), (-1, 0, 1));
}

#[test]
fn sums_keep_the_suffix() {
    assert_eq!(quantity("1Gi").add(&quantity("1Gi")).to_string(), "2Gi");
    assert_eq!(quantity("0").add(&quantity("1Gi")).to_string(), "1Gi");
    assert_eq!(quantity("500m").add(&quantity("500m")).to_string(), "1");
    assert_eq!(quantity("1").sub(&quantity("1500m")).to_string(), "-500m");
    let most = quantity("1e27");
    assert_eq!(most.add(&most), most);
}

#[test]
fn constructors_and_values() {
    assert_eq!(Quantity::units(2000).to_string(), "2k");
    assert_eq!(Quantity::milli(250).to_string(), "250m");
    assert_eq!(Quantity::bytes(1 << 30).to_string(), "1Gi");
    assert_eq!(Quantity::from_value(&json!("1k")).map(|q| q.value()), Some(1000));
    assert_eq!(Quantity::from_value(&json!(0.5)).map(|q| q.to_string()), Some("500m".to_owned()));
    assert!(Quantity::from_value(&json!("x")).is_none());
    assert!(Quantity::from_value(&json!(null)).is_none());
}

proptest! {
    #[test]
    fn never_panics(any in "\\PC{0,40}", near in "[+-]?[0-9.]{0,45}[eEinumkKMGTP]{0,3}[+-]?[0-9]{0,20}") {
        for text in [any, near] {
            if let Ok(q) = Quantity::parse(&text) {
                let _ = (q.value(), q.milli_value(), q.add(&q), q.sub(&q));
                let again = Quantity::rewritten(&text).unwrap().unwrap_or(text);
                prop_assert_eq!(quantity(&again), q);
            }
        }
    }

    #[test]
    fn canonical_form_is_stable(near in "-?[0-9]{1,12}(\\.[0-9]{1,12})?(n|u|m|k|M|G|T|P|Ki|Mi|Gi|e3|e-3)?") {
        let first = quantity(&near);
        let text = first.to_string();
        let second = quantity(&text);
        prop_assert_eq!(first, second);
        prop_assert_eq!(second.to_string(), text);
    }

    #[test]
    fn orders_as_whole_numbers_do(a in any::<i32>(), b in any::<i32>()) {
        let (qa, qb) = (quantity(&a.to_string()), quantity(&b.to_string()));
        prop_assert_eq!(qa.cmp(&qb), a.cmp(&b));
        prop_assert_eq!(qa.add(&qb).value(), i64::from(a) + i64::from(b));
        prop_assert_eq!(qa.sub(&qb).value(), i64::from(a) - i64::from(b));
    }
}
