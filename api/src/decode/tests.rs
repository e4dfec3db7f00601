use super::*;
use proptest::prelude::*;
use serde_json::json;

const CONFIG_MAP: Target<'_> =
    Target { group: "", version: "v1", kind: "ConfigMap", schema: "io.k8s.api.core.v1.ConfigMap" };
const DEPLOYMENT: Target<'_> =
    Target { group: "apps", version: "v1", kind: "Deployment", schema: "io.k8s.api.apps.v1.Deployment" };
const POD: Target<'_> = Target { group: "", version: "v1", kind: "Pod", schema: "io.k8s.api.core.v1.Pod" };
const SECRET: Target<'_> =
    Target { group: "", version: "v1", kind: "Secret", schema: "io.k8s.api.core.v1.Secret" };

fn check(target: &Target<'_>, body: &str, wanted: &str) {
    let error = object(body.as_bytes(), Encoding::Json, target, FieldValidation::Warn).expect_err(body);
    assert_eq!(
        (error.code, error.reason.as_str(), error.message.as_str()),
        (400, "BadRequest", wanted),
        "{body}"
    );
}

fn decoded(target: &Target<'_>, body: &str) -> Decoded {
    object(body.as_bytes(), Encoding::Json, target, FieldValidation::Warn)
        .unwrap_or_else(|e| panic!("{body}: {e}"))
}

#[test]
fn fills_in_the_kind() {
    for body in ["{}", "null", r#"{"kind":"ConfigMap"}"#, r#"{"apiVersion":"v1","kind":null}"#] {
        assert_eq!(decoded(&CONFIG_MAP, body).object, json!({"apiVersion": "v1", "kind": "ConfigMap"}));
    }
    assert_eq!(decoded(&DEPLOYMENT, "{}").object["apiVersion"], "apps/v1");
}

#[test]
fn what_is_no_json() {
    let parse = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ";
    check(
        &CONFIG_MAP,
        "{bad",
        &format!("{parse}invalid character 'b' looking for beginning of object key string ({{bad)"),
    );
    check(&CONFIG_MAP, "", &format!("{parse}unexpected end of JSON input (<empty>)"));
    check(
        &CONFIG_MAP,
        r#"{"a":1} x"#,
        &format!("{parse}invalid character 'x' after top-level value ({{\"a\":1}} x)"),
    );
    check(
        &CONFIG_MAP,
        "[]",
        &format!(
            "{parse}json: cannot unmarshal array into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} (5b5d)"
        ),
    );
    check(
        &CONFIG_MAP,
        r#"{"kind":1}"#,
        &format!(
            "{parse}json: cannot unmarshal number into Go struct field .kind of type string ({{\"kind\":1}})"
        ),
    );
    let long = format!(r#"{{"metadata":{{"name":"{}"}} "#, "x".repeat(40));
    check(
        &CONFIG_MAP,
        &long,
        &format!("{parse}unexpected end of JSON input ({{\"metadata\":{{\"name\":\"xxxxxxxxx ...)"),
    );
}

#[test]
fn the_wrong_kind() {
    check(
        &CONFIG_MAP,
        r#"{"apiVersion":"v1","kind":"Secret"}"#,
        r#"Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion"#,
    );
    check(
        &CONFIG_MAP,
        r#"{"apiVersion":"v2","kind":"ConfigMap"}"#,
        r#"ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30""#,
    );
    check(
        &DEPLOYMENT,
        r#"{"apiVersion":"apps/v2","kind":"Deployment"}"#,
        r#"Deployment in version "v2" cannot be handled as a Deployment: no kind "Deployment" is registered for version "apps/v2" in scheme "pkg/api/legacyscheme/scheme.go:30""#,
    );
    check(
        &DEPLOYMENT,
        r#"{"apiVersion":"apps/v1","kind":"ReplicaSet"}"#,
        r#"ReplicaSet in version "v1" cannot be handled as a Deployment: converting (v1.ReplicaSet) to (apps.Deployment): unknown conversion"#,
    );
}

#[test]
fn wrong_types() {
    let deployment =
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal ";
    check(
        &CONFIG_MAP,
        r#"{"data":{"k":1}}"#,
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"#,
    );
    for (body, wanted) in [
        (r#"{"metadata":[]}"#, "array into Go struct field Deployment.metadata of type v1.ObjectMeta"),
        (
            r#"{"metadata":{"labels":{"a":true}}}"#,
            "bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"replicas":"1"}}"#,
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":1.5}}"#,
            "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":3000000000}}"#,
            "number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
            "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":[1]}}}}"#,
            "number into Go struct field PodSpec.spec.template.spec.containers of type v1.Container",
        ),
        (
            r#"{"spec":{"template":{"spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}}}"#,
            "string into Go struct field ContainerPort.spec.template.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"spec":{"template":{"spec":{"restartPolicy":1}}}}"#,
            "number into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (r#"{"spec":{"paused":"x"}}"#, "string into Go struct field DeploymentSpec.spec.paused of type bool"),
        (
            r#"{"metadata":{"creationTimestamp":1}}"#,
            "number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":true}}}}"#,
            "bool into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
        ),
        (
            r#"{"spec":{"selector":{"matchLabels":[]}}}"#,
            "array into Go struct field LabelSelector.spec.selector.matchLabels of type map[string]string",
        ),
    ] {
        check(&DEPLOYMENT, body, &format!("{deployment}{wanted}"));
    }
}

