//! What this machine is, read once from the kernel's own files.
//!
//! [`collect`] and [`boot_id`] read `/proc`, `/etc/os-release` and uname; they run nothing and
//! keep nothing. What cannot be read is a reason in the fact's place.

use std::io;
use std::path::Path;

use regatta_types::clean;
use regatta_types::facts::HostFacts;
use regatta_types::ids::BootId;
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

/// Longest text taken from the system, characters.
const TEXT: usize = 120;

/// The facts of this machine.
#[must_use]
pub fn collect() -> HostFacts {
    let system = rustix::system::uname();
    HostFacts {
        hostname: clean::excerpt(&system.nodename().to_string_lossy(), TEXT),
        kernel: Reading::Known(clean::excerpt(&system.release().to_string_lossy(), TEXT)),
        distribution: from_file("/etc/os-release", distribution),
        cpu_model: from_file("/proc/cpuinfo", cpu_model),
        // Respects affinity and control group limits.
        cpus: std::thread::available_parallelism()
            .and_then(|n| u32::try_from(n.get()).map_err(io::Error::other))
            .into(),
        memory_total: from_file("/proc/meminfo", memory_total),
        agent_version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// The kernel's name for this boot: monotonic stamps of two boots never meet.
///
/// # Errors
/// The file cannot be read, which no Linux with `/proc` does.
pub fn boot_id() -> io::Result<BootId> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BootId(clean::line(&id)))
}

/// A fact out of a text file, or what is wrong with the file.
fn from_file<T>(path: &str, find: impl FnOnce(&str) -> Option<T>) -> Reading<T> {
    match std::fs::read(Path::new(path)) {
        Err(error) => Reading::missing(format!("{path}: {error}")),
        Ok(bytes) => match find(&String::from_utf8_lossy(&bytes)) {
            Some(fact) => Reading::Known(fact),
            None => Reading::missing(format!("not named in {path}")),
        },
    }
}

/// `PRETTY_NAME` of os-release, without its quotes.
fn distribution(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let name = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some(clean::excerpt(name, TEXT)).filter(|name| !name.is_empty())
}

/// The first processor's `model name` (x86), else `Model` or `Hardware` of the board (Arm).
fn cpu_model(text: &str) -> Option<String> {
    ["model name", "Model", "Hardware"].iter().find_map(|key| field(text, key))
}

/// `MemTotal` in kB, which are KiB.
fn memory_total(text: &str) -> Option<Bytes> {
    let kib: u64 = field(text, "MemTotal")?.strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Bytes(kib.checked_mul(1024)?))
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(name, _)| name.trim_end() == key)?;
    Some(clean::excerpt(value, TEXT)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_kernels_and_the_distributions_words() {
        let os = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(distribution(os).unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(distribution("PRETTY_NAME='Arch Linux'").unwrap(), "Arch Linux");
        assert_eq!(distribution("PRETTY_NAME=Alpine").unwrap(), "Alpine");
        assert_eq!(distribution("PRETTY_NAME=\"\""), None);
        let cpu = "processor\t: 0\nmodel\t\t: 8\nmodel name\t: AMD Ryzen 9\nprocessor\t: 1\n";
        assert_eq!(cpu_model(cpu).unwrap(), "AMD Ryzen 9");
        assert_eq!(cpu_model("processor : 0\nModel : Orin").unwrap(), "Orin");
        assert_eq!(cpu_model("processor : 0"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let text = "MemTotal:       131072 kB\nMemFree:   1 kB\n";
        assert_eq!(memory_total(text), Some(Bytes(128 << 20)));
        assert_eq!(memory_total("MemTotal: many kB"), None);
    }

    #[test]
    fn a_missing_file_is_a_reason() {
        let reading = from_file("/nonexistent/file", distribution);
        assert!(reading.reason().unwrap().starts_with("/nonexistent/file: No such file"));
        assert_eq!(
            from_file("/proc/meminfo", |_| None::<u32>).reason(),
            Some("not named in /proc/meminfo")
        );
    }

    #[test]
    fn this_machine_has_facts_and_one_boot() {
        let facts = collect();
        assert!(!facts.hostname.is_empty());
        assert!(facts.kernel.known().is_some_and(|k| !k.is_empty()));
        assert!(facts.cpus.known().is_some_and(|n| *n >= 1));
        assert!(facts.memory_total.known().is_some_and(|m| m.0 > 1 << 20));
        let boot = boot_id().unwrap();
        assert_eq!((boot.0.len(), boot_id().unwrap()), (36, boot));
    }
}
