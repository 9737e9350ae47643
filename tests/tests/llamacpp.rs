//! The programs against a real engine: llama.cpp's own server.

use std::time::Duration;

use regatta_tests::engine::LlamaCpp;
use regatta_tests::fleet::{Report, agent, coordinator, median, number};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::regatta;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(240);

/// Completion tokens of all requests of a host, warm-up included.
fn tokens(report: &Report, host: &str) -> u64 {
    let requests = report.requests();
    // What an agent measures of itself goes to no engine.
    let own = requests.iter().filter(|r| r["host"] == host && r["case"] != "client-floor");
    own.map(|r| r["completion_tokens"].as_u64().expect("usage on every answer")).sum()
}

#[test]
fn a_bench_counts_every_token_the_server_made() {
    let engine = LlamaCpp::start();
    let program = regatta();
    let flags = ["bench", &engine.base_url, "--warmup", "2", "--repetitions", "2"];
    let bench = program.clone().args(flags).run(LIMIT);
    let report = Report::of(&bench, program.home());
    assert_complete(&bench, &report);
    let host = report.run()["hosts"][0]["host"].as_str().expect("one host").to_owned();
    assert_eq!(tokens(&report, &host), engine.tokens_predicted_total());
    let page = report.text(&format!("hosts/{host}.md"));
    assert!(page.contains("llama.cpp"), "{page}");
    let run = report.run();
    let told = &run["hosts"][0]["engine"];
    assert_eq!(told["model"], "tiny");
    assert_eq!(told["context_length"], 4096);
    // A build from a wheel says `b0-unknown`, which is no version.
    let unknown = told["version"]["not_available"].as_str();
    assert!(unknown.is_none_or(|why| why.contains("unknown")), "{told}");
    assert!(told["version"].as_str().is_none_or(|version| !version.contains("unknown")), "{told}");
    assert_eq!(told["settings"]["speculative"], "none");
    assert!(told["settings"]["flags"].is_array(), "{told}");
    let cases = run["hosts"][0]["cases"].as_array().expect("cases");
    let queried = cases.iter().filter_map(|case| case["engine"]["samples"].as_u64());
    // Before and after each of two attempts.
    assert!(queried.clone().all(|n| n >= 4) && queried.count() == cases.len(), "{run}");
    assert!(page.contains("Running, max"), "{page}");
    assert!(
        page.contains("not available: NVML library not found") || page.contains("GPU"),
        "{page}"
    );
}

/// The engine keeps prompts by default. The same one in every repetition once made the time to first
/// token of all but the first a cache hit.
#[test]
fn no_repetition_finds_its_prompts_in_the_engines_cache() {
    let engine = LlamaCpp::start();
    let program = regatta();
    let flags = ["bench", &engine.base_url, "--warmup", "1", "--repetitions", "3"];
    let bench = program.clone().args(flags).run(LIMIT);
    let report = Report::of(&bench, program.home());
    assert_complete(&bench, &report);
    let requests = report.requests();
    let of = |repetition: u64, field: &str| -> f64 {
        let own = requests.iter().filter(|r| r["repetition"] == repetition);
        own.map(|r| number(r, field)).sum()
    };
    for repetition in 1..=3 {
        let share = of(repetition, "cached_tokens") / of(repetition, "prompt_tokens");
        assert!(share < 0.1, "{share} of the prompts of repetition {repetition} was cached");
    }
}

#[test]
fn two_agents_measure_ten_cases_on_two_servers() {
    let engines = [LlamaCpp::start(), LlamaCpp::start()];
    let program = regatta();
    let flags = ["--expect", "2", "--warmup", "2", "--repetitions", "1"];
    let (run, address) = coordinator(&program, "complex", &flags);
    let agents = [
        agent("gpu-01", &address, engines[0].port, &[]),
        agent("gpu-02", &address, engines[1].port, &[]),
    ];
    let run = run.wait(LIMIT);
    for agent in agents {
        assert_eq!(agent.wait(LIMIT).code, Some(0));
    }
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    let cases: Vec<String> = report.run()["suite"]["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .map(|case| case["title"].as_str().expect("a title").to_owned())
        .collect();
    assert_eq!(cases.len(), 10);
    for (host, engine) in [("gpu-01", &engines[0]), ("gpu-02", &engines[1])] {
        assert_eq!(tokens(&report, host), engine.tokens_predicted_total(), "{host}");
        let page = report.text(&format!("hosts/{host}.md"));
        assert!(cases.iter().all(|title| page.contains(title)), "{page}");
        let requests = report.requests();
        let ours_over_theirs =
            |r: &Value| number(r, "ttft_s") * 1e3 - number(r, "server_prompt_ms");
        let over = median(
            requests
                .iter()
                .filter(|r| r["host"] == host && r["case"] != "client-floor")
                .map(ours_over_theirs)
                .collect(),
        );
        assert!((0.0..10.0).contains(&over), "{host}: {over} ms over the server's own prompt time");
    }
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_real_engine() {
    let engine = LlamaCpp::start();
    let flags = ["doctor", &engine.base_url, "--suite", "complex", "--json"];
    let done = regatta().args(flags).run(LIMIT);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let host: Value = serde_json::from_str(done.stdout.trim()).expect("a line of JSON");
    for name in
        ["endpoint", "model", "streaming", "usage", "reasoning", "fixed-length", "context", "clock"]
    {
        let checks = host["checks"].as_array().expect("checks").iter();
        let check = checks.clone().find(|check| check["check"] == name).expect("a check");
        assert_eq!(check["mark"], "ok", "{check}");
    }
}
