//! A simulated GPU host: an OpenAI-compatible endpoint whose timing is set to the microsecond,
//! and scripted GPU readings.
//!
//! It serves the demo, the tests and the check of Regatta's own clocks, so it must never be less
//! exact than what is checked against it: [`SimServer`] sends every token at an absolute instant
//! and logs when each write ended. [`gpu_script`] is one format with two readers, the agent's
//! simulated GPUs and the fake NVML library. [`Alarm`] is the exact timer of both this endpoint and
//! the agent's open loop. It measures nothing and knows nothing about runs.

mod alarm;
mod answer;
mod capacity;
mod chat;
mod connection;
mod events;
mod fault;
mod faulty;
mod flood;
mod freeze;
pub mod gpu_script;
mod host;
mod http;
mod log;
mod metrics;
mod options;
mod prefix;
mod schedule;
mod server;
mod socket;
mod stream;

pub use alarm::Alarm;
pub use fault::{Fault, FaultError, FaultRate};
pub use freeze::Freeze;
pub use options::{OptionsError, SimOptions, TokensPerChunk, UsagePolicy};
pub use server::{SimError, SimServer};
