//! Calls to the container runtime, each with its time limit.

use keelson_proto::containerd::tasks_client::TasksClient;
use keelson_proto::cri::image_service_client::ImageServiceClient;
use keelson_proto::cri::runtime_service_client::RuntimeServiceClient;
use keelson_proto::cri::*;
use std::path::Path;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

/// For calls that only read or that the runtime does at once.
pub(super) const SHORT: Duration = Duration::from_secs(20);
/// For calls that make or remove something.
const LONG: Duration = Duration::from_secs(240);
/// An image may come from far away.
const PULL: Duration = Duration::from_secs(3600);
/// Replies grow with the number of containers.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// The runtime refused or was not reached.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    #[error("the runtime's address is not usable: {0}")]
    Endpoint(#[source] tonic::transport::Error),
    #[error("{}", .0.message())]
    Call(#[from] tonic::Status),
    #[error("the runtime's reply lacks {0}")]
    Incomplete(&'static str),
}

impl CriError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Call(status) if status.code() == Code::NotFound)
    }

    /// The runtime does not know the call.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Call(status) if status.code() == Code::Unimplemented)
    }

    /// The call ran into its time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Call(s) if matches!(s.code(), Code::DeadlineExceeded | Code::Cancelled))
    }

    /// Something is in the way of the call, such as a task in that of a container's removal.
    pub fn is_precondition(&self) -> bool {
        matches!(self, Self::Call(status) if status.code() == Code::FailedPrecondition)
    }

    /// Nobody answers at the socket.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Call(status) if status.code() == Code::Unavailable)
    }
}

pub(super) type Result<T> = std::result::Result<T, CriError>;

/// A cheap handle; all clones share one connection, which is made again when it breaks.
#[derive(Clone)]
pub struct Cri {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    /// containerd's own, at the same socket.
    pub(super) tasks: TasksClient<Channel>,
}

