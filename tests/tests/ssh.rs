//! Fleets over ssh, with real OpenSSH servers on loopback: what is measured, what fails alone, and
//! that nothing is left on any host, regardless of how the run ends.
//!
//! Needs OpenSSH; the host with a full disk needs root. Without them a test says what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use regatta_tests::fleet::{Report, Sim};
use regatta_tests::outcome::{assert_complete, assert_partial};
use regatta_tests::process::{Program, Running, Stream, regatta, regatta_agent};
use regatta_tests::sshd::{Quirks, Rack, SshHost};
use regatta_types::time::MonoNs;
use rustix::process::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);
/// Time for hosts to be clean after an end that their agents were told of, and after one they were
/// not.
const SOON: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(40);
const FAST: [&str; 4] = ["--ttft", "20ms", "--inter-token", "5ms"];
/// An engine whose answers take seconds, so that a test can act in the middle of one.
const SLOW: [&str; 4] = ["--ttft", "50ms", "--inter-token", "30ms"];

/// `regatta run quick --ssh` on these hosts.
fn run(rack: &Rack, program: &Program, hosts: &str, flags: &[&str]) -> Program {
    program
        .clone()
        .args(["run", "quick", "--ssh", hosts, "--warmup", "1", "--ssh-command"])
        .args([rack.ssh()])
        .args(flags)
        // A separate folder for the sockets, to check that nothing is left there.
        .env("TMPDIR", program.home())
}

