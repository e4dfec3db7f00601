//! What this node cannot do for a pod. A pod that asks for it is refused in Kubernetes' words; it never runs with
//! less than it asks for. Pure.

mod app_armor;
mod container;
mod platform;
mod sandbox;
pub mod sysctl;

pub use app_armor::profile as app_armor_profile;
pub use container::container;
pub use sandbox::{CLAIMS, sandbox};

use super::admit::Refusal;
use super::spec::Pod;

/// What not every node can do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// The kernel enforces AppArmor profiles.
    pub app_armor: bool,
}

/// Refuses a pod that may not even begin here.
pub fn pod(pod: &Pod, node: Abilities) -> Result<(), Refusal> {
    sysctl::check(pod)?;
    platform::check(pod)?;
    app_armor::check(pod, node.app_armor)
}
