//! Keeps logs small: a file above the limit is moved aside and the runtime opens a new one.

use crate::actions::Context;
use crate::cri::container::log_path;
use crate::run::Directory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(10);

/// Looks at the logs of all running containers for ever.
pub(crate) async fn rotate_all(context: Arc<Context>, directory: Arc<Directory>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        for entry in directory.list() {
            let folder = context.log_dir(&entry.pod);
            for (name, container) in &entry.containers {
                let Some(id) = container.id.as_ref().filter(|_| container.running) else { continue };
                let path = folder.join(log_path(name, container.restart_count));
                rotate(&context, id, &path).await;
            }
        }
    }
}

async fn rotate(context: &Context, id: &str, path: &Path) {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    if size < context.config.log_bytes_max {
        return;
    }
    let stamp = crate::pod::time::rfc3339(context.clock.now().wall).replace([':', 'T', 'Z'], "");
    let aside = PathBuf::from(format!("{}.{stamp}", path.display()));
    if let Err(error) = std::fs::rename(path, &aside) {
        tracing::warn!(path = %path.display(), %error, "a log was not moved aside");
        return;
    }
    if let Err(error) = context.cri.reopen_container_log(id).await {
        tracing::warn!(container = id, %error, "the runtime did not open a new log; the old one goes on");
        // The runtime still writes to the moved file: give it back its name.
        let _ = std::fs::rename(&aside, path);
        return;
    }
    drop_oldest(path, context.config.log_files_max);
}

/// Removes rotated files beyond `files_max`, the current one counted.
fn drop_oldest(path: &Path, files_max: usize) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return;
    };
    let prefix = format!("{name}.");
    let mut old: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&prefix)))
        .map(|e| e.path())
        .collect();
    old.sort();
    let keep = files_max.saturating_sub(1);
    for path in &old[..old.len().saturating_sub(keep)] {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "an old log was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0.log", "0.log.2026-01-01", "0.log.2026-01-02", "0.log.2026-01-03", "1.log"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        drop_oldest(&dir.path().join("0.log"), 3);
        let mut left: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["0.log", "0.log.2026-01-02", "0.log.2026-01-03", "1.log"]);
    }
}
