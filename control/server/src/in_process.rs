//! The client's way into the API server of the same process: no socket, no TLS, and the identity as a type.
//!
//! The request goes through the same authorization, admission and metrics as one from outside.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use keelson_api::identity::UserInfo;
use keelson_client::{BoxError, Client, ResponseBody, Transport, TransportError};
use std::sync::Arc;
use tower::ServiceExt;

/// Calls a router as one user.
#[derive(Clone)]
pub struct InProcess {
    router: Router,
    user: Arc<UserInfo>,
}

impl InProcess {
    pub fn new(router: Router, user: UserInfo) -> Self {
        Self { router, user: Arc::new(user) }
    }

    /// A client that is `user`, seen by the API under `user_agent`.
    pub fn client(router: &Router, user: UserInfo, user_agent: &str) -> Client {
        Client::new(Arc::new(Self::new(router.clone(), user)), user_agent)
    }
}

impl Transport for InProcess {
    fn call(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<ResponseBody>, TransportError>> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Arc::clone(&self.user));
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let response = answer.await.map_err(TransportError::new)?;
            Ok(response.map(|body| body.map_err(|error| -> BoxError { error.into() }).boxed_unsync()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::routing::get;

    #[tokio::test]
    async fn the_identity_arrives_with_the_request() {
        let router = Router::new().route(
            "/who",
            get(|Extension(user): Extension<Arc<UserInfo>>| async move { user.username.clone() }),
        );
        let transport = InProcess::new(router, UserInfo::component("system:kube-scheduler"));
        let request = Request::get("/who").body(Bytes::new()).unwrap();
        let response = transport.call(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "system:kube-scheduler");
    }
}