#[test]
fn malformed_values() {
    let pod = "Pod in version \"v1\" cannot be handled as a Pod: ";
    check(
        &POD,
        r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"abc"}}}]}}"#,
        &format!(
            "{pod}quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ),
    );
    check(
        &POD,
        r#"{"metadata":{"labels":1,"creationTimestamp":"x"}}"#,
        &format!(r#"{pod}parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#),
    );
    check(
        &SECRET,
        r#"{"data":{"a":"not base64!"}}"#,
        "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3",
    );
}

#[test]
fn canonical_values() {
    let pod = decoded(
        &POD,
        r#"{"metadata":{"creationTimestamp":"2026-01-01T01:00:00+01:00","deletionTimestamp":"0001-01-01T00:00:00Z"},
            "spec":{"containers":[{"resources":{"limits":{"cpu":0.5,"memory":"1024Mi"}}}]}}"#,
    );
    assert_eq!(pod.object["metadata"], json!({"creationTimestamp": "2026-01-01T00:00:00Z"}));
    let limits = &pod.object["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(*limits, json!({"cpu": "500m", "memory": "1Gi"}));
}

#[test]
fn empty_things_go_as_in_go() {
    let body = r#"{"metadata":{"name":"","labels":{},"annotations":null,"generation":0},"immutable":false,"data":{"a":null},"binaryData":{}}"#;
    assert_eq!(
        decoded(&CONFIG_MAP, body).object,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "immutable": false, "data": {"a": ""}})
    );
    let body = r#"{"spec":{"replicas":0,"paused":false,"minReadySeconds":0,"template":{"spec":{"volumes":[{"name":"v","emptyDir":{}}],"securityContext":{},"nodeSelector":{},"containers":[]}}}}"#;
    assert_eq!(
        decoded(&DEPLOYMENT, body).object["spec"],
        json!({"replicas": 0, "template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}, "containers": []}}})
    );
}

fn notes(target: &Target<'_>, encoding: Encoding, body: &str) -> (Vec<String>, String) {
    let warned = object(body.as_bytes(), encoding, target, FieldValidation::Warn).unwrap();
    let ignored = object(body.as_bytes(), encoding, target, FieldValidation::Ignore).unwrap();
    assert_eq!((ignored.warnings.len(), &ignored.object), (0, &warned.object));
    let refused = object(body.as_bytes(), encoding, target, FieldValidation::Strict).unwrap_err();
    (warned.warnings, refused.message)
}

#[test]
fn unknown_and_duplicate_fields_in_the_order_of_the_text() {
    let body = r#"{"z":1,"spec":{"foo":1,"paused":true,"paused":true,"foo":2,"template":{"metadata":{"labels":{"l":"1","l":"2"}},"spec":{"containers":[{"bar":1,"name":"c","name":"d"}]}}}}"#;
    let wanted = [
        "unknown field \"z\"",
        "unknown field \"spec.foo\"",
        "duplicate field \"spec.paused\"",
        "duplicate field \"spec.template.metadata.labels.l\"",
        "unknown field \"spec.template.spec.containers[0].bar\"",
        "duplicate field \"spec.template.spec.containers[0].name\"",
    ];
    let (warnings, refusal) = notes(&DEPLOYMENT, Encoding::Json, body);
    assert_eq!(warnings, wanted);
    assert_eq!(
        refusal,
        format!(
            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: {}",
            wanted.join(", ")
        )
    );
    let object = decoded(&DEPLOYMENT, body).object;
    assert_eq!(object["spec"]["template"]["metadata"]["labels"]["l"], "2");
    assert_eq!(object["spec"]["template"]["spec"]["containers"], json!([{"name": "d"}]));
    assert!(object.get("z").is_none());
}

#[test]
fn at_most_a_hundred_notes() {
    let fields: Vec<String> = (0..150).map(|i| format!("\"x{i}\":1")).collect();
    let (warnings, _) = notes(&CONFIG_MAP, Encoding::Json, &format!("{{{}}}", fields.join(",")));
    assert_eq!(warnings.len(), 100);
}

#[test]
fn yaml_bodies() {
    let yaml = "metadata: {name: y1}\ndata:\n  a: b\n  k: \"1\"\n";
    let object =
        super::object(yaml.as_bytes(), Encoding::Yaml, &CONFIG_MAP, FieldValidation::Strict).unwrap().object;
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y1"}, "data": {"a": "b", "k": "1"}})
    );
    let (warnings, refusal) =
        notes(&CONFIG_MAP, Encoding::Yaml, "data:\n  a: b\n  a: c\nnope: 1\ndata: {}\n");
    let duplicates = "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map\n  line 5: key \"data\" already set in map";
    assert_eq!(
        warnings,
        [
            "line 3: key \"a\" already set in map",
            "line 5: key \"data\" already set in map",
            "unknown field \"nope\"",
        ]
    );
    assert!(
        refusal.ends_with(&format!("strict decoding error: {duplicates}, unknown field \"nope\"")),
        "{refusal}"
    );
    let error =
        super::object(b"data: {a: 1}", Encoding::Yaml, &CONFIG_MAP, FieldValidation::Warn).unwrap_err();
    assert!(
        error.message.ends_with("cannot unmarshal number into Go struct field ConfigMap.data of type string")
    );
    let error = super::object(b"a: [", Encoding::Yaml, &CONFIG_MAP, FieldValidation::Warn).unwrap_err();
    assert!(error.message.starts_with(
        "the object provided is unrecognized (must be of type ConfigMap): error converting YAML to JSON: yaml: "
    ));
    assert_eq!(parse_yaml(b"").unwrap(), Value::Null);
    assert_eq!(parse_yaml(b"1: [true, ~, 2.5]").unwrap(), json!({"1": [true, null, 2.5]}));
}

