//! A rack of ssh hosts on loopback: for each a real sshd with a configuration, keys and a home of its
//! own. Nothing of the machine's own ssh set-up is read or changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use regatta_types::time::MonoNs;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::free_port;
use crate::process::{Program, Running, Stream};

const START: Duration = Duration::from_secs(30);
/// Where distributions put it; it is started by its full path only.
const SSHD: &str = "/usr/sbin/sshd";

/// The hosts, and the ssh that knows them.
#[derive(Debug)]
pub struct Rack {
    dir: TempDir,
    /// In the order they were asked for.
    pub hosts: Vec<SshHost>,
    /// Private folders of starts that were there before, and are none of ours.
    rooms: Vec<String>,
}

/// One host.
#[derive(Debug)]
pub struct SshHost {
    /// What ssh knows it as.
    pub name: String,
    /// The home of everything that runs on it.
    pub home: PathBuf,
    sshd: Running,
}

/// How a host differs from the others.
#[derive(Debug, Clone, Default)]
pub struct Quirks {
    /// It knows no key.
    pub refuses_the_key: bool,
    /// Further lines of its sshd's configuration.
    pub config: &'static str,
    /// Further lines of the user's ssh configuration for it.
    pub client: String,
}

impl Rack {
    /// Hosts of these names, each with the port of its engine.
    ///
    /// # Errors
    /// What the machine lacks.
    ///
    /// # Panics
    /// When an sshd does not start.
    pub fn new(hosts: &[(&str, u16, Quirks)]) -> Result<Self, String> {
        for program in [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"] {
            if !Path::new(program).exists() {
                return Err(format!("there is no {program}"));
            }
        }
        if rustix::process::geteuid().is_root() {
            // The system's own start script makes it, where there is one.
            fs::create_dir_all("/run/sshd").map_err(|e| format!("/run/sshd: {e}"))?;
        }
        let dir = TempDir::new().map_err(|e| e.to_string())?;
        let mut rack = Self { dir, hosts: Vec::new(), rooms: rooms() };
        rack.key("user_key");
        let mut config = String::new();
        for (name, engine, quirks) in hosts {
            let (host, port) = rack.host(name, *engine, quirks);
            config.push_str(&format!(
                "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n{}",
                quirks.client
            ));
            rack.hosts.push(host);
        }
        let (key, known) = (rack.path("user_key"), rack.path("known_hosts"));
        config.push_str(&format!(
            "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
             StrictHostKeyChecking accept-new\n  LogLevel ERROR\n",
            key.display(),
            known.display()
        ));
        fs::write(rack.path("config"), config).expect("a configuration");
        let script =
            format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", rack.path("config").display());
        fs::write(rack.ssh(), script).expect("a script");
        fs::set_permissions(rack.ssh(), fs::Permissions::from_mode(0o700)).expect("its mode");
        Ok(rack)
    }

    /// The ssh that knows these hosts and no others.
    #[must_use]
    pub fn ssh(&self) -> PathBuf {
        self.path("ssh")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, name: &str) {
        let made = Command::new("/usr/bin/ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path(name))
            .stdin(Stdio::null())
            .status();
        assert!(made.expect("ssh-keygen").success(), "a key");
    }

    fn host(&self, name: &str, engine: u16, quirks: &Quirks) -> (SshHost, u16) {
        self.key(&format!("{name}.host_key"));
        let home = self.path(name);
        fs::create_dir(&home).expect("a home");
        let user = fs::read_to_string(self.path("user_key.pub")).expect("the user's key");
        let keys = if quirks.refuses_the_key { String::new() } else { user };
        fs::write(self.path(&format!("{name}.keys")), keys).expect("the keys");
        let (top, port) = (self.dir.path().display(), free_port());
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {top}/{name}.host_key\nPidFile none\n\
             AuthorizedKeysFile {top}/{name}.keys\nStrictModes no\nUsePAM no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPrintMotd no\n\
             SetEnv HOME={top}/{name} REGATTA_ENDPOINT=127.0.0.1:{engine}\n{}",
            quirks.config
        );
        let file = self.path(&format!("{name}.sshd_config"));
        fs::write(&file, config).expect("a configuration");
        let sshd = Program::at(SSHD).args(["-D", "-e", "-f"]).args([&file]).start();
        let _ = sshd.line_with(Stream::Err, "Server listening", START);
        (SshHost { name: name.to_owned(), home, sshd }, port)
    }

    /// What is left on the hosts: processes, and private folders of starts.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let rooms = rooms().into_iter().filter(|room| !self.rooms.contains(room));
        self.hosts.iter().flat_map(SshHost::left).chain(rooms).collect()
    }

    /// Waits until nothing is left on any host.
    ///
    /// # Panics
    /// When something is after `limit`.
    pub fn wait_until_clean(&self, limit: Duration) {
        let deadline = MonoNs::now().after(limit);
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(MonoNs::now() < deadline, "left after {limit:?}: {left:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl SshHost {
    /// The agents in its cache, each with the number of its file: another one was copied anew.
    #[must_use]
    pub fn cached(&self) -> Vec<(String, u64)> {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(folder) = fs::read_dir(self.home.join(".cache/regatta")) else { return Vec::new() };
        let entries = folder.map(|entry| entry.expect("an entry"));
        let mut files: Vec<_> = entries
            .map(|entry| {
                let inode = entry.metadata().expect("a file").ino();
                (entry.file_name().to_string_lossy().into_owned(), inode)
            })
            .collect();
        files.sort();
        files
    }

    /// Cuts every connection to it, without a word; what was started over them goes on.
    pub fn cut(&self) {
        let mut open = vec![self.sshd.id()];
        while let Some(parent) = open.pop() {
            for child in children(parent) {
                let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
                if comm.starts_with("sshd") {
                    open.push(child);
                    let pid = i32::try_from(child).ok().and_then(Pid::from_raw).expect("a pid");
                    // It may have ended meanwhile.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }

    /// The processes that run on it.
    fn left(&self) -> Vec<String> {
        let own = format!("HOME={}", self.home.display());
        let mut left = Vec::new();
        for pid in pids() {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if environment.split(|&byte| byte == 0).any(|entry| entry == own.as_bytes()) {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                left.push(format!("{}: process {pid}: {line}", self.name));
            }
        }
        left
    }

    /// What its agents measured and could not hand over: files in the state folder of the agent that
    /// has the host's name. `None`: there is no such folder.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<String>> {
        let outbox = self.home.join(".local/state/regatta-agent").join(&self.name).join("outbox");
        let names = fs::read_dir(outbox).ok()?.flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        Some(names.filter(|name| name.ends_with(".report")).collect())
    }
}

/// The private folders of starts; all hosts of a rack have one `/tmp`.
fn rooms() -> Vec<String> {
    let names = fs::read_dir("/tmp").expect("/tmp").flatten().map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("regatta-ssh.")).collect()
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect()
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which may contain anything: state, then parent.
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        after.split(' ').nth(1).and_then(|text| text.parse().ok()) == Some(parent)
    };
    pids().into_iter().filter(is_child).collect()
}
