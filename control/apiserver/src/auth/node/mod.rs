//! What node agents may do: their own node, their pods, and what these refer to.

mod graph;
mod live;
mod rules;

pub use graph::{Graph, PodRefs, Vertex};
pub use live::{KIND, LiveNodes};
pub use rules::decide;
