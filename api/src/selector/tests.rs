use super::*;
use proptest::prelude::*;
use serde_json::json;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn selector(text: &str) -> LabelSelector {
    LabelSelector::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn queries_match() {
    let set = labels(&[("a", "1"), ("env", "prod"), ("n", "5"), ("e", "")]);
    for (text, wanted) in [
        ("", true),
        ("a", true),
        ("!a", false),
        ("b", false),
        ("!b", true),
        ("a=1", true),
        ("a==1", true),
        ("a = 1 , env=prod", true),
        ("a!=1", false),
        ("b!=1", true),
        ("b=1", false),
        ("e=", true),
        ("env in (dev,prod)", true),
        ("env in (dev)", false),
        ("env notin (dev)", true),
        ("b notin (x)", true),
        ("b in (x)", false),
        ("n>4", true),
        ("n>5", false),
        ("n<6", true),
        ("a,n<5", false),
        ("env>1", false),
        ("b<1", false),
        ("e in (,x)", true),
        ("e in (x,)", true),
        ("in in (in)", false),
    ] {
        assert_eq!(selector(text).matches(&set), wanted, "{text}");
    }
}

#[test]
fn parse_errors() {
    for (text, wanted) in [
        ("x===1", "unable to parse requirement: found '=', expected: identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        (
            "a in ()",
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a=b@d",
            "unable to parse requirement: values[0][a]: Invalid value: \"b@d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        (
            "-a",
            "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ] {
        assert_eq!(LabelSelector::parse(text), Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn displays_sorted() {
    for (text, shown) in [
        ("b,a", "a,b"),
        ("x in (b,a,b)", "x in (a,b)"),
        ("!z,y!=1,x==1,w=2,v>3,u<4,t notin (a)", "t notin (a),u<4,v>3,w=2,x==1,y!=1,!z"),
    ] {
        assert_eq!(selector(text).to_string(), shown);
        assert_eq!(selector(&selector(text).to_string()), selector(text));
    }
}

#[test]
fn from_objects() {
    let set = labels(&[("app", "a")]);
    for (object, wanted) in [
        (json!(null), false),
        (json!({}), true),
        (json!({"matchLabels": {"app": "a"}}), true),
        (json!({"matchLabels": {"app": "b"}}), false),
        (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}), true),
        (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}), false),
        (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), true),
        (json!({"matchExpressions": [{"key": "x", "operator": "Exists"}]}), false),
    ] {
        assert_eq!(LabelSelector::from_object(&object).unwrap().matches(&set), wanted, "{object}");
    }
    assert_eq!(
        LabelSelector::from_object(&json!({"matchExpressions": [{"key": "x", "operator": "Gt"}]})),
        Err("\"Gt\" is not a valid label selector operator".to_owned())
    );
    assert!(
        LabelSelector::from_object(&json!({"matchExpressions": [{"key": "x", "operator": "In"}]})).is_err()
    );
    assert!(LabelSelector::everything().is_empty() && !LabelSelector::nothing().is_empty());
}

#[test]
fn labels_in_other_forms() {
    let map = json!({"a": "1"});
    assert!(selector("a=1").matches(map.as_object().unwrap()));
    assert!(selector("a=1").matches(&map.as_object()));
    assert!(!selector("a=1").matches(&None::<&Map<String, Value>>));
}

#[test]
fn validation_of_objects() {
    let check = |selector: Value, wanted: &[&str]| {
        let errors = validate_label_selector(&selector, &Path::new("spec").child("selector"));
        assert_eq!(errors.len(), wanted.len(), "{errors:?}");
        for (error, wanted) in errors.iter().zip(wanted) {
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
    };
    check(json!(null), &[]);
    check(json!({"matchLabels": {"a": "b"}}), &[]);
    check(json!({"matchLabels": {"-": "b"}}), &["spec.selector.matchLabels: Invalid value: \"-\""]);
    check(
        json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
        &[
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ],
    );
    check(
        json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
        &[
            "spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ],
    );
    check(
        json!({"matchExpressions": [{"key": "", "operator": "X", "values": ["@"]}]}),
        &[
            "spec.selector.matchExpressions[0].operator: Invalid value: \"X\": not a valid selector operator",
            "spec.selector.matchExpressions[0].key: Invalid value: \"\": name part must be non-empty",
            "spec.selector.matchExpressions[0].key: Invalid value: \"\": name part must consist",
            "spec.selector.matchExpressions[0].values[0]: Invalid value: \"@\"",
        ],
    );
}

#[test]
fn field_selectors() {
    let value_of = |field: &str| match field {
        "metadata.name" => Some("a".into()),
        "status.phase" => Some("x,=\\".into()),
        _ => None,
    };
    for (text, wanted) in [
        ("", true),
        ("metadata.name=a", true),
        ("metadata.name==a", true),
        ("metadata.name!=a", false),
        ("metadata.name=b", false),
        ("metadata.name=a,status.phase=x\\,\\=\\\\", true),
        ("spec.nodeName=", true),
        (",metadata.name=a,", true),
    ] {
        assert_eq!(FieldSelector::parse(text).unwrap().matches(value_of), wanted, "{text}");
    }
    let parsed = FieldSelector::parse("metadata.name=a,status.phase!=b").unwrap();
    assert_eq!((parsed.exact("metadata.name"), parsed.exact("status.phase")), (Some("a"), None));
    assert_eq!(parsed.terms().len(), 2);
    for (text, wanted) in [
        ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ] {
        assert_eq!(FieldSelector::parse(text), Err(wanted.to_owned()));
    }
}

proptest! {
    #[test]
    fn never_panics(any in "\\PC{0,30}", near in "[a-c!=<>(), in]{0,30}", field in "[a-c!=,\\\\.]{0,20}") {
        for text in [&any, &near] {
            if let Ok(selector) = LabelSelector::parse(text) {
                let _ = selector.matches(&labels(&[("a", "1")]));
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
            }
        }
        for text in [&any, &field] {
            let _ = FieldSelector::parse(text);
        }
    }
}
