//! Two agents, a coordinator and two simulated engines: whole runs over TCP.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use regatta_tests::fleet::{Report, Sim, agent, coordinator};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::{Stream, regatta, regatta_agent};
use rusqlite::Connection;
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(120);
/// A quick engine: an answer of `quick` takes about half a second.
const FAST: [&str; 4] = ["--ttft", "20ms", "--inter-token", "5ms"];
/// An engine whose answers take seconds, so that a test can act in the middle of one.
const SLOW: [&str; 4] = ["--ttft", "50ms", "--inter-token", "30ms"];

/// Requests the engine saw, by their ids.
fn seen(sim: &Sim) -> BTreeSet<String> {
    sim.log().iter().filter_map(|line| line["id"].as_str().map(str::to_owned)).collect()
}

/// Requests the report tells of one host, by their ids.
fn told(report: &Report, host: &str) -> BTreeSet<String> {
    let requests = report.requests();
    let own = requests.iter().filter(|r| r["host"] == host);
    // What an agent measures of itself goes to no engine.
    own.filter(|r| r["case"] != "client-floor")
        .filter_map(|r| r["request_id"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_run_of_two_agents_tells_of_every_request_the_engines_saw() {
    let sims = [Sim::start(&FAST), Sim::start(&FAST)];
    let program = regatta();
    let (run, address) = coordinator(&program, "quick", &["--expect", "2", "--warmup", "1"]);
    let agents = [
        agent("gpu-01", &address, sims[0].port, &[]),
        agent("gpu-02", &address, sims[1].port, &[]),
    ];
    let run = run.wait(LIMIT);
    for agent in agents {
        let agent = agent.wait(LIMIT);
        assert_eq!(agent.code, Some(0), "{}", agent.stderr);
    }
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    for (host, sim) in [("gpu-01", &sims[0]), ("gpu-02", &sims[1])] {
        assert_eq!(told(&report, host), seen(sim), "{host}");
        let before = 1 + 3 + 1;
        assert_eq!(told(&report, host).len(), before + 3 * 3, "a look, three shapes, a warm-up");
        assert!(report.text(&format!("hosts/{host}.md")).contains("Explain Code"));
    }
    assert_eq!(report.run()["cells"]["counted"], 2 * 3 * 3);
    assert_eq!(report.run()["hosts"].as_array().map(Vec::len), Some(2));
    assert!(report.text("report.md").contains("gpu-02"));
    // Two engines on one machine are two hosts.
    assert!(!report.text("run.json").contains("same_machine"));
}

/// Copies the store of `from` to `to` with the rows of every table in another order.
fn shuffle_store(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let original = Connection::open(from.join("regatta.sqlite3"))?;
    let copy = to.join("regatta.sqlite3");
    original.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    let db = Connection::open(&copy)?;
    db.pragma_update(None, "foreign_keys", false)?;
    for table in ["run", "host", "attempt", "conflict", "missing", "event"] {
        db.execute_batch(&format!(
            "CREATE TEMP TABLE shuffled AS SELECT * FROM {table} ORDER BY random();
             DELETE FROM {table};
             INSERT INTO {table} SELECT * FROM shuffled ORDER BY random();
             DROP TABLE shuffled;"
        ))?;
    }
    Ok(())
}

#[test]
fn the_same_run_renders_to_the_same_bytes_anywhere_and_in_any_order_of_rows() {
    let sim = Sim::start(&FAST);
    let program = regatta();
    let flags = ["--expect", "1", "--warmup", "1", "--state", "state"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let agent = agent("gpu-01", &address, sim.port, &[]);
    let run = run.wait(LIMIT);
    drop(agent);
    let first = Report::of(&run, program.home());
    assert_complete(&run, &first);
    let (shuffled, folder) = (program.home().join("shuffled"), program.home().join("elsewhere"));
    std::fs::create_dir(&shuffled).unwrap();
    std::fs::create_dir(&folder).unwrap();
    shuffle_store(&program.home().join("state"), &shuffled).unwrap();
    let again = program
        .clone()
        .args(["report", "latest", "--out", "again", "--state", "../shuffled"])
        .in_folder("elsewhere")
        .env("TZ", "Pacific/Auckland")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .run(LIMIT);
    assert_eq!(again.code, run.code, "{}", again.stderr);
    let second = Report::of(&again, &folder);
    assert_eq!(first.files(), second.files());
}

#[test]
fn a_host_killed_during_a_case_is_missing_and_the_other_is_complete() {
    let sims = [Sim::start(&FAST), Sim::start(&SLOW)];
    let program = regatta();
    let flags = ["--expect", "2", "--warmup", "1", "--lost-after", "5s", "--json"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let good = agent("good", &address, sims[0].port, &[]);
    let bad = agent("bad", &address, sims[1].port, &[]);
    let started = [r#""event":"attempt_started""#, r#""host":"bad""#];
    let _ = run.line_with_all(Stream::Out, &started, LIMIT);
    bad.signal(Signal::KILL);
    let run = run.wait(LIMIT);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert_eq!(good.wait(LIMIT).code, Some(0));
    let report = Report::of(&run, program.home());
    assert_eq!(told(&report, "good"), seen(&sims[0]));
    let page = report.text("report.md");
    assert!(page.contains("the agent was lost"), "{page}");
    assert_eq!(report.run()["completeness"], "partial");
}

#[test]
fn the_report_names_a_host_that_never_joins() {
    let sim = Sim::start(&FAST);
    let program = regatta();
    let (run, address) =
        coordinator(&program, "quick", &["--expect", "2", "--warmup", "1", "--wait", "15s"]);
    let _agent = agent("here", &address, sim.port, &[]);
    let run = run.wait(LIMIT);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(Report::of(&run, program.home()).text("report.md").contains("never joined"));
}

#[test]
fn the_first_interrupt_finishes_current_requests_and_writes_a_partial_report() {
    let sim = Sim::start(&SLOW);
    let program = regatta();
    let flags = ["--expect", "1", "--warmup", "0", "--json"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let _agent = agent("gpu-01", &address, sim.port, &[]);
    let _ = run.line_with(Stream::Out, r#""disposition":"counted""#, LIMIT);
    run.signal(Signal::INT);
    let run = run.wait(Duration::from_secs(30));
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let report = Report::of(&run, program.home());
    assert!(report.text("report.md").contains("the run was stopped"));
    let requests = report.requests();
    assert!(requests.iter().all(|r| r["status"] == "ok"), "the current request finished");
    assert_eq!(told(&report, "gpu-01"), seen(&sim));
}

#[test]
fn a_second_interrupt_exits_immediately_and_the_store_keeps_the_run() {
    let sim = Sim::start(&["--ttft", "50ms", "--inter-token", "500ms"]);
    let program = regatta();
    let (run, address) = coordinator(&program, "quick", &["--expect", "1", "--warmup", "0"]);
    let agent = agent("gpu-01", &address, sim.port, &[]);
    let _ = agent.line_with(Stream::Err, "run started", LIMIT);
    run.signal(Signal::INT);
    let _ = run.line_with(Stream::Err, "stopping", LIMIT);
    run.signal(Signal::INT);
    let run = run.wait(Duration::from_secs(10));
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    let report = program.clone().args(["report"]).run(LIMIT);
    assert_eq!(report.code, Some(5), "no usable results: {}", report.stderr);
}

#[test]
fn a_host_without_an_engine_is_refused_with_a_hint_and_the_other_runs() {
    let sim = Sim::start(&FAST);
    let program = regatta();
    let (run, address) = coordinator(&program, "quick", &["--expect", "2", "--warmup", "1"]);
    let _good = agent("good", &address, sim.port, &[]);
    let _bad = agent("bad", &address, regatta_tests::free_port(), &[]);
    let run = run.wait(LIMIT);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains("bad refused"), "{}", run.stderr);
    assert_eq!(told(&Report::of(&run, program.home()), "good"), seen(&sim));
}

#[test]
fn a_second_agent_with_the_same_name_exits_with_an_error() {
    let sim = Sim::start(&SLOW);
    let program = regatta();
    let (_run, address) = coordinator(&program, "quick", &["--expect", "2"]);
    let first = agent("twin", &address, sim.port, &[]);
    let _ = first.line_with(Stream::Err, "connected", LIMIT);
    let second = agent("twin", &address, sim.port, &[]).wait(LIMIT);
    assert_eq!(second.code, Some(7), "{}", second.stderr);
    assert!(second.stderr.contains("already connected"), "{}", second.stderr);
}

#[test]
fn unencrypted_connections_beyond_loopback_require_insecure_on_both_sides() {
    let run = regatta().args(["run", "quick", "--expect", "1", "--listen", "0.0.0.0:0"]).run(LIMIT);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--insecure"), "{}", run.stderr);
    let agent = regatta_tests::process::regatta_agent();
    let agent = agent.args(["--coordinator", "192.0.2.1:7717"]).run(LIMIT);
    assert_eq!(agent.code, Some(2));
    assert!(agent.stderr.contains("--insecure"), "{}", agent.stderr);
}

#[test]
fn agents_of_a_killed_coordinator_take_part_in_the_next_run() {
    let sim = Sim::start(&SLOW);
    let program = regatta();
    let flags = ["--expect", "1", "--warmup", "0", "--repetitions", "1", "--json"];
    let (first, address) = coordinator(&program, "quick", &flags);
    let agent = regatta_agent()
        .args(["--coordinator", &address, "--name", "gpu-01"])
        .args(["--endpoint", &format!("127.0.0.1:{}", sim.port)])
        .start();
    let _ = first.line_with(Stream::Out, r#""event":"attempt_started""#, LIMIT);
    first.signal(Signal::KILL);
    let _ = first.wait(LIMIT);

    let second = program.clone().args(["run", "quick", "--listen", &address]).args(flags).start();
    let second = second.wait(LIMIT);
    let report = Report::of(&second, program.home());
    assert_complete(&second, &report);
    assert_eq!(report.run()["cells"]["counted"], 3);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait(LIMIT).code, Some(0), "SIGTERM is a clean exit");
}

#[test]
fn a_report_of_another_coordinators_run_does_not_disturb_this_one() {
    let sim = Sim::start(&SLOW);
    let (first, second) = (regatta(), regatta());
    let flags = ["--expect", "1", "--warmup", "0", "--repetitions", "1", "--json"];
    let (run, address) = coordinator(&first, "quick", &flags);
    let program = regatta_agent();
    let state = program.home().join("state");
    let start = |address: &str| {
        program
            .clone()
            .args(["--coordinator", address, "--name", "gpu-01", "--once", "--state"])
            .args([&state])
            .args(["--endpoint", &format!("127.0.0.1:{}", sim.port)])
            .start()
    };
    let agent = start(&address);
    let _ = run.line_with(Stream::Out, r#""event":"attempt_started""#, LIMIT);
    run.signal(Signal::KILL);
    agent.signal(Signal::KILL);
    let _ = agent.wait(LIMIT);

    let (run, address) = coordinator(&second, "quick", &flags);
    let agent = start(&address);
    let run = run.wait(LIMIT);
    assert_complete(&run, &Report::of(&run, second.home()));
    assert_eq!(agent.wait(LIMIT).code, Some(0));
}
