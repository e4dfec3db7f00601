//! Removes images when the disk that holds them fills.

use super::plan::{History, Thresholds, bytes_to_free, used};
use crate::actions::Context;
use crate::config::KubeletConfig;
use crate::cri::{Cri, CriError};
use crate::machine::Usage;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the disk is looked at.
const PERIOD: Duration = Duration::from_secs(300);

/// The disk that holds the images.
pub(crate) trait Disk: Send + Sync {
    fn usage(&self) -> io::Result<Usage>;
}

/// A mounted file system.
struct Mounted(PathBuf);

impl Disk for Mounted {
    fn usage(&self) -> io::Result<Usage> {
        Usage::of(&self.0)
    }
}

/// Looks at the disk for ever.
pub(crate) async fn collect_all(context: Arc<Context>) {
    let mut collector = Collector::default();
    loop {
        match place(&context).await {
            Ok(disk) => collector.round(&context, &disk).await,
            Err(error) => tracing::warn!(%error, "the images' disk is not known"),
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn place(context: &Context) -> Result<Mounted, CriError> {
    let found = context.cri.image_fs_info().await?;
    let path = found.into_iter().find_map(|fs| fs.fs_id).map(|id| id.mountpoint);
    path.map(|path| Mounted(path.into())).ok_or(CriError::Incomplete("the image file system"))
}

/// Collects over time: what was not used for long is known only by looking often.
#[derive(Default)]
pub(crate) struct Collector {
    history: History,
}

impl Collector {
    /// One look, and what follows from it.
    async fn round(&mut self, context: &Context, disk: &dyn Disk) {
        let rules = Rules::of(&context.config);
        match self.collect(&context.cri, &rules, context.clock.now().mono, disk).await {
            Ok(Outcome { wanted: 0, .. }) => {}
            Ok(outcome) => match outcome.shortage() {
                None => tracing::info!(?outcome, "images were removed"),
                Some(message) => {
                    tracing::warn!(?outcome, "the disk is full of what is no unused image");
                    context.record_node(true, "FreeDiskSpaceFailed", message);
                }
            },
            Err(error) => tracing::warn!(%error, "images were not collected"),
        }
    }

    /// Removes what must go; `now` is in monotonic milliseconds.
    pub(crate) async fn collect(
        &mut self,
        cri: &Cri,
        rules: &Rules,
        now: u64,
        disk: &dyn Disk,
    ) -> Result<Outcome, CollectError> {
        let (images, containers) = tokio::try_join!(cri.list_images(), cri.list_containers())?;
        let used = used(&images, &containers, &rules.sandbox_image);
        self.history.note(&images, &used, now);
        let usage = disk.usage()?;
        let mut outcome =
            Outcome { wanted: bytes_to_free(usage.capacity, usage.available, rules.thresholds), freed: 0 };
        for image in self.history.unused(&images, &used, now, rules.age_ms_min) {
            if outcome.freed >= outcome.wanted {
                break;
            }
            match cri.remove_image(&image.id).await {
                Ok(()) => {
                    tracing::info!(image = image.id, names = ?image.repo_tags, "an unused image was removed");
                    outcome.freed += image.size;
                }
                Err(error) => tracing::warn!(image = image.id, %error, "an unused image was not removed"),
            }
        }
        Ok(outcome)
    }
}

/// What the configuration says about images.
pub(crate) struct Rules {
    pub(crate) sandbox_image: String,
    pub(crate) thresholds: Thresholds,
    pub(crate) age_ms_min: u64,
}

impl Rules {
    fn of(config: &KubeletConfig) -> Self {
        let (high, low) = config.image_disk_percent;
        Self {
            sandbox_image: config.sandbox_image.clone(),
            thresholds: Thresholds { high: high.into(), low: low.into() },
            age_ms_min: u64::try_from(config.image_age_min.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Bytes that had to go, and that went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) wanted: u64,
    pub(crate) freed: u64,
}

impl Outcome {
    /// What Kubernetes' event says when not enough went.
    pub(crate) fn shortage(&self) -> Option<String> {
        let Self { wanted, freed } = self;
        (freed < wanted).then(|| {
            format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only \
                 found {freed} bytes eligible to free."
            )
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error(transparent)]
    Cri(#[from] CriError),
    #[error("the images' disk: {0}")]
    Disk(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_the_configurations() {
        let mut config = KubeletConfig::new("node", [127, 0, 0, 1].into());
        config.sandbox_image = "pause:1".to_owned();
        config.image_disk_percent = (90, 70);
        config.image_age_min = Duration::from_secs(7);
        let rules = Rules::of(&config);
        assert_eq!((rules.thresholds.high, rules.thresholds.low), (90, 70));
        assert_eq!((rules.sandbox_image.as_str(), rules.age_ms_min), ("pause:1", 7_000));
    }
}
