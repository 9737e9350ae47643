//! Runs against earlier ones: what `compare`, `check`, `baseline` and `runs --host` return and say.

use std::time::Duration;

use regatta_tests::fleet::{Report, Sim};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::{Finished, Program, regatta};

const LIMIT: Duration = Duration::from_secs(120);

/// One short case, so that a run takes seconds.
const SUITE: &str = r#"
name = "short"
description = "One answer of fixed length."

[[case]]
title = "Count"
max_tokens = 24
length = "fixed"
repetitions = 6
messages = [{ role = "user", content = "Count to one hundred." }]
"#;

/// Times far above what a busy test machine adds.
const PACE: [&str; 4] = ["--ttft", "60ms", "--inter-token", "20ms"];

/// Measures a simulated engine of this version with further flags; returns the id of the run.
fn measure(program: &Program, version: &str, flags: &[&str]) -> String {
    let version = ["--engine-version", version];
    let all: Vec<&str> = PACE.iter().chain(&version).chain(flags).copied().collect();
    let sim = Sim::start(&all);
    let url = format!("127.0.0.1:{}", sim.port);
    std::fs::write(program.home().join("short.toml"), SUITE).expect("a writable home");
    let flags = ["bench", &url, "--suite", "short.toml", "--warmup", "1"];
    let bench = program.clone().args(flags).run(LIMIT);
    assert_complete(&bench, &Report::of(&bench, program.home()));
    let runs = program.clone().args(["runs"]).run(LIMIT);
    let newest = runs.stdout.split_whitespace().next();
    newest.expect("a stored run").to_owned()
}

fn check(program: &Program, run: &str, baseline: &str) -> Finished {
    let flags = ["check", run, "--baseline", baseline, "--max-regress", "3%"];
    program.clone().args(flags).run(LIMIT)
}

#[track_caller]
fn returns(done: &Finished, code: i32, said: &str) {
    assert_eq!(done.code, Some(code), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains(said), "{said:?} is missing in\n{}", done.stdout);
}

#[test]
fn a_check_tells_a_regression_from_noise_and_from_another_engine() {
    let program = regatta();
    let before = measure(&program, "1.0", &[]);
    let kept = program.clone().args(["baseline", "--out", "baseline.toml"]).run(LIMIT);
    assert_eq!(kept.code, Some(0), "{}", kept.stderr);
    let printed = program.clone().args(["baseline", &before]).run(LIMIT);
    let file = std::fs::read_to_string(program.home().join("baseline.toml")).unwrap();
    assert_eq!(printed.stdout, file);

    let same = measure(&program, "1.0", &[]);
    returns(&check(&program, &same, "baseline.toml"), 0, "is equivalent within 3 %");
    let hosts = &file[file.find("[[host]]").expect("a host")..];
    let name = hosts.lines().find(|line| line.starts_with("name = ")).expect("its name");
    let fleet = format!("{file}\n{}", hosts.replacen(name, "name = \"gone-01\"", 1));
    std::fs::write(program.home().join("fleet.toml"), fleet).unwrap();
    let gone = "Only in the earlier run, so not compared: gone-01.";
    returns(&check(&program, &same, "fleet.toml"), 9, gone);
    let flags = ["check", &same, "--baseline", "fleet.toml", "--allow-absent"];
    returns(&program.clone().args(flags).run(LIMIT), 0, gone);
    let noisy = measure(&program, "1.0", &["--jitter", "2"]);
    let noise = check(&program, &noisy, "baseline.toml");
    returns(&noise, 0, "Decode speed:");
    assert!(!noise.stdout.contains("**slower**"), "{}", noise.stdout);
    let slow = measure(&program, "1.0", &["--slow", "5"]);
    for baseline in ["baseline.toml", before.as_str()] {
        returns(&check(&program, &slow, baseline), 8, "% slower than before");
    }
    let upgraded = measure(&program, "2.0", &[]);
    let other = check(&program, &upgraded, "baseline.toml");
    returns(&other, 9, "not comparable: engine version 2.0, before: 1.0 ([C3](#codes))");

    let report = |flags: &[&str]| program.clone().args(["report", &slow]).args(flags).run(LIMIT);
    let page = report(&["--baseline", &before, "--out", "since"]);
    returns(&page, 0, &format!("Since run {before}, decode speed: "));
    let page = std::fs::read_to_string(program.home().join("since/report.md")).unwrap();
    assert!(page.contains("% slower than before"), "{page}");
    let own = report(&["--baseline", &slow]);
    assert_eq!(own.code, Some(2));
    assert!(own.stderr.contains("cannot be its own baseline"), "{}", own.stderr);

    let compared =
        |flags: &[&str]| program.clone().args(["compare", &before]).args(flags).run(LIMIT);
    returns(&compared(&[&slow]), 0, "% slower than before");
    returns(&compared(&[]), 9, "No host can be compared.");
    let allowed = ["--allow-different", "engine-version", "--out", "change.md"];
    let allowed = compared(&allowed);
    returns(
        &allowed,
        0,
        ": compared despite a different class (--allow-different): engine version 2.0",
    );
    let page = std::fs::read_to_string(program.home().join("change.md")).unwrap();
    assert!(page.starts_with(&format!("# Regatta comparison: {upgraded} vs. {before}\n")));
    let json = compared(&[&slow, "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["hosts"][0]["metrics"][0]["verdict"], "slower", "{json}");

    let host = json["hosts"][0]["host"].as_str().expect("a host").to_owned();
    let trend = program.clone().args(["runs", "--host", &host]).run(LIMIT);
    let lines: Vec<&str> = trend.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", trend.stdout);
    assert!(lines[0].starts_with(&before) && lines[0].ends_with("first run"), "{}", lines[0]);
    assert!(lines[3].starts_with(&slow) && lines[3].contains("% slower"), "{}", lines[3]);
    assert!(lines[4].contains("not comparable: ") && lines[4].ends_with(" (C3)"), "{}", lines[4]);
}

#[test]
fn what_is_no_run_and_no_baseline_is_named() {
    let program = regatta();
    std::fs::write(program.home().join("bad.toml"), "name = \"x\"\n").unwrap();
    for (baseline, said) in
        [("nothing.toml", "is neither a stored run nor a file"), ("bad.toml", "not a baseline")]
    {
        let done = check(&program, "latest", baseline);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        assert!(done.stderr.contains(baseline) && done.stderr.contains(said), "{}", done.stderr);
    }
    let bad = ["check", "--baseline", "x", "--max-regress", "fast"];
    let bad = program.clone().args(bad).run(LIMIT);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("expected a percentage"), "{}", bad.stderr);
}
