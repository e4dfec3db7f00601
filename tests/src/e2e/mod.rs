//! The scenarios.

mod sample_app;
