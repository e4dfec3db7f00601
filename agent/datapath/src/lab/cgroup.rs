//! A folder of the cgroup v2 tree.

use std::path::PathBuf;

/// A scratch cgroup; must be empty of processes when it is dropped.
pub struct Cgroup {
    pub path: PathBuf,
}

/// Where the v2 tree is mounted.
pub fn root() -> PathBuf {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let found = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
    found.expect("a cgroup v2 tree is mounted")
}

impl Cgroup {
    pub fn new() -> Self {
        let path = root().join(super::unique());
        std::fs::create_dir(&path).unwrap();
        Self { path }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..50 {
            if std::fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
