//! The images on the node: what its status tells of them, and which go when the disk fills.
//!
//! Nothing here pulls an image.

mod collect;
mod plan;
mod reference;
mod report;

pub(crate) use collect::collect_all;
pub use reference::check;
pub use report::report;

#[cfg(test)]
pub(crate) use collect::{Collector, Disk, Rules};
#[cfg(test)]
pub(crate) use plan::Thresholds;
