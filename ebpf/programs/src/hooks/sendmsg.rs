//! sendmsg() with a service address goes to a backend.

use super::socket::{self, Call, Kind};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use keelson_ebpf_abi::Hook;

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    socket::to_backend(Hook::Sendmsg4, &Call::new(ctx.sock_addr, Kind::V4))
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    socket::to_backend(Hook::Sendmsg6, &Call::new(ctx.sock_addr, Kind::V6))
}
