//! Whose process listens on a port of this machine, since when, and with which flags it was started.
//!
//! Reads `/proc`; what belongs to another user stays hidden unless the agent may see it.

use std::collections::BTreeSet;

use procfs::ProcError;
use procfs::WithCurrentSystemInfo as _;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use regatta_types::clean::excerpt;
use regatta_types::facts::{EngineProcess, SocketId};
use regatta_types::time::UnixNs;
use regatta_types::units::Bytes;

/// Maximum number of reported flags, and of characters in each.
const FLAGS: usize = 100;
const FLAG: usize = 160;
/// Parts of a flag's name after which its value is kept back.
const SECRET: [&str; 10] = [
    "key",
    "keys",
    "keyfile",
    "token",
    "secret",
    "password",
    "passwd",
    "auth",
    "credential",
    "header",
];
/// Beginnings of flags that say where an engine listens, what it is called and what it logs: no
/// setting of how it works.
const ELSEWHERE: [&str; 13] = [
    "host",
    "port",
    "uds",
    "alias",
    "served-model-name",
    "log",
    "ssl",
    "uvicorn",
    "root-path",
    "allowed",
    "cors",
    "disable-log",
    "enable-log",
];

/// One process: its number, and when it began, because numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation {
    /// Its number.
    pub pid: i32,
    /// When it began, in the kernel's ticks since the boot.
    started: u64,
}

/// The inodes of the sockets that listen on this TCP port, whoever they belong to.
fn sockets(port: u16) -> Result<BTreeSet<u64>, ProcError> {
    let mut sockets = procfs::net::tcp()?;
    // Absent where the kernel has no IPv6.
    sockets.extend(procfs::net::tcp6().unwrap_or_default());
    let listening = sockets
        .into_iter()
        .filter(|s| s.state == TcpState::Listen && s.local_address.port() == port);
    Ok(listening.map(|s| s.inode).collect())
}

/// The first socket that listens on this TCP port. Unlike its process, it is visible to every user.
#[must_use]
pub fn socket(port: u16) -> Option<SocketId> {
    sockets(port).ok()?.first().copied().map(SocketId)
}

/// The processes that listen on this TCP port, lowest number first: engines let workers inherit the
/// socket of the first.
///
/// # Errors
/// A sentence: no process listens there, or it is hidden from this user.
pub fn listeners(port: u16) -> Result<Vec<Incarnation>, String> {
    let cannot = |what: &str, error: ProcError| format!("{what}: {error}");
    let inodes = sockets(port).map_err(|e| cannot("/proc/net/tcp", e))?;
    if inodes.is_empty() {
        return Err(format!("no visible process listens on port {port}"));
    }
    let mut found = Vec::new();
    let mut is_hidden = false;
    // A process may end at any moment.
    for process in all_processes().map_err(|e| cannot("/proc", e))?.flatten() {
        match process.fd() {
            Ok(mut open) => {
                let holds = open.any(|fd| match fd.map(|fd| fd.target) {
                    Ok(FDTarget::Socket(inode)) => inodes.contains(&inode),
                    _ => false,
                });
                found.extend(holds.then(|| Incarnation::of(process.pid)).flatten());
            }
            Err(ProcError::PermissionDenied(_)) => is_hidden = true,
            Err(_) => {}
        }
    }
    found.sort_by_key(|listener| listener.pid);
    match (found.is_empty(), is_hidden) {
        (false, _) => Ok(found),
        (true, true) => Err(format!(
            "the process that listens on port {port} belongs to another \
            user"
        )),
        (true, false) => {
            Err(format!("the process that listens on port {port} is not visible from here"))
        }
    }
}

