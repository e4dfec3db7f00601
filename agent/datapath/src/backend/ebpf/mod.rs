//! The eBPF backend: the only place that speaks to the kernel's bpf(2).

mod clsact;
mod flows;
mod links;
mod map;
mod object;
mod sys;

#[cfg(test)]
mod tests;

pub use clsact::detach as detach_clsact;
pub use links::AttachError;
pub use object::{LoadError, Sizes};
pub use sys::test_run;

use crate::plan::{Full, Lost, Placement, Planned, ServiceWrite, diff};
use crate::tables::{Tables, Touched};
use keelson_ebpf_abi::{
    Address, Backend, Config, Endpoint, HOOKS, Hook, Member, Plain, REASONS, Service, ServiceKey,
};
use links::Links;
use map::{Map, PerCpu};
use object::{Maps, Programs};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the maps do not hold the tables.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A table is full; the old state stands.
    #[error(transparent)]
    Full(#[from] Full),
    /// The kernel refused a write.
    #[error("writing {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Where the backend finds its hooks and keeps its pins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Folder of a bpffs; without one nothing outlives the process.
    pub pins: Option<PathBuf>,
    /// Folder of the cgroup v2 tree whose sockets are served.
    pub cgroup_root: Option<PathBuf>,
    /// How large the maps are made.
    pub sizes: Sizes,
    /// Use clsact although the kernel may have tcx.
    pub clsact: bool,
}

/// The loaded backend.
#[derive(Debug)]
pub struct Ebpf {
    programs: Programs,
    maps: Arc<Maps>,
    links: Links,
    placement: Placement,
    sizes: Sizes,
    /// Backends that services have lost since the last sweep, which goes over their flows once more.
    lost: Arc<Mutex<BTreeSet<Lost>>>,
    /// What tells this node's own network namespace from those of its pods.
    netns_cookie: u64,
}

impl Ebpf {
    /// Loads the programs, finds or makes the maps and attaches the socket programs.
    pub fn open(setup: &Setup) -> Result<Self, AttachError> {
        let (programs, maps) = object::load(setup.pins.as_deref(), setup.sizes)?;
        let mut links = Links::new(setup.pins.as_deref(), setup.clsact)?;
        if let Some(root) = &setup.cgroup_root {
            links.attach_cgroup(&programs, root)?;
        }
        let mut ebpf = Self {
            programs,
            maps: Arc::new(maps),
            links,
            placement: Placement::new(setup.sizes.backends),
            sizes: setup.sizes,
            lost: Arc::default(),
            netns_cookie: sys::netns_cookie().unwrap_or_default(),
        };
        ebpf.recover().map_err(|source| AttachError::Attach {
            hook: "services",
            target: "maps".to_owned(),
            source,
        })?;
        Ok(ebpf)
    }

    /// Writes the node's own facts: the first thing, so that no program runs without.
    pub fn set_config(&self, config: &Config) -> Result<(), WriteError> {
        let config = Config { netns_cookie: self.netns_cookie, ..*config };
        write_config(&self.maps.config, &config).map_err(in_map("CONFIG"))
    }

    /// The policy's epoch as the programs have it; 0 where nobody has written one yet.
    pub fn policy_epoch(&self) -> Result<u32, WriteError> {
        let config = self.maps.config.get(&0).map_err(in_map("CONFIG"))?;
        Ok(config.map_or(0, |config| config.policy_epoch))
    }

    /// Attaches the programs of the outer interface and the tunnel.
    pub fn attach_node(&mut self, outer: (&str, u32), tunnel: (&str, u32)) -> Result<(), AttachError> {
        for (hook, (name, index)) in [
            (Hook::FromVxlan, tunnel),
            (Hook::ToVxlan, tunnel),
            (Hook::FromOuter, outer),
            (Hook::ToOuter, outer),
        ] {
            self.links.attach_interface(&mut self.programs, hook, name, index)?;
        }
        Ok(())
    }

    /// Attaches the program of a pod's veth; it goes with the veth.
    pub fn attach_pod(&mut self, interface: &str) -> Result<(), AttachError> {
        self.links.attach_pod(&mut self.programs, interface)
    }

    /// Removes what interfaces that are gone have left.
    pub fn prune(&self, exists: impl Fn(&str) -> bool) -> io::Result<usize> {
        self.links.prune(exists)
    }

