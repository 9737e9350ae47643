//! One assignment in, one attempt report out: the agent that runs on each GPU host.
//!
//! It measures its own local endpoint and reads its GPUs; it never renders a report and never
//! decides what is run.

mod checks;
pub mod cli;
pub mod endpoint;
pub mod facts;
pub mod gpu;
pub mod logging;
pub mod outbox;
pub mod prompt;
pub mod run;
pub mod session;
pub mod signals;
pub mod wall;
pub mod work;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
