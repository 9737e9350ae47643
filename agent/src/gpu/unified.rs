//! Machines whose GPU shares the system memory.

use regatta_types::units::Bytes;

/// Words in the names of GPUs that share the machine's memory.
const INTEGRATED: [&str; 6] = ["GB10", "Thor", "Orin", "Xavier", "Tegra", "N1X"];

/// Whether a GPU of this name is known to share the machine's memory.
pub(crate) fn is_integrated(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| INTEGRATED.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Whether what a driver tells as a GPU's memory may be the machine's: nine tenths of it to all.
pub(crate) fn is_whole_machine(gpu: Bytes, machine: Bytes) -> bool {
    gpu.0 / 9 >= machine.0 / 10 && gpu <= machine
}

/// Main memory, and what of it is available.
///
/// Available memory is told beside a GPU's use and never taken from the total to make one: caches
/// and other programs would count as the GPU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MainMemory {
    /// `MemTotal`.
    pub(crate) total: Bytes,
    /// `MemAvailable`, which kernels before 3.14 do not have.
    pub(crate) available: Option<Bytes>,
}

impl MainMemory {
    /// As it is now; `None` without `/proc`.
    pub(crate) fn now() -> Option<Self> {
        use procfs::Current as _;
        let memory = procfs::Meminfo::current().ok()?;
        let available = memory.mem_available.map(Bytes);
        Some(Self { total: Bytes(memory.mem_total), available })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrated_gpus_are_known_by_a_word_of_their_name() {
        assert!(is_integrated("NVIDIA GB10"));
        assert!(is_integrated("Orin (nvgpu)"));
        assert!(is_integrated("NVIDIA Thor"));
        assert!(!is_integrated("NVIDIA GB100"));
        assert!(!is_integrated("NVIDIA RTX PRO 6000 Blackwell Workstation Edition"));
    }

    #[test]
    fn nine_tenths_of_the_machines_memory_are_the_machines() {
        let gib = |n: u64| Bytes(n << 30);
        assert!(is_whole_machine(gib(120), gib(128)));
        assert!(is_whole_machine(gib(128), gib(128)));
        assert!(!is_whole_machine(gib(96), gib(128)));
        assert!(!is_whole_machine(gib(96), gib(64)), "a large board in a small machine");
    }

    #[test]
    fn this_machine_has_main_memory() {
        let memory = MainMemory::now().unwrap();
        assert!(memory.total.0 > 1 << 20);
        assert!(memory.available.is_some_and(|available| available < memory.total));
    }
}
