//! What a machine and its engine are: decides which hosts may be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reading::Reading;
use crate::units::Bytes;

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// As the kernel names it.
    pub hostname: String,
    /// Kernel release.
    pub kernel: Reading<String>,
    /// Distribution, e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub distribution: Reading<String>,
    /// CPU model.
    pub cpu_model: Reading<String>,
    /// Logical processors this agent may use.
    pub cpus: Reading<u32>,
    /// Main memory.
    pub memory_total: Reading<Bytes>,
    /// Version of the agent.
    pub agent_version: String,
}

/// The engine behind the endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// `vllm`, `llama.cpp`, `sglang`, `ollama`, ...
    pub engine: Reading<String>,
    /// The engine's own version.
    pub version: Reading<String>,
    /// The model id that is asked for.
    pub model: String,
    /// Longest context, tokens.
    pub context_length: Reading<u32>,
    /// Quantisation or weight type, where the engine tells.
    pub quantization: Reading<String>,
    /// Whether it ends answers at a fixed length when told so (`ignore_eos`, `min_tokens`). `None`:
    /// nobody has asked.
    pub fixed_length: Option<bool>,
    /// Where the endpoint is, seen from the agent.
    pub location: EndpointLocation,
}

/// Where an endpoint is. Its URL stays on the agent's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EndpointLocation {
    /// On the agent's own machine, so its GPUs are the ones NVML shows.
    Loopback {
        /// TCP port.
        port: u16,
    },
    /// On another machine: local GPU readings say nothing about it.
    Remote,
}

impl fmt::Display for EndpointLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback { port } => write!(f, "this host, port {port}"),
            Self::Remote => f.write_str("another machine"),
        }
    }
}
