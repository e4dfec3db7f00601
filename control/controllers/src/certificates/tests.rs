use super::plan::{Action, plan};
use super::request::{Request, parse};
use super::signer::Signer;
use jiff::Timestamp;
use keelson_client::views::{CertificateSigningRequest, Node};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use serde_json::{Value, json};
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A request for a certificate: PEM.
fn pkcs10(organization: &str, common_name: &str, names: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::new(names.iter().map(|n| n.to_string()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap().into_bytes()
}

fn ca() -> (String, Signer) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "test-ca");
    params.serial_number = Some(SerialNumber::from(7_u64));
    params.not_after = time::OffsetDateTime::from_unix_timestamp(2_000_000_000).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let signer = Signer::new(&pem, &key.serialize_pem()).unwrap();
    (pem, signer)
}

/// A request of a bootstrapping node `n1`, created at second 1000, with `change` merged into spec and status.
fn csr(spec: Value, status: Value) -> CertificateSigningRequest {
    let mut object = json!({
        "metadata": {"name": "csr", "creationTimestamp": "1970-01-01T00:16:40Z"},
        "spec": {"signerName": "kubernetes.io/kube-apiserver-client-kubelet", "username": "system:bootstrap:abc",
                 "groups": ["system:bootstrappers", "system:authenticated"],
                 "usages": ["digital signature", "client auth"]},
        "status": status,
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn node_request() -> Result<Request, String> {
    Ok(Request {
        common_name: "system:node:n1".into(),
        organizations: vec!["system:nodes".into()],
        ..Request::default()
    })
}

/// What is done about an undecided request: `yes`, `no`, or the right that the requester needs.
fn decision(spec: Value, request: Result<Request, String>) -> &'static str {
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "n1"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1"}]}
    }))
    .unwrap();
    let action = plan(&csr(spec, json!({})), &request, Some(&node), at(1000));
    match action {
        Action::Approve { .. } => "yes",
        Action::Wait(_) => "no",
        Action::Review { subresource } => subresource,
        other => panic!("{other:?}"),
    }
}

#[test]
fn client_certificates_of_nodes_are_approved() {
    let change = |f: fn(&mut Request)| {
        let mut request = node_request().unwrap();
        f(&mut request);
        Ok(request)
    };
    let usages = json!({"usages": ["key encipherment", "digital signature", "client auth"]});
    assert_eq!(decision(json!({}), node_request()), "nodeclient");
    assert_eq!(decision(usages, node_request()), "nodeclient");
    let named = |name: &str| json!({"username": name, "groups": ["system:nodes"]});
    assert_eq!(decision(named("system:node:n1"), node_request()), "selfnodeclient");
    assert_eq!(decision(named("system:node:n2"), node_request()), "nodeclient", "another node's name");
    assert_eq!(decision(json!({"usages": ["digital signature", "server auth"]}), node_request()), "no");
    assert_eq!(decision(json!({"usages": ["client auth"]}), node_request()), "no");
    assert_eq!(decision(json!({}), change(|r| r.organizations = vec!["system:masters".into()])), "no");
    assert_eq!(decision(json!({}), change(|r| r.organizations.push("system:masters".into()))), "no");
    assert_eq!(decision(json!({}), change(|r| r.common_name = "system:node:".into())), "no");
    assert_eq!(decision(json!({}), change(|r| r.dns_names.push("x".into()))), "no");
    assert_eq!(decision(json!({}), Err("garbage".into())), "no");
}

#[test]
fn serving_certificates_need_the_nodes_own_addresses() {
    let spec = json!({"signerName": "kubernetes.io/kubelet-serving", "username": "system:node:n1",
                      "groups": ["system:nodes"], "usages": ["digital signature", "server auth"]});
    let with = |dns: &[&str], ips: &[&str]| {
        let mut request = node_request().unwrap();
        request.dns_names = dns.iter().map(|d| d.to_string()).collect();
        request.ips = ips.iter().map(|i| i.parse().unwrap()).collect();
        Ok(request)
    };
    assert_eq!(decision(spec.clone(), with(&["n1"], &["10.0.0.1"])), "yes");
    assert_eq!(decision(spec.clone(), with(&["n1"], &["10.0.0.2"])), "no");
    assert_eq!(decision(spec.clone(), with(&["kubernetes"], &["10.0.0.1"])), "no");
    assert_eq!(decision(spec.clone(), with(&[], &[])), "no");
    let mut stranger = spec;
    stranger["groups"] = json!(["system:bootstrappers"]);
    assert_eq!(decision(stranger, with(&["n1"], &["10.0.0.1"])), "no");
}

