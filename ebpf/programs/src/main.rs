//! The kernel programs of the data plane.
//!
//! One small file per hook under `hooks/`; what they share lies beside this file, one concern each. A
//! packet meets, in this order: anti-spoofing, the ports of its first fragment, the flow that an ICMP error is
//! about, conntrack, service lookup (a choice, no rewrite yet; a refusal where there is none), egress policy,
//! ingress policy of a receiver on this node, rewrite, route. Nothing here is compiled per pod: all that
//! differs lies in maps.
//!
//! Never: a loop without a literal bound, a panic, an allocation, an entry of a live flow evicted.
#![no_std]
#![no_main]

mod affinity;
mod conntrack;
mod consts;
mod csum;
mod encap;
mod forward;
mod fragments;
mod hooks;
mod lookup;
mod maps;
mod nat;
mod parse;
mod policy;
mod refuse;
mod route;
mod state;
mod verdict;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // No code path leads here; xtask fails the build when one does.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
