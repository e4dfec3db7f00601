//! What the tests share: clusters that go away by themselves, kubectl, waiting, a look at the machine.

mod api;
mod caller;
mod cluster;
mod counters;
mod disk;
mod kubectl;
mod leftovers;
mod machine;
mod net;
mod node;
mod places;
mod terminal;
mod turn;
mod wait;

pub use api::send_to_api;
pub use caller::{call_from_node, get_from_node};
pub use cluster::{TestCluster, state_of};
pub use counters::{hook_counts, outer_packets, pod_entries};
pub use disk::{Disk, without_sync};
pub use kubectl::Kubectl;
pub use leftovers::Belongings;
pub use machine::Machine;
pub use net::{http_get, in_host, send_datagrams, serve_echo};
pub use node::pods_things;
pub use places::Share;
pub use terminal::Terminal;
pub use turn::turn;
pub use wait::eventually;
