//! getpeername() shows the service address that was connected to.

use super::socket::{self, Call, Kind};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use keelson_ebpf_abi::Hook;

#[cgroup_sock_addr(getpeername4)]
pub fn getpeername4(ctx: SockAddrContext) -> i32 {
    socket::to_service(Hook::Getpeername4, &Call::new(ctx.sock_addr, Kind::V4))
}

#[cgroup_sock_addr(getpeername6)]
pub fn getpeername6(ctx: SockAddrContext) -> i32 {
    socket::to_service(Hook::Getpeername6, &Call::new(ctx.sock_addr, Kind::V6))
}
