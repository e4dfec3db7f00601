//! Images that come as files: the pause image of this binary, and what `keelson image import` brings.

use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::Command;

/// The namespace in which CRI sees images.
const NAMESPACE: &str = "k8s.io";

/// The repository under which an image without a name is known until it has been given one.
const NAMELESS: &str = "import.keelson.dev/nameless";

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("cannot read the image archive {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot make the pause image: {0}")]
    Pause(io::Error),
    #[error("cannot run ctr, which comes with containerd: {0}")]
    Ctr(io::Error),
    #[error(
        "nothing serves at {socket}: is the node running (keelson up, keelson agent)? --config FILE names the \
         configuration of another node"
    )]
    NotServed { socket: String },
    #[error("cannot speak to containerd at {socket}: {source}; this takes root")]
    Denied { socket: String, source: io::Error },
    #[error("containerd at {socket} does not take the image: {message}")]
    Refused { socket: String, message: String },
    #[error(
        "{path} holds no image with a name: save it with one (docker save NAME:TAG), or give it one with --name \
         example.org/app:1"
    )]
    Nameless { path: String },
    #[error("--name is for an image without a name, and {path} holds {name}: leave --name out")]
    Named { path: String, name: String },
    #[error("--name names one image, and {path} holds {count}: save them with their names")]
    Several { path: String, count: usize },
}

/// Imports an image archive (OCI layout or docker save) from a file; returns the names it brought. `name` is for the
/// image that has none of its own.
pub async fn import_file(socket: &Path, file: &Path, name: Option<&str>) -> Result<Vec<String>, ImageError> {
    let path = file.display().to_string();
    let read = |source| ImageError::Read { path: path.clone(), source };
    let bytes = tokio::fs::read(file).await.map_err(read)?;
    reach(socket).await?;
    let Some(name) = name else {
        let names = import(socket, &bytes, &[]).await?;
        return if names.is_empty() { Err(ImageError::Nameless { path }) } else { Ok(names) };
    };
    let names = import(socket, &bytes, &["--digests", "--base-name", NAMELESS]).await?;
    // Those with a name are listed under both.
    let (nameless, named): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with(NAMELESS));
    let result = match (nameless.as_slice(), named.into_iter().next()) {
        (_, Some(name)) => Err(ImageError::Named { path, name }),
        ([one], None) => {
            ctr(socket, &["tag", "--force", one, name], &[]).await.map(|_| vec![name.to_owned()])
        }
        (several, None) => Err(ImageError::Several { path, count: several.len() }),
    };
    for name in &nameless {
        ctr(socket, &["rm", name], &[]).await?;
    }
    result
}

/// Imports the pause image of this binary.
pub async fn import_pause(socket: &Path) -> Result<(), ImageError> {
    let archive = keelson_pause::image().map_err(ImageError::Pause)?;
    import(socket, &archive, &[]).await.map(drop)
}

/// Whether anything serves at the socket, before a program that would wait for it is started.
async fn reach(socket: &Path) -> Result<(), ImageError> {
    let shown = socket.display().to_string();
    match UnixStream::connect(socket).await {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            Err(ImageError::Denied { socket: shown, source })
        }
        Err(_) => Err(ImageError::NotServed { socket: shown }),
    }
}

async fn import(socket: &Path, archive: &[u8], flags: &[&str]) -> Result<Vec<String>, ImageError> {
    let arguments = [&["import"], flags, &["-"]].concat();
    Ok(imported_names(&ctr(socket, &arguments, archive).await?))
}

/// Runs `ctr images` to its end; what it printed.
async fn ctr(socket: &Path, arguments: &[&str], input: &[u8]) -> Result<String, ImageError> {
    let mut child = Command::new("ctr")
        .args(["--address"])
        .arg(socket)
        .args(["--namespace", NAMESPACE, "images"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(ImageError::Ctr)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A broken pipe means that ctr has failed; its own message says more.
        let _ = stdin.write_all(input).await;
    }
    let output = child.wait_with_output().await.map_err(ImageError::Ctr)?;
    if !output.status.success() {
        return Err(ImageError::Refused {
            socket: socket.display().to_string(),
            message: reason(&String::from_utf8_lossy(&output.stderr)),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// ctr's last line says why; those before are about itself.
fn reason(stderr: &str) -> String {
    let last = stderr.trim().lines().last().unwrap_or_default();
    last.strip_prefix("ctr: ").unwrap_or(last).to_owned()
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

    #[test]
    fn reasons() {
        assert_eq!(reason("time=x level=info\nctr: unexpected EOF\n"), "unexpected EOF");
        assert_eq!(reason(""), "");
    }

    /// Without a node there is nothing to import to; the words are for one who has not started it.
    #[tokio::test]
    async fn a_node_that_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let (archive, socket) = (dir.path().join("a.tar"), dir.path().join("containerd.sock"));
        let error = import_file(&socket, &archive, None).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot read the image archive {}", archive.display())),
            "{error}"
        );
        std::fs::write(&archive, "").unwrap();
        for stale in [false, true] {
            if stale {
                // A socket that nobody listens at any more.
                drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
            }
            let error = import_file(&socket, &archive, None).await.unwrap_err().to_string();
            assert!(error.contains(&format!("nothing serves at {}", socket.display())), "{error}");
        }
    }
}
