//! Requests of ours to the API, as the administrator: what kubectl would refuse or reword before it is sent.

use super::cluster::TestCluster;
use bytes::Bytes;
use http_body_util::BodyExt;
use keelson_client::Transport;
use keelson_client::kubeconfig::Kubeconfig;
use keelson_client::remote::RemoteTransport;
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// The code and the body of the reply to a request with this body.
pub fn send_to_api(
    cluster: &TestCluster,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> (u16, Value) {
    let config = Kubeconfig::load(cluster.kubeconfig()).expect("the cluster has a kubeconfig");
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content_type)
        .body(Bytes::from(body.to_owned()))
        .expect("the request is well-formed");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let transport = RemoteTransport::new(config).expect("the kubeconfig is complete");
        let exchange = async {
            let reply = transport.call(request).await.expect("the server answers");
            let code = reply.status().as_u16();
            (code, reply.into_body().collect().await.expect("the reply is whole").to_bytes())
        };
        let (code, reply) = tokio::time::timeout(LIMIT, exchange).await.expect("the server answers in time");
        (code, serde_json::from_slice(&reply).expect("the reply is JSON"))
    })
}
