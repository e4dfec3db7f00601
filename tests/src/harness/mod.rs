//! What the tests share: clusters that go away by themselves, kubectl, waiting, a look at the machine.

mod cluster;
mod counters;
mod disk;
mod kubectl;
mod leftovers;
mod net;
mod node;
mod terminal;
mod wait;

pub use cluster::{TestCluster, state_of, turn};
pub use counters::hook_counts;
pub use disk::{Disk, without_sync};
pub use kubectl::Kubectl;
pub use leftovers::Belongings;
pub use net::{http_get, in_host};
pub use node::pods_things;
pub use terminal::Terminal;
pub use wait::eventually;
