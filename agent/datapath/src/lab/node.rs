//! A node: the engine on a thread of its own in the node's namespace, as the agent would run it.

use super::{Cgroup, Namespace};
use crate::attachment::Key;
use crate::backend::ebpf::Sizes;
use crate::cni::Sandbox;
use crate::engine::{Engine, Mode, Settings, Status};
use crate::tables::Views;
use crate::tables::tests::address;
use std::sync::mpsc;
use tempfile::TempDir;

type Work = Box<dyn FnOnce(&mut Engine, &tokio::runtime::Runtime) + Send>;

pub struct LabNode {
    pub namespace: Namespace,
    pub cgroup: Cgroup,
    pub state: TempDir,
    pub bpffs: BpfFs,
    name: String,
    ip: String,
    pub mode: Mode,
    /// Treat the kernel as one without tcx.
    pub clsact: bool,
    work: Option<mpsc::Sender<Work>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A pod's namespace and what ADD gave it.
pub struct Pod {
    pub namespace: Namespace,
    pub key: Key,
    pub ip: String,
}

impl LabNode {
    /// A node with an address on a switch.
    pub fn new(switch: &Namespace, name: &str, ip: &str, gateway: &str, mode: Mode) -> Self {
        let namespace = Namespace::new(name);
        super::wire(switch, &namespace, ip);
        namespace.ip(&format!("route add default via {gateway}"));
        let mut node = Self {
            namespace,
            cgroup: Cgroup::new(),
            state: tempfile::tempdir().unwrap(),
            bpffs: BpfFs::mount(),
            name: name.to_owned(),
            ip: ip.to_owned(),
            mode,
            clsact: false,
            work: None,
            thread: None,
        };
        node.start();
        node
    }

    /// Starts an agent, which takes over what an earlier one left.
    pub fn start(&mut self) {
        let settings = Settings {
            node_name: self.name.clone(),
            node: address(&self.ip),
            outer_interface: None,
            state_dir: self.state.path().to_owned(),
            pins: Some(self.bpffs.folder.path().join("bpf/keelson")),
            cgroup_root: Some(self.cgroup.path.clone()),
            cluster: "10.244.0.0/16".parse().unwrap(),
            services: "10.96.0.0/12".parse().unwrap(),
            dns: Some(address("10.96.0.10")),
            vxlan_port: 8472,
            mode: self.mode,
            sizes: Sizes { flows: 65_536, backends: 4096 },
            clsact: self.clsact,
        };
        let (work, inbox) = mpsc::channel::<Work>();
        let (ready, opened) = mpsc::channel();
        let thread = self.namespace.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut engine = match runtime.block_on(Engine::open(&settings)) {
                Ok(engine) => engine,
                Err(error) => return ready.send(Err(error.to_string())).unwrap(),
            };
            ready.send(Ok(())).unwrap();
            for work in inbox {
                work(&mut engine, &runtime);
            }
        });
        opened.recv().unwrap().unwrap_or_else(|error| panic!("{error}"));
        (self.work, self.thread) = (Some(work), Some(thread));
    }

    /// Stops the agent; what is pinned stays.
    pub fn stop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Does something with the engine.
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &tokio::runtime::Runtime) -> T + Send + 'static,
    ) -> T {
        let (sender, receiver) = mpsc::channel();
        let work: Work = Box::new(move |engine, runtime| drop(sender.send(work(engine, runtime))));
        self.work.as_ref().unwrap().send(work).unwrap();
        receiver.recv().unwrap()
    }

    pub fn set_views(&self, views: Views) {
        self.with(|engine, runtime| runtime.block_on(engine.set_views(views)).unwrap());
    }

    pub fn status(&self) -> Status {
        self.with(|engine, _| engine.status())
    }

    /// Makes a pod's namespace and has ADD give it a network.
    pub fn add_pod(&self, name: &str) -> Pod {
        let namespace = Namespace::new(name);
        let key = Key { container_id: namespace.name.clone(), ifname: "eth0".to_owned() };
        let sandbox = Sandbox {
            key: key.clone(),
            netns: namespace.path(),
            pod_namespace: "default".to_owned(),
            pod_name: name.to_owned(),
            pod_uid: String::new(),
        };
        let added = self.with(move |engine, runtime| runtime.block_on(engine.add(&sandbox)));
        let ip = added.unwrap().attachment.address.to_string();
        Pod { namespace, key, ip }
    }

    pub fn delete_pod(&self, pod: &Pod) {
        let key = pod.key.clone();
        self.with(move |engine, runtime| runtime.block_on(engine.delete(&key)).unwrap());
    }
}

impl Drop for LabNode {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where in its folder a bpffs is mounted.
pub const BPF_FOLDER: &str = "bpf";

/// A folder with a bpffs in it.
pub struct BpfFs {
    pub folder: TempDir,
    mount: std::path::PathBuf,
}

impl BpfFs {
    /// Mounts one in a new folder.
    pub fn mount() -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("{}-", super::unique())).tempdir().unwrap();
        let mount = folder.path().join(BPF_FOLDER);
        std::fs::create_dir(&mount).unwrap();
        let none: Option<&str> = None;
        nix::mount::mount(Some("bpf"), &mount, Some("bpf"), nix::mount::MsFlags::empty(), none).unwrap();
        Self { folder, mount }
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.mount, nix::mount::MntFlags::MNT_DETACH);
    }
}
