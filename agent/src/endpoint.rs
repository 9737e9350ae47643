//! The engine's OpenAI-compatible endpoint: finding it, and measuring single requests to it.
//!
//! [`Endpoint`] is found once ([`Endpoint::discover`], with reqwest, not measured). A [`StreamConnection`] is
//! one stream's connection; measured requests go over it with stamps taken at the socket (ADR
//! 0003). Nothing here decides how many requests are made or when.

mod address;
mod arrival;
mod body;
mod delta;
mod discover;
mod engine;
mod engine_client;
mod error;
mod event;
mod exchange;
mod exposition;
mod handle;
mod identity;
mod inline;
pub mod key;
mod probe;
mod recorder;
mod request;
mod salt;
mod socket;
pub mod sse;
mod stop;
mod stream_connection;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod timers;
mod tls;

pub use address::{AddressError, check_url};
pub use arrival::Arrival;
pub use discover::EndpointOptions;
pub use error::DiscoverError;
pub use exchange::{Sending, failed};
pub use handle::Endpoint;
pub use probe::{Abilities, Fields, counted};
pub use recorder::{Ending, Expected, Limits, Recorder, Wanted};
pub use request::{Ask, Built, ConversationTurn, PrepareError, Prepared, carried};
pub use salt::Salt;
pub use stop::{Stop, Stopper};
pub use stream_connection::StreamConnection;
pub use tls::TlsError;
