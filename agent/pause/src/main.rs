//! The program that holds a pod sandbox open.

fn main() {}
