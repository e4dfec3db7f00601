//! Starts one container: environment, image, files, then the runtime's two calls.

use super::{Context, exit, mounts, sandbox};
use crate::credentials;
use crate::cri::container::{ContainerInputs, config};
use crate::cri::observe::container_seen;
use crate::cri::security::{ImageUser, check_non_root};
use crate::env::{self, Objects, services};
use crate::images;
use crate::pod::refuse;
use crate::pod::spec::{ContainerSpec, PullPolicy};
use crate::pod::{ContainerSeen, Failure, Pod, RunState};
use keelson_proto::cri::{CreateContainerRequest, Image};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a start waits for the first list of services.
const SERVICES_WAIT: Duration = Duration::from_secs(10);

/// What is to be started.
pub(super) struct Start<'a> {
    pub(super) name: &'a str,
    pub(super) attempt: u32,
    pub(super) sandbox: &'a str,
    pub(super) ips: &'a [String],
    pub(super) cancel: &'a CancellationToken,
}

fn config_error(message: String) -> Failure {
    Failure::new("CreateContainerConfigError", message)
}

fn create_error(message: impl ToString) -> Failure {
    Failure::new("CreateContainerError", message.to_string())
}

pub(super) async fn start(
    context: &Arc<Context>,
    pod: &Arc<Pod>,
    start: Start<'_>,
) -> Result<ContainerSeen, Failure> {
    let spec = pod.container(start.name).ok_or_else(|| create_error("the pod has no such container"))?;
    let image = ensure_image(context, pod, spec, start.cancel).await?;
    let user = ImageUser { uid: image.uid.map(|u| u.value), name: &image.username };
    check_non_root(pod, spec, user).map_err(config_error)?;
    refuse::container(spec).map_err(config_error)?;
    let objects = objects(context, pod, spec).await.map_err(config_error)?;
    services_known(context).await.map_err(config_error)?;
    let links = pod.spec.enable_service_links.unwrap_or(true);
    let services = services::variables(&context.services.store().list(), &pod.meta.namespace, links);
    let facts = context.facts(start.ips);
    let env = env::resolve(pod, spec, &objects, services, &facts).map_err(config_error)?;
    let request = request(context, pod, spec, &start, &image, env).await?;
    let id = {
        let _permit = context.making.acquire().await.map_err(create_error)?;
        let id = create(context, request).await?;
        context.record(pod, false, "Created", format!("Created container: {}", spec.name), Some(&spec.name));
        if let Err(error) = context.cri.start_container(&id).await {
            return not_started(context, pod, spec, &id, start.sandbox, error.to_string()).await;
        }
        id
    };
    context.record(pod, false, "Started", format!("Started container {}", spec.name), Some(&spec.name));
    let (status, pid) = context.cri.container_status_and_pid(&id).await.map_err(create_error)?;
    exit::watch(context, &id, pid);
    Ok(container_seen(&status, start.sandbox))
}

/// Creates the container. One of the same name and attempt, left by a call whose reply was lost, goes first.
async fn create(context: &Context, request: CreateContainerRequest) -> Result<String, Failure> {
    match context.cri.create_container(request.clone()).await {
        Ok(id) => Ok(id),
        Err(error) => {
            let text = error.to_string();
            let Some(holder) = text.split("is reserved for \"").nth(1).and_then(|t| t.split('"').next())
            else {
                return Err(create_error(error));
            };
            context.cri.remove_container(holder).await.map_err(create_error)?;
            context.cri.create_container(request).await.map_err(create_error)
        }
    }
}

/// A container that was made and did not start has ended, in Kubernetes' eyes, with the runtime's exit code.
async fn not_started(
    context: &Context,
    pod: &Pod,
    spec: &ContainerSpec,
    id: &str,
    sandbox: &str,
    message: String,
) -> Result<ContainerSeen, Failure> {
    context.record(pod, true, "Failed", format!("Error: {message}"), Some(&spec.name));
    if let Ok(status) = context.cri.container_status(id).await {
        let seen = container_seen(&status, sandbox);
        if seen.state == RunState::Exited {
            return Ok(seen);
        }
    }
    if let Err(error) = context.cri.remove_container(id).await {
        tracing::warn!(container = id, %error, "a container that did not start was not removed");
    }
    Err(Failure::new("RunContainerError", message))
}

