//! End-to-end tests, fixtures and benchmarks.