#[test]
fn syntax_errors_as_gos_scanner_words_them() {
    for (text, wanted) in [
        ("", "unexpected end of JSON input"),
        ("nul", "unexpected end of JSON input"),
        ("nux", "invalid character 'x' in literal null (expecting 'l')"),
        ("{\"a\"}", "invalid character '}' after object key"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        ("\"\\u00g0\"", "invalid character 'g' in \\u hexadecimal character escape"),
        ("\"a\nb\"", "invalid character '\\n' in string literal"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
    ] {
        assert_eq!(parse_json(text.as_bytes()), Err(SyntaxError(wanted.to_owned())), "{text}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(parse_json(deep.as_bytes()), Err(SyntaxError("exceeded max depth".to_owned())));
}

#[test]
fn ill_formed_utf8_is_replaced() {
    let body = b"{\"data\":{\"a\":\"\xff\"}}";
    let object = object(body, Encoding::Json, &CONFIG_MAP, FieldValidation::Warn).unwrap().object;
    assert_eq!(object["data"]["a"], "\u{fffd}");
}

#[test]
fn content_types() {
    assert_eq!(Encoding::from_content_type("application/json; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(Encoding::from_content_type("application/yaml"), Some(Encoding::Yaml));
    assert_eq!(Encoding::from_content_type("text/plain"), None);
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), near in "[{}\\[\\]\":,a-d0-9. \\\\]{0,40}") {
        for body in [bytes.as_slice(), near.as_bytes()] {
            let _ = object(body, Encoding::Json, &POD, FieldValidation::Warn);
            let _ = object(body, Encoding::Yaml, &POD, FieldValidation::Warn);
        }
    }

    #[test]
    fn scanner_agrees_with_serde(near in "[{}\\[\\]\":,a0-9.e\\-]{0,20}") {
        let good = serde_json::from_str::<Value>(&near).is_ok();
        prop_assert_eq!(parse_json(near.as_bytes()).is_ok(), good);
    }
}