impl Incarnation {
    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
        Some(Self { pid, started: stat.starttime })
    }

    /// Whether it is still the same process.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// When it began, by the wall clock as it is set now, and its resident memory.
    #[must_use]
    pub fn state(self) -> EngineProcess {
        const SECOND: u64 = 1_000_000_000;
        let ticks = procfs::ticks_per_second().max(1);
        let since_boot = self.started / ticks * SECOND + self.started % ticks * SECOND / ticks;
        let boot = procfs::boot_time_secs().ok().and_then(|boot| boot.checked_mul(SECOND));
        let started = boot.and_then(|boot| i64::try_from(boot.checked_add(since_boot)?).ok());
        let stat = Process::new(self.pid).and_then(|process| process.stat()).ok();
        let own = stat.filter(|stat| stat.starttime == self.started);
        EngineProcess {
            started: started.map(UnixNs),
            resident: own.map(|stat| Bytes(stat.rss_bytes().get())),
        }
    }

    /// The flags it was started with.
    ///
    /// # Errors
    /// A sentence: it has ended, or is hidden from this user.
    pub fn flags(self) -> Result<Vec<String>, String> {
        let words = Process::new(self.pid).and_then(|process| process.cmdline());
        words.map(|words| flags(&words)).map_err(|e| format!("/proc/{}/cmdline: {e}", self.pid))
    }
}

/// The flags of a command line, sorted, each with its values. Paths are cut to their last part.
#[must_use]
pub fn flags(words: &[String]) -> Vec<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for word in words {
        if is_flag(word) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            found.push((name.to_owned(), value.into_iter().collect()));
        } else if let Some((_, values)) = found.last_mut() {
            values.push(word.clone());
        }
    }
    let told = found.into_iter().filter_map(|(name, values)| told(&name, &values));
    let mut told: Vec<String> = told.take(FLAGS).collect();
    told.sort();
    told.dedup();
    told
}

fn is_flag(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}

fn told(name: &str, values: &[String]) -> Option<String> {
    let plain = name.trim_start_matches('-').to_lowercase().replace('_', "-");
    if ELSEWHERE.iter().any(|start| plain.starts_with(start)) {
        return None;
    }
    if plain.split(['-', '.']).any(|part| SECRET.contains(&part)) {
        return Some(excerpt(&format!("{name} (hidden)"), FLAG));
    }
    let values = values.iter().map(|value| match value.rsplit_once('/') {
        Some((folder, last)) if folder.is_empty() || folder.starts_with(['/', '.', '~']) => last,
        _ => value.as_str(),
    });
    let words: Vec<&str> = std::iter::once(name).chain(values).collect();
    Some(excerpt(&words.join(" "), FLAG))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use regatta_types::time::WallClock as _;

    use super::*;

    #[test]
    fn the_listening_process_is_found_and_identified_again() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = i32::try_from(std::process::id()).unwrap();
        let found = listeners(port).unwrap();
        assert!(found.iter().any(|listener| listener.pid == own), "{found:?}");
        assert!(found.iter().all(|listener| listener.is_alive()));
        let other = Incarnation { started: 0, ..found[0] };
        assert!(!other.is_alive(), "a number used again");
        let state = found[0].state();
        let ago = crate::wall::SystemClock.now().0 - state.started.unwrap().0;
        assert!((-2_000_000_000..3_600_000_000_000).contains(&ago), "within the hour: {ago}");
        assert!(state.resident.is_some_and(|held| held.0 > 1 << 20), "{state:?}");
        assert_eq!(other.state().resident, None);
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let on_elsewhere = super::socket(elsewhere.local_addr().unwrap().port());
        assert!(
            super::socket(port).is_some() && super::socket(port) != on_elsewhere,
            "{on_elsewhere:?}"
        );
        drop(socket);
        assert_eq!(super::socket(port), None);
        let nobody = format!("no visible process listens on port {port}");
        assert_eq!(listeners(port), Err(nobody));
    }

    #[test]
    fn flags_are_reported_without_secrets_addresses_and_paths() {
        let line = "python3 /opt/bin/vllm serve org/model --max-model-len 32768 --host 0.0.0.0 \
                    --api-key s3cret --hf_token=t0ken --quantization=fp8 --port 8000 \
                    --max-num-batched-tokens 8192 --seed -1 --model /data/models/Coder-FP8 \
                    --enable-prefix-caching --log-level debug --kv-transfer-config {\"a\":1}";
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            flags(&words),
            [
                "--api-key (hidden)",
                "--enable-prefix-caching",
                "--hf_token (hidden)",
                "--kv-transfer-config {\"a\":1}",
                "--max-model-len 32768",
                "--max-num-batched-tokens 8192",
                "--model Coder-FP8",
                "--quantization fp8",
                "--seed -1",
            ]
        );
        assert_eq!(flags(&["llama-server".to_owned()]), Vec::<String>::new());
    }
}
