//! The coordinator: plans every case on every host, assigns them over gRPC, keeps every raw
//! result and has the reports written.
//!
//! The way of one run: [`cli`] and [`commands`] decide, [`execute`] starts everything and joins
//! it, [`session`] speaks with agents, [`run`] decides what happens next, [`store`] remembers.

pub mod cli;
pub mod command_error;
pub mod commands;
pub mod doctor;
pub mod execute;
pub mod launch;
pub mod names;
pub mod output;
pub mod plan;
pub mod progress;
pub mod reports;
pub mod run;
pub mod session;
pub mod store;
pub mod suite;
mod timer;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether this build exports Parquet.
pub const HAS_PARQUET: bool = cfg!(feature = "parquet");