#[test]
fn a_request_goes_its_way() {
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True", "lastUpdateTime": "1970-01-01T00:16:40Z"}]});
    let run =
        |spec: Value, status: Value, second| plan(&csr(spec, status), &node_request(), None, at(second));
    let day = 24 * 3600;
    assert_eq!(run(json!({}), condition("Approved"), 1000), Action::Sign { seconds: 365 * day });
    assert_eq!(
        run(json!({"expirationSeconds": 3600}), condition("Approved"), 1000),
        Action::Sign { seconds: 3600 }
    );
    assert_eq!(
        run(json!({"expirationSeconds": 1}), condition("Approved"), 1000),
        Action::Sign { seconds: 600 }
    );
    let wrong = run(json!({"usages": ["server auth"]}), condition("Approved"), 1000);
    assert!(matches!(wrong, Action::Fail { reason: "SignerValidationFailure", .. }), "{wrong:?}");
    let foreign = json!({"signerName": "example.com/own"});
    assert_eq!(
        run(foreign, condition("Approved"), 1000),
        Action::Wait(Some(Duration::from_secs(day as u64)))
    );
    assert_eq!(run(json!({}), condition("Denied"), 1000), Action::Wait(Some(Duration::from_secs(3600))));
    assert_eq!(run(json!({}), condition("Denied"), 1000 + 3600), Action::Delete);
    assert_eq!(run(json!({"groups": []}), json!({}), 1000 + day), Action::Delete);
    let mut issued = condition("Approved");
    issued["certificate"] = json!("YQ==");
    assert_eq!(run(json!({}), issued.clone(), 2000), Action::Wait(Some(Duration::from_secs(2600))));
    assert_eq!(run(json!({}), issued, 1000 + 3600), Action::Delete);
}

#[test]
fn requests_are_parsed() {
    let request = parse(&pkcs10("system:nodes", "system:node:n1", &["n1", "10.0.0.1", "fd00::1"])).unwrap();
    assert_eq!((request.common_name.as_str(), request.organizations.len()), ("system:node:n1", 1));
    assert_eq!(request.dns_names, ["n1"]);
    assert_eq!(request.ips.len(), 2);
    for bad in
        [&b""[..], b"x", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
    {
        assert!(parse(bad).is_err());
    }
}

#[test]
fn certificates_are_what_was_asked_for_and_approved() {
    let (ca_pem, signer) = ca();
    let usages = ["digital signature".to_owned(), "server auth".to_owned()];
    let pem = pkcs10("system:nodes", "system:node:n1", &["n1", "10.0.0.1"]);
    let signed = signer.sign(&pem, &usages, 3600, at(1_700_000_000)).unwrap();
    let (_, block) = x509_parser::pem::parse_x509_pem(signed.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    let (_, ca_block) = x509_parser::pem::parse_x509_pem(ca_pem.as_bytes()).unwrap();
    let ca = ca_block.parse_x509().unwrap();
    certificate.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(certificate.issuer(), ca.subject());
    assert_eq!(certificate.subject().to_string(), "O=system:nodes, CN=system:node:n1");
    assert_eq!(certificate.validity().not_before.timestamp(), 1_700_000_000 - 300);
    assert_eq!(certificate.validity().not_after.timestamp(), 1_700_000_000 + 3600);
    assert!(!certificate.is_ca());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth);
    let names = certificate.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names.len(), 2);
    let _ = SanType::DnsName("n1".try_into().unwrap());

    let late = signer.sign(&pem, &usages, 3600, at(1_999_999_000)).unwrap();
    let (_, block) = x509_parser::pem::parse_x509_pem(late.as_bytes()).unwrap();
    assert_eq!(block.parse_x509().unwrap().validity().not_after.timestamp(), 2_000_000_000);
    assert!(signer.sign(&pem, &["flying".to_owned()], 3600, at(1)).is_err());
    let mut forged = pem.clone();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    assert!(signer.sign(&forged, &usages, 3600, at(1)).is_err(), "a broken signature");
}
