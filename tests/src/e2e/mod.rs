//! The scenarios.

mod app;
mod bad_input;
mod datapath;
mod durability;
mod kubelet;
mod restart;
mod sample_app;
