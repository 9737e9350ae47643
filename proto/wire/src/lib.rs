//! The contract on the wire: generated messages and their checked conversions to `regatta_types`.
//!
//! Main types: [`frame::AgentFrame`] and [`frame::CoordinatorFrame`], the messages of both sides of a
//! session; [`codec`] for values that are stored as bytes (attempt reports, headers, host records);
//! [`slices`] for carrying a report in pieces. Any input from a peer becomes a checked value or an
//! error that names the field. Nothing here panics on foreign bytes. This crate opens no socket and
//! has no timers.

pub mod codec;
mod convert;
mod count;
mod error;
mod field;
pub mod frame;
pub mod limits;
pub mod slices;
mod version;

pub use error::{ConvertError, DecodeError, Problem};
pub use version::{VersionMismatch, Versions, negotiate};

/// Generated from `proto/regatta/v1`: the contract and its comments.
#[expect(
    clippy::large_enum_variant,
    clippy::allow_attributes,
    reason = "generated code; the vocabulary's own enums box their large variants"
)]
pub mod v1 {
    tonic::include_proto!("regatta.v1");
}
