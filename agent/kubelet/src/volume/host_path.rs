//! hostPath volumes: the checks that their types ask for.

use super::{Result, VolumeError};
use crate::pod::spec::HostPath;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The path to mount, after it was checked or made.
pub fn prepare(source: &HostPath) -> Result<PathBuf> {
    let path = PathBuf::from(&source.path);
    let kind = source.kind.as_deref().unwrap_or("");
    let make = |mode: u32, make: &dyn Fn(&Path) -> std::io::Result<()>| {
        if path.exists() {
            return Ok(());
        }
        make(&path).map_err(VolumeError::io(&path))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(VolumeError::io(&path))
    };
    match kind {
        "DirectoryOrCreate" => make(0o755, &|p| std::fs::create_dir_all(p))?,
        "FileOrCreate" => make(0o644, &|p| std::fs::File::create(p).map(|_| ()))?,
        _ => {}
    }
    let found = std::fs::metadata(&path).ok();
    let is = |check: fn(&std::fs::Metadata) -> bool| found.as_ref().is_some_and(check);
    let (ok, noun) = match kind {
        "Directory" | "DirectoryOrCreate" => (is(std::fs::Metadata::is_dir), "directory"),
        "File" | "FileOrCreate" => (is(std::fs::Metadata::is_file), "file"),
        "Socket" => (is(|m| m.file_type().is_socket()), "socket file"),
        "CharDevice" => (is(|m| m.file_type().is_char_device()), "character device"),
        "BlockDevice" => (is(|m| m.file_type().is_block_device()), "block device"),
        _ => (true, ""),
    };
    if !ok {
        return Err(VolumeError::Unmet(format!(
            "hostPath type check failed: {} is not a {noun}",
            source.path
        )));
    }
    // Without a type, a missing path becomes an empty folder, as runtimes make it.
    if kind.is_empty() && found.is_none() {
        std::fs::create_dir_all(&path).map_err(VolumeError::io(&path))?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let check = |name: &str, kind: &str, expect: bool| {
            let path = dir.path().join(name).display().to_string();
            let source = HostPath { path, kind: Some(kind.to_owned()) };
            assert_eq!(prepare(&source).is_ok(), expect, "{name} {kind}");
        };
        check("file", "File", true);
        check("file", "Directory", false);
        check("no", "Directory", false);
        check("made", "DirectoryOrCreate", true);
        check("made", "Directory", true);
        check("made-file", "FileOrCreate", true);
        check("file", "Socket", false);
        check("anything", "", true);
    }
}