    /// Writes or removes one pod of this node.
    pub fn set_endpoint(&self, address: Address, endpoint: Option<&Endpoint>) -> Result<(), WriteError> {
        let written = match endpoint {
            Some(endpoint) => self.maps.endpoints.set(&address, endpoint),
            None => self.maps.endpoints.remove(&address).map(drop),
        };
        written.map_err(in_map("ENDPOINTS"))
    }

    /// The descriptor of a hook's program, for [`test_run`].
    pub fn program(&self, hook: Hook) -> Result<BorrowedFd<'_>, LoadError> {
        self.programs.fd(hook)
    }

    /// Service ports in the maps.
    pub fn service_count(&self) -> usize {
        self.placement.len()
    }

    /// Brings the maps to the tables. What is new comes before what leads to it, what is gone goes last.
    pub fn apply(&mut self, tables: &Tables, now_ms: u64) -> Result<(), WriteError> {
        let planned = self.placement.plan(&tables.services, now_ms)?;
        self.carry_out(tables, planned, true)
    }

    /// The same where the maps hold all of the tables but what `touched` says.
    pub fn apply_touched(
        &mut self,
        tables: &Tables,
        touched: &Touched,
        now_ms: u64,
    ) -> Result<(), WriteError> {
        let planned = self.placement.plan_keys(&tables.services, touched.services.iter(), now_ms)?;
        self.carry_out(tables, planned, touched.others)
    }

    fn carry_out(&mut self, tables: &Tables, planned: Planned, others: bool) -> Result<(), WriteError> {
        let before = if others { self.write_others(tables) } else { Ok(()) };
        let written = before.and_then(|()| self.write_services(&planned));
        if written.is_err() {
            // The plan counts as done: read back what the maps really hold.
            let _ = self.recover();
        }
        written?;
        self.forget_backends(tables, planned)
    }

    fn write_others(&self, tables: &Tables) -> Result<(), WriteError> {
        sync(&self.maps.endpoints, &tables.endpoints, "ENDPOINTS", Map::entries)?;
        sync(&self.maps.peers, &tables.peers, "PEERS", by_key)?;
        // Last, because a flow that is judged in an epoch must find all of it.
        self.set_config(&tables.config)
    }

    fn write_services(&self, planned: &Planned) -> Result<(), WriteError> {
        let writes = &planned.writes;
        for member in &planned.joined {
            self.maps.members.set(member, &0).map_err(in_map("MEMBERS"))?;
        }
        let (mut slots, mut backends) = (Vec::new(), Vec::new());
        for write in writes {
            if let ServiceWrite::Backends { base, backends: range } = write {
                slots.extend((*base..).take(range.len()));
                backends.extend_from_slice(range);
            }
        }
        self.maps.backends.set_all(&slots, &backends).map_err(in_map("BACKENDS"))?;
        let puts = writes.iter().filter_map(|write| match write {
            ServiceWrite::Put(key, service) => Some((*key, *service)),
            _ => None,
        });
        let (keys, values): (Vec<_>, Vec<_>) = puts.unzip();
        self.maps.services.set_all(&keys, &values).map_err(in_map("SERVICES"))?;
        for write in writes {
            if let ServiceWrite::Remove(key) = write {
                self.maps.services.remove(key).map_err(in_map("SERVICES"))?;
            }
        }
        for member in &planned.left {
            self.maps.members.remove(member).map_err(in_map("MEMBERS"))?;
        }
        Ok(())
    }

    /// Reads from the maps what an earlier agent placed.
    fn recover(&mut self) -> io::Result<()> {
        let mut found: Vec<(ServiceKey, Service, Vec<Backend>)> = Vec::new();
        for (key, service) in self.maps.services.entries()? {
            let mut backends = Vec::new();
            for slot in (service.base..).take(service.count as usize) {
                backends.extend(self.maps.backends.get(&slot)?);
            }
            found.push((key, service, backends));
        }
        let sticky = found.iter().filter(|(_, service, _)| service.flags & Service::AFFINITY != 0);
        let members = sticky.flat_map(|(_, service, backends)| {
            let member =
                |b: &Backend| Member { address: b.address, port: b.port, reserved: 0, service: service.id };
            backends.iter().map(move |backend| (member(backend), 0))
        });
        sync_map(&self.maps.members, &members.collect(), Map::entries)?;
        self.placement = Placement::recover(self.sizes.backends, &found);
        Ok(())
    }

    /// Forgets at once what would send datagrams to a backend that is gone; the sweep does the rest.
    fn forget_backends(&self, tables: &Tables, planned: Planned) -> Result<(), WriteError> {
        let by_udp = flows::Left::new(planned.lost.iter().filter(|lost| lost.protocol == flows::UDP));
        {
            let mut lost = self.lost.lock();
            for write in &planned.writes {
                if let ServiceWrite::Put(key, service) = write
                    && let Some(port) = tables.services.get(key)
                {
                    let has = |lost: &Lost| {
                        lost.service == service.id && port.backends.binary_search(&lost.backend).is_ok()
                    };
                    lost.retain(|lost| !has(lost));
                }
            }
            lost.extend(planned.lost);
        }
        if by_udp.is_empty() {
            return Ok(());
        }
        flows::forget(&self.maps.flows, |flow| by_udp.has(flow)).map(drop).map_err(in_map("FLOWS"))
    }

    /// Forgets every flow of an address that is given back.
    pub fn forget_address(&self, address: Address) -> io::Result<usize> {
        flows::forget(&self.maps.flows, |flow| flow.touches(address))
    }

    /// A handle for the periodic sweep, which runs beside the task.
    pub fn sweeper(&self) -> Sweeper {
        Sweeper { maps: self.maps.clone(), lost: self.lost.clone() }
    }

    /// Packets and calls by hook.
    pub fn hook_counts(&self) -> io::Result<BTreeMap<&'static str, u64>> {
        HOOKS.iter().map(|hook| Ok((hook.name(), sum(&self.maps.hook_counts, hook.index())?))).collect()
    }

    /// Refusals by reason.
    pub fn drop_counts(&self) -> io::Result<BTreeMap<&'static str, u64>> {
        REASONS
            .iter()
            .map(|reason| Ok((reason.name(), sum(&self.maps.drop_counts, reason.index())?)))
            .collect()
    }

    /// Instructions that the verifier walked, by program.
    pub fn verified_instructions(&self) -> BTreeMap<&'static str, u32> {
        self.programs.verified_instructions()
    }
}

