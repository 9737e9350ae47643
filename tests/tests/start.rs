//! Start modes, with agents and engines as processes: who measures while the others rest, and how
//! much hosts that share an engine slow each other down.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_tests::fleet::{Report, Sim, agent, coordinator};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::{Program, Running, regatta};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(180);
const NAMES: [&str; 3] = ["gpu-01", "gpu-02", "gpu-03"];
const SUITE: &str = r#"
name = "started"
[defaults]
length = "fixed"
max_tokens = 32
repetitions = 4
requests = 2
[[case]]
title = "Short"
messages = [{ role = "user", content = "Say something short about the sea." }]
[[case]]
title = "Load"
concurrency = 2
messages = [{ role = "user", content = "Say something else about the sea." }]
"#;

/// Runs three hosts in a mode; `endpoint` is the port of the engine of each.
fn run(program: &Program, mode: &str, endpoint: impl Fn(usize) -> u16) -> Report {
    let suite = program.home().join("started.toml");
    std::fs::write(&suite, SUITE).expect("a suite");
    let hosts = NAMES.join(",");
    let flags = ["--hosts", &hosts, "--warmup", "1", "--start", mode];
    let (run, address) = coordinator(program, &suite.to_string_lossy(), &flags);
    let agents: Vec<Running> =
        (0..NAMES.len()).map(|host| agent(NAMES[host], &address, endpoint(host), &[])).collect();
    let run = run.wait(LIMIT);
    for agent in agents {
        assert_eq!(agent.wait(LIMIT).code, Some(0));
    }
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    report
}

/// When each cell was measured, from the first send to the last end, in order of time. All stamps are
/// of one machine.
fn windows(report: &Report) -> Vec<(i64, i64, String)> {
    let mut cells: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let requests = report.requests();
    let of_cells = |request: &&Value| request["repetition"] != 0 && request["counted"] == true;
    for request in requests.iter().filter(of_cells) {
        let at = |field: &str| request[field].as_i64().expect("a stamp");
        let cell = format!("{} {} {}", request["host"], request["case"], request["repetition"]);
        let window = cells.entry(cell).or_insert((i64::MAX, i64::MIN));
        window.0 = window.0.min(at("sent_unix_ns"));
        window.1 = window.1.max(at("done_unix_ns"));
    }
    let mut windows: Vec<(i64, i64, String)> =
        cells.into_iter().map(|(cell, (from, to))| (from, to, cell)).collect();
    windows.sort();
    windows
}

#[test]
fn solo_hosts_never_measure_at_the_same_time() {
    let sims = NAMES.map(|_| Sim::start(&["--ttft", "30ms", "--inter-token", "3ms"]));
    let program = regatta();
    let report = run(&program, "solo", |host| sims[host].port);
    let windows = windows(&report);
    assert_eq!(windows.len(), NAMES.len() * 2 * 4, "{windows:?}");
    for pair in windows.windows(2) {
        assert!(pair[0].1 < pair[1].0, "{pair:?}");
    }
    let hosts = |block: &[(i64, i64, String)]| -> Vec<String> {
        block.iter().map(|(_, _, cell)| cell[1..7].to_owned()).collect()
    };
    let turns: Vec<Vec<String>> = windows.chunks(NAMES.len()).map(hosts).collect();
    assert_eq!(turns[0], NAMES);
    assert_eq!(turns[1], ["gpu-02", "gpu-03", "gpu-01"]);
    assert!(report.text("report.md").contains("Planned: one host measures at a time"));
}

#[test]
fn hosts_that_share_an_engine_are_found_to_be_slower_together() {
    // One stream has a token every 10 ms; three have one every 15, six one every 30.
    let flags = ["--ttft", "30ms", "--inter-token", "10ms", "--decode-capacity", "200"];
    let sim = Sim::start(&flags);
    let program = regatta();
    let report = run(&program, "both", |_| sim.port);
    let json = report.run();
    let decode = &json["contention"][0];
    assert_eq!(decode["metric"], "decode_tps");
    let hosts = decode["hosts"].as_array().expect("hosts");
    assert_eq!(hosts.len(), NAMES.len());
    for host in hosts {
        assert_eq!(host["verdict"], "slower", "{host}");
        // The one case by a third, the other by two thirds.
        let lost = -host["effect"]["mean_log"].as_f64().expect("a mean").exp_m1();
        assert!((0.25..0.75).contains(&lost), "{lost}");
    }
    // One engine behind three names: no verdict between them.
    for host in json["hosts"].as_array().expect("hosts") {
        let findings = host["cases"][0]["cells"][0]["findings"].as_array().expect("findings");
        assert!(findings.iter().any(|finding| finding["code"] == "same_machine"), "{findings:?}");
    }
    let left_out = &json["classes"][0]["metrics"][0]["hosts_left_out"];
    let names: Vec<&Value> = (0..2).map(|at| &left_out[at][0]).collect();
    assert_eq!(names, [NAMES[1], NAMES[2]], "{left_out}");
    let page = report.text("report.md");
    let told = page.lines().find(|line| line.contains(" lose decode speed when all hosts run at"));
    let told = told.expect("the answer names the hosts");
    assert!(NAMES.iter().all(|name| told.contains(name)), "{told}");
    assert!(told.contains("Check shared power"), "{told}");
    // Solo first, then together; the solo cells alone in their time.
    let windows = windows(&report);
    assert_eq!(windows.len(), NAMES.len() * 2 * 2 * 4);
    for block in windows.chunks(2 * NAMES.len()) {
        let (solo, together) = block.split_at(NAMES.len());
        assert!(solo.iter().all(|(_, _, cell)| cell.contains(".solo")), "{block:?}");
        assert!(together.iter().all(|(_, _, cell)| !cell.contains(".solo")), "{block:?}");
        for pair in solo.windows(2) {
            assert!(pair[0].1 < pair[1].0, "{pair:?}");
        }
        let last_begins = together.iter().map(|(from, _, _)| *from).max();
        assert!(together.iter().all(|(_, to, _)| Some(*to) > last_begins), "{block:?}");
    }
}
