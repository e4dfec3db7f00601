//! A disk for the server that loses what was not synced, and a way to take the syncs out of a process.

use super::cluster::TestCluster;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// ext4's own way to go down: `FS_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const FS_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
/// Nothing more reaches the disk, the journal included: as when the power goes.
const GOING_FLAGS_NOLOGFLUSH: u32 = 2;
const MIB: u64 = 512;

/// An ext4 file system in a file, mounted as the server's folder. It is below the cluster's state folder, so it goes
/// with the cluster.
pub struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// Before the server was started for the first time.
    pub fn make(cluster: &TestCluster) -> Self {
        let disk = Self { image: cluster.names.state().join("disk"), folder: cluster.names.server_dir() };
        File::create(&disk.image).unwrap().set_len(MIB << 20).unwrap();
        std::fs::create_dir_all(&disk.folder).unwrap();
        xtask::run::sh(&format!("mkfs.ext4 -q -F {}", disk.image.display())).unwrap();
        disk.mount();
        disk
    }

    /// The loop device goes with the mount.
    fn mount(&self) {
        xtask::run::sh(&format!("mount -o loop {} {}", self.image.display(), self.folder.display())).unwrap();
    }

    /// The power goes: what was not synced is lost, and nothing can be written any more.
    pub fn cut_power(&self) {
        let folder = File::open(&self.folder).unwrap();
        let flags = GOING_FLAGS_NOLOGFLUSH;
        // SAFETY: the request reads one u32 through the pointer, which is valid for the call.
        let result = unsafe { libc::ioctl(folder.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const flags) };
        assert_eq!(result, 0, "shutdown ioctl: {}", std::io::Error::last_os_error());
    }

    /// The power is back. Nothing may use the disk.
    pub fn restore(&self) {
        nix::mount::umount(&self.folder).expect("nobody uses the disk");
        // Namespaces that others made meanwhile have copies of the mount, and a file system that is mounted anywhere is
        // what a new mount of its image would be. The copies go with the folder that they are mounted on.
        std::fs::remove_dir(&self.folder).expect("nothing is below what was mounted");
        std::fs::create_dir(&self.folder).expect("it can be made again");
        self.mount();
    }
}

/// Runs `start` on a thread, and so every process that it starts, with syncs that succeed and do nothing.
pub fn without_sync(start: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            ignore_syncs().expect("a system call filter can be set");
            start();
        });
        thread.join().expect("the thread does not panic");
    });
}

/// A filter of system calls: those that sync return 0 at once.
fn ignore_syncs() -> std::io::Result<()> {
    let instruction =
        |code: u32, jt: u8, k: i64| libc::sock_filter { code: code as u16, jt, jf: 0, k: k as u32 };
    let calls = [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_msync, libc::SYS_sync_file_range];
    // The call's number is the first word of what a filter sees.
    let mut filter = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        // Over the other comparisons and the instruction that allows.
        let over = u8::try_from(calls.len() - index).unwrap_or(u8::MAX);
        filter.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, over, *call));
    }
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, i64::from(libc::SECCOMP_RET_ALLOW)));
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, 0, i64::from(libc::SECCOMP_RET_ERRNO)));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its instructions live through the call, which copies them.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
