//! The coordinator: plans every case on every host, assigns them over gRPC, keeps every raw
//! result and has the reports written.

pub mod cli;
pub mod plan;
pub mod run;
pub mod session;
pub mod store;
pub mod suite;
