//! What this machine is, read once from the kernel's own files.
//!
//! [`collect`] and [`boot_id`] read `/proc`, `/sys`, `/etc` and uname; they run nothing and
//! keep nothing. What cannot be read is a reason in the fact's place. [`process`] tells whose
//! process listens on a port, and with which flags it was started.

mod clock;
mod container;
pub mod process;
mod topology;

use std::io;
use std::path::Path;

use regatta_types::clean;
use regatta_types::facts::{HostDetails, HostFacts};
use regatta_types::ids::BootId;
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;
use sha2::{Digest, Sha256};

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
        details: details(Path::new("/")),
    }
}

/// What lies below `root`, which is `/` but in tests.
fn details(root: &Path) -> HostDetails {
    HostDetails {
        machine_id: in_file(&root.join("etc/machine-id"), machine_id),
        cores: topology::cores(root),
        governor: topology::governor(root),
        numa_nodes: topology::numa_nodes(root),
        container: Reading::Known(container::kind(root)),
        clock_source: in_file(
            &root.join("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            word,
        ),
        clock_synchronised: clock::synchronized().into(),
        disk_free: disk_free(root),
    }
}

/// How the kernel chooses the CPU's clock, now.
#[must_use]
pub fn governor() -> Reading<String> {
    topology::governor(Path::new("/"))
}

/// Space left to this user where `path` is, or will be.
#[must_use]
pub fn disk_free(path: &Path) -> Reading<Bytes> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let free = |stat: rustix::fs::StatVfs| Bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
    rustix::fs::statvfs(there).map(free).into()
}

/// The machine id is to be kept to the machine, so it is hashed with a word of our own, as its
/// documentation asks for.
fn machine_id(text: &str) -> Option<String> {
    let id = word(text)?;
    Some(hex::encode(Sha256::digest(format!("regatta machine id {id}")))[..16].to_owned())
}

/// The first word of a file.
fn word(text: &str) -> Option<String> {
    text.split_whitespace().next().map(|word| clean::excerpt(word, TEXT))
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
    in_file(Path::new(path), find)
}

fn in_file<T>(path: &Path, find: impl FnOnce(&str) -> Option<T>) -> Reading<T> {
    match std::fs::read(path) {
        Err(error) => Reading::missing(format!("{}: {error}", path.display())),
        Ok(bytes) => match find(&String::from_utf8_lossy(&bytes)) {
            Some(fact) => Reading::Known(fact),
            None => Reading::missing(format!("not set in {}", path.display())),
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
    fn names_are_parsed_from_kernel_and_distribution_files() {
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
            Some("not set in /proc/meminfo")
        );
    }

    #[test]
    fn the_machine_id_is_hashed() {
        let id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
        let hash = machine_id(&format!("{id}\n")).unwrap();
        assert_eq!((hash.len(), machine_id(id).unwrap()), (16, hash.clone()));
        assert!(!id.contains(&hash) && Some(hash) != machine_id("0"));
        assert_eq!(machine_id("\n"), None);
    }

    #[test]
    fn a_missing_directory_has_the_free_space_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let there = disk_free(folder.path()).known().copied().unwrap();
        let later = disk_free(&folder.path().join("state/agent")).known().copied().unwrap();
        assert!(there.0.abs_diff(later.0) < 1 << 30, "{there:?} {later:?}");
    }

    #[test]
    fn this_machine_has_facts_and_a_stable_boot_id() {
        let facts = collect();
        assert!(!facts.hostname.is_empty());
        assert!(facts.kernel.known().is_some_and(|k| !k.is_empty()));
        assert!(facts.cpus.known().is_some_and(|n| *n >= 1));
        assert!(facts.memory_total.known().is_some_and(|m| m.0 > 1 << 20));
        // Every kernel keeps time by something, and this file system has some space or none.
        assert!(facts.details.clock_source.known().is_some_and(|name| !name.is_empty()));
        assert!(facts.details.disk_free.known().is_some());
        let boot = boot_id().unwrap();
        assert_eq!((boot.0.len(), boot_id().unwrap()), (36, boot));
    }
}
