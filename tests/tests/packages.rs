//! The Debian packages, in a clean Debian root: they install, their unit is sound, their agent runs
//! as its own user and joins a run, and they leave nothing behind.
//!
//! Needs root, `cargo-deb`, `debootstrap` and a package mirror; without them it says what is
//! missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use regatta_tests::fleet::{Report, Sim};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::{Program, Running, Stream};
use regatta_tests::{build_dir, free_port, repository};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);
/// A user that no package makes, as systemd would choose for `DynamicUser=yes`.
const OWN_USER: u32 = 61_184;

/// What a tool said that had to succeed.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{command:?}: {text}")) }
}

/// A Debian root, and the packages in it as files.
struct Root {
    top: TempDir,
    packages: Vec<PathBuf>,
}

impl Root {
    /// Or what is missing for it.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can make a Debian root".to_owned());
        }
        let tools = build_dir().join("../tools/bin");
        let path = std::env::join_paths(
            std::env::var_os("PATH").iter().flat_map(std::env::split_paths).chain([tools]),
        )
        .map_err(|error| error.to_string())?;
        let top = TempDir::new().map_err(|error| error.to_string())?;
        said(Command::new("cargo").args(["deb", "--version"]).env("PATH", &path))?;
        said(
            Command::new("debootstrap")
                .args(["--variant=minbase", "--include=systemd,ca-certificates", "bookworm"])
                .arg(top.path()),
        )?;
        let folder = top.path().join("packages");
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        for package in ["regatta-agent", "regatta-coordinator"] {
            // From here on a failure is ours.
            said(
                Command::new("cargo")
                    .args(["deb", "--no-build", "--profile", "dev", "--locked", "--fast"])
                    .args(["-p", package])
                    .arg("-o")
                    .arg(&folder)
                    .env("PATH", &path)
                    .current_dir(repository()),
            )
            .expect("a package");
        }
        let files = fs::read_dir(&folder).expect("the folder of the packages");
        let names = files.map(|file| file.expect("a package's file").file_name());
        let packages = names.map(|name| Path::new("/packages").join(name)).collect();
        Ok(Self { top, packages })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.top.path().join(below)
    }

    /// A command in the root, with a `/proc` that goes with it.
    fn command(&self, script: &str) -> Vec<String> {
        let top = self.top.path().to_str().expect("a path in UTF-8");
        let script = format!("mount -t proc proc {top}/proc && exec chroot {top} sh -c '{script}'");
        ["--mount", "sh", "-c", &script].map(str::to_owned).to_vec()
    }

    fn run(&self, script: &str) -> String {
        said(Command::new("unshare").args(self.command(script))).expect(script)
    }

    fn start(&self, script: &str) -> Running {
        Program::at("unshare").args(self.command(script)).start()
    }
}

#[test]
fn the_packages_install_join_and_leave_nothing() {
    let root = match Root::new() {
        Ok(root) => root,
        Err(missing) => return println!("skipped: {missing}"),
    };
    assert_eq!(root.packages.len(), 2);
    for package in &root.packages {
        root.run(&format!("dpkg --install {}", package.display()));
    }
    let unit = "usr/lib/systemd/system/regatta-agent.service";
    let complaints = root.run(&format!("systemd-analyze verify --man=no /{unit}"));
    assert_eq!(complaints, "", "of the unit");
    let started = root.run("systemctl is-enabled regatta-agent || true");
    assert_eq!(started.trim(), "disabled", "nobody has said yet where the coordinator is");

    // As systemd starts it: the environment by root, then the user of its own.
    let unit = fs::read_to_string(root.path(unit)).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let start = start.replace("%S", "/var/lib");
    let (sim, port) = (Sim::start(&["--ttft", "20ms", "--inter-token", "5ms"]), free_port());
    let flags = format!("--endpoint 127.0.0.1:{} --name gpu-01 --once", sim.port);
    let env = format!("REGATTA_COORDINATOR=127.0.0.1:{port}\nAGENT_FLAGS=\"{flags}\"\n");
    fs::write(root.path("etc/regatta/agent.env"), env).unwrap();
    let run = root.start(&format!(
        "cd /tmp && HOME=/root regatta run quick --expect 1 --listen 127.0.0.1:{port} --out /tmp/report"
    ));
    let _ = run.line_with(Stream::Err, "waiting for hosts", LIMIT);
    let agent = root.start(&format!(
        "set -a; . /etc/regatta/agent.env; set +a; \
         install -d -m 0700 -o {OWN_USER} /var/lib/regatta-agent; \
         exec setpriv --reuid={OWN_USER} --regid={OWN_USER} --clear-groups --no-new-privs \
         --bounding-set=-all {start}"
    ));
    let agent = agent.wait(LIMIT);
    assert_eq!(agent.code, Some(0), "{}", agent.stderr);
    let run = run.wait(LIMIT);
    assert_complete(&run, &Report::at(root.path("tmp/report")));
    assert!(root.path("tmp/report/hosts/gpu-01.md").exists());
    let owned = root.run("find /var/lib/regatta-agent -maxdepth 1 -printf \"%U %m\\n\"");
    assert!(owned.starts_with(&format!("{OWN_USER} 700\n")), "{owned}");

    root.run("dpkg --purge regatta regatta-agent");
    for gone in ["usr/bin/regatta", "usr/bin/regatta-agent", "etc/regatta/agent.env"] {
        assert!(!root.path(gone).exists(), "{gone}");
    }
}