async fn request(
    context: &Arc<Context>,
    pod: &Arc<Pod>,
    spec: &ContainerSpec,
    start: &Start<'_>,
    image: &Image,
    env: Vec<(String, String)>,
) -> Result<CreateContainerRequest, Failure> {
    let (command, args) = env::command_line(spec, &env);
    let termination_file =
        context.dirs(pod).container(&spec.name).join(format!("termination-{}", start.attempt));
    let mounts = {
        let (context, pod, name) = (Arc::clone(context), Arc::clone(pod), spec.name.clone());
        let (ips, env, file) = (start.ips.to_vec(), env.clone(), termination_file.clone());
        tokio::task::spawn_blocking(move || {
            let spec = pod.container(&name).ok_or_else(|| create_error("the pod has no such container"))?;
            mounts::prepare(
                &context,
                &pod,
                spec,
                &mounts::Inputs { ips: &ips, env: &env, termination_file: &file },
            )
            .map_err(|e| config_error(e.to_string()))
        })
        .await
        .unwrap_or_else(|e| Err(create_error(e)))?
    };
    let inputs = ContainerInputs {
        attempt: start.attempt,
        image: &image.id,
        image_user: ImageUser { uid: image.uid.map(|u| u.value), name: &image.username },
        env,
        command,
        args,
        mounts,
        termination_file: &termination_file,
        memory_capacity_bytes: context.machine.memory_bytes,
        seccomp_profiles: &context.seccomp_profiles(),
    };
    let config = config(pod, spec, inputs);
    let folder = context.log_dir(pod).join(&spec.name);
    std::fs::create_dir_all(&folder).map_err(|e| create_error(format!("{}: {e}", folder.display())))?;
    Ok(CreateContainerRequest {
        pod_sandbox_id: start.sandbox.to_owned(),
        config: Some(config),
        sandbox_config: Some(sandbox::sandbox_config(context, pod, 0).map_err(create_error)?),
    })
}

/// A container must not start with half of its services.
async fn services_known(context: &Context) -> Result<(), String> {
    let known = tokio::time::timeout(SERVICES_WAIT, context.services.synced()).await;
    known.map_err(|_| "services have not yet been read at least once, cannot construct envs".to_owned())
}

/// The objects that the container's environment refers to.
async fn objects(context: &Context, pod: &Pod, spec: &ContainerSpec) -> Result<Objects, String> {
    let (config_maps, secrets) = env::references(spec);
    let mut objects = Objects::default();
    for name in config_maps {
        if let Some(map) = context.references.config_map(&pod.meta.namespace, &name).await? {
            objects.config_maps.insert(name, map);
        }
    }
    for name in secrets {
        if let Some(secret) = context.references.secret(&pod.meta.namespace, &name).await? {
            objects.secrets.insert(name, secret);
        }
    }
    Ok(objects)
}

async fn ensure_image(
    context: &Context,
    pod: &Pod,
    spec: &ContainerSpec,
    cancel: &CancellationToken,
) -> Result<Image, Failure> {
    let named = Some(spec.name.as_str());
    if let Err(message) = images::check(&spec.image) {
        context.record(pod, true, "InspectFailed", message.clone(), named);
        return Err(Failure::new("InvalidImageName", message));
    }
    let look = || async {
        context.cri.image_status(&spec.image).await.map_err(|error| {
            let message = format!("Failed to inspect image \"{}\": {error}", spec.image);
            context.record(pod, true, "InspectFailed", message.clone(), named);
            Failure::new("ImageInspectError", message)
        })
    };
    let present = look().await?;
    match (present, spec.image_pull_policy) {
        (Some(image), PullPolicy::IfNotPresent | PullPolicy::Never) => {
            let message = format!("Container image \"{}\" already present on machine", spec.image);
            context.record(pod, false, "Pulled", message, named);
            return Ok(image);
        }
        (None, PullPolicy::Never) => {
            let message =
                format!("Container image \"{}\" is not present with pull policy of Never", spec.image);
            context.record(pod, true, "ErrImageNeverPull", message.clone(), named);
            return Err(Failure::new("ErrImageNeverPull", message));
        }
        (_, PullPolicy::Always) | (None, PullPolicy::IfNotPresent) => {}
    }
    context.record(pod, false, "Pulling", format!("Pulling image \"{}\"", spec.image), named);
    let begun = Instant::now();
    let Some(pulled) = cancel.run_until_cancelled(pull(context, pod, &spec.image)).await else {
        return Err(Failure::new("ErrImagePull", "the pod is being deleted"));
    };
    if let Err(error) = pulled {
        let message = format!("Failed to pull image \"{}\": {error}", spec.image);
        context.record(pod, true, "Failed", message, named);
        return Err(Failure::new("ErrImagePull", error));
    }
    let message =
        format!("Successfully pulled image \"{}\" in {}ms", spec.image, begun.elapsed().as_millis());
    context.record(pod, false, "Pulled", message, named);
    let pulled = look().await?;
    pulled.ok_or_else(|| Failure::new("ErrImagePull", "the image is not there after its pull"))
}

/// Pulls with each of the pod's credentials for the registry, without any when there are none.
async fn pull(context: &Context, pod: &Pod, image: &str) -> Result<(), String> {
    let mut secrets = Vec::new();
    for reference in &pod.spec.image_pull_secrets {
        // A pull secret that is missing is no error: the image may be public.
        secrets.extend(context.references.secret(&pod.meta.namespace, &reference.name).await?);
    }
    let mut auths: Vec<_> =
        credentials::for_image(image, secrets.iter().map(|s| &**s)).into_iter().map(Some).collect();
    if auths.is_empty() {
        auths.push(None);
    }
    let mut last = String::new();
    for auth in auths {
        match context.cri.pull_image(image, auth).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}