pub(super) fn timed<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// One method per call: name, request made from its arguments, what is taken from the reply.
macro_rules! calls {
    ($($(#[$doc:meta])* $service:ident.$name:ident($($arg:ident: $ty:ty),*) in $limit:ident = $request:expr,
        |$reply:ident| -> $out:ty { $take:expr })*) => {
        impl Cri {
            $($(#[$doc])*
            pub async fn $name(&self, $($arg: $ty),*) -> Result<$out> {
                let $reply = self.$service.clone().$name(timed($request, $limit)).await?.into_inner();
                $take
            })*
        }
    };
}

calls! {
    runtime.version() in SHORT = VersionRequest { version: "v1".into() },
        |reply| -> VersionResponse { Ok(reply) }
    runtime.status() in SHORT = StatusRequest { verbose: false },
        |reply| -> Vec<RuntimeCondition> { Ok(reply.status.unwrap_or_default().conditions) }
    /// Makes and starts a sandbox; its id.
    runtime.run_pod_sandbox(config: PodSandboxConfig) in LONG =
        RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() },
        |reply| -> String { Ok(reply.pod_sandbox_id) }
    runtime.stop_pod_sandbox(id: &str) in LONG = StopPodSandboxRequest { pod_sandbox_id: id.into() },
        |_reply| -> () { Ok(()) }
    /// Removes a sandbox with all its containers.
    runtime.remove_pod_sandbox(id: &str) in LONG = RemovePodSandboxRequest { pod_sandbox_id: id.into() },
        |_reply| -> () { Ok(()) }
    runtime.pod_sandbox_status(id: &str) in SHORT =
        PodSandboxStatusRequest { pod_sandbox_id: id.into(), verbose: false },
        |reply| -> PodSandboxStatus { reply.status.ok_or(CriError::Incomplete("the sandbox's status")) }
    runtime.list_pod_sandbox() in SHORT = ListPodSandboxRequest { filter: None },
        |reply| -> Vec<PodSandbox> { Ok(reply.items) }
    runtime.create_container(request: CreateContainerRequest) in LONG = request,
        |reply| -> String { Ok(reply.container_id) }
    runtime.start_container(id: &str) in LONG = StartContainerRequest { container_id: id.into() },
        |_reply| -> () { Ok(()) }
    runtime.remove_container(id: &str) in LONG = RemoveContainerRequest { container_id: id.into() },
        |_reply| -> () { Ok(()) }
    runtime.list_containers() in SHORT = ListContainersRequest { filter: None },
        |reply| -> Vec<Container> { Ok(reply.containers) }
    runtime.container_status(id: &str) in SHORT =
        ContainerStatusRequest { container_id: id.into(), verbose: false },
        |reply| -> ContainerStatus { reply.status.ok_or(CriError::Incomplete("the container's status")) }
    runtime.reopen_container_log(id: &str) in SHORT = ReopenContainerLogRequest { container_id: id.into() },
        |_reply| -> () { Ok(()) }
    /// The address of the streaming server for one `exec` session.
    runtime.exec(request: ExecRequest) in SHORT = request, |reply| -> String { Ok(reply.url) }
    runtime.attach(request: AttachRequest) in SHORT = request, |reply| -> String { Ok(reply.url) }
    runtime.port_forward(request: PortForwardRequest) in SHORT = request, |reply| -> String { Ok(reply.url) }
    images.image_status(image: &str) in SHORT = ImageStatusRequest { image: spec(image), verbose: false },
        |reply| -> Option<Image> { Ok(reply.image) }
    images.list_images() in SHORT = ListImagesRequest { filter: None },
        |reply| -> Vec<Image> { Ok(reply.images) }
    images.remove_image(id: &str) in LONG = RemoveImageRequest { image: spec(id) },
        |_reply| -> () { Ok(()) }
    /// The file systems that hold images.
    images.image_fs_info() in SHORT = ImageFsInfoRequest {},
        |reply| -> Vec<FilesystemUsage> { Ok(reply.image_filesystems) }
    images.pull_image(image: &str, auth: Option<AuthConfig>) in PULL =
        PullImageRequest { image: spec(image), auth, sandbox_config: None },
        |reply| -> String { Ok(reply.image_ref) }
}

fn spec(image: &str) -> Option<ImageSpec> {
    Some(ImageSpec { image: image.into(), ..ImageSpec::default() })
}

impl Cri {
    /// A client of the runtime at a socket path; connects with the first call.
    pub fn new(socket: &Path) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))
            .map_err(CriError::Endpoint)?
            .connect_timeout(Duration::from_secs(5));
        let channel = endpoint.connect_lazy();
        Ok(Self {
            runtime: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX),
            images: ImageServiceClient::new(channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX),
            tasks: TasksClient::new(channel),
        })
    }

    /// Sends the stop signal, and SIGKILL `grace_s` seconds later; returns when the container has ended.
    pub async fn stop_container(&self, id: &str, grace_s: i64) -> Result<()> {
        let request = StopContainerRequest { container_id: id.into(), timeout: grace_s };
        let limit = SHORT + Duration::from_secs(u64::try_from(grace_s).unwrap_or(0));
        self.runtime.clone().stop_container(timed(request, limit)).await?;
        Ok(())
    }

    /// A container's status and the process id of its first process, where the runtime tells it.
    pub async fn container_status_and_pid(&self, id: &str) -> Result<(ContainerStatus, Option<i32>)> {
        let request = ContainerStatusRequest { container_id: id.into(), verbose: true };
        let reply = self.runtime.clone().container_status(timed(request, SHORT)).await?.into_inner();
        let status = reply.status.ok_or(CriError::Incomplete("the container's status"))?;
        Ok((status, reply.info.get("info").and_then(|info| pid(info))))
    }

    /// Runs a command in a container and waits for it; the runtime kills it after `limit_s` seconds.
    pub async fn exec_sync(&self, id: &str, command: &[String], limit_s: u64) -> Result<ExecSyncResponse> {
        let request = ExecSyncRequest {
            container_id: id.into(),
            cmd: command.to_vec(),
            timeout: i64::try_from(limit_s).unwrap_or(0),
        };
        let limit = if limit_s == 0 { PULL } else { Duration::from_secs(limit_s + 5) };
        Ok(self.runtime.clone().exec_sync(timed(request, limit)).await?.into_inner())
    }

    /// The runtime's container events, where it has them.
    pub async fn events(&self) -> Result<tonic::Streaming<ContainerEventResponse>> {
        Ok(self.runtime.clone().get_container_events(GetEventsRequest {}).await?.into_inner())
    }
}

/// The `pid` of containerd's details; the rest of the document is not looked at.
fn pid(info: &str) -> Option<i32> {
    #[derive(serde::Deserialize)]
    struct Info {
        pid: i32,
    }
    serde_json::from_str::<Info>(info).ok().map(|i| i.pid).filter(|pid| *pid > 0)
}
