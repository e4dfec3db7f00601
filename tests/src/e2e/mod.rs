//! The scenarios.

mod app;
mod bad_input;
mod datapath;
mod durability;
mod full_disk;
mod host;
mod killed;
mod kubelet;
mod restart;
mod sample_app;
mod traffic;
mod vm;
mod writers;
