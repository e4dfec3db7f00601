//! A laboratory for tests: network namespaces with nodes, pods and clients in them, on the real kernel.
//!
//! Everything has a name of its own and goes away when its owner is dropped, also when a test fails.

mod cgroup;
mod errors;
mod leftovers;
mod namespace;
mod node;
mod policy;
pub mod probe;
mod scenarios;
mod sockets;

pub use cgroup::Cgroup;
pub use namespace::{Namespace, switch, wire};
pub use node::{BpfFs, LabNode, Pod};

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test of this machine has. It begins with the process, by which what a killed test has
/// left is known.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static SWEPT: Once = Once::new();
    SWEPT.call_once(leftovers::remove);
    format!("kt{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
