//! An ext4 file system in a file, in a process and a mount namespace of its own: it is gone with the process,
//! however that ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// ext4's own way to go down: `FS_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const FS_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
/// Nothing more reaches the disk, the journal included: as when the power goes.
const GOING_FLAGS_NOLOGFLUSH: u32 = 2;

/// Set in the child, to the directory that is its own.
const CHILD: &str = "KEELSON_STORE_LOOP_TEST";
const DONE: &str = "the body came to its end";

pub(crate) struct LoopFs {
    dir: PathBuf,
}

impl LoopFs {
    /// Runs `body` with a mounted file system, in a child process: this test binary again, with the test `name`
    /// alone. (RocksDB's threads belong to the process, so a namespace of a thread would not do.)
    pub fn with(name: &str, mib: u64, body: impl FnOnce(&LoopFs)) {
        let Ok(dir) = std::env::var(CHILD) else {
            // The parent's, so that it is removed whatever becomes of the child.
            let dir = tempfile::tempdir().unwrap();
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(CHILD, dir.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
            assert!(text.contains(DONE), "the child did not run {name}: {text}");
            return;
        };
        die_with_parent();
        unshare(CloneFlags::CLONE_NEWNS).expect("this test needs root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let fs = LoopFs { dir: dir.into() };
        std::fs::create_dir(fs.path()).unwrap();
        File::create(fs.image()).unwrap().set_len(mib << 20).unwrap();
        command("mkfs.ext4", &["-q", "-F", fs.image().to_str().unwrap()]);
        fs.mount();
        body(&fs);
        println!("{DONE}");
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join("mnt")
    }

    fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    /// `mount -o loop` makes a loop device that goes away with the mount.
    pub fn mount(&self) {
        command("mount", &["-o", "loop", self.image().to_str().unwrap(), self.path().to_str().unwrap()]);
    }

    pub fn unmount(&self) {
        umount2(&self.path(), MntFlags::empty()).unwrap();
    }

    /// The power goes.
    pub fn cut_power(&self) {
        let dir = File::open(self.path()).unwrap();
        let flags = GOING_FLAGS_NOLOGFLUSH;
        // SAFETY: the request reads one u32 through the pointer, which is valid for the call.
        let result = unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const flags) };
        assert_eq!(result, 0, "shutdown ioctl: {}", std::io::Error::last_os_error());
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        // Not mounted is fine; still in use goes away with the namespace.
        let _ = umount2(&self.path(), MntFlags::MNT_DETACH);
    }
}

fn command(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A child of a test does not outlive it.
pub(crate) fn die_with_parent() {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
