//! Facts about the machine that the node reports: capacity, versions, identities.

use std::path::Path;

/// Read once at start.
#[derive(Clone, Debug, Default)]
pub struct MachineFacts {
    pub cpu_milli: i64,
    pub memory_bytes: i64,
    /// Of the file system that holds the kubelet's root.
    pub disk_bytes: i64,
    pub pids_max: i64,
    pub machine_id: String,
    pub system_uuid: String,
    pub boot_id: String,
    pub kernel_version: String,
    pub os_image: String,
    /// The kernel enforces AppArmor profiles.
    pub app_armor: bool,
    /// As Go names it: `amd64`, `arm64`.
    pub architecture: &'static str,
}

/// Kept from pods: below this much available memory the node is under memory pressure.
pub const MEMORY_RESERVED_BYTES: i64 = 100 << 20;
/// Kept from pods: below one part in this of free disk the node is under disk pressure.
const DISK_RESERVED_PART: i64 = 10;

impl MachineFacts {
    /// The memory that pods may ask for.
    pub fn memory_allocatable_bytes(&self) -> i64 {
        (self.memory_bytes - MEMORY_RESERVED_BYTES).max(0)
    }

    /// The disk that pods may ask for.
    pub fn disk_allocatable_bytes(&self) -> i64 {
        self.disk_bytes - self.disk_bytes / DISK_RESERVED_PART
    }

    pub fn read(root_dir: &Path) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let kernel = nix::sys::utsname::uname()
            .map(|u| u.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            cpu_milli: i64::try_from(cpus).unwrap_or(1) * 1000,
            memory_bytes: memory_bytes(&read("/proc/meminfo"), "MemTotal"),
            disk_bytes: disk_bytes(root_dir),
            pids_max: read("/proc/sys/kernel/pid_max").trim().parse().unwrap_or(32_768),
            system_uuid: system_uuid(&read("/sys/class/dmi/id/product_uuid"), &read("/etc/machine-id")),
            machine_id: read("/etc/machine-id").trim().to_owned(),
            boot_id: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            kernel_version: kernel,
            app_armor: read("/sys/module/apparmor/parameters/enabled").starts_with('Y'),
            os_image: os_image(&read("/etc/os-release")),
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// One line of /proc/meminfo, in bytes.
pub fn memory_bytes(meminfo: &str, name: &str) -> i64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes: i64 =
        line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0);
    kilobytes * 1024
}

fn disk_bytes(path: &Path) -> i64 {
    let Ok(stat) = nix::sys::statvfs::statvfs(path) else { return 0 };
    i64::try_from(stat.blocks() * stat.fragment_size()).unwrap_or(i64::MAX)
}

/// The firmware's id of the machine, else the installation's: some machines have no DMI tables.
fn system_uuid(product_uuid: &str, machine_id: &str) -> String {
    let (product_uuid, machine_id) = (product_uuid.trim(), machine_id.trim());
    if product_uuid.is_empty() { machine_id.to_owned() } else { product_uuid.to_owned() }
}

/// Bytes of a file system as `df` counts them: what is used and what whoever is not root may still have. Blocks that
/// are kept for root are neither, and on some disks most of them are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub capacity: u64,
    pub available: u64,
}

impl Usage {
    /// Of the file system that holds `path`.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let stat = nix::sys::statvfs::statvfs(path)?;
        let unit = stat.fragment_size();
        Ok(Self::new(stat.blocks(), stat.blocks_free(), stat.blocks_available(), unit))
    }

    fn new(blocks: u64, free: u64, available: u64, unit: u64) -> Self {
        let used = blocks.saturating_sub(free);
        Self {
            capacity: used.saturating_add(available).saturating_mul(unit),
            available: available.saturating_mul(unit),
        }
    }
}

fn os_image(os_release: &str) -> String {
    let name = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |n| n.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_from_pods() {
        let check = |memory_bytes: i64, disk_bytes: i64, expect: (i64, i64)| {
            let facts = MachineFacts { memory_bytes, disk_bytes, ..MachineFacts::default() };
            assert_eq!((facts.memory_allocatable_bytes(), facts.disk_allocatable_bytes()), expect);
        };
        check(1 << 30, 1000, ((1 << 30) - (100 << 20), 900));
        check(1 << 20, 0, (0, 0));
    }

    #[test]
    fn blocks_that_are_kept_for_root_are_no_room() {
        // A quarter is used, and of the free ones most are root's.
        let usage = Usage::new(1000, 750, 250, 4096);
        assert_eq!(usage, Usage { capacity: 500 * 4096, available: 250 * 4096 });
        assert_eq!(Usage::new(10, 20, 5, 1), Usage { capacity: 5, available: 5 });
        assert!(Usage::of(Path::new("/")).unwrap().capacity > 0);
    }

    #[test]
    fn files() {
        let text = "MemTotal:       16318480 kB\nMemFree: 12 kB\n";
        assert_eq!(memory_bytes(text, "MemTotal"), 16_318_480 * 1024);
        assert_eq!(memory_bytes(text, "Mem"), 0);
        assert_eq!(os_image("NAME=x\nPRETTY_NAME=\"Debian 12\"\n"), "Debian 12");
        assert_eq!(system_uuid("ec2\n", "abc\n"), "ec2");
        assert_eq!(system_uuid("\n", "abc\n"), "abc");
        assert!(MachineFacts::read(Path::new("/")).memory_bytes > 0);
    }
}
