//! A server to try clients against: runs until it is interrupted. `KEELSON_TEST_DIR` is where its kubeconfig is
//! written.

use super::Server;
use crate::serve::{self, tls::ServerCertificate};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs until it is interrupted"]
async fn serve() {
    let directory = std::env::var("KEELSON_TEST_DIR").expect("KEELSON_TEST_DIR is set");
    let server = Server::start().await;
    let following = server.api.core().auth.follow();
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pem, key) = server.ca.issue("kube-apiserver", &[]);
    let certificate = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
    let (admin, admin_key) = server.ca.issue("boss", &["system:masters"]);
    let data = |text: &str| STANDARD.encode(text);
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: t\nclusters:\n- name: t\n  cluster: {{server: \"https://{address}\", \
         certificate-authority-data: {}}}\ncontexts:\n- name: t\n  context: {{cluster: t, user: u, namespace: t}}\nusers:\n- name: u\n  \
         user: {{client-certificate-data: {}, client-key-data: {}}}\n",
        data(&server.ca.certificate.pem()),
        data(&admin),
        data(&admin_key)
    );
    std::fs::write(format!("{directory}/kubeconfig"), kubeconfig).unwrap();
    server.api.serve_tls(listener, certificate).await;
    following.abort();
}
