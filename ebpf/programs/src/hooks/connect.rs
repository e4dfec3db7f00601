//! connect() on a service address goes to a backend.

use super::socket::{self, Call, Kind};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use keelson_ebpf_abi::Hook;

#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    socket::to_backend(Hook::Connect4, &Call::new(ctx.sock_addr, Kind::V4))
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    socket::to_backend(Hook::Connect6, &Call::new(ctx.sock_addr, Kind::V6))
}
