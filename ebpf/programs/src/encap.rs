//! The tunnel: VXLAN in external mode, its key set per packet.

use crate::consts::*;
use crate::lookup;
use aya_ebpf::bindings::bpf_tunnel_key;
use aya_ebpf::helpers::{bpf_skb_get_tunnel_key, bpf_skb_set_tunnel_key};
use aya_ebpf::programs::TcContext;
use core::mem;
use keelson_ebpf_abi::{Address, Config, Peer, Reason, Tuple};

/// Older kernels know a shorter key; the first fields are all that is used.
const KEY_LEN: u32 = mem::size_of::<bpf_tunnel_key>() as u32;

/// Addresses the packet's tunnel to a node, by the word of its IPv4 address.
#[inline(always)]
pub fn set_key(ctx: &TcContext, config: &Config, node: u32) -> Result<(), Reason> {
    // SAFETY: a plain struct of integers.
    let mut key: bpf_tunnel_key = unsafe { mem::zeroed() };
    key.tunnel_id = config.vni;
    key.tunnel_ttl = 64;
    // The helper wants the address in this machine's order.
    key.__bindgen_anon_1.remote_ipv4 = u32::from_be(node);
    // SAFETY: the key is as long as stated.
    let result = unsafe { bpf_skb_set_tunnel_key(ctx.skb.skb, &mut key, KEY_LEN, TUNNEL_ZERO_CHECKSUM) };
    if result == 0 { Ok(()) } else { Err(Reason::Rewrite) }
}

/// Whether a program of ours has already addressed this packet's tunnel.
#[inline(always)]
pub fn has_key(ctx: &TcContext) -> bool {
    sender(ctx).is_some()
}

/// Refuses a decapsulated packet whose sender does not own its inner source.
#[inline(always)]
pub fn check_sender(ctx: &TcContext, config: &Config, tuple: &Tuple) -> Result<(), Reason> {
    if config.flags & Config::CHECK_TUNNEL == 0 {
        return Ok(());
    }
    let (vni, node) = sender(ctx).ok_or(Reason::Tunnel)?;
    let owner = lookup::peer(&tuple.source).ok_or(Reason::Tunnel)?;
    let owned = owner.kind == Peer::PODS || owner.kind == Peer::NODE;
    if vni == config.vni && owned && owner.tunnel == node { Ok(()) } else { Err(Reason::Tunnel) }
}

#[inline(always)]
fn sender(ctx: &TcContext) -> Option<(u32, Address)> {
    // SAFETY: as above.
    let mut key: bpf_tunnel_key = unsafe { mem::zeroed() };
    // SAFETY: the key is as long as stated.
    let result = unsafe { bpf_skb_get_tunnel_key(ctx.skb.skb, &mut key, KEY_LEN, 0) };
    if result != 0 {
        return None;
    }
    // SAFETY: the flags ask for IPv4, so that member is the one written.
    let word = unsafe { key.__bindgen_anon_1.remote_ipv4 }.to_be();
    Some((key.tunnel_id, Address::from_v4_word(word)))
}
