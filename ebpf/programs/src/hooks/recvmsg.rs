//! recvmsg() shows the service address that was written to.

use super::socket::{self, Call, Kind};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use keelson_ebpf_abi::Hook;

#[cgroup_sock_addr(recvmsg4)]
pub fn recvmsg4(ctx: SockAddrContext) -> i32 {
    socket::to_service(Hook::Recvmsg4, &Call::new(ctx.sock_addr, Kind::V4))
}

#[cgroup_sock_addr(recvmsg6)]
pub fn recvmsg6(ctx: SockAddrContext) -> i32 {
    socket::to_service(Hook::Recvmsg6, &Call::new(ctx.sock_addr, Kind::V6))
}
