//! Makes a pod's volumes and keeps them up to date.

use super::Context;
use crate::env::Objects;
use crate::pod::{Failure, Pod};
use crate::volume::payload::{Sources, TokenWant, wants};
use crate::volume::setup;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes all volumes; when they want to be refreshed (monotonic ms).
pub(super) async fn mount(context: &Arc<Context>, pod: &Arc<Pod>) -> Result<Option<u64>, Failure> {
    let failure = |message: String| Failure::new("FailedMount", message);
    let mut objects = Objects::default();
    let mut tokens: BTreeMap<TokenWant, String> = BTreeMap::new();
    let mut refresh = None;
    for volume in &pod.spec.volumes {
        let named = |message: String| {
            failure(format!("MountVolume.SetUp failed for volume \"{}\" : {message}", volume.name))
        };
        let wants = wants(volume);
        for name in wants.config_maps {
            let map = context.references.config_map(&pod.meta.namespace, &name).await.map_err(named)?;
            objects.config_maps.extend(map.map(|m| (name, m)));
        }
        for name in wants.secrets {
            let secret = context.references.secret(&pod.meta.namespace, &name).await.map_err(named)?;
            objects.secrets.extend(secret.map(|s| (name, s)));
        }
        for want in wants.tokens {
            let (token, at) = context.tokens.get(pod, &want).await.map_err(named)?;
            refresh = Some(refresh.map_or(at, |r: u64| r.min(at)));
            tokens.insert(want, token);
        }
    }
    let (context, pod) = (Arc::clone(context), Arc::clone(pod));
    let made = tokio::task::spawn_blocking(move || set_up_all(&context, &pod, &objects, &tokens));
    made.await.unwrap_or_else(|e| Err(e.to_string())).map_err(failure)?;
    Ok(refresh)
}

fn set_up_all(
    context: &Context,
    pod: &Pod,
    objects: &Objects,
    tokens: &BTreeMap<TokenWant, String>,
) -> Result<(), String> {
    let dirs = context.dirs(pod);
    std::fs::create_dir_all(dirs.root()).map_err(|e| format!("{}: {e}", dirs.root().display()))?;
    let facts = context.facts(&[]);
    let sources = Sources { pod, objects, facts: &facts, tokens };
    let stamp = stamp(context);
    for volume in &pod.spec.volumes {
        setup::set_up(&dirs, volume, &sources, &stamp)
            .map_err(|e| format!("MountVolume.SetUp failed for volume \"{}\" : {e}", volume.name))?;
    }
    Ok(())
}

/// Names a generation of files: the wall clock, and the monotonic one should that stand still.
fn stamp(context: &Context) -> String {
    let now = context.clock.now();
    let time = crate::pod::time::rfc3339(now.wall).replace(['-', ':', 'T', 'Z'], "_");
    format!("{time}{}_{}", now.mono, uuid::Uuid::new_v4().simple())
}
