//! Images that come as files: the pause image of this binary, and what `keelson image import` brings.

use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The namespace in which CRI sees images.
const NAMESPACE: &str = "k8s.io";

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("cannot read the image archive {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot run ctr, which comes with containerd: {0}")]
    Ctr(io::Error),
    #[error("containerd at {socket} does not take the image: {message}")]
    Refused { socket: String, message: String },
}

/// Imports an image archive (OCI layout or docker save) from a file; returns the names it brought.
pub async fn import_file(socket: &Path, file: &Path) -> Result<Vec<String>, ImageError> {
    let bytes = tokio::fs::read(file)
        .await
        .map_err(|source| ImageError::Read { path: file.display().to_string(), source })?;
    import(socket, &bytes).await
}

/// Imports the pause image of this binary.
pub async fn import_pause(socket: &Path) -> Result<(), ImageError> {
    let archive = keelson_pause::image().map_err(ImageError::Ctr)?;
    import(socket, &archive).await.map(drop)
}

async fn import(socket: &Path, archive: &[u8]) -> Result<Vec<String>, ImageError> {
    let mut child = Command::new("ctr")
        .args(["--address"])
        .arg(socket)
        .args(["--namespace", NAMESPACE, "images", "import", "--digests", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(ImageError::Ctr)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A broken pipe means that ctr has failed; its own message says more.
        let _ = stdin.write_all(archive).await;
    }
    let output = child.wait_with_output().await.map_err(ImageError::Ctr)?;
    if !output.status.success() {
        return Err(ImageError::Refused {
            socket: socket.display().to_string(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(imported_names(&String::from_utf8_lossy(&output.stdout)))
}

/// ctr prints one line `unpacking NAME (DIGEST)...` per image.
fn imported_names(stdout: &str) -> Vec<String> {
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix("unpacking "))
        .filter_map(|rest| rest.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_was_imported() {
        let stdout =
            "unpacking keelson.dev/a:1 (sha256:00)...done\nunpacking keelson.dev/b:2 (sha256:11)...done\n";
        assert_eq!(imported_names(stdout), ["keelson.dev/a:1", "keelson.dev/b:2"]);
    }
}
