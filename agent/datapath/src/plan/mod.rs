//! Tables -> the writes that bring the maps there. Pure: observed and desired in, writes out.

mod diff;
mod placement;

pub use diff::{Diff, diff};
pub use placement::{Full, Lost, Placement, Planned, ServiceWrite};
