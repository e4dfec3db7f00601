//! Lifecycle hooks: exec, HTTP and sleep.

use super::{Context, http};
use crate::pod::Pod;
use crate::pod::spec::Handler;
use std::time::Duration;

/// As much of a failed command's output as the agent's log shows.
const OUTPUT_CHARS_MAX: usize = 512;

pub(super) async fn post_start(context: &Context, pod: &Pod, name: &str, id: &str) -> Result<(), String> {
    let Some(handler) = pod.container(name).and_then(|c| c.lifecycle.post_start.as_ref()) else {
        return Ok(());
    };
    run(context, pod, name, id, handler).await.map_err(|e| failed(pod, name, "PostStartHook", &e))
}

pub(super) async fn pre_stop(context: &Context, pod: &Pod, name: &str, id: &str) -> Result<(), String> {
    let Some(handler) = pod.container(name).and_then(|c| c.lifecycle.pre_stop.as_ref()) else {
        return Ok(());
    };
    run(context, pod, name, id, handler).await.map_err(|e| failed(pod, name, "PreStopHook", &e))
}

/// What a hook's command or server said may be a secret: who reads events does not see it.
fn failed(pod: &Pod, container: &str, hook: &str, why: &str) -> String {
    tracing::info!(pod = pod.key(), container, why, "{hook} failed");
    format!("{hook} failed")
}

async fn run(context: &Context, pod: &Pod, name: &str, id: &str, handler: &Handler) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        let reply = context.cri.exec_sync(id, &exec.command, 0).await.map_err(|e| e.to_string())?;
        if reply.exit_code == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&reply.stderr).chars().take(OUTPUT_CHARS_MAX).collect::<String>();
        return Err(format!("command '{}' exited with {}: {text}", exec.command.join(" "), reply.exit_code));
    }
    if let Some(get) = &handler.http_get {
        let ip = pod_ip(context, pod, id).await;
        let request = http::Get {
            action: get,
            pod,
            container: name,
            ip: &ip,
            limit: Duration::from_secs(60),
            agent: "kube-lifecycle/1.36",
        };
        return match http::get(request).await {
            Ok((status, _)) if status < 400 => Ok(()),
            Ok((status, _)) => Err(format!("HTTP status {status}")),
            Err(error) => Err(error),
        };
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds)).await;
    }
    Ok(())
}

/// The pod's address, from the runtime: hooks run while the pod's own status may still be on its way.
async fn pod_ip(context: &Context, pod: &Pod, container: &str) -> String {
    let host = || context.host_ips.first().cloned().unwrap_or_default();
    if pod.spec.host_network {
        return host();
    }
    let Ok(containers) = context.cri.list_containers().await else { return host() };
    let Some(found) = containers.into_iter().find(|c| c.id == container) else { return host() };
    match context.cri.pod_sandbox_status(&found.pod_sandbox_id).await {
        Ok(status) => status.network.unwrap_or_default().ip,
        Err(_) => host(),
    }
}
