use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

fn authority() -> (Issuer<'static, KeyPair>, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate.der().clone())
}

fn leaf(issuer: &Issuer<'static, KeyPair>, name: &str, groups: &[&str]) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    // rcgen keeps one value per attribute type; several groups come from real clients only.
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
}

const IN_2025: i64 = 1_750_000_000;
const IN_2031: i64 = 1_940_000_000;

#[test]
fn certificates_become_users() {
    let (issuer, ca) = authority();
    let (stranger, _) = authority();
    let judge = ClientCertificates::new(&[ca]).unwrap();
    let at = |certificate: CertificateDer<'static>, now| {
        judge.peer(&[certificate], unix_time(now)).unwrap().user(now).map_err(str::to_owned)
    };

    let user = at(leaf(&issuer, "system:node:n1", &["system:nodes"]), IN_2025).unwrap();
    assert_eq!(user.username, "system:node:n1");
    assert_eq!(user.groups, ["system:nodes", "system:authenticated"]);
    assert_eq!(user.node_name(), Some("n1"));
    assert!(user.extra[CREDENTIAL_ID][0].starts_with("X509SHA256="));
    assert_eq!(user.extra[CREDENTIAL_ID][0].len(), "X509SHA256=".len() + 64);

    assert!(at(leaf(&issuer, "u", &[]), IN_2031).is_err(), "expired");
    assert!(at(leaf(&stranger, "u", &["system:masters"]), IN_2025).is_err(), "another CA");
    assert!(at(leaf(&issuer, "", &[]), IN_2025).is_err(), "nameless");
    assert!(at(CertificateDer::from(vec![1, 2, 3]), IN_2025).is_err(), "garbage");
    assert!(judge.peer(&[], unix_time(IN_2025)).is_none());
}

#[test]
fn a_connection_may_outlive_its_certificate() {
    let (issuer, ca) = authority();
    let judge = ClientCertificates::new(&[ca]).unwrap();
    let peer = judge.peer(&[leaf(&issuer, "u", &[])], unix_time(IN_2025)).unwrap();
    assert!(peer.user(IN_2025).is_ok());
    assert!(peer.user(IN_2031).is_err());
}
