//! Writes a volume's files so that a reader sees either all old or all new ones.
//!
//! Files lie in a folder `..TIME`; `..data` is a link to it; each name of the top level is a link through
//! `..data`. An update writes a new folder and renames a new `..data` over the old one: one atomic step.

use super::owner::{Ownership, give_to_group, give_to_user};
use super::payload::{File, Payload};
use super::{Result, VolumeError};
use std::collections::BTreeSet;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// Brings the files in `dir` to `payload`. `stamp` names the new folder and must differ from call to call.
/// True when something was written.
pub fn write(dir: &Path, payload: &Payload, ownership: Ownership, stamp: &str) -> Result<bool> {
    let old = std::fs::read_link(dir.join(DATA)).ok();
    if let Some(old) = &old
        && same(&dir.join(old), payload)
    {
        return Ok(false);
    }
    let name = format!("..{stamp}");
    let fresh = dir.join(&name);
    write_all(&fresh, payload, ownership)?;
    let link = dir.join(DATA_NEW);
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link).map_err(VolumeError::io(&link))?;
    }
    symlink(&name, &link).map_err(VolumeError::io(&link))?;
    std::fs::rename(&link, dir.join(DATA)).map_err(VolumeError::io(&link))?;
    let tops: BTreeSet<&str> = payload.keys().filter_map(|p| p.split('/').next()).collect();
    link_tops(dir, &tops)?;
    if let Some(old) = old {
        let old = dir.join(old);
        std::fs::remove_dir_all(&old).map_err(VolumeError::io(&old))?;
    }
    Ok(true)
}

fn write_all(dir: &Path, payload: &Payload, ownership: Ownership) -> Result<()> {
    make_dir(dir)?;
    for (path, file) in payload {
        let full = dir.join(path);
        if let Some(parent) = full.parent().filter(|p| *p != dir) {
            for missing in missing_dirs(dir, parent) {
                make_dir(&missing)?;
            }
        }
        write_file(&full, file)?;
    }
    if let Some(group) = ownership.fs_group {
        give_to_group(dir, group, true)?;
    }
    for (path, _) in payload.iter().filter(|(_, f)| f.private) {
        match ownership {
            Ownership { fs_group: None, user: Some(user) } => give_to_user(&dir.join(path), user)?,
            Ownership { fs_group: Some(_), .. } => set_mode(&dir.join(path), 0o640)?,
            Ownership { .. } => {}
        }
    }
    Ok(())
}

fn missing_dirs(base: &Path, wanted: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> =
        wanted.ancestors().take_while(|p| *p != base).filter(|p| !p.is_dir()).map(Path::to_owned).collect();
    list.reverse();
    list
}

fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir(path).map_err(VolumeError::io(path))?;
    set_mode(path, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).map_err(VolumeError::io(path))
}

fn write_file(path: &Path, file: &File) -> Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let mut handle =
        options.write(true).create_new(true).mode(0o600).open(path).map_err(VolumeError::io(path))?;
    handle.write_all(&file.content).map_err(VolumeError::io(path))?;
    // Apart from the open: the process' umask does not apply to it.
    set_mode(path, file.mode)
}

/// Whether the folder holds just these files.
fn same(dir: &Path, payload: &Payload) -> bool {
    let mut found = BTreeSet::new();
    if !collect(dir, "", &mut found) || found.len() != payload.len() {
        return false;
    }
    payload.iter().all(|(path, file)| {
        found.contains(path) && std::fs::read(dir.join(path)).is_ok_and(|content| content == file.content)
    })
}

fn collect(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { return false };
        let path = format!("{prefix}{name}");
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if !collect(&entry.path(), &format!("{path}/"), found) {
                return false;
            }
        } else {
            found.insert(path);
        }
    }
    true
}

/// One link per name of the top level, none for names that are gone.
fn link_tops(dir: &Path, tops: &BTreeSet<&str>) -> Result<()> {
    for top in tops {
        let link = dir.join(top);
        if link.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(top), &link).map_err(VolumeError::io(&link))?;
        }
    }
    for entry in std::fs::read_dir(dir).map_err(VolumeError::io(dir))?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(name.as_ref()) {
            std::fs::remove_file(entry.path()).map_err(VolumeError::io(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        files
            .iter()
            .map(|(p, c)| {
                ((*p).to_owned(), File { content: c.as_bytes().to_vec(), mode: 0o640, private: false })
            })
            .collect()
    }

    #[test]
    fn updates_swap_all_files_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let read = |p: &str| std::fs::read_to_string(root.join(p)).ok();
        let none = Ownership::default();
        assert!(write(root, &payload(&[("a", "1"), ("d/b", "2"), ("gone", "x")]), none, "t1").unwrap());
        assert_eq!((read("a"), read("d/b")), (Some("1".into()), Some("2".into())));
        let first = std::fs::read_link(root.join(DATA)).unwrap();
        assert!(!write(root, &payload(&[("a", "1"), ("d/b", "2"), ("gone", "x")]), none, "t2").unwrap());
        assert_eq!(std::fs::read_link(root.join(DATA)).unwrap(), first);
        assert!(write(root, &payload(&[("a", "3"), ("d/b", "2"), ("new", "y")]), none, "t3").unwrap());
        assert_eq!((read("a"), read("new"), read("gone")), (Some("3".into()), Some("y".into()), None));
        assert!(root.join("gone").symlink_metadata().is_err());
        assert!(!root.join(first).exists());
        assert_eq!(std::fs::metadata(root.join("a")).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn groups_and_token_owners() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mut files = payload(&[("a", "1")]);
        files.insert("token".into(), File { content: b"t".to_vec(), mode: 0o644, private: true });
        write(root, &files, Ownership { fs_group: None, user: Some(77) }, "t1").unwrap();
        let token = std::fs::metadata(root.join("token")).unwrap();
        assert_eq!(
            (std::os::unix::fs::MetadataExt::uid(&token), token.permissions().mode() & 0o777),
            (77, 0o600)
        );
        files.insert("b".into(), File { content: b"".to_vec(), mode: 0o400, private: false });
        write(root, &files, Ownership { fs_group: Some(88), user: Some(77) }, "t2").unwrap();
        let b = std::fs::metadata(root.join("b")).unwrap();
        assert_eq!((std::os::unix::fs::MetadataExt::gid(&b), b.permissions().mode() & 0o777), (88, 0o440));
    }
}
