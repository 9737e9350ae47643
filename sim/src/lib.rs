//! A simulated GPU host.
//!
//! [`gpu_script`] is one format with two readers, the agent's simulated GPUs and the fake NVML
//! library.

pub mod gpu_script;
