//! One question to a server that speaks the gRPC health checking protocol.

use super::url::address;
use super::words;
use keelson_proto::health::HealthCheckRequest;
use keelson_proto::health::health_check_response::ServingStatus;
use keelson_proto::health::health_client::HealthClient;
use std::time::Duration;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// Whether the server serves; the error is the reason in the kubelet's words.
pub(super) async fn check(ip: &str, port: u16, service: &str, limit: Duration) -> Result<(), String> {
    let target = address(ip, port);
    let begun = tokio::time::Instant::now();
    let within = format!("{}s", limit.as_secs());
    let channel = tokio::time::timeout(limit, connect(&target)).await.map_err(|_| {
        format!("timeout: failed to connect service \"{target}\" within {within}: context deadline exceeded")
    })?;
    let channel =
        channel.map_err(|error| format!("error: failed to connect service at \"{target}\": {error}"))?;
    let mut client = HealthClient::new(channel);
    let question = client.check(HealthCheckRequest { service: service.to_owned() });
    let late = || format!("timeout: health rpc did not complete within {within}");
    let reply = tokio::time::timeout_at(begun + limit, question).await.map_err(|_| late())?;
    let status = reply.map_err(|status| match status.code() {
        Code::Unimplemented => format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            status.message()
        ),
        Code::DeadlineExceeded => late(),
        _ => format!("error: health rpc probe failed: {}", status.message()),
    })?;
    match status.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!("service unhealthy (responded with \"{}\")", other.as_str_name())),
    }
}

async fn connect(target: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{target}")).map_err(|e| e.to_string())?;
    let endpoint = endpoint.user_agent("kube-probe/1.36").map_err(|e| e.to_string())?;
    endpoint.connect().await.map_err(|error| match words::cause(&error) {
        Some(cause) => words::dial(target, cause),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::health::serve;
    use tokio::net::TcpListener;

    async fn ask_for(port: u16, service: &str) -> Result<(), String> {
        check("127.0.0.1", port, service, Duration::from_secs(5)).await
    }

    async fn ask(port: u16) -> Result<(), String> {
        ask_for(port, "").await
    }

    #[tokio::test]
    async fn what_servers_say() {
        assert_eq!(ask(serve("", Ok(1)).await).await, Ok(()));
        let unhealthy = |status: &str| Err(format!("service unhealthy (responded with \"{status}\")"));
        assert_eq!(ask(serve("", Ok(2)).await).await, unhealthy("NOT_SERVING"));
        assert_eq!(ask(serve("", Ok(0)).await).await, unhealthy("UNKNOWN"));
        let refused = ask(serve("", Err("12")).await).await.unwrap_err();
        assert!(
            refused.starts_with("error: this server does not implement the grpc health protocol"),
            "{refused}"
        );
        let failed = ask(serve("", Err("13")).await).await.unwrap_err();
        assert!(failed.starts_with("error: health rpc probe failed: "), "{failed}");
        let named = serve("one", Ok(1)).await;
        assert_eq!(ask_for(named, "one").await, Ok(()));
        for other in ["", "two"] {
            let unknown = ask_for(named, other).await.unwrap_err();
            assert!(unknown.starts_with("error: health rpc probe failed: "), "{other:?}: {unknown}");
        }
    }

    #[tokio::test]
    async fn who_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let begun = std::time::Instant::now();
        let silent = check("127.0.0.1", port, "", Duration::from_secs(1)).await.unwrap_err();
        assert!(silent.starts_with("timeout: "), "{silent}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "a second was the limit: {took:?}");
        drop(listener);
        assert_eq!(
            ask(port).await.unwrap_err(),
            format!(
                "error: failed to connect service at \"127.0.0.1:{port}\": dial tcp 127.0.0.1:{port}: connect: \
                 connection refused"
            )
        );
    }
}
