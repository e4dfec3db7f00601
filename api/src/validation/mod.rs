//! The rules that several kinds share: reading values, names of fields, and the parts of a pod.
//!
//! Every rule takes the value and its path and appends what is wrong, in the order in which Kubernetes reports
//! it. Never decides what a kind is or how it is served; that is `kinds`.

pub mod affinity;
pub mod check;
pub mod container;
pub mod data;
pub mod diff;
pub mod dns;
pub mod env;
pub mod go_value;
pub mod mount;
pub mod network;
pub mod pod_defaults;
pub mod pod_level;
pub mod pod_spec;
pub mod port;
pub mod probe;
pub mod resource;
pub mod security;
pub mod spread;
pub mod taint;
pub mod toleration;
pub mod value;
pub mod volume;
pub mod warnings;
pub mod workload;

#[cfg(test)]
mod tests;
