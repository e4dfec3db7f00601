use super::*;
use std::os::unix::fs::PermissionsExt;

const NOW: i64 = 1_800_000_000;
const YEAR: i64 = 365 * 24 * 3600;

fn config(dir: &Path, names: &[&str]) -> PkiConfig {
    PkiConfig { dir: dir.join("pki"), server_names: names.iter().map(|&name| name.to_owned()).collect() }
}

#[test]
fn made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["localhost", "127.0.0.1", "fd00::1"];
    let first = Pki::open(config(dir.path(), &names), NOW).unwrap();
    let second = Pki::open(config(dir.path(), &names), NOW + 60).unwrap();
    assert_eq!(first.authority.certificate_pem, second.authority.certificate_pem);
    assert_eq!(first.server.certificate_pem, second.server.certificate_pem);
    assert_eq!(first.admin.key_pem, second.admin.key_pem);
    assert_eq!(first.service_account_key_pem, second.service_account_key_pem);
    assert_eq!(first.authority.hash().len(), 64);
    for entry in std::fs::read_dir(dir.path().join("pki")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn other_names_make_another_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let first = Pki::open(config(dir.path(), &["localhost"]), NOW).unwrap();
    let second = Pki::open(config(dir.path(), &["localhost", "10.0.0.1"]), NOW).unwrap();
    assert_ne!(first.server.certificate_pem, second.server.certificate_pem);
    assert_eq!(first.admin.certificate_pem, second.admin.certificate_pem);
    assert_eq!(first.authority.hash(), second.authority.hash());
}

#[test]
fn renewed_at_two_thirds() {
    let dir = tempfile::tempdir().unwrap();
    let mut pki = Pki::open(config(dir.path(), &["localhost"]), NOW).unwrap();
    let before = pki.server.certificate_pem.clone();
    let due = pki.next_renewal();
    assert!((NOW + YEAR * 2 / 3 - due).abs() < 600, "{due}");
    assert!(pki.renew(due - 1).unwrap().is_empty());
    assert_eq!(pki.renew(due).unwrap().len(), 3);
    assert_ne!(pki.server.certificate_pem, before);
    assert!(pki.next_renewal() > due + YEAR / 2);
    let reopened = Pki::open(config(dir.path(), &["localhost"]), due).unwrap();
    assert_eq!(reopened.server.certificate_pem, pki.server.certificate_pem);
    // One that was not renewed in time is replaced at the next start.
    let late = Pki::open(config(dir.path(), &["localhost"]), due + 2 * YEAR).unwrap();
    assert_ne!(late.server.certificate_pem, pki.server.certificate_pem);
}

#[test]
fn damage_is_named_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(config(dir.path(), &[]), NOW).unwrap();
    let pki = dir.path().join("pki");
    let message = |what: &str| match Pki::open(config(dir.path(), &[]), NOW) {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => error.to_string(),
    };
    let ca = std::fs::read(pki.join("ca.crt")).unwrap();
    std::fs::write(pki.join("ca.crt"), "nonsense").unwrap();
    assert!(message("nonsense").contains("ca.crt: no certificate in PEM"));
    std::fs::write(pki.join("ca.crt"), &ca).unwrap();
    std::fs::copy(pki.join("sa.key"), pki.join("ca.key")).unwrap();
    assert!(message("a foreign key").contains("the key is not that of ca.crt"));
    std::fs::remove_file(pki.join("ca.key")).unwrap();
    assert!(message("half a CA").contains("ca.key is not; put it back"));
    assert_eq!(std::fs::read(pki.join("ca.crt")).unwrap(), ca);
}

#[test]
fn names_of_every_server() {
    let given = ["10.0.0.1".to_owned(), "localhost".to_owned(), String::new()];
    let names = server_names("cluster.local", "10.96.0.1".parse().unwrap(), &given);
    assert_eq!(
        names,
        [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            "10.96.0.1",
            "10.0.0.1"
        ]
    );
}
