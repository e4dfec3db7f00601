//! The eBPF backend: the only place that speaks to the kernel's bpf(2).

mod map;
mod object;
mod sys;

#[cfg(test)]
mod tests;

pub use object::{LoadError, Sizes};
