//! The kernel object: loaded and verified once per start of the agent, never per pod.
//!
//! Maps are pinned by name under a folder of the layout's version, so a new agent finds the flows of the old
//! one; programs are loaded anew and swapped into the pinned links.

use super::map::{Map, PerCpu};
use super::sys::AttachType;
use aya::programs::{Program, ProgramError, SchedClassifier};
use aya::{Ebpf, EbpfError, EbpfLoader};
use keelson_ebpf_abi::{
    Address, Backend, Config, Endpoint, Flow, Hook, LAYOUT, Member, Peer, PeerKey, Plain, Service,
    ServiceKey, Tuple, map,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

#[cfg(keelson_bpf_object)]
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("KEELSON_BPF_OBJECT_PATH"));
#[cfg(not(keelson_bpf_object))]
static OBJECT: &[u8] = &[];

#[cfg(all(not(keelson_bpf_object), not(test), not(clippy)))]
compile_error!("the kernel object is missing: run `cargo xtask bpf` (it builds target/bpf/keelson.o)");

/// Why the programs are not in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The build left the object out.
    #[error("this build holds no kernel object")]
    NoObject,
    /// The object, a map or its pin was refused.
    #[error("loading the kernel object: {0}")]
    Object(#[from] EbpfError),
    /// The verifier refused a program; its log is in the source.
    #[error("loading program {name}: {source}")]
    Program {
        /// The program.
        name: &'static str,
        /// With the verifier's log.
        source: Box<ProgramError>,
    },
    /// A map or program that this version needs is not in the object.
    #[error("the kernel object has no {0}")]
    Missing(&'static str),
    /// The pin folder cannot be used.
    #[error("pin folder {path}: {source}")]
    Pins {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A program of the object: hook, name and, for socket hooks, where it attaches.
pub struct Entry {
    /// The hook it counts under.
    pub hook: Hook,
    /// Its name in the object.
    pub name: &'static str,
    /// Where a link attaches it.
    pub attach: AttachType,
}

const fn entry(hook: Hook, attach: AttachType) -> Entry {
    Entry { hook, name: hook.name(), attach }
}

/// All programs.
pub const PROGRAMS: &[Entry] = &[
    entry(Hook::FromPod, AttachType::TcxIngress),
    entry(Hook::FromVxlan, AttachType::TcxIngress),
    entry(Hook::ToVxlan, AttachType::TcxEgress),
    entry(Hook::FromOuter, AttachType::TcxIngress),
    entry(Hook::ToOuter, AttachType::TcxEgress),
    entry(Hook::Connect4, AttachType::Connect4),
    entry(Hook::Connect6, AttachType::Connect6),
    entry(Hook::Sendmsg4, AttachType::Sendmsg4),
    entry(Hook::Sendmsg6, AttachType::Sendmsg6),
    entry(Hook::Recvmsg4, AttachType::Recvmsg4),
    entry(Hook::Recvmsg6, AttachType::Recvmsg6),
    entry(Hook::Getpeername4, AttachType::Getpeername4),
    entry(Hook::Getpeername6, AttachType::Getpeername6),
];

/// How large the maps are made; fixed when they are first pinned.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Entries of the flow table: two per flow.
    pub flows: u32,
    /// Endpoints of all service ports together.
    pub backends: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { flows: 262_144, backends: 262_144 }
    }
}

/// The loaded programs.
#[derive(Debug)]
pub struct Programs {
    ebpf: Ebpf,
}

/// The maps, typed.
#[derive(Debug)]
pub struct Maps {
    pub config: Map<u32, Config>,
    pub services: Map<ServiceKey, Service>,
    pub backends: Map<u32, Backend>,
    pub flows: Map<Tuple, Flow>,
    pub peers: Map<PeerKey, Peer>,
    pub endpoints: Map<Address, Endpoint>,
    pub members: Map<Member, u32>,
    pub hook_counts: PerCpu<u64>,
    pub drop_counts: PerCpu<u64>,
    #[cfg(test)]
    pub trace: PerCpu<keelson_ebpf_abi::Trace>,
    #[cfg(test)]
    pub errors: Map<u32, u64>,
    #[cfg(test)]
    pub affinity: Map<keelson_ebpf_abi::AffinityKey, keelson_ebpf_abi::Affinity>,
    #[cfg(test)]
    pub fragments: Map<keelson_ebpf_abi::FragmentKey, keelson_ebpf_abi::Fragment>,
}

/// Loads the object; maps are found or made in `pins`, or unpinned without it.
pub fn load(pins: Option<&Path>, sizes: Sizes) -> Result<(Programs, Maps), LoadError> {
    if OBJECT.is_empty() {
        return Err(LoadError::NoObject);
    }
    let mut loader = EbpfLoader::new();
    // Our programs relocate nothing against the kernel's types, so those need not be parsed.
    loader.btf(None);
    loader.map_max_entries(map::FLOWS, sizes.flows).map_max_entries(map::BACKENDS, sizes.backends);
    if let Some(pins) = pins {
        let folder = pins.join(format!("v{LAYOUT}")).join("maps");
        std::fs::create_dir_all(&folder)
            .map_err(|source| LoadError::Pins { path: folder.clone(), source })?;
        for name in MAPS {
            loader.map_pin_path(name, folder.join(name));
        }
    }
    let mut ebpf = loader.load(OBJECT)?;
    for entry in PROGRAMS {
        load_program(&mut ebpf, entry.name)
            .map_err(|source| LoadError::Program { name: entry.name, source: Box::new(source) })?;
    }
    let maps = Maps::of(&ebpf)?;
    Ok((Programs { ebpf }, maps))
}

fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<(), ProgramError> {
    match ebpf.program_mut(name) {
        Some(Program::SchedClassifier(program)) => program.load(),
        Some(Program::CgroupSockAddr(program)) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

const MAPS: &[&str] = &[
    map::CONFIG,
    map::SERVICES,
    map::BACKENDS,
    map::FLOWS,
    map::PEERS,
    map::ENDPOINTS,
    map::SOCKETS,
    map::AFFINITY,
    map::MEMBERS,
    map::FRAGMENTS,
    map::ERRORS,
    map::HOOK_COUNTS,
    map::DROP_COUNTS,
    map::TRACE,
];

impl Programs {
    /// The descriptor of a loaded program.
    pub fn fd(&self, hook: Hook) -> Result<BorrowedFd<'_>, LoadError> {
        let program = self.ebpf.program(hook.name()).ok_or(LoadError::Missing(hook.name()))?;
        let fd = program
            .fd()
            .map_err(|source| LoadError::Program { name: hook.name(), source: Box::new(source) })?;
        Ok(fd.as_fd())
    }

    /// A packet program, to be attached by the loader library.
    pub fn classifier(&mut self, hook: Hook) -> Result<&mut SchedClassifier, LoadError> {
        match self.ebpf.program_mut(hook.name()) {
            Some(Program::SchedClassifier(program)) => Ok(program),
            _ => Err(LoadError::Missing(hook.name())),
        }
    }

    /// Instructions that the verifier walked, by program.
    pub fn verified_instructions(&self) -> BTreeMap<&'static str, u32> {
        let count = |entry: &Entry| {
            let info = self.ebpf.program(entry.name)?.info().ok()?;
            Some((entry.name, info.verified_instruction_count()?))
        };
        PROGRAMS.iter().filter_map(count).collect()
    }
}

impl Maps {
    fn of(ebpf: &Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            config: typed(ebpf, map::CONFIG)?,
            services: typed(ebpf, map::SERVICES)?,
            backends: typed(ebpf, map::BACKENDS)?,
            flows: typed(ebpf, map::FLOWS)?,
            peers: typed(ebpf, map::PEERS)?,
            endpoints: typed(ebpf, map::ENDPOINTS)?,
            members: typed(ebpf, map::MEMBERS)?,
            hook_counts: per_cpu(ebpf, map::HOOK_COUNTS)?,
            drop_counts: per_cpu(ebpf, map::DROP_COUNTS)?,
            #[cfg(test)]
            trace: per_cpu(ebpf, map::TRACE)?,
            #[cfg(test)]
            errors: typed(ebpf, map::ERRORS)?,
            #[cfg(test)]
            affinity: typed(ebpf, map::AFFINITY)?,
            #[cfg(test)]
            fragments: typed(ebpf, map::FRAGMENTS)?,
        })
    }
}

fn typed<K: Plain, V: Plain>(ebpf: &Ebpf, name: &'static str) -> Result<Map<K, V>, LoadError> {
    Ok(Map::new(descriptor(ebpf, name)?))
}

fn per_cpu<V: Plain>(ebpf: &Ebpf, name: &'static str) -> Result<PerCpu<V>, LoadError> {
    PerCpu::new(descriptor(ebpf, name)?)
        .map_err(|source| LoadError::Pins { path: PathBuf::from(name), source })
}

fn descriptor(ebpf: &Ebpf, name: &'static str) -> Result<OwnedFd, LoadError> {
    use aya::maps::Map as Loaded;
    let map = match ebpf.map(name).ok_or(LoadError::Missing(name))? {
        Loaded::Array(map) | Loaded::HashMap(map) | Loaded::LruHashMap(map) => map,
        Loaded::LpmTrie(map) | Loaded::PerCpuArray(map) => map,
        _ => return Err(LoadError::Missing(name)),
    };
    map.fd()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| LoadError::Pins { path: PathBuf::from(name), source })
}
