//! Every name of a cluster, derived from its state folder.

use super::underlay;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The names, addresses and paths of one cluster.
#[derive(Clone, Debug)]
pub struct Names {
    state: PathBuf,
    /// Four hex digits: interface names have 15 characters at most.
    id: String,
    /// The first address of the underlay, a /24.
    underlay: Ipv4Addr,
}

impl Names {
    /// The names of the cluster whose state is in `state`.
    pub fn of(state: &Path) -> Self {
        let state = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
        let hash = Sha256::digest(state.as_os_str().as_encoded_bytes());
        let noted = fs::read_to_string(underlay_file(&state)).ok().and_then(|text| text.trim().parse().ok());
        Self {
            id: format!("{:02x}{:02x}", hash[0], hash[1]),
            underlay: noted.unwrap_or_else(|| underlay::preferred(hash[2])),
            state,
        }
    }

    /// The first address of the network between the cluster's machines, a /24.
    pub fn underlay(&self) -> Ipv4Addr {
        self.underlay
    }

    /// Takes other addresses than those that the folder's name stands for, and notes them in the folder.
    pub fn move_to(&mut self, underlay: Ipv4Addr) -> io::Result<()> {
        self.underlay = underlay;
        fs::write(underlay_file(&self.state), format!("{underlay}\n"))
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    pub fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    pub fn pid_file(&self, process: &str) -> PathBuf {
        self.state.join(format!("{process}.pid"))
    }

    pub fn server_dir(&self) -> PathBuf {
        self.state.join("server")
    }

    pub fn node_dir(&self, index: usize) -> PathBuf {
        self.state.join(Self::node(index))
    }

    /// The name of node `index`, counted from 1.
    pub fn node(index: usize) -> String {
        format!("node{index}")
    }

    /// The bridge that stands for the network between machines.
    pub fn bridge(&self) -> String {
        format!("kl{}", self.id)
    }

    /// The network namespace of `host`: `server`, `node1` ..., `client`.
    pub fn netns(&self, host: &str) -> String {
        format!("kl{}-{host}", self.id)
    }

    pub fn netns_path(&self, host: &str) -> PathBuf {
        Path::new("/run/netns").join(self.netns(host))
    }

    /// The bridge's end of the cable to `host`.
    pub fn cable(&self, host: &str) -> String {
        let short: String = host.chars().filter(|c| c.is_ascii_digit()).collect();
        format!("kl{}{}{short}", self.id, &host[..1])
    }

    /// The cgroup of the whole cluster, below each hierarchy's root.
    pub fn cgroup(&self) -> String {
        format!("keelson-{}", self.id)
    }

    /// The machine's own address on the underlay.
    pub fn machine_ip(&self) -> Ipv4Addr {
        self.ip(1)
    }

    pub fn server_ip(&self) -> Ipv4Addr {
        self.ip(2)
    }

    pub fn node_ip(&self, index: usize) -> Ipv4Addr {
        self.ip(10 + u8::try_from(index).unwrap_or(u8::MAX - 10))
    }

    /// The address of the host that is outside of the cluster.
    pub fn client_ip(&self) -> Ipv4Addr {
        self.ip(250)
    }

    fn ip(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.underlay.octets();
        Ipv4Addr::new(a, b, c, last)
    }
}

fn underlay_file(state: &Path) -> PathBuf {
    state.join("underlay")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differ_by_state_and_fit() {
        let (a, b) = (Names::of(Path::new("/var/lib/a")), Names::of(Path::new("/var/lib/b")));
        assert_ne!(a.bridge(), b.bridge());
        for name in [a.bridge(), a.cable("server"), a.cable("node12"), a.cable("client")] {
            assert!(name.len() <= 15, "{name}");
        }
        assert_ne!(a.cable("node1"), a.cable("node2"));
        assert_ne!(a.cable("server"), a.cable("client"));
    }

    #[test]
    fn addresses_are_remembered_in_the_folder() {
        let state = std::env::temp_dir().join(format!("keelson-names-{}", std::process::id()));
        fs::create_dir(&state).unwrap();
        let mut names = Names::of(&state);
        assert_eq!(names.underlay().octets()[..2], [172, 31]);
        names.move_to(Ipv4Addr::new(198, 18, 5, 0)).unwrap();
        let again = Names::of(&state);
        fs::remove_dir_all(&state).unwrap();
        for names in [names, again] {
            assert_eq!(names.node_ip(1), Ipv4Addr::new(198, 18, 5, 11));
        }
    }
}
