//! One assignment in, one attempt report out: the agent that runs on each GPU host.
//!
//! It measures its own local endpoint and reads its GPUs; it never renders a report and never
//! decides what is run.

pub mod endpoint;
pub mod facts;
pub mod gpu;
pub mod outbox;
pub mod session;
pub mod work;
