//! What a cluster could leave on a machine, by its own names: clusters run beside each other.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use xtask::cluster::Names;

/// A BPF object by its kind and id; ids are not used again soon.
type BpfObject = (&'static str, u32);

/// bpf(2)'s commands that walk all ids of a kind, and how the kernel names descriptors of it.
const KINDS: [(&str, libc::c_int); 3] = [("bpf-prog", 11), ("bpf-map", 12), ("bpf-link", 31)];
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;

/// What a running cluster has that does not go by name.
pub struct Belongings {
    bpf: BTreeSet<BpfObject>,
    /// Sockets that containerd's shims make outside of all folders that they are told.
    sockets: Vec<PathBuf>,
}

impl Belongings {
    /// Looks at every BPF object that the cluster's nodes have pinned.
    pub fn of(names: &Names) -> Self {
        let mut belongings = Self { bpf: BTreeSet::new(), sockets: xtask::cluster::shim_sockets(names) };
        for entry in fs::read_dir(names.state()).into_iter().flatten().flatten() {
            belongings.add_pins(&entry.path().join("bpf"));
        }
        belongings
    }

    /// Looks at every BPF object that is pinned below `dir`.
    pub fn add_pins(&mut self, dir: &Path) {
        let mut pins = Vec::new();
        files_below(dir, &mut pins);
        self.bpf.extend(pins.iter().filter_map(|pin| pinned(pin)));
    }

    /// How many BPF objects there are.
    pub fn bpf_objects(&self) -> usize {
        self.bpf.len()
    }

    /// Panics with what is still there of a cluster that has gone down.
    pub fn assert_gone(&self, names: &Names) {
        let mut left = self.left(names);
        // The kernel frees BPF objects and namespaces a moment after their last user.
        for _ in 0..600 {
            if left.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            left = self.left(names);
        }
        panic!("left behind: {left:#?}");
    }

    fn left(&self, names: &Names) -> Vec<String> {
        let mut left: Vec<String> =
            all_bpf().intersection(&self.bpf).map(|(kind, id)| format!("{kind} {id}")).collect();
        let interfaces = entries("/sys/class/net").filter(|name| name.starts_with(&names.bridge()));
        left.extend(interfaces.map(|name| format!("interface {name}")));
        let namespaces = entries("/run/netns").filter(|name| name.starts_with(&names.netns("")));
        left.extend(namespaces.map(|name| format!("network namespace {name}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        left.extend(
            mounts.filter(|at| Path::new(at).starts_with(names.state())).map(|at| format!("mount {at}")),
        );
        let sockets = self.sockets.iter().filter(|socket| socket.exists());
        left.extend(sockets.map(|socket| format!("socket {}", socket.display())));
        left.extend(cgroups(names));
        left.extend(processes(names));
        if names.state().exists() {
            left.push(format!("folder {}", names.state().display()));
        }
        left
    }
}

fn entries(dir: &str) -> impl Iterator<Item = String> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned())
}

/// The cluster's cgroup in any hierarchy.
fn cgroups(names: &Names) -> Vec<String> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let roots = entries("/sys/fs/cgroup").map(|name| root.join(name)).chain([root.clone()]);
    let found = roots.map(|dir| dir.join(names.cgroup())).filter(|dir| dir.exists());
    found.map(|dir| format!("cgroup {}", dir.display())).collect()
}

/// Processes that were told of the cluster's folder.
fn processes(names: &Names) -> Vec<String> {
    let state = names.state().display().to_string() + "/";
    let told = |pid: &String| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains(&state)
    };
    let pids = entries("/proc").filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    pids.filter(told).map(|pid| format!("process {pid}")).collect()
}

fn files_below(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

fn bpf(command: libc::c_int, attributes: &mut [u32]) -> libc::c_long {
    // SAFETY: the attributes live through the call and their size is given; what they point to does, too.
    unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes)) }
}

fn split(pointer: *const u8) -> [u32; 2] {
    let address = pointer as u64;
    [address as u32, (address >> 32) as u32]
}

/// The object behind a pin.
fn pinned(pin: &Path) -> Option<BpfObject> {
    let path = CString::new(pin.as_os_str().as_bytes()).ok()?;
    let [low, high] = split(path.as_ptr().cast());
    let fd = RawFd::try_from(bpf(BPF_OBJ_GET, &mut [low, high, 0, 0])).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just given us this descriptor.
    let object = unsafe { File::from_raw_fd(fd) };
    // Every kind's information starts with its type and its id.
    let mut info = [0_u32; 64];
    let [low, high] = split(info.as_mut_ptr().cast_const().cast());
    let result = bpf(
        BPF_OBJ_GET_INFO_BY_FD,
        &mut [object.as_raw_fd().cast_unsigned(), size_of_val(&info) as u32, low, high],
    );
    let name = fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd())).ok()?;
    let kind = KINDS.iter().find(|(kind, _)| name.to_string_lossy().contains(kind))?.0;
    // The kernel wrote through the pointer: read what is there now.
    // SAFETY: `info` is alive and its elements are plain numbers.
    let id = unsafe { std::ptr::read_volatile(&raw const info[1]) };
    (result == 0).then_some((kind, id))
}

/// Every BPF object of the machine.
fn all_bpf() -> BTreeSet<BpfObject> {
    let mut all = BTreeSet::new();
    for (kind, command) in KINDS {
        // Start id, next id, open flags.
        let mut attributes = [0_u32; 3];
        while bpf(command, &mut attributes) == 0 {
            all.insert((kind, attributes[1]));
            attributes[0] = attributes[1];
        }
    }
    all
}
