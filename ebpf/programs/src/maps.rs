//! The maps. Their names are the contract of `keelson_ebpf_abi::map`.

use crate::consts::*;
use crate::state::State;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray};
use aya_ebpf::macros::btf_map;
use keelson_ebpf_abi::{
    Address, Affinity, AffinityKey, Backend, Config, Endpoint, Flow, Fragment, FragmentKey, HOOKS, Member,
    Peer, REASONS, Service, ServiceKey, SocketKey, SocketOrigin, Trace, Tuple,
};

const _: () = assert!(HOOKS.len() <= HOOK_COUNTS_MAX && REASONS.len() <= DROP_COUNTS_MAX);

#[btf_map]
pub static CONFIG: Array<Config, 1> = Array::new();

#[btf_map]
pub static SERVICES: HashMap<ServiceKey, Service, SERVICES_MAX, NO_PREALLOC> = HashMap::new();

#[btf_map]
pub static BACKENDS: Array<Backend, BACKENDS_MAX> = Array::new();

/// Preallocated and without eviction: when it is full a new flow is refused.
#[btf_map]
pub static FLOWS: HashMap<Tuple, Flow, FLOWS_MAX> = HashMap::new();

#[btf_map]
pub static PEERS: LpmTrie<Address, Peer, PEERS_MAX> = LpmTrie::new();

#[btf_map]
pub static ENDPOINTS: HashMap<Address, Endpoint, ENDPOINTS_MAX, NO_PREALLOC> = HashMap::new();

/// Sockets close without telling us, so the least recently used entry makes room; losing one only shows a
/// socket its backend's address.
#[btf_map]
pub static SOCKETS: LruHashMap<SocketKey, SocketOrigin, SOCKETS_MAX> = LruHashMap::new();

/// Clients leave without telling us; losing an entry only lets a client choose anew.
#[btf_map]
pub static AFFINITY: LruHashMap<AffinityKey, Affinity, AFFINITY_MAX> = LruHashMap::new();

#[btf_map]
pub static MEMBERS: HashMap<Member, u32, MEMBERS_MAX, NO_PREALLOC> = HashMap::new();

/// No fragment says that it is the last to come; losing an entry loses that datagram.
#[btf_map]
pub static FRAGMENTS: LruHashMap<FragmentKey, Fragment, FRAGMENTS_MAX> = LruHashMap::new();

#[btf_map]
pub static ERRORS: Array<u64, 1> = Array::new();

#[btf_map]
pub static HOOK_COUNTS: PerCpuArray<u64, HOOK_COUNTS_MAX> = PerCpuArray::new();

#[btf_map]
pub static DROP_COUNTS: PerCpuArray<u64, DROP_COUNTS_MAX> = PerCpuArray::new();

#[btf_map]
pub static TRACE: PerCpuArray<Trace, 1> = PerCpuArray::new();

/// Private to the programs: see [`State`].
#[btf_map]
pub static SCRATCH: PerCpuArray<State, 1> = PerCpuArray::new();