/// The run leaves nothing on the control node.
fn assert_no_sockets(program: &Program) {
    let names =
        fs::read_dir(program.home()).expect("its home").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = names.filter(|n| n.to_string_lossy().starts_with("regatta-run.")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The attempt that a host had in hand is in its outbox.
fn assert_kept(host: &SshHost) {
    let kept = host.kept().unwrap_or_default();
    assert!(
        kept.iter().any(|name| name.contains("+r1+a1") && !name.contains("settling")),
        "{kept:?}"
    );
}

fn quirks() -> Quirks {
    Quirks::default()
}

macro_rules! rack_or_skip {
    ($hosts:expr) => {
        match Rack::new($hosts) {
            Ok(rack) => rack,
            Err(missing) => return println!("skipped: {missing}"),
        }
    };
}

#[test]
fn three_hosts_need_nothing_but_ssh_and_keep_nothing_but_the_copied_agent() {
    let sims = [Sim::start(&FAST), Sim::start(&FAST), Sim::start(&FAST)];
    // One through the user's own multiplexed connection, which stays after the run.
    let control = tempfile::tempdir().unwrap();
    let multiplexed = Quirks {
        client: format!(
            "  ControlMaster auto\n  ControlPersist 60\n  ControlPath {}/c\n",
            control.path().display()
        ),
        ..quirks()
    };
    let rack = rack_or_skip!(&[
        ("gpu-01", sims[0].port, quirks()),
        ("gpu-02", sims[1].port, quirks()),
        ("gpu-03", sims[2].port, multiplexed),
    ]);
    let program = regatta();
    let all = run(&rack, &program, "gpu-01,gpu-02,gpu-03", &[]);
    let first = all.run(LIMIT);
    rack.wait_until_clean(SOON);
    assert_no_sockets(&program);
    let report = Report::of(&first, program.home());
    assert_complete(&first, &report);
    assert_eq!(report.run()["cells"]["counted"], 3 * 3 * 3);
    assert!(report.text("report.md").contains("spread"), "{}", report.text("report.md"));
    assert!(rack.hosts.iter().all(|host| host.kept().is_none()), "all was handed over");
    let cached: Vec<_> = rack.hosts.iter().map(|host| host.cached()).collect();
    assert!(cached.iter().all(|files| files.len() == 1), "{cached:?}");

    let second = all.run(LIMIT);
    assert_complete(&second, &Report::of(&second, program.home()));
    let again: Vec<_> = rack.hosts.iter().map(|host| host.cached()).collect();
    assert_eq!(again, cached, "nothing was copied");
    rack.wait_until_clean(SOON);
    let exit = Command::new(rack.ssh()).args(["-O", "exit", "gpu-03"]).output().unwrap();
    assert!(exit.status.success(), "the user's connection is still there: {exit:?}");
}

#[test]
fn each_failed_host_has_its_own_error_and_the_others_complete() {
    let sims = [Sim::start(&FAST), Sim::start(&SLOW)];
    let no_sockets = Quirks { config: "AllowStreamLocalForwarding no\n", ..quirks() };
    let rack = rack_or_skip!(&[
        ("good", sims[0].port, quirks()),
        ("dropped", sims[1].port, quirks()),
        ("refuses", 1, Quirks { refuses_the_key: true, ..quirks() }),
        ("no-sockets", 1, no_sockets),
        ("no-engine", 1, quirks()),
    ]);
    let program = regatta();
    let hosts = "good,dropped,refuses,no-sockets,no-engine,unknown";
    let running = run(&rack, &program, hosts, &["--json", "--lost-after", "5s"]).start();
    let started = [r#""event":"attempt_started""#, r#""host":"dropped""#];
    let _ = running.line_with_all(Stream::Out, &started, LIMIT);
    let dropped = rack.hosts.iter().find(|host| host.name == "dropped").unwrap();
    dropped.cut();
    let done = running.wait(LIMIT);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let report = Report::of(&done, program.home());
    let page = report.text("report.md");
    for (host, why) in [
        ("refuses", "Permission denied (publickey)"),
        ("no-sockets", "sshd does not forward Unix sockets"),
        ("unknown", "Could not resolve hostname unknown"),
        ("dropped", "ssh connection lost"),
        ("no-engine", "127.0.0.1:1"),
    ] {
        let line = |text: &str| text.lines().any(|l| l.contains(host) && l.contains(why));
        assert!(line(&done.stderr), "{host}: {why}\n{}", done.stderr);
        assert!(line(&page), "{host}: {why}\n{page}");
    }
    let counted =
        report.requests().iter().filter(|r| r["host"] == "good" && r["counted"] == true).count();
    assert_eq!(counted, 9, "the good host is complete");
    rack.wait_until_clean(SOON);
    assert_kept(dropped);
    for host in rack.hosts.iter().filter(|host| host.name != "dropped") {
        assert_eq!(host.kept(), None, "{}", host.name);
    }
    assert_no_sockets(&program);
}

/// A small file system that goes with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).expect("a folder");
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at).output();
        match mount {
            Ok(done) if done.status.success() => Ok(Self(at.to_owned())),
            Ok(done) => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_host_with_a_full_disk_can_be_excluded_and_keeps_no_files() {
    let sim = Sim::start(&FAST);
    let rack = rack_or_skip!(&[("good", sim.port, quirks()), ("full", sim.port, quirks())]);
    let disk = match SmallDisk::mount(&rack.hosts[1].home.join(".cache")) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: no small disk: {why}"),
    };
    let program = regatta();
    let done = run(&rack, &program, "good,full", &[]).run(LIMIT);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let why = "cannot copy the agent: cat: write error: No space left on device";
    let page = Report::of(&done, program.home()).text("report.md");
    assert!(page.contains(why), "{page}");
    assert_eq!(rack.hosts[1].cached(), [], "not even half of it");

    let done = run(&rack, &program, "good,full", &["--allow-missing"]).run(LIMIT);
    let report = Report::of(&done, program.home());
    assert_complete(&done, &report);
    let told = format!("Excluded from the run (--allow-missing): full ({why}).");
    assert!(report.text("report.md").contains(&told), "{}", report.text("report.md"));
    assert_eq!(report.run()["hosts"].as_array().map(Vec::len), Some(1));
    rack.wait_until_clean(SOON);
    drop(disk);
}

/// A run of two hosts that is in the middle of a case on both.
fn in_mid_case(rack: &Rack, program: &Program) -> Running {
    let running = run(rack, program, "gpu-01,gpu-02", &["--json"]).start();
    for host in ["gpu-01", "gpu-02"] {
        let started = [r#""event":"attempt_started""#, &format!(r#""host":"{host}""#)];
        let _ = running.line_with_all(Stream::Out, &started, LIMIT);
    }
    running
}

#[test]
fn an_interrupt_stops_the_agents_cleanly_and_writes_the_report() {
    let sims = [Sim::start(&SLOW), Sim::start(&SLOW)];
    let rack =
        rack_or_skip!(&[("gpu-01", sims[0].port, quirks()), ("gpu-02", sims[1].port, quirks()),]);
    let program = regatta();
    let running = in_mid_case(&rack, &program);
    // In a second case, so that one is counted.
    for host in ["gpu-01", "gpu-02"] {
        let leased =
            [r#""event":"assignment_leased""#, &format!(r#""host":"{host}""#), r#""epoch":2}"#];
        let _ = running.line_with_all(Stream::Out, &leased, LIMIT);
    }
    running.signal(Signal::INT);
    let done = running.wait(LIMIT);
    let report = Report::of(&done, program.home());
    assert_partial(&done, &report);
    assert!(report.text("report.md").contains("the run was stopped"));
    rack.wait_until_clean(SOON);
    assert_no_sockets(&program);

    // And in the middle of connecting: a second one at once.
    let running = run(&rack, &program, "gpu-01,gpu-02", &[]).start();
    let _ = running.line_with(Stream::Err, "over ssh", LIMIT);
    running.signal(Signal::INT);
    let done = running.wait(LIMIT);
    assert_eq!(done.code, Some(5), "nothing is measured: {}", done.stderr);
    rack.wait_until_clean(SOON);
    assert_no_sockets(&program);
}

#[test]
fn hosts_clean_up_when_the_coordinator_is_killed() {
    let sims = [Sim::start(&SLOW), Sim::start(&SLOW)];
    let rack =
        rack_or_skip!(&[("gpu-01", sims[0].port, quirks()), ("gpu-02", sims[1].port, quirks()),]);
    let program = regatta();
    let running = in_mid_case(&rack, &program);
    running.signal(Signal::KILL);
    let done = running.wait(LIMIT);
    assert_eq!(done.signal, Some(9), "{}", done.stderr);
    let began = MonoNs::now();
    rack.wait_until_clean(LATER);
    println!("no process left after {:?}", MonoNs::now().since(began));
    for host in &rack.hosts {
        assert_kept(host);
    }
    // The next run is not affected.
    let done = run(&rack, &program, "gpu-01", &["--repetitions", "1"]).run(LIMIT);
    assert_complete(&done, &Report::of(&done, program.home()));
}

#[test]
fn an_agent_without_a_coordinator_exits_and_stores_nothing() {
    let agent = regatta_agent().args(["--coordinator", "unix:/nowhere/s", "--attached", "2"]);
    let began = MonoNs::now();
    let done = agent.run(LIMIT);
    let took = MonoNs::now().since(began);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(took >= Duration::from_secs(2), "it waits for its coordinator: {took:?}");
    assert!(done.stderr.contains("no contact with the coordinator"), "{}", done.stderr);
    let kept = fs::read_dir(agent.home().join(".local/state/regatta-agent")).map(Iterator::count);
    assert!(matches!(kept, Ok(0) | Err(_)), "{kept:?}");
}

#[test]
fn hosts_and_doctor_work_over_ssh() {
    let sim = Sim::start(&["--ttft", "5ms", "--inter-token", "1ms", "--model", "llama"]);
    let refuses = Quirks { refuses_the_key: true, ..quirks() };
    let rack = rack_or_skip!(&[("gpu-01", sim.port, quirks()), ("refuses", sim.port, refuses)]);
    let program = regatta();
    let look = |command: &str, flags: &[&str]| {
        let args = [command, "--ssh", "gpu-01,refuses", "--ssh-command"];
        let done = program.clone().args(args).args([rack.ssh()]).args(flags).run(LIMIT);
        assert_eq!(done.code, Some(4), "{}", done.stderr);
        rack.wait_until_clean(SOON);
        done.stdout
    };
    let table = look("hosts", &[]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(row("model").contains("llama"), "{table}");
    assert!(row("agent").contains(env!("CARGO_PKG_VERSION")), "{table}");
    assert!(row("refuses: ssh: ").contains("Permission denied (publickey)"), "{table}");
    let lines = look("hosts", &["--json"]);
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["engine"]["model"], "llama");
    assert_eq!((&lines[1]["host"], &lines[1]["facts"]), (&Value::from("refuses"), &Value::Null));

    let checked = look("doctor", &[]);
    assert!(checked.contains("streaming         ok\n"), "{checked}");
    assert!(checked.contains("Never joined: refuses (ssh: "), "{checked}");
    assert!(!program.home().join(".local").exists(), "nothing is stored");
}

#[test]
fn every_problem_of_an_ssh_file_is_reported_before_any_start() {
    let program = regatta();
    let file = program.home().join("rack.txt");
    fs::write(&file, "gpu-01 nmae=a\ngpu-02\ngpu-02\n").unwrap();
    let done = program.clone().args(["run", "quick", "--ssh-file", "rack.txt"]).run(LIMIT);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    for place in ["rack.txt:1: unknown setting `nmae`", "rack.txt:3: duplicate host name `gpu-02`"]
    {
        assert!(done.stderr.contains(place), "{place}\n{}", done.stderr);
    }
    assert!(!program.home().join(".local").exists(), "nothing was started");
}
