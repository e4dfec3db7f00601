//! One file per hook.

mod connect;
mod from_outer;
mod from_pod;
mod from_vxlan;
mod getpeername;
mod recvmsg;
mod sendmsg;
mod socket;
mod to_outer;
mod to_vxlan;
