//! The scenarios.

mod app;
mod bad_input;
mod datapath;
mod durability;
mod forgotten;
mod full_disk;
mod host;
mod killed;
mod kubelet;
mod restart;
mod sample_app;
mod services;
mod traffic;
mod vm;
mod writers;