/// Removes expired flows.
#[derive(Clone, Debug)]
pub struct Sweeper {
    maps: Arc<Maps>,
    lost: Arc<Mutex<BTreeSet<Lost>>>,
}

impl Sweeper {
    /// One pass over the whole table: how many entries are left and how many went. Blocks.
    pub fn sweep(&self) -> io::Result<flows::Swept> {
        let lost = std::mem::take(&mut *self.lost.lock());
        flows::sweep(&self.maps.flows, flows::now_ns(), &flows::Left::new(lost.iter()))
    }
}

/// Removes pins: those of other layouts, whose hooks ours have taken over, or all of them.
pub fn remove_pins(pins: &Path, keep_ours: bool) -> io::Result<()> {
    let ours = format!("v{}", keelson_ebpf_abi::LAYOUT);
    let entries = match std::fs::read_dir(pins) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let is_layout = name.to_string_lossy().starts_with('v');
        if is_layout && !(keep_ours && name == *ours) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn in_map(map: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    move |source| WriteError::Map { map, source }
}

fn write_config(map: &Map<u32, Config>, config: &Config) -> io::Result<()> {
    if map.get(&0)?.as_ref() == Some(config) { Ok(()) } else { map.set(&0, config) }
}

/// Brings a map to a table, by what the kernel holds and not by what we believe it holds.
fn sync<K: Plain + Ord, V: Plain + PartialEq>(
    map: &Map<K, V>,
    should: &BTreeMap<K, V>,
    name: &'static str,
    read: impl Fn(&Map<K, V>) -> io::Result<Vec<(K, V)>>,
) -> Result<(), WriteError> {
    sync_map(map, should, read).map_err(in_map(name))
}

fn sync_map<K: Plain + Ord, V: Plain + PartialEq>(
    map: &Map<K, V>,
    should: &BTreeMap<K, V>,
    read: impl Fn(&Map<K, V>) -> io::Result<Vec<(K, V)>>,
) -> io::Result<()> {
    let is: BTreeMap<K, V> = read(map)?.into_iter().collect();
    let diff = diff(&is, should);
    for (key, value) in &diff.set {
        map.set(key, value)?;
    }
    for key in &diff.remove {
        map.remove(key)?;
    }
    Ok(())
}

/// Reads a trie, which older kernels do not read in batches.
fn by_key<K: Plain, V: Plain>(map: &Map<K, V>) -> io::Result<Vec<(K, V)>> {
    let mut entries = Vec::new();
    for key in map.keys()? {
        entries.extend(map.get(&key)?.map(|value| (key, value)));
    }
    Ok(entries)
}

fn sum(counts: &PerCpu<u64>, index: u32) -> io::Result<u64> {
    Ok(counts.get(index)?.into_iter().sum())
}
