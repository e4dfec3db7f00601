//! What ADD has given out, on disk: the one thing that neither CRI nor the kernel can tell a new agent.
//!
//! One small file per attachment, written before the interface is made, so that a crash at any point leaves
//! something to clean up by and never an address in limbo.

use keelson_ebpf_abi::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which attachment: a sandbox's interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The sandbox.
    pub container_id: String,
    /// The interface's name in it.
    pub ifname: String,
}

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// Path of the sandbox's network namespace.
    pub netns: PathBuf,
    /// Namespace of the pod; empty when the runtime did not say.
    pub pod_namespace: String,
    /// Name of the pod.
    pub pod_name: String,
    /// The pod's uid; empty when the runtime did not say.
    #[serde(default)]
    pub pod_uid: String,
    /// The pod's address.
    pub address: IpAddr,
    /// Name of the veth's host side.
    pub host_interface: String,
    /// MAC inside the pod.
    pub mac: [u8; 6],
}

/// A sandbox that has a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The sandbox.
    pub sandbox: String,
    /// When it was given the network, by the machine's clock.
    pub since: SystemTime,
}

impl Attachment {
    /// The address in the form of the tables.
    pub fn address(&self) -> Address {
        Address::from(self.address)
    }
}

/// The folder of attachments, and its content in memory.
#[derive(Debug)]
pub struct Attachments {
    folder: PathBuf,
    all: BTreeMap<Key, Attachment>,
}

impl Attachments {
    /// Reads the folder, making it when it is not there. A file that cannot be read as an attachment is
    /// returned for the log and left alone.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<PathBuf>)> {
        std::fs::create_dir_all(folder)?;
        let mut all = BTreeMap::new();
        let mut unreadable = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice::<Attachment>(&std::fs::read(&path)?) {
                Ok(attachment) => drop(all.insert(attachment.key.clone(), attachment)),
                Err(_) => unreadable.push(path),
            }
        }
        Ok((Self { folder: folder.to_owned(), all }, unreadable))
    }

    /// Every attachment.
    pub fn all(&self) -> &BTreeMap<Key, Attachment> {
        &self.all
    }

    /// Every sandbox, and since when it has its network. What has no file any more has had it for ever.
    pub fn sandboxes(&self) -> Vec<Attached> {
        let attached = |key: &Key| {
            let written = std::fs::metadata(self.path(key)).and_then(|metadata| metadata.modified());
            let since = written.unwrap_or(SystemTime::UNIX_EPOCH);
            Attached { sandbox: key.container_id.clone(), since }
        };
        self.all.keys().map(attached).collect()
    }

    /// Keeps an attachment, on disk before it is in memory.
    pub fn put(&mut self, attachment: Attachment) -> io::Result<()> {
        let path = self.path(&attachment.key);
        let text = serde_json::to_vec(&attachment).map_err(io::Error::other)?;
        let draft = path.with_extension("new");
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, &path)?;
        self.all.insert(attachment.key.clone(), attachment);
        Ok(())
    }

    /// Forgets an attachment.
    pub fn remove(&mut self, key: &Key) -> io::Result<Option<Attachment>> {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(self.all.remove(key))
    }

    /// Names come from outside: only their hash reaches the file system.
    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.json", crate::netlink::host_interface(&key.container_id, &key.ifname)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(id: &str) -> Attachment {
        Attachment {
            key: Key { container_id: id.to_owned(), ifname: "eth0".to_owned() },
            netns: "/run/netns/x".into(),
            pod_namespace: "default".to_owned(),
            pod_name: "web".to_owned(),
            pod_uid: "u".to_owned(),
            address: "10.244.0.5".parse().unwrap(),
            host_interface: "kp1".to_owned(),
            mac: [2, 0, 0, 0, 0, 1],
        }
    }

    #[test]
    fn attachments_outlive_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let (mut attachments, _) = Attachments::open(folder.path()).unwrap();
        attachments.put(attachment("a")).unwrap();
        attachments.put(attachment("../b")).unwrap();
        std::fs::write(folder.path().join("broken.json"), "{").unwrap();
        let (mut again, unreadable) = Attachments::open(folder.path()).unwrap();
        assert_eq!(again.all(), attachments.all());
        assert_eq!(unreadable, [folder.path().join("broken.json")]);
        assert_eq!(again.remove(&attachment("a").key).unwrap(), Some(attachment("a")));
        assert_eq!(again.remove(&attachment("a").key).unwrap(), None);
        assert_eq!(Attachments::open(folder.path()).unwrap().0.all().len(), 1);
    }
}
