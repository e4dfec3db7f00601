use super::super::key::SigningKeys;
use super::super::verifier::TokenVerifier;
use super::*;
use crate::auth::lookup::testing::Map;
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;

fn objects() -> Map {
    let objects = Map::default();
    objects.put("serviceaccounts", "t/sa", &json!({"metadata": {"name": "sa", "uid": "u-sa"}}));
    objects.put("serviceaccounts", "t/other", &json!({"metadata": {"name": "other", "uid": "u-other"}}));
    objects.put(
        "pods",
        "t/p",
        &json!({"metadata": {"name": "p", "uid": "u-p"}, "spec": {"nodeName": "n", "serviceAccountName": "sa"}}),
    );
    objects.put("secrets", "t/s", &json!({"metadata": {"name": "s", "uid": "u-s"}}));
    objects.put("nodes", "n", &json!({"metadata": {"name": "n", "uid": "u-n"}}));
    objects
}

fn issuer() -> TokenIssuer {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let keys = Arc::new(SigningKeys::from_pem(&key).unwrap());
    TokenIssuer::new(keys, "https://us".to_owned(), vec!["https://us".to_owned()], String::new())
}

#[track_caller]
fn check(account: &str, spec: Value, wanted: Result<&Value, (u16, &str)>) {
    let request = json!({"kind": "TokenRequest", "spec": spec});
    let answer = create_token(&issuer(), &objects(), ("t", account), request, NOW);
    match wanted {
        Ok(spec) => assert_eq!(&answer.unwrap()["spec"], spec),
        Err((code, message)) => {
            let status = answer.unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (code, message));
        }
    }
}

#[test]
fn answers() {
    check(
        "sa",
        json!({}),
        Ok(&json!({"audiences": ["https://us"], "expirationSeconds": 3600, "boundObjectRef": null})),
    );
    check(
        "sa",
        json!({"audiences": ["a"], "expirationSeconds": 600, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-p"}}),
        Ok(&json!({"audiences": ["a"], "expirationSeconds": 600,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-p"}})),
    );
    check(
        "sa",
        json!({"expirationSeconds": 599}),
        Err((
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        )),
    );
    check(
        "sa",
        json!({"expirationSeconds": 4_294_967_297_i64}),
        Err((
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
        )),
    );
    check("gone", json!({}), Err((404, "serviceaccounts \"gone\" not found")));
    check(
        "sa",
        json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "q"}}),
        Err((404, "pods \"q\" not found")),
    );
    check(
        "other",
        json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}}),
        Err((
            400,
            "cannot bind token for serviceaccount \"other\" to pod running with serviceaccount \"sa\"",
        )),
    );
    check(
        "sa",
        json!({"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "p"}}),
        Err((400, "cannot bind token to object of type apps/v1, Kind=Deployment")),
    );
    check(
        "sa",
        json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "old"}}),
        Err((
            409,
            "Operation cannot be fulfilled on Pod \"p\": the UID in the bound object reference (old) does not match the UID in record. The object might have been deleted and then recreated",
        )),
    );
}

#[test]
fn what_is_handed_out_is_taken_back() {
    let issuer = Arc::new(issuer());
    let objects = Arc::new(objects());
    let request = json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}}});
    let answer = create_token(&issuer, &*objects, ("t", "sa"), request, NOW).unwrap();
    assert_eq!(answer["status"]["expirationTimestamp"], "2027-01-15T09:00:00Z");
    let verifier = TokenVerifier::new(issuer, objects);
    let token = answer["status"]["token"].as_str().unwrap();
    let (user, _) = verifier.verify(token, &["https://us".to_owned()], NOW + 1).unwrap();
    assert_eq!(user.extra["authentication.kubernetes.io/node-name"], ["n"]);
}
