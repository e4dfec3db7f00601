//! System users, read from the files themselves: a static binary that asks the C library loads the name service's
//! shared modules into itself and crashes.

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::prctl::{get_pdeathsig, set_pdeathsig};
use nix::unistd::{Gid, Uid, fchownat, geteuid, getppid, setgid, setgroups, setuid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

const PASSWD: &str = "/etc/passwd";

/// A user's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: Uid,
    gid: Gid,
}

/// The user `name` in a passwd(5) file.
fn find(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
    })
}

fn look_up(name: &str) -> Result<Option<User>> {
    let passwd = fs::read_to_string(PASSWD).with_context(|| format!("cannot read {PASSWD}"))?;
    Ok(find(&passwd, name))
}

/// Makes the system user `name` when it does not exist.
pub fn ensure_user(name: &str) -> Result<()> {
    if look_up(name)?.is_some() {
        return Ok(());
    }
    let status = Command::new("useradd")
        .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name])
        .status()
        .context("cannot run useradd")?;
    ensure!(status.success(), "useradd cannot make the user {name} ({status})");
    Ok(())
}

/// Gives up root, and with it every capability, for the user `name`, who gets `state_dir` first. Must be called
/// before any thread is started. A process that ends with its parent still does.
pub fn become_user(name: &str, state_dir: &Path) -> Result<()> {
    let Some(user) = look_up(name)? else {
        bail!("there is no user {name} in {PASSWD}; make one with: useradd --system {name}");
    };
    if geteuid() == user.uid {
        return Ok(());
    }
    fs::create_dir_all(state_dir).with_context(|| format!("cannot make {}", state_dir.display()))?;
    // A folder that is the user's already holds what the user likes: root does not walk through it.
    if fs::symlink_metadata(state_dir)?.uid() != user.uid.as_raw() {
        hand_over(state_dir, user)?;
    }
    // The kernel forgets the signal when credentials change (prctl(2)).
    let (parent, signal) = (getppid(), get_pdeathsig()?);
    setgroups(&[]).context("cannot drop groups; is this root?")?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    set_pdeathsig(signal)?;
    ensure!(getppid() == parent, "the process that started this one has ended");
    Ok(())
}

/// What is in the folder first, the folder last; links are handed over themselves and not followed.
fn hand_over(path: &Path, user: User) -> Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path(), user)?;
        }
    }
    fchownat(AT_FDCWD, path, Some(user.uid), Some(user.gid), AtFlags::AT_SYMLINK_NOFOLLOW)
        .with_context(|| format!("cannot give {} away", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nkeelson:x:998:997::/home/keelson:/usr/sbin/nologin\nodd\n";
        let user = find(passwd, "keelson").unwrap();
        assert_eq!((user.uid.as_raw(), user.gid.as_raw()), (998, 997));
        assert_eq!(find(passwd, "keel"), None);
        assert_eq!(find(passwd, "odd"), None);
    }

    /// A link in the folder does not give away what it points to.
    #[test]
    fn links_are_not_followed() {
        let root = std::env::temp_dir().join(format!("keelson-users-{}", std::process::id()));
        let (state, outside) = (root.join("state"), root.join("outside"));
        fs::create_dir_all(state.join("deep")).unwrap();
        fs::write(&outside, "secret").unwrap();
        std::os::unix::fs::symlink(&outside, state.join("deep/link")).unwrap();
        let user = User { uid: Uid::from_raw(65534), gid: Gid::from_raw(65534) };
        let result = hand_over(&state, user);
        let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
        let owners = [owner(&outside), owner(&state), owner(&state.join("deep/link"))];
        fs::remove_dir_all(&root).unwrap();
        result.unwrap();
        assert_eq!(owners, [0, 65534, 65534]);
    }
}
