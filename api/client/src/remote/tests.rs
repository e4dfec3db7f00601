//! Configurations that are refused before any connection is made.

use super::*;

fn check(server: &str, ca_pem: &[u8], identity: Option<Identity>, expected: &str) {
    let config = RemoteConfig { server: server.into(), ca_pem: ca_pem.into(), identity, token: None };
    let error = RemoteTransport::new(config).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn refusals_say_what_is_wrong() {
    check("http://10.0.0.1", b"", None, "is not an https URL");
    check("10.0.0.1:6443", b"", None, "is not an https URL");
    check("https://10.0.0.1:6443", b"", None, "there is no certificate in it");
    check(
        "https://10.0.0.1:6443",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        None,
        "CA",
    );
}
