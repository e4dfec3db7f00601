//! Developer entry point: what it takes to build, run, test and measure Keelson on one machine.
//!
//! A library, so that the end-to-end tests bring up the same clusters as `cargo xtask up` does. Never part of
//! what is shipped.
#![allow(clippy::print_stdout, reason = "its output is for the developer at the terminal")]

pub mod bench;
pub mod build;
pub mod cluster;
pub mod images;
pub mod repo;
pub mod run;
pub mod setup;
pub mod suite;
pub mod tidy;
pub mod verify;
pub mod vm;
