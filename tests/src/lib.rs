//! End-to-end tests: real clusters on this machine, driven by real kubectl, real containers and real packets.
//!
//! A test brings up what it needs below a state folder of its own and removes all of it, also when it fails.
#![cfg(test)]

mod e2e;
mod harness;
