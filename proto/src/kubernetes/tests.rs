use super::*;

/// A field with a length: messages, strings, bytes.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(content);
    field
}

fn text(number: u8, content: &str) -> Vec<u8> {
    bytes(number, content.as_bytes())
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [text(1, api_version), text(2, kind)].concat();
    [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
}

#[track_caller]
fn check(api_version: &str, kind: &str, raw: &[u8], wanted: Value) {
    let mut wanted = wanted;
    wanted["apiVersion"] = json!(api_version);
    wanted["kind"] = json!(kind);
    assert_eq!(decode(&envelope(api_version, kind, raw)), Ok(wanted));
}

#[test]
fn objects() {
    check("authentication.k8s.io/v1", "SelfSubjectReview", &bytes(1, &[]), json!({}));
    let entry = [text(1, "k"), text(2, "v")].concat();
    let time = bytes(8, &[]);
    let meta = [text(1, "cm"), text(2, ""), bytes(11, &entry), time].concat();
    check(
        "v1",
        "ConfigMap",
        &[bytes(1, &meta), bytes(2, &entry), bytes(3, &[text(1, "b"), bytes(2, &[0xff])].concat())].concat(),
        json!({"metadata": {"name": "cm", "labels": {"k": "v"}}, "data": {"k": "v"}, "binaryData": {"b": "/w=="}}),
    );
    // A pointer's zero counts, a plain zero does not.
    let spec = [varint(1, 0), varint(5, 0)].concat();
    check("apps/v1", "Deployment", &bytes(2, &spec), json!({"spec": {"replicas": 0}}));
    // A volume's source stands in the volume itself; an empty one behind a pointer counts.
    let volume = [text(1, "v"), bytes(2, &bytes(2, &[]))].concat();
    check(
        "v1",
        "Pod",
        &bytes(2, &bytes(1, &volume)),
        json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
    );
    let port = [varint(3, 80), bytes(4, &[varint(1, 1), text(3, "http")].concat())].concat();
    check(
        "v1",
        "Service",
        &bytes(2, &bytes(1, &port)),
        json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
    );
    let request = [text(1, "a"), varint(4, 60), bytes(3, &text(1, "Pod"))].concat();
    check(
        "authentication.k8s.io/v1",
        "TokenRequest",
        &bytes(2, &request),
        json!({"spec": {"audiences": ["a"], "expirationSeconds": 60, "boundObjectRef": {"kind": "Pod"}}}),
    );
    check("apps/v1", "DeleteOptions", &varint(1, 0), json!({"gracePeriodSeconds": 0}));
}

#[test]
fn what_is_refused() {
    assert_eq!(decode(b"{}"), Err(DecodeError::NotProtobuf));
    let unknown = DecodeError::UnknownType { api_version: "v1".to_owned(), kind: "Nothing".to_owned() };
    assert_eq!(decode(&envelope("v1", "Nothing", &[])), Err(unknown));
    let whole = envelope("v1", "ConfigMap", &bytes(1, &text(1, "name")));
    // Between the two fields of the envelope a cut leaves an empty object.
    let taken = (0..whole.len()).filter(|&length| decode(&whole[..length]).is_ok()).count();
    assert_eq!(taken, 1);
    // A string where a message belongs, and a number where a string does.
    assert_eq!(decode(&envelope("v1", "ConfigMap", &varint(1, 1))), Err(DecodeError::Malformed));
    let many = bytes(2, &[]).repeat(MAX_MESSAGES + 1);
    let pod = bytes(2, &many);
    assert_eq!(decode(&envelope("v1", "Pod", &pod)), Err(DecodeError::TooMuch));
}

/// Whatever the bytes, there is an answer.
#[test]
fn noise() {
    let mut state = 1_u64;
    for round in 0..20_000 {
        let mut raw = Vec::new();
        for _ in 0..round % 40 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            raw.push((state >> 56) as u8);
        }
        let _ = decode(&envelope("v1", "Pod", &raw));
        let _ = decode(&[MAGIC, &raw].concat());
    }
}
