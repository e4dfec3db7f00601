//! The rules that several kinds share: reading values, names of fields, and the parts of a pod.
//!
//! Every rule takes the value and its path and appends what is wrong, in the order in which Kubernetes reports
//! it. Never decides what a kind is or how it is served; that is `kinds`.

pub mod data;
pub mod network;
pub mod pod_defaults;
pub mod taint;
pub mod value;
