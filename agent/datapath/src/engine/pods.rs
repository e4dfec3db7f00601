//! A pod's network: given, checked, taken away.

use super::{Backend, Engine, EngineError};
use crate::attachment::{Attached, Attachment, Key};
use crate::backend::iptables;
use crate::cni::Sandbox;
use crate::netlink::{NetlinkError, PodLink, host_interface};
use crate::tables::GATEWAY_MAC;
use keelson_ebpf_abi::{Address, Endpoint};

/// What ADD reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The attachment.
    pub attachment: Attachment,
    /// MAC of the host side.
    pub host_mac: [u8; 6],
    /// MTU of both sides, bytes.
    pub mtu: u32,
}

impl Engine {
    /// Gives a sandbox its network. When it returns, the pod's endpoint is in force, and with it the policy set that
    /// the tables have for it: 0 for every pod as yet. An attempt that fails leaves nothing.
    pub async fn add(&mut self, sandbox: &Sandbox) -> Result<Added, EngineError> {
        if let Some(known) = self.attachments.all().get(&sandbox.key).cloned() {
            if known.netns != sandbox.netns {
                return Err(EngineError::Exists(sandbox.key.container_id.clone()));
            }
            // A repeated ADD: CNI forbids it, runtimes do it after a crash. It gets what it has.
            if self.netlink.check_pod(&self.link(&known)).await.is_ok() {
                return Ok(self.added(known));
            }
            self.delete(&sandbox.key).await?;
        }
        let Some(ipam) = &mut self.ipam else {
            return Err(EngineError::NoRange(self.facts().node_name.clone()));
        };
        let address = ipam.take()?;
        let attachment = attachment(sandbox, address);
        match self.wire(&attachment).await {
            Ok(()) => Ok(self.added(attachment)),
            Err(error) => {
                // What the kernel refuses to take back stays on disk, and GC tries again.
                if let Err(undo) = self.delete(&sandbox.key).await {
                    tracing::warn!(container = sandbox.key.container_id, error = %undo, "undoing an ADD");
                } else if let Some(ipam) = &mut self.ipam {
                    ipam.release(address);
                }
                Err(error)
            }
        }
    }

    async fn wire(&mut self, attachment: &Attachment) -> Result<(), EngineError> {
        self.attachments.put(attachment.clone())?;
        let interface = self.netlink.add_pod(&self.link(attachment)).await?;
        match &mut self.backend {
            Backend::Ebpf(ebpf) => ebpf.attach_pod(&interface.name)?,
            Backend::Iptables(_) => iptables::let_loopback_in(&interface.name),
        }
        let endpoint = Endpoint { ifindex: interface.index, mac: attachment.mac, ..Endpoint::default() };
        self.endpoints.insert(attachment.address(), endpoint);
        self.write_endpoint(attachment.address()).await
    }

    /// Takes a sandbox's network away; what is gone already is fine.
    pub async fn delete(&mut self, key: &Key) -> Result<(), EngineError> {
        let Some(attachment) = self.attachments.all().get(key).cloned() else {
            // ADD may have died before it wrote anything down.
            let leftover = host_interface(&key.container_id, &key.ifname);
            return Ok(self.netlink.remove_interface(&leftover).await?);
        };
        self.netlink.remove_interface(&attachment.host_interface).await?;
        let address = attachment.address();
        self.endpoints.remove(&address);
        self.write_endpoint(address).await?;
        if let Backend::Ebpf(ebpf) = &mut self.backend {
            ebpf.forget_address(address)?;
        }
        self.attachments.remove(key)?;
        if let Some(ipam) = &mut self.ipam {
            ipam.release(address);
        }
        if let Err(error) = self.apply_pods().await {
            // The network is gone all the same, and the tables are tried again.
            tracing::warn!(container = key.container_id, %error, "taking host ports out");
        }
        Ok(())
    }

    /// Whether a sandbox's network is as ADD left it.
    pub async fn check(&self, key: &Key) -> Result<(), EngineError> {
        let unknown = || EngineError::Unknown(key.container_id.clone());
        let attachment = self.attachments.all().get(key).ok_or_else(unknown)?;
        Ok(self.netlink.check_pod(&self.link(attachment)).await?)
    }

    /// Removes every attachment that is not wanted; how many went. One that resists does not keep the others.
    pub async fn collect(&mut self, wanted: impl Fn(&Key) -> bool) -> usize {
        let doomed: Vec<Key> = self.attachments.all().keys().filter(|key| !wanted(key)).cloned().collect();
        let mut removed = 0;
        for key in doomed {
            match self.delete(&key).await {
                Ok(()) => removed += 1,
                Err(error) => tracing::warn!(container = key.container_id, %error, "collecting a network"),
            }
        }
        removed
    }

    /// Sandboxes that have a network.
    pub fn attached(&self) -> Vec<Attached> {
        self.attachments.sandboxes()
    }

    /// Whether ADD can give out addresses.
    pub fn ready(&self) -> Result<(), EngineError> {
        match &self.ipam {
            Some(_) => Ok(()),
            None => Err(EngineError::NoRange(self.facts().node_name.clone())),
        }
    }

    fn added(&self, attachment: Attachment) -> Added {
        Added { attachment, host_mac: GATEWAY_MAC, mtu: self.mtu }
    }

    fn link(&self, attachment: &Attachment) -> PodLink {
        PodLink {
            host_name: attachment.host_interface.clone(),
            pod_name: attachment.key.ifname.clone(),
            namespace: attachment.netns.clone(),
            address: attachment.address(),
            node: self.facts().node,
            mac: attachment.mac,
            mtu: self.mtu,
        }
    }

    /// Brings one endpoint to the backend, without compiling everything anew.
    async fn write_endpoint(&mut self, address: Address) -> Result<(), EngineError> {
        let row = self.endpoints.get(&address).map(|network| self.compiler.row(address, network));
        match &mut self.backend {
            Backend::Ebpf(ebpf) => Ok(ebpf.set_endpoint(address, row.as_ref())?),
            Backend::Iptables(_) => Ok(()),
        }
    }
}

fn attachment(sandbox: &Sandbox, address: Address) -> Attachment {
    let bytes = address.bytes();
    Attachment {
        key: sandbox.key.clone(),
        netns: sandbox.netns.clone(),
        pod_namespace: sandbox.pod_namespace.clone(),
        pod_name: sandbox.pod_name.clone(),
        pod_uid: sandbox.pod_uid.clone(),
        address: address.to_ip(),
        host_interface: host_interface(&sandbox.key.container_id, &sandbox.key.ifname),
        // Locally administered, and unique on the node because the address is.
        mac: [0x02, 0x6d, bytes[12], bytes[13], bytes[14], bytes[15]],
    }
}

impl EngineError {
    /// Whether the runtime should simply try again.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NoRange(_) | Self::Exhausted(_) | Self::Netlink(NetlinkError::Socket(_)))
    }
}
