//! A node's programs and maps in a scratch namespace, fed packet by packet.

use crate::backend::ebpf::sys::test_run;
use crate::backend::ebpf::{Ebpf, Setup, Sizes};
use crate::lab::Namespace;
use crate::model::rows::{Interfaces, Judge, tables};
use crate::model::{Arrival, Mark, Outcome, Verdict};
use crate::tables::Tables;
use keelson_ebpf_abi::{Address, Flow, Hook, REASONS, TraceVerdict, Tuple};
use std::collections::BTreeMap;

pub const SIZES: Sizes = Sizes { flows: 65_536, backends: 1_024 };
const ACT_SHOT: i32 = 2;
const ACT_UNSPEC: i32 = -1;
const ACT_REDIRECT: i32 = 7;

/// A namespace with the interfaces that packets come by and go to.
pub fn namespace() -> Namespace {
    let namespace = Namespace::new("rig");
    for name in ["pod-a", "pod-b", "outer", "tunnel"] {
        // Frames of the tests are for this address.
        namespace.ip(&format!("link add {name} address 02:00:00:00:00:01 type veth peer name {name}-end"));
        namespace.ip(&format!("link set {name} up"));
    }
    namespace
}

pub struct Rig {
    pub interfaces: Interfaces,
    pub tables: Tables,
    pub ebpf: Ebpf,
    /// As many ICMP errors as packets ask for.
    pub unlimited: bool,
    cpu: usize,
    time_ms: u64,
}

impl Rig {
    /// To be made on a thread in the namespace; it stays on one CPU from then on.
    pub fn new() -> Self {
        Self::with(SIZES)
    }

    pub fn with(sizes: Sizes) -> Self {
        let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
        let interfaces = Interfaces {
            a: index("pod-a"),
            b: index("pod-b"),
            outer: index("outer"),
            tunnel: index("tunnel"),
        };
        let tables = tables(interfaces);
        let mut ebpf = Ebpf::open(&Setup { pins: None, cgroup_root: None, sizes, clsact: false }).unwrap();
        ebpf.apply(&tables, 0).unwrap();
        Self { interfaces, tables, ebpf, unlimited: true, cpu: stay_here(), time_ms: 0 }
    }

    /// Brings the maps to the rig's tables, long after they were brought there last.
    pub fn apply(&mut self) {
        self.time_ms += 10_000;
        self.ebpf.apply(&self.tables, self.time_ms).unwrap();
    }

    /// Sweeps as if it were later; how many entries are left.
    pub fn sweep_after(&self, seconds: u64) -> usize {
        let now = crate::backend::ebpf::flows::now_ns() + seconds * 1_000_000_000;
        let left = crate::backend::ebpf::flows::Left::new([].iter());
        crate::backend::ebpf::flows::sweep(&self.ebpf.maps.flows, now, &left).unwrap().live
    }

    pub fn forget_flows(&self) {
        let maps = &self.ebpf.maps;
        crate::backend::ebpf::flows::forget(&maps.flows, |_| true).unwrap();
        for (key, _) in maps.fragments.entries().unwrap() {
            maps.fragments.remove(&key).unwrap();
        }
        for (key, _) in maps.affinity.entries().unwrap() {
            maps.affinity.remove(&key).unwrap();
        }
    }

    fn traced(&self, hook: Hook) -> Verdict {
        let trace = self.ebpf.maps.trace.get(0).unwrap()[self.cpu];
        assert_eq!(trace.hook, hook.index());
        let verdicts = [
            TraceVerdict::Pass,
            TraceVerdict::Drop,
            TraceVerdict::Pod,
            TraceVerdict::Tunnel,
            TraceVerdict::Outer,
        ];
        match verdicts[trace.verdict as usize] {
            TraceVerdict::Pass => Verdict::Pass,
            TraceVerdict::Drop => Verdict::Drop(REASONS[trace.reason as usize]),
            TraceVerdict::Pod => Verdict::Pod(trace.ifindex),
            TraceVerdict::Tunnel => Verdict::Tunnel(Address::from_v4_word(trace.tunnel)),
            TraceVerdict::Outer => Verdict::Outer,
        }
    }
}

impl Judge for Rig {
    fn judge(&mut self, arrival: Arrival<'_>) -> Outcome {
        let program = self.ebpf.programs.fd(arrival.hook).unwrap();
        // The model has no limit of refusals.
        if self.unlimited {
            self.ebpf.maps.errors.set(&0, &0).unwrap();
        }
        let ran = test_run::run(program, arrival.packet, arrival.ifindex, 0, 1).unwrap();
        let verdict = self.traced(arrival.hook);
        let action = match verdict {
            Verdict::Pass => ACT_UNSPEC,
            Verdict::Drop(_) => ACT_SHOT,
            Verdict::Pod(_) | Verdict::Tunnel(_) | Verdict::Outer => ACT_REDIRECT,
        };
        assert_eq!(ran.action, action, "{verdict:?}");
        let asked = self.ebpf.maps.trace.get(0).unwrap()[self.cpu].asked != 0;
        Outcome { verdict, packet: ran.packet, asked }
    }

    fn change(&mut self, change: &dyn Fn(&mut Tables)) {
        change(&mut self.tables);
        self.apply();
    }

    fn mark(&self, tuple: &Tuple) -> Option<Mark> {
        self.ebpf.marks().get(tuple).copied()
    }
}

impl Ebpf {
    /// What each entry of a flow says of its last judgement.
    pub(crate) fn marks(&self) -> BTreeMap<Tuple, Mark> {
        let flows = self.maps.flows.entries().unwrap();
        let mark = |flow: &Flow| Mark { set: flow.policy_set, epoch: flow.policy_epoch };
        flows.iter().map(|(tuple, flow)| (*tuple, mark(flow))).collect()
    }

    /// The policy sets of the pods.
    pub(crate) fn policy_sets(&self) -> BTreeMap<Address, u32> {
        let endpoints = self.maps.endpoints.entries().unwrap();
        endpoints.iter().map(|(address, endpoint)| (*address, endpoint.policy_set)).collect()
    }
}

/// Keeps the thread on one CPU, whose per-CPU values can then be told from the others'.
fn stay_here() -> usize {
    let cpu = nix::sched::sched_getcpu().unwrap();
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
    cpu
}
