//! The transport against a real TLS server, and configurations that are refused before any connection is made.

use super::*;
use crate::Client;
use crate::views::Partial;
use http::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use keelson_api::resource::Resource;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use serde_json::json;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn check(server: &str, ca_pem: &[u8], identity: Option<Identity>, expected: &str) {
    let config = RemoteConfig { server: server.into(), ca_pem: ca_pem.into(), identity, token: None };
    let error = RemoteTransport::new(config).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn refusals_say_what_is_wrong() {
    let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check("http://10.0.0.1", b"", None, "is not an https URL");
    check("10.0.0.1:6443", b"", None, "is not an https URL");
    check("https://10.0.0.1:6443", b"", None, "there is no certificate in it");
    check("https://10.0.0.1:6443", no_certificate, None, "CA");
    let empty = Identity { cert_pem: Vec::new(), key_pem: Vec::new() };
    check("https://10.0.0.1:6443", Authority::new().pem.as_bytes(), Some(empty), "client certificate");
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test-ca");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let cert_pem = params.signed_by(&key, &self.issuer).unwrap().pem().into_bytes();
        Identity { cert_pem, key_pem: key.serialize_pem().into_bytes() }
    }

    /// Serves one object that says who asked and how, until the returned task is aborted.
    async fn serve(&self, known: &[(&'static str, &Identity)]) -> (String, tokio::task::JoinHandle<()>) {
        let roots = Arc::new(read_roots(self.pem.as_bytes()).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let (chain, key) = read_identity(&self.issue("server")).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let known: Vec<_> =
            known.iter().map(|(name, i)| (*name, read_identity(i).unwrap().0.remove(0))).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), known.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
                    let who =
                        known.iter().find(|(_, der)| Some(der) == peer.as_ref()).map_or("nobody", |k| k.0);
                    let service =
                        service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, who)) });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        (url, task)
    }
}

fn answer(request: &Request<hyper::body::Incoming>, who: &str) -> Response<Full<Bytes>> {
    let token = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let labels = json!({"version": format!("{:?}", request.version()), "token": token});
    let body = json!({"metadata": {"name": who, "labels": labels}});
    Response::new(Full::new(Bytes::from(body.to_string())))
}

async fn ask(client: &Client) -> Partial {
    client.get(&Resource::PODS, "t", "p").await.unwrap()
}

#[tokio::test]
async fn identities_and_tokens_change_at_run_time() {
    let ca = Authority::new();
    let (ann, bob) = (ca.issue("ann"), ca.issue("bob"));
    let (server, task) = ca.serve(&[("ann", &ann), ("bob", &bob)]).await;
    let config =
        RemoteConfig { server, ca_pem: ca.pem.clone().into_bytes(), identity: Some(ann), token: None };
    let transport = RemoteTransport::new(config).unwrap();
    let client = Client::new(transport.clone(), "test");
    let first = ask(&client).await.metadata;
    assert_eq!((first.name.as_str(), first.labels["version"].as_str()), ("ann", "HTTP/2.0"));
    transport.set_identity(Some(bob)).unwrap();
    assert_eq!(ask(&client).await.metadata.name, "bob");
    transport.set_identity(None).unwrap();
    transport.set_token(Some(Arc::new(|| Some("secret\n".to_owned()))));
    let last = ask(&client).await.metadata;
    assert_eq!((last.name.as_str(), last.labels["token"].as_str()), ("nobody", "Bearer secret"));
    task.abort();
}

#[tokio::test]
async fn a_stranger_is_not_trusted_and_the_error_says_so() {
    let (ca, other) = (Authority::new(), Authority::new());
    let (server, task) = ca.serve(&[]).await;
    let ca_pem = other.pem.into_bytes();
    let refused = RemoteConfig { server: server.clone(), ca_pem, identity: None, token: None };
    let client = Client::new(RemoteTransport::new(refused).unwrap(), "test");
    let error = client.get::<Partial>(&Resource::PODS, "t", "p").await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    task.abort();
    let _ = task.await;
    let ca_pem = ca.pem.clone().into_bytes();
    let gone = RemoteConfig { server, ca_pem, identity: None, token: None };
    let client = Client::new(RemoteTransport::new(gone).unwrap(), "test");
    let error = client.get::<Partial>(&Resource::PODS, "t", "p").await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
