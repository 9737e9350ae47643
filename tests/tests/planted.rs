//! Six hosts, of which three have a fault each: the report must name these three with what is wrong
//! and no others.
//!
//! One seed is run by default; `cargo nextest run --profile slow` runs twenty.

use std::fmt::Write as _;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use regatta_tests::fleet::{Report, ScriptedGpu, Sim, agent, coordinator};
use regatta_tests::process::{Running, Stream, regatta};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(240);
const HOSTS: usize = 6;
const REPETITIONS: u64 = 5;
const CASES: u64 = 2;
/// Answers of two lengths, slow enough that a busy machine adds nothing that counts.
const SUITE: &str = r#"
name = "planted"
[defaults]
length = "fixed"
repetitions = 5
[[case]]
title = "Short"
max_tokens = 32
messages = [{ role = "user", content = "Say something short about the sea." }]
[[case]]
title = "Longer"
max_tokens = 48
messages = [{ role = "user", content = "Say something longer about the sea." }]
"#;

/// Who has which fault, and when the third one dies.
#[derive(Debug)]
struct Plan {
    slow: String,
    other_version: String,
    dies: String,
    /// The last cell it finishes.
    last_cell: (&'static str, u64),
    untouched: Vec<String>,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut names: Vec<String> = (1..=HOSTS).map(|n| format!("gpu-0{n}")).collect();
        names.shuffle(&mut random);
        let mut next = || names.pop().expect("six names");
        let (slow, other_version, dies) = (next(), next(), next());
        let case = if random.random() { "short" } else { "longer" };
        // Not in the last repetition, of which this may be the last case.
        let last_cell = (case, random.random_range(1..REPETITIONS));
        Self { slow, other_version, dies, last_cell, untouched: names }
    }
}

/// The lines of the summary at the top of the page, and its caveats.
fn answer(page: &str) -> (Vec<&str>, Vec<&str>) {
    let section = |name: &str| {
        let rest = page.split_once(&format!("\n## {name}\n")).map_or("", |(_, rest)| rest);
        rest.split("\n## ").next().unwrap_or_default()
    };
    let lines = |text| str::lines(text).filter(|line| line.starts_with("- ")).collect();
    let (found, limits): (Vec<&str>, Vec<&str>) =
        (lines(section("Summary")), lines(section("Caveats")));
    assert!(!found.is_empty(), "{page}");
    (found, limits)
}

/// Runs one fleet; what is wrong with its report, if anything.
fn round(seed: u64) -> Result<(), String> {
    let plan = Plan::new(seed);
    let program = regatta();
    let suite = program.home().join("planted.toml");
    std::fs::write(&suite, SUITE).expect("a suite");
    let suite = suite.to_string_lossy().into_owned();
    let names: Vec<String> = (1..=HOSTS).map(|n| format!("gpu-0{n}")).collect();
    let hosts = names.join(",");
    let flags = ["--hosts", &hosts, "--warmup", "1", "--lost-after", "5s", "--json"];
    let (run, address) = coordinator(&program, &suite, &flags);
    let mut fleet: Vec<(String, Sim, Option<Running>)> = names
        .iter()
        .map(|name| {
            let mut sim = vec!["--ttft", "60ms", "--inter-token", "20ms", "--engine-version"];
            sim.push(if *name == plan.other_version { "2.0.0" } else { "1.0.0" });
            if *name == plan.slow {
                sim.extend(["--slow", "6"]);
            }
            let sim = Sim::start(&sim);
            let limit = if *name == plan.slow { 450 } else { 600 };
            let gpu = ScriptedGpu { driver: "580.126.09", power_limit_w: limit, lanes: 16 };
            let script = gpu.write(program.home(), name);
            let flags = ["--gpu-script", &script.to_string_lossy()];
            let agent = agent(name, &address, sim.port, &flags);
            (name.clone(), sim, Some(agent))
        })
        .collect();
    let (case, repetition) = plan.last_cell;
    let cell = [
        format!("\"host\":\"{}\"", plan.dies),
        format!("\"case\":\"{case}\""),
        format!("\"repetition\":{repetition}"),
    ];
    let [host, case, repetition] = cell.each_ref().map(String::as_str);
    let _ = run.line_with_all(Stream::Out, &["attempt_finished", host, case, repetition], LIMIT);
    for (name, _, agent) in &mut fleet {
        if *name == plan.dies {
            // Dropped, it is killed.
            *agent = None;
        }
    }
    let run = run.wait(LIMIT);
    let report = Report::of(&run, program.home());
    let (page, json) = (report.text("report.md"), report.run());
    let (found, limits) = answer(&page);
    let mut wrong = String::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            let _ = writeln!(wrong, "seed {seed}: {what}");
        }
    };
    check(run.code == Some(4), &format!("exit {:?}", run.code));
    let classes: Vec<Vec<&str>> = json["classes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|class| {
            class["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        })
        .collect();
    check(
        classes.len() == 2 && classes[0].len() == HOSTS - 1 && classes[1] == [&plan.other_version],
        &format!("classes {classes:?}"),
    );
    let slower: Vec<&&str> = found.iter().filter(|line| line.contains("% slower")).collect();
    check(
        slower.len() == 1
            && slower[0].contains("Decode speed")
            && [5, 6].iter().any(|n| slower[0].contains(&format!("{} is {n}.", plan.slow))),
        &format!("said to be slower: {slower:?}"),
    );
    let (of_slow, cause) = (
        format!("Possible causes on {} (worse in ", plan.slow),
        "GPU power limit 450 W (most others 600 W)",
    );
    check(found.iter().any(|l| l.contains(&of_slow) && l.contains(cause)), "no cause");
    let missing = json["cells"]["missing"].as_u64().unwrap_or(0);
    let counted = json["cells"]["counted"].as_u64().unwrap_or(0);
    check(counted + missing == HOSTS as u64 * CASES * REPETITIONS, "cells do not add up");
    let lost =
        json["hosts"].as_array().into_iter().flatten().find(|h| h["host"] == plan.dies.as_str());
    let lost = lost.map_or(&Value::Null, |host| &host["cases"]);
    let of_lost = lost.to_string().matches("\"missing\"").count() as u64;
    check(
        missing > 0 && of_lost >= missing,
        &format!("{missing} missing, {of_lost} of the dead host"),
    );
    check(
        limits.iter().any(|line| line.contains(plan.dies.as_str())),
        "the dead host is not named",
    );
    for host in &plan.untouched {
        // What an agent adds on this machine, whose cores all of them share, is no planted fault.
        let planted = |line: &&&str| !line.contains(": the client overhead of ");
        let mut said = found.iter().chain(&limits).filter(planted);
        let named = said.find(|line| line.contains(host.as_str()));
        check(named.is_none(), &format!("{host} was not touched: {named:?}"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong}{plan:?}\n{page}")) }
}

#[test]
fn three_faults_are_told_of_the_three_hosts_that_have_them() {
    if let Err(wrong) = round(1) {
        panic!("{wrong}");
    }
}

mod slow {
    use super::round;

    /// Five and a half minutes.
    #[test]
    fn twenty_fleets_with_three_faults_each_are_told_right() {
        let wrong: Vec<String> = (1..=20).filter_map(|seed| round(seed).err()).collect();
        assert!(wrong.is_empty(), "{} of 20 are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}
