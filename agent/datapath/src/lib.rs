//! Services, policy and pod networking: tables, model and backends.

pub mod backend;
