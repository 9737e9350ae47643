//! What the commands say and return.

use std::time::Duration;

use regatta_fake_nvml::{gpu, install, script};
use regatta_tests::fleet::{Report, Sim, number};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::regatta;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn every_problem_of_a_suite_is_named_with_its_line_and_nothing_starts() {
    let program = regatta();
    let file = program.home().join("bad.toml");
    let source = "\
name = \"bad\"
color = \"red\"

[[case]]
title = \"One\"
max_tokens = 0
messages = [{ role = \"user\", content = \"hello\" }]

[[case]]
title = \"One\"
temperature = \"hot\"
messages = [{ role = \"boss\", content = \"hello\" }]
";
    std::fs::write(&file, source).unwrap();
    for command in [vec!["run", "bad.toml", "--expect", "1"], vec!["suite", "check", "bad.toml"]] {
        let done = program.clone().args(command).run(LIMIT);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        for (line, what) in [(2, "color"), (6, "max_tokens"), (11, "temperature"), (12, "boss")] {
            let place = format!("bad.toml:{line}:");
            let named = done.stderr.lines().any(|l| l.contains(&place) && l.contains(what));
            assert!(named, "{place} {what}\n{}", done.stderr);
        }
        assert!(done.stderr.contains("one"), "the duplicate case: {}", done.stderr);
        assert!(!program.home().join(".local").exists(), "nothing was started");
    }
}

#[test]
fn a_dry_run_prints_the_cells_and_touches_nothing() {
    let program = regatta();
    let done = program.clone().args(["run", "complex", "--expect", "4", "--dry-run"]).run(LIMIT);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout.lines().filter(|l| l.contains("1 stream;")).count(), 50);
    assert!(!program.home().join(".local").exists());
}

#[test]
fn runs_and_report_find_what_was_measured() {
    let program = regatta();
    let empty = program.clone().args(["runs"]).run(LIMIT);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""));
    let none = program.clone().args(["report", "latest"]).run(LIMIT);
    assert_eq!(none.code, Some(2), "{}", none.stderr);

    let sim = Sim::start(&["--ttft", "20ms", "--inter-token", "5ms"]);
    let url = format!("127.0.0.1:{}", sim.port);
    let bench =
        program.clone().args(["bench", &url, "--warmup", "0", "--repetitions", "1"]).run(LIMIT);
    assert_complete(&bench, &Report::of(&bench, program.home()));
    let runs = program.clone().args(["runs"]).run(LIMIT);
    assert_eq!(runs.stdout.lines().count(), 1, "{}", runs.stdout);
    assert!(runs.stdout.contains("finished"), "{}", runs.stdout);

    let export = |args: &[&str]| {
        let done = program.clone().args(["export", "--format"]).args(args).run(LIMIT);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stdout
    };
    let (csv, jsonl) = (export(&["csv"]), export(&["jsonl"]));
    assert!(csv.starts_with("run,host,case,"), "{csv}");
    assert_eq!(csv.lines().count(), jsonl.lines().count() + 1);
    let host = export(&["json"]).parse::<serde_json::Value>().unwrap()["hosts"][0]["host"].clone();
    let host = host.as_str().expect("one host").to_owned();
    assert!(export(&["md"]).contains(&host));
    assert_eq!(export(&["html", "--redact", "--out", "run.html"]), "");
    let html = std::fs::read_to_string(program.home().join("run.html")).unwrap();
    assert!(html.contains("id=\"host:host-1\"") && !html.contains(&format!("host:{host}\"")));
    let bad = program.clone().args(["export", "--format", "xml"]).run(LIMIT);
    assert_eq!(bad.code, Some(2), "{}", bad.stderr);
    assert!(bad.stderr.contains("one of csv, jsonl, parquet, json, md, html"), "{}", bad.stderr);
    let parquet = ["export", "--format", "parquet", "--out", "requests.parquet"];
    let parquet = program.clone().args(parquet).run(LIMIT);
    if regatta_coordinator::HAS_PARQUET {
        assert_eq!(parquet.code, Some(0), "{}", parquet.stderr);
        let file = std::fs::read(program.home().join("requests.parquet")).unwrap();
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    } else {
        assert_eq!(parquet.code, Some(2), "{}", parquet.stderr);
        assert!(parquet.stderr.contains("--features parquet"), "{}", parquet.stderr);
    }
    let public = ["report", "--redact", "--out", "public"];
    let done = program.clone().args(public).run(LIMIT);
    assert_eq!(done.code, bench.code, "{}", done.stderr);
    assert!(program.home().join("public/hosts/host-1.md").exists());
}

#[test]
fn a_scripted_gpu_reaches_the_report_through_the_real_wrapper() {
    let program = regatta();
    let script = script(&[gpu(1, "memory_used_mib = [[0, 81000], [2, 90321]]")]);
    let library = install(program.home(), &script).unwrap();
    let sim = Sim::start(&["--ttft", "100ms", "--inter-token", "20ms"]);
    let url = format!("127.0.0.1:{}", sim.port);
    let flags = ["bench", &url, "--warmup", "0", "--repetitions", "1", "--nvml-library"];
    let bench = program.clone().args(flags).args([&library]).run(LIMIT);
    let report = Report::of(&bench, program.home());
    assert_complete(&bench, &report);
    let host = report.run()["hosts"][0]["host"].as_str().expect("one host").to_owned();
    let page = report.text(&format!("hosts/{host}.md"));
    for text in [
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        "97,887",
        "90,321",
        "580.126.09",
        "420.0",
    ] {
        assert!(page.contains(text), "{text} is missing in\n{page}");
    }
}

#[test]
fn what_the_simulator_is_set_to_is_what_is_measured() {
    for streams in [1_u32, 16] {
        let sim = Sim::start(&["--ttft", "200ms", "--inter-token", "20ms"]);
        let program = regatta();
        let (url, streams) = (format!("127.0.0.1:{}", sim.port), streams.to_string());
        let flags = ["bench", &url, "--suite", "quick", "--warmup", "0", "--repetitions", "1"];
        let bench = program.clone().args(flags).args(["--concurrency", &streams]).run(LIMIT);
        let report = Report::of(&bench, program.home());
        assert_complete(&bench, &report);
        let requests = report.requests();
        let measured: Vec<_> = requests.iter().filter(|r| r["phase"] == "measured").collect();
        assert!(measured.iter().all(|r| r["counted"] == true), "of cases, and of nothing else");
        assert_eq!(measured.len(), 3 * streams.parse::<usize>().unwrap());
        // A busy machine makes single answers late; none can be early, and the best are exact.
        let best = |field: &str, set: f64| {
            let off = measured.iter().map(|r| (number(r, field) - set).abs() / set);
            off.fold(f64::INFINITY, f64::min)
        };
        assert!(best("ttft_s", 0.2) < 0.01, "TTFT is within 2 ms");
        assert!(best("decode_tps", 50.0) < 0.01, "decode speed is within 1 %");
    }
}

#[test]
fn a_password_in_a_url_is_refused_before_anything_is_stored() {
    let program = regatta();
    let done = program.clone().args(["bench", "http://user:hunter2@localhost:1"]).run(LIMIT);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    assert!(!program.home().join(".local").exists());
}
