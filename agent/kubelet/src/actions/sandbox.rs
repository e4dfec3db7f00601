//! A pod's sandbox: made in its cgroup with its names, stopped again.

use super::Context;
use crate::cri::observe::sandbox_seen;
use crate::cri::sandbox::{SandboxInputs, config};
use crate::pod::quantity::{Limits, Qos};
use crate::pod::{Failure, Pod, SandboxSeen, refuse};
use crate::resolv::{self, ClusterDns};
use crate::volume::PodDirs;
use keelson_proto::cri::PodSandboxConfig;
use std::sync::Arc;
use std::time::Duration;

/// Linux' limit for a hostname.
const HOSTNAME_CHARS_MAX: usize = 64;
/// A stop that failed is reported after this time, so that its repetition does not spin.
const STOP_RETRY: Duration = Duration::from_secs(1);

pub(super) async fn create(
    context: &Arc<Context>,
    pod: &Arc<Pod>,
    attempt: u32,
) -> Result<SandboxSeen, Failure> {
    refuse::sandbox(pod)?;
    let failure = |message: String| Failure::new("FailedCreatePodSandBox", message);
    prepare(context, pod).await.map_err(failure)?;
    let config = sandbox_config(context, pod, attempt).map_err(failure)?;
    let id = {
        let _permit = context.making.acquire().await.map_err(|e| failure(e.to_string()))?;
        context.cri.run_pod_sandbox(config).await.map_err(|e| failure(e.to_string()))?
    };
    let status = context.cri.pod_sandbox_status(&id).await.map_err(|e| failure(e.to_string()))?;
    Ok(sandbox_seen(&status))
}

/// Cgroup, log folder and the pod's own folder.
async fn prepare(context: &Arc<Context>, pod: &Arc<Pod>) -> Result<(), String> {
    let (context, pod) = (Arc::clone(context), Arc::clone(pod));
    let made = tokio::task::spawn_blocking(move || {
        context
            .cgroups
            .create_pod(Qos::of(&pod), &pod.meta.uid, Limits::of_pod(&pod))
            .map_err(|e| e.to_string())?;
        let dirs: PodDirs = context.dirs(&pod);
        for dir in [context.log_dir(&pod), dirs.root().to_owned()] {
            std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        }
        Ok(())
    });
    made.await.unwrap_or_else(|e| Err(e.to_string()))
}

/// The sandbox' configuration; containers are made with the same one.
pub(super) fn sandbox_config(context: &Context, pod: &Pod, attempt: u32) -> Result<PodSandboxConfig, String> {
    let host = std::fs::read_to_string(&context.config.resolv_conf).unwrap_or_default();
    let cluster = ClusterDns {
        servers: context.config.cluster_dns.iter().map(ToString::to_string).collect(),
        domain: context.config.cluster_domain.clone(),
    };
    let mut hostname = pod.hostname().to_owned();
    if pod.spec.set_hostname_as_fqdn
        && let Some(fqdn) = pod.fqdn(&context.config.cluster_domain)
    {
        if fqdn.len() > HOSTNAME_CHARS_MAX {
            return Err(format!(
                "failed to construct FQDN from pod hostname: {fqdn} is longer than 64 characters"
            ));
        }
        hostname = fqdn;
    }
    Ok(config(
        pod,
        SandboxInputs {
            attempt,
            hostname: &hostname,
            log_dir: &context.log_dir(pod),
            dns: resolv::for_pod(pod, &cluster, &resolv::parse(&host)),
            cgroup_parent: &context.cgroups.pod(Qos::of(pod), &pod.meta.uid),
            seccomp_profiles: &context.seccomp_profiles(),
        },
    ))
}

pub(super) async fn stop(context: &Context, id: &str) -> Result<(), Failure> {
    match context.cri.stop_pod_sandbox(id).await {
        Err(error) if !error.is_not_found() => {
            tracing::warn!(sandbox = id, %error, "a sandbox was not stopped");
            tokio::time::sleep(STOP_RETRY).await;
            Err(Failure::new("FailedKillPod", error.to_string()))
        }
        _ => Ok(()),
    }
}
