//! The verbs of the Kubernetes API over a transport.

use crate::decode::decode;
use crate::discovery::{self, Served};
use crate::error::{Error, Result};
use crate::params::{DeleteParams, List, ListParams, PatchKind, Query, WatchParams};
use crate::transport::{ResponseBody, Transport};
use crate::watch::WatchStream;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use keelson_api::resource::Resource;
use keelson_api::status::Status;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long a call other than a watch may take before it fails with `Error::Timeout`.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects per page of `list_all`.
const PAGE: u32 = 500;
const JSON: &str = "application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// A cheap handle; all clones share the transport.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    user_agent: HeaderValue,
}

impl Client {
    /// A client over `transport` that names itself `user_agent` (unprintable characters make it anonymous).
    pub fn new(transport: Arc<dyn Transport>, user_agent: &str) -> Self {
        let user_agent =
            HeaderValue::from_str(user_agent).unwrap_or_else(|_| HeaderValue::from_static("keelson"));
        Self { transport, user_agent }
    }

    pub async fn get<T: DeserializeOwned>(&self, r: &Resource, namespace: &str, name: &str) -> Result<T> {
        self.read(Method::GET, object_path(r, namespace, name, ""), JSON).await
    }

    /// One page of a list.
    pub async fn list<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        p: &ListParams,
    ) -> Result<List<T>> {
        let path = Query::new()
            .add("labelSelector", &p.label_selector)
            .add("fieldSelector", &p.field_selector)
            .number("limit", p.limit)
            .add("continue", &p.continue_token)
            .add("resourceVersion", &p.resource_version)
            .onto(r.path(Some(namespace), None));
        let accept = if p.metadata_only { METADATA_LIST } else { JSON };
        let wire: WireList<T> = self.read(Method::GET, path, accept).await?;
        Ok(List {
            resource_version: wire.metadata.resource_version,
            continue_token: wire.metadata.r#continue,
            items: wire.items,
        })
    }

    /// Every page of a list, all at the first page's revision.
    pub async fn list_all<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        p: &ListParams,
    ) -> Result<List<T>> {
        let mut p = ListParams { limit: if p.limit == 0 { PAGE } else { p.limit }, ..p.clone() };
        let mut all = self.list(r, namespace, &p).await?;
        while !all.continue_token.is_empty() {
            p.continue_token = std::mem::take(&mut all.continue_token);
            p.resource_version.clear();
            let page = self.list(r, namespace, &p).await?;
            all.items.extend(page.items);
            all.continue_token = page.continue_token;
        }
        Ok(all)
    }

    pub async fn create<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        object: &impl Serialize,
    ) -> Result<T> {
        self.write(Method::POST, r.path(Some(namespace), None), JSON, encode(object)?).await
    }

    pub async fn replace<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        object: &impl Serialize,
    ) -> Result<T> {
        self.write(Method::PUT, object_path(r, namespace, name, ""), JSON, encode(object)?).await
    }

    pub async fn merge_patch<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<T> {
        self.patch_subresource(r, namespace, name, "", PatchKind::Merge, patch).await
    }

    pub async fn json_patch<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<T> {
        self.patch_subresource(r, namespace, name, "", PatchKind::Json, patch).await
    }

    pub async fn strategic_patch<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<T> {
        self.patch_subresource(r, namespace, name, "", PatchKind::Strategic, patch).await
    }

    /// A merge patch of the status subresource.
    pub async fn patch_status<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<T> {
        self.patch_subresource(r, namespace, name, "status", PatchKind::Merge, patch).await
    }

    #[allow(clippy::too_many_arguments)] // The coordinates of a subresource are that many.
    /// A patch of a subresource; of the object itself when `subresource` is empty.
    pub async fn patch_subresource<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        kind: PatchKind,
        patch: &Value,
    ) -> Result<T> {
        let path = object_path(r, namespace, name, subresource);
        self.write(Method::PATCH, path, kind.content_type(), encode(patch)?).await
    }

    pub async fn create_subresource<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        object: &impl Serialize,
    ) -> Result<T> {
        let path = object_path(r, namespace, name, subresource);
        self.write(Method::POST, path, JSON, encode(object)?).await
    }

    pub async fn replace_subresource<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        object: &impl Serialize,
    ) -> Result<T> {
        let path = object_path(r, namespace, name, subresource);
        self.write(Method::PUT, path, JSON, encode(object)?).await
    }

    pub async fn delete(&self, r: &Resource, namespace: &str, name: &str, p: &DeleteParams) -> Result<()> {
        let path = object_path(r, namespace, name, "");
        self.write::<serde::de::IgnoredAny>(Method::DELETE, path, JSON, encode(&p.body())?).await?;
        Ok(())
    }

    /// Deletes what a list of the collection would show.
    pub async fn delete_collection(
        &self,
        r: &Resource,
        namespace: &str,
        label_selector: &str,
        p: &DeleteParams,
    ) -> Result<()> {
        let path = Query::new().add("labelSelector", label_selector).onto(r.path(Some(namespace), None));
        self.write::<serde::de::IgnoredAny>(Method::DELETE, path, JSON, encode(&p.body())?).await?;
        Ok(())
    }

    /// Opens a watch. The stream ends when the server closes it; bookmarks are asked for.
    pub async fn watch<T: DeserializeOwned>(
        &self,
        r: &Resource,
        namespace: &str,
        p: &WatchParams,
    ) -> Result<WatchStream<T>> {
        let path = Query::new()
            .add("watch", "true")
            .add("allowWatchBookmarks", "true")
            .add("labelSelector", &p.label_selector)
            .add("fieldSelector", &p.field_selector)
            .add("resourceVersion", &p.resource_version)
            .number("timeoutSeconds", p.timeout_seconds)
            .onto(r.path(Some(namespace), None));
        let accept = if p.metadata_only { METADATA } else { JSON };
        let request = self.request(Method::GET, path, accept, None, Bytes::new())?;
        let response = timed(self.send(request)).await?;
        Ok(WatchStream::new(r.plural, response.into_body()))
    }

    /// What the server serves, by its discovery documents.
    pub async fn discover(&self) -> Result<Vec<Served>> {
        discovery::discover(self).await
    }

    /// Any JSON document by its path and query.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(Method::GET, path.to_owned(), JSON).await
    }

    /// Sends a request as it is (with the client's user agent when it names none). A reply of 400 and above is
    /// an `Error::Api`; no time limit applies.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<ResponseBody>> {
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        let response = self.transport.call(request).await?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let body = collect(response.into_body()).await.unwrap_or_default();
        Err(Error::Api(Box::new(refusal(code, &body))))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        accept: &'static str,
    ) -> Result<T> {
        let request = self.request(method, path, accept, None, Bytes::new())?;
        self.exchange(request).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<T> {
        let request = self.request(method, path, JSON, Some(content_type), body)?;
        self.exchange(request).await
    }

    fn request(
        &self,
        method: Method,
        path: String,
        accept: &'static str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Request<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, HeaderValue::from_static(accept))
            .header(USER_AGENT, self.user_agent.clone());
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        request.body(body).map_err(|e| Error::Transport(crate::TransportError::new(e)))
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T> {
        let what = format!("{} {}", request.method(), request.uri().path());
        timed(async {
            let response = self.send(request).await?;
            let body = collect(response.into_body()).await?;
            decode(&what, &body)
        })
        .await
    }
}

async fn timed<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or(Err(Error::Timeout))
}

fn encode(object: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(object).map(Bytes::from).map_err(Error::Encode)
}

async fn collect(body: ResponseBody) -> Result<Bytes> {
    let body = body.collect().await.map_err(|e| Error::Transport(crate::TransportError(e)))?;
    Ok(body.to_bytes())
}

/// The Status in a refusal's body, or one made of the HTTP code when something else answered.
fn refusal(code: u16, body: &[u8]) -> Status {
    if let Ok(mut status) = serde_json::from_slice::<Status>(body)
        && !(status.message.is_empty() && status.reason.is_empty())
    {
        status.code = code;
        return status;
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_owned();
    let message = if text.is_empty() { format!("the server answered {code}") } else { text };
    Status::new(code, "Unknown", message)
}

fn object_path(r: &Resource, namespace: &str, name: &str, subresource: &str) -> String {
    let mut path = r.path(Some(namespace), None);
    path.push('/');
    crate::params::encode_into(&mut path, name);
    if !subresource.is_empty() {
        path.push('/');
        path.push_str(subresource);
    }
    path
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
struct WireList<T> {
    #[serde(default)]
    metadata: WireListMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireListMeta {
    resource_version: String,
    r#continue: String,
}
