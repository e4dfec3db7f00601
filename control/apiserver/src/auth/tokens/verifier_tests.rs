use super::super::claims::Kubernetes;
use super::super::key::SigningKeys;
use super::*;
use crate::auth::lookup::testing::Map;
use serde_json::json;

const NOW: i64 = 1_800_000_000;
const US: &str = "https://kubernetes.default.svc.cluster.local";

struct Rig {
    objects: Arc<Map>,
    issuer: Arc<TokenIssuer>,
    verifier: TokenVerifier,
}

fn issuer() -> Arc<TokenIssuer> {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let keys = Arc::new(SigningKeys::from_pem(&key).unwrap());
    Arc::new(TokenIssuer::new(
        keys,
        US.to_owned(),
        vec![US.to_owned()],
        "https://x/openid/v1/jwks".to_owned(),
    ))
}

fn rig() -> Rig {
    let objects = Arc::new(Map::default());
    objects.put("serviceaccounts", "t/sa", &json!({"metadata": {"name": "sa", "uid": "u-sa"}}));
    objects.put("pods", "t/p", &json!({"metadata": {"name": "p", "uid": "u-p"}, "spec": {"nodeName": "n"}}));
    objects.put("secrets", "t/s", &json!({"metadata": {"name": "s", "uid": "u-s"}}));
    objects.put("nodes", "n", &json!({"metadata": {"name": "n", "uid": "u-n"}}));
    let issuer = issuer();
    Rig { verifier: TokenVerifier::new(issuer.clone(), objects.clone()), objects, issuer }
}

fn object(name: &str) -> Option<ObjectRef> {
    Some(ObjectRef { name: name.to_owned(), uid: format!("u-{name}") })
}

fn subject() -> Kubernetes {
    Kubernetes { namespace: "t".to_owned(), serviceaccount: object("sa").unwrap(), ..Kubernetes::default() }
}

impl Rig {
    fn token(&self, subject: Kubernetes) -> String {
        self.issuer.issue(subject, vec![US.to_owned()], NOW, 3600).unwrap().0
    }

    #[track_caller]
    fn check(&self, token: &str, now: i64, wanted: Result<(), TokenError>) {
        let result = self.verifier.verify(token, &[US.to_owned()], now);
        assert_eq!(result.map(|_| ()), wanted);
    }
}

#[test]
fn a_token_gives_its_service_account() {
    let rig = rig();
    let token = rig.token(Kubernetes { pod: object("p"), node: object("n"), ..subject() });
    let (user, audiences) = rig.verifier.verify(&token, &[US.to_owned(), "other".to_owned()], NOW).unwrap();
    assert_eq!(user.username, "system:serviceaccount:t:sa");
    assert_eq!(user.uid, "u-sa");
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:t", "system:authenticated"]);
    assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
    assert_eq!(user.extra["authentication.kubernetes.io/node-uid"], ["u-n"]);
    assert!(user.extra["authentication.kubernetes.io/credential-id"][0].starts_with("JTI="));
    assert_eq!(audiences, [US]);
}

#[test]
fn times_and_audience() {
    let rig = rig();
    let token = rig.token(subject());
    rig.check(&token, NOW, Ok(()));
    rig.check(&token, NOW + 3600, Ok(()));
    rig.check(&token, NOW + 3601, Err(TokenError::Expired));
    rig.check(&token, NOW - 1, Err(TokenError::NotYet));
    let elsewhere = rig.verifier.verify(&token, &["elsewhere".to_owned()], NOW);
    assert_eq!(elsewhere.map(|_| ()), Err(TokenError::Audience));
    rig.check("nonsense", NOW, Err(TokenError::Invalid));
    let foreign = issuer().issue(subject(), vec![US.to_owned()], NOW, 3600).unwrap().0;
    rig.check(&foreign, NOW, Err(TokenError::Invalid));
}

/// What the end of each object that a token is bound to does to it.
#[test]
fn a_token_ends_with_what_it_is_bound_to() {
    let bindings: [(&str, &str, Kubernetes); 5] = [
        ("serviceaccounts", "t/sa", subject()),
        ("serviceaccounts", "t/sa", Kubernetes { pod: object("p"), ..subject() }),
        ("pods", "t/p", Kubernetes { pod: object("p"), ..subject() }),
        ("secrets", "t/s", Kubernetes { secret: object("s"), ..subject() }),
        ("nodes", "n", Kubernetes { node: object("n"), ..subject() }),
    ];
    for (kind, key, subject) in bindings {
        let rig = rig();
        let token = rig.token(subject);
        rig.check(&token, NOW, Ok(()));
        // Another object under the same name.
        rig.objects.put(kind, key, &json!({"metadata": {"uid": "another"}}));
        rig.check(&token, NOW, Err(TokenError::Invalidated));
        rig.objects.delete(kind, key);
        rig.check(&token, NOW, Err(TokenError::Invalidated));
    }
}

#[test]
fn a_terminating_pod_keeps_its_token_for_a_minute() {
    let rig = rig();
    let token = rig.token(Kubernetes { pod: object("p"), ..subject() });
    let deleted = jiff::Timestamp::from_second(NOW + 30).unwrap().to_string();
    rig.objects.put("pods", "t/p", &json!({"metadata": {"uid": "u-p", "deletionTimestamp": deleted}}));
    rig.check(&token, NOW + 90, Ok(()));
    rig.check(&token, NOW + 91, Err(TokenError::Invalidated));
}

#[test]
fn a_pods_token_does_not_end_with_its_node() {
    let rig = rig();
    let token = rig.token(Kubernetes { pod: object("p"), node: object("n"), ..subject() });
    rig.objects.delete("nodes", "n");
    rig.check(&token, NOW, Ok(()));
}
