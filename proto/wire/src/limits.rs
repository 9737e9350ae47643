//! Bounds on everything that crosses the wire. Both sides use the same ones.
//!
//! The sender cuts texts for people to their limit; ids, hashes and prompts are never cut. The
//! receiver refuses anything over a limit.

/// Largest gRPC message in either direction, bytes. Set on both codecs of both sides.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Largest slice of an attempt report, bytes. All slices but the last are this long.
pub const CHUNK_MAX: usize = 64 << 10;

/// Slices of a report that may be sent before the oldest is acknowledged.
pub const CHUNKS_AHEAD: usize = 2;

/// Largest encoded attempt report, bytes.
pub const REPORT_MAX: usize = 256 << 20;

/// Text of one case's title and messages together, and of all prompts of an engine warm-up, bytes:
/// an assignment and a preparation must fit into a message.
pub const CASE_TEXT_MAX: usize = 768 << 10;

/// Names, versions, models and other short texts, bytes.
pub const NAME_MAX: usize = 256;

/// Reasons, evidence, advice and probe results, bytes.
pub const TEXT_MAX: usize = 4 << 10;

/// A suite's description and a command line, bytes.
pub const LONG_TEXT_MAX: usize = 64 << 10;

/// Leases an agent may hold at once.
pub const HELD_MAX: usize = 64;

/// Attempts named in one resume.
pub const UNACKNOWLEDGED_MAX: usize = 4_096;

/// Flags of an engine.
pub const FLAGS_MAX: usize = 256;

/// GPUs of a host.
pub const GPUS_MAX: usize = 256;

/// Findings of an attempt or of a preparation.
pub const FINDINGS_MAX: usize = 256;

/// Kinds of GPU reading that may be declared unavailable, or whose cost is reported.
pub const UNAVAILABLE_MAX: usize = 64;

/// GPU samples from before the first request of one attempt, for each GPU.
pub const QUIET_MAX: usize = 1_024;

/// Readings of the energy counter in one attempt, for each GPU.
pub const ENERGY_MAX: usize = 65_536;

/// Processes named on one GPU in one attempt.
pub const PROCESSES_MAX: usize = 256;

/// Reported changes of one process's GPU memory.
pub const PROCESS_STEPS_MAX: usize = 1_024;

/// Gaps in the telemetry of one attempt.
pub const GAPS_MAX: usize = 1_024;

/// Requests of one attempt.
pub const REQUESTS_MAX: usize = 250_000;

/// GPU samples of one attempt, over all GPUs: 8 GPUs at 10 Hz for 12 hours are 3,456,000.
pub const SAMPLES_MAX: usize = 5_000_000;

/// Samples of an engine's metrics of one attempt: one a second for a day are 86,400.
pub const ENGINE_SAMPLES_MAX: usize = 100_000;

/// Cases of a suite.
pub const CASES_MAX: usize = 10_000;

/// Cases of which the engine warm-up sends the prompt.
pub const SHAPES_MAX: usize = 64;

/// Hosts named in a run's header.
pub const HOSTS_MAX: usize = 100_000;

/// Clock estimates kept for one host.
pub const CLOCKS_MAX: usize = 10_000;
