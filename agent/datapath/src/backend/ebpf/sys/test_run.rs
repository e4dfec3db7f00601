//! Packet programs run on packets that nobody sent (BPF_PROG_TEST_RUN): how tests see what a program does with one, and
//! benchmarks what it costs. Nothing is sent either; but maps are written as by any packet.

use super::{Command, call, owned, pointer};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    retval: u32,
    data_in_len: u32,
    data_out_len: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration_ns: u32,
    context_in_len: u32,
    context_out_len: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// What BPF_PROG_TEST_RUN yields.
pub struct Ran {
    /// The program's return value.
    pub action: i32,
    /// The packet as it left.
    pub packet: Vec<u8>,
    /// Mean time of one run, nanoseconds.
    pub duration_ns: u32,
}

/// The head of `struct __sk_buff`: as far as the fields that a test sets.
#[repr(C)]
#[derive(Default)]
struct SkBuff {
    len: u32,
    pkt_type: u32,
    mark: u32,
    queue_mapping: u32,
    protocol: u32,
    vlan_present: u32,
    vlan_tci: u32,
    vlan_proto: u32,
    priority: u32,
    ingress_ifindex: u32,
    ifindex: u32,
}

/// Runs a tc program on a packet, as if it had come by an interface of this network namespace. Of many runs each finds
/// the packet as the one before has left it.
pub fn run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    ifindex: u32,
    ingress_ifindex: u32,
    repeat: u32,
) -> io::Result<Ran> {
    let context = SkBuff { ifindex, ingress_ifindex, ..SkBuff::default() };
    let mut out = vec![0_u8; packet.len() + 256];
    let mut run = TestRun {
        program: program.as_raw_fd() as u32,
        data_in_len: packet.len() as u32,
        data_out_len: out.len() as u32,
        data_in: packet.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat,
        context_in_len: size_of::<SkBuff>() as u32,
        context_in: pointer(&context),
        ..TestRun::default()
    };
    call(Command::ProgramTestRun, &mut run)?;
    out.truncate(run.data_out_len as usize);
    Ok(Ran { action: run.retval as i32, packet: out, duration_ns: run.duration_ns })
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_len: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// A tc program that lets every packet pass and does nothing else: the control of what a run costs.
pub fn nothing() -> io::Result<OwnedFd> {
    const SCHED_CLS: u32 = 3;
    // r0 = TC_ACT_UNSPEC (-1), exit; Documentation/bpf/standardization/instruction-set.rst.
    const PASS: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
    let mut load = ProgramLoad {
        kind: SCHED_CLS,
        instruction_count: PASS.len() as u32,
        instructions: pointer(&PASS),
        license: pointer(c"Dual MIT/GPL".to_bytes_with_nul()),
        ..ProgramLoad::default()
    };
    call(Command::ProgramLoad, &mut load).map(owned)
}
