//! What the tests share: clusters that go away by themselves, kubectl, waiting, a look at the machine.

mod cluster;
mod kubectl;
mod leftovers;
mod net;
mod terminal;
mod wait;

pub use cluster::TestCluster;
pub use kubectl::Kubectl;
pub use net::{http_get, in_host};
pub use terminal::Terminal;
pub use wait::eventually;
