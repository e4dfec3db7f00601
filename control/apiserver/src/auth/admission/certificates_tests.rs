use super::*;
use crate::auth::testing::{auth, open, write_defaults};
use base64::Engine;
use keelson_api::identity::UserInfo;
use keelson_api::kinds;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;

fn request(organization: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    base64::engine::general_purpose::STANDARD.encode(pem)
}

#[tokio::test]
async fn who_may_do_what_to_requests() {
    let (_dir, store) = open().await;
    write_defaults(&store).await;
    let auth = auth(&store);
    let controller = UserInfo::service_account("kube-system", "certificate-controller");
    let jane = UserInfo::component("jane");
    let check = |user: &UserInfo,
                 operation,
                 subresource: &str,
                 object: Value,
                 old: Value,
                 wanted: Result<(), &str>| {
        let admission = Admission {
            user,
            operation,
            def: kinds::find("certificates.k8s.io", "v1", "certificatesigningrequests").unwrap(),
            subresource,
            namespace: "",
            name: "csr",
            dry_run: false,
            object: Some(&object),
            old: Some(&old),
        };
        let result = validate(&auth, &admission).map_err(|status| status.message);
        let prefix = "certificatesigningrequests.certificates.k8s.io \"csr\" is forbidden: ";
        assert_eq!(result, wanted.map_err(|why| format!("{prefix}{why}")));
    };
    let csr = |signer: &str, certificate: Option<&str>| json!({"spec": {"signerName": signer}, "status": {"certificate": certificate}});
    let kubelet = "kubernetes.io/kube-apiserver-client-kubelet";
    let old = || csr(kubelet, None);
    check(&controller, Operation::Update, "approval", old(), old(), Ok(()));
    check(&controller, Operation::Update, "status", csr(kubelet, Some("x")), old(), Ok(()));
    check(
        &jane,
        Operation::Update,
        "approval",
        old(),
        old(),
        Err(
            "user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client-kubelet\"",
        ),
    );
    check(
        &jane,
        Operation::Update,
        "status",
        csr(kubelet, Some("x")),
        old(),
        Err(
            "user not permitted to sign requests with signerName \"kubernetes.io/kube-apiserver-client-kubelet\"",
        ),
    );
    // A status that says nothing new is nobody's signature.
    check(&jane, Operation::Update, "status", old(), old(), Ok(()));
    let create =
        |organization: &str| json!({"spec": {"signerName": CLIENT_SIGNER, "request": request(organization)}});
    check(&jane, Operation::Create, "", create("developers"), Value::Null, Ok(()));
    check(
        &jane,
        Operation::Create,
        "",
        create("system:masters"),
        Value::Null,
        Err("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"),
    );
    store.shutdown().await;
}
