//! Whose the processes on the GPUs are: those of the process that listens on the endpoint's port,
//! and its descendants, are the engine's.
//!
//! Reads `/proc` only. Looking for the listener goes through the open files of every process, so it
//! is done when a window opens and kept as long as the listener lives.

use std::collections::BTreeMap;

use procfs::process::Process;
use regatta_types::clean;
use regatta_types::gpu::ProcessOwner;

use crate::facts::process::{Incarnation, listeners};

/// Longest name of a process, characters.
const NAME: usize = 40;
/// Most generations between an engine and its worker.
const GENERATIONS: usize = 32;

/// What is known of the endpoint's owner and of the processes seen so far.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    port: Option<u16>,
    listeners: Option<Result<Vec<Incarnation>, String>>,
    seen: BTreeMap<u32, OwnerEntry>,
}

#[derive(Debug, Clone)]
struct OwnerEntry {
    /// `None`: it had ended, or its number is of another container.
    process: Option<Incarnation>,
    owner: ProcessOwner,
    name: String,
}

impl Owners {
    /// Finds the process that listens on the endpoint's port, unless it is known and alive.
    pub(crate) fn refresh(&mut self, port: Option<u16>) {
        let lives = |known: &Self| match &known.listeners {
            Some(Ok(listeners)) => listeners.iter().all(|listener| listener.is_alive()),
            Some(Err(_)) | None => false,
        };
        if self.port == port && lives(self) {
            return;
        }
        let listeners = port
            .map_or_else(|| Err("the endpoint does not run on this machine".to_owned()), listeners);
        *self = Self { port, listeners: Some(listeners), seen: BTreeMap::new() };
    }

    /// Why the listening process is unknown; `None` if it is known.
    pub(crate) fn why_unknown(&self) -> Option<&str> {
        match &self.listeners {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(reason),
            None => Some("not checked yet"),
        }
    }

    /// Whose a process is, and its name.
    pub(crate) fn owner(&mut self, pid: u32) -> (ProcessOwner, String) {
        let number = i32::try_from(pid).unwrap_or(i32::MAX);
        let process = Incarnation::of(number);
        match self.seen.get(&pid) {
            Some(seen) if seen.process == process => (seen.owner, seen.name.clone()),
            Some(_) | None => {
                let owner = self.judge(number);
                let name = name_of(number);
                self.seen.insert(pid, OwnerEntry { process, owner, name: name.clone() });
                (owner, name)
            }
        }
    }

    fn judge(&self, pid: i32) -> ProcessOwner {
        let Some(Ok(listeners)) = &self.listeners else { return ProcessOwner::Unknown };
        let mut next = pid;
        for _ in 0..GENERATIONS {
            if listeners.iter().any(|listener| listener.pid == next) {
                return ProcessOwner::Engine;
            }
            match Process::new(next).and_then(|process| process.stat()) {
                Ok(stat) if stat.ppid > 1 => next = stat.ppid,
                Ok(_) => return ProcessOwner::Foreign,
                // In another container's numbers, or gone.
                Err(_) if next == pid => return ProcessOwner::Unknown,
                Err(_) => return ProcessOwner::Foreign,
            }
        }
        ProcessOwner::Foreign
    }
}

fn name_of(pid: i32) -> String {
    let stat = Process::new(pid).and_then(|process| process.stat());
    stat.map_or_else(|_| String::new(), |stat| clean::excerpt(&stat.comm, NAME))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().expect("there is a sleep")
    }

    #[test]
    fn the_listener_and_its_children_are_the_engine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut owners = Owners::default();
        owners.refresh(Some(port));
        assert_eq!(owners.why_unknown(), None);
        let mut child = sleeper();
        assert_eq!(owners.owner(std::process::id()).0, ProcessOwner::Engine);
        assert_eq!(owners.owner(child.id()), (ProcessOwner::Engine, "sleep".to_owned()));
        assert_eq!(owners.owner(1).0, ProcessOwner::Foreign);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(owners.owner(child.id()).0, ProcessOwner::Unknown, "gone");
    }

    #[test]
    fn without_a_listener_no_process_is_foreign() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut owners = Owners::default();
        owners.refresh(Some(port));
        let reason = format!("no visible process listens on port {port}");
        assert_eq!(owners.why_unknown(), Some(reason.as_str()));
        assert_eq!(owners.owner(std::process::id()).0, ProcessOwner::Unknown);
        owners.refresh(None);
        assert_eq!(owners.why_unknown(), Some("the endpoint does not run on this machine"));
    }
}
