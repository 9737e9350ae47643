//! What a machine and its engine are: decides which hosts may be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reading::Reading;
use crate::time::UnixNs;
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
    /// What explains differences between machines of one kind.
    pub details: HostDetails,
}

/// Facts that explain differences between machines of one kind. The default is an agent that does
/// not report them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostDetails {
    /// 16 hexadecimal digits that stand for the installation's machine id and do not give it away.
    pub machine_id: Reading<String>,
    /// Physical cores.
    pub cores: Reading<u32>,
    /// How the kernel chooses the CPU's clock: `performance`, `powersave`, ...; each with the number
    /// of its processors where they differ.
    pub governor: Reading<String>,
    /// NUMA nodes.
    pub numa_nodes: Reading<u32>,
    /// The kind of container the agent runs in, or `none`.
    pub container: Reading<String>,
    /// What the kernel tells time by: `tsc`, `hpet`, ...
    pub clock_source: Reading<String>,
    /// Whether something keeps the wall clock to a reference.
    pub clock_synchronised: Reading<bool>,
    /// Space left for the agent's state folder.
    pub disk_free: Reading<Bytes>,
}

impl Default for HostDetails {
    fn default() -> Self {
        Self {
            machine_id: Reading::untold(),
            cores: Reading::untold(),
            governor: Reading::untold(),
            numa_nodes: Reading::untold(),
            container: Reading::untold(),
            clock_source: Reading::untold(),
            clock_synchronised: Reading::untold(),
            disk_free: Reading::untold(),
        }
    }
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
    /// Quantization or weight type, if the engine reports it.
    pub quantization: Reading<String>,
    /// Whether it can end answers at a fixed length (`ignore_eos`, `min_tokens`). `None`: not
    /// tested.
    pub fixed_length: Option<bool>,
    /// Where the endpoint is, seen from the agent.
    pub location: EndpointLocation,
    /// The socket that listens on the endpoint's port, which tells two endpoints on one machine
    /// apart. `None`: not known, or on another machine.
    pub socket: Option<SocketId>,
    /// How it is set up, as far as it tells.
    pub settings: EngineSettings,
    /// Its process; part of no comparison of engines.
    #[serde(default)]
    pub process: EngineProcess,
}

/// The process that listens on the endpoint's port. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineProcess {
    /// When it began, by the host's wall clock; the same in every reading of one process.
    pub started: Option<UnixNs>,
    /// Its resident memory.
    pub resident: Option<Bytes>,
}

/// The number of a listening socket, as the kernel of its host counts sockets: unique over all
/// network namespaces during one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SocketId(pub u64);

/// Settings of an engine. The default is an agent that does not report them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSettings {
    /// Type of the numbers in the KV cache, in the engine's words.
    pub kv_dtype: Reading<String>,
    /// Whether beginnings of prompts are kept for later requests.
    pub prefix_cache: Reading<bool>,
    /// How tokens are drafted ahead, or `none`.
    pub speculative: Reading<String>,
    /// How it was started, from its command line or from the engine itself: one entry per flag,
    /// sorted. Addresses, secrets and the folders of paths are removed.
    pub flags: Reading<Vec<String>>,
    /// Most requests that it works on at once; others wait for their turn.
    pub slots: Reading<u32>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            kv_dtype: Reading::untold(),
            prefix_cache: Reading::untold(),
            speculative: Reading::untold(),
            flags: Reading::untold(),
            slots: Reading::untold(),
        }
    }
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
