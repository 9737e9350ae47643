//! The coordinator: plans every case on every host, assigns them over gRPC, keeps every raw
//! result and has the reports written.

pub mod plan;
pub mod progress;
pub mod reports;
pub mod run;
pub mod session;
pub mod signals;
pub mod store;
pub mod suite;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
