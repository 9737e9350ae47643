//! What the hosts of a run are, and what of it decides a comparison: over TCP, with real processes.

use std::time::Duration;

use regatta_tests::fleet::{Report, ScriptedGpu, Sim, agent, coordinator};
use regatta_tests::free_port;
use regatta_tests::outcome::{assert_complete, assert_complete_but};
use regatta_tests::process::{Program, Running, Stream, regatta};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);
const START: Duration = Duration::from_secs(30);

#[test]
fn a_capped_host_on_half_its_lanes_with_another_driver_stays_in_its_class_and_all_are_named() {
    let fast = ["--ttft", "20ms", "--inter-token", "4ms"];
    let slow = ["--ttft", "20ms", "--inter-token", "4ms", "--slow", "30"];
    let sims = [Sim::start(&fast), Sim::start(&fast), Sim::start(&slow)];
    let program = regatta();
    let flags = ["--expect", "3", "--warmup", "1", "--repetitions", "5"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let hosts = [
        ("gpu-01", "580.126.09", 600, 16),
        ("gpu-02", "580.126.09", 600, 16),
        ("gpu-03", "570.86", 450, 8),
    ];
    let agents: Vec<Running> = hosts
        .iter()
        .zip(&sims)
        .map(|((name, driver, limit, lanes), sim)| {
            let gpu = ScriptedGpu { driver, power_limit_w: *limit, lanes: *lanes };
            let script = gpu.write(program.home(), name);
            agent(name, &address, sim.port, &["--gpu-script", &script.to_string_lossy()])
        })
        .collect();
    let run = run.wait(LIMIT);
    drop(agents);
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    let (page, json) = (report.text("report.md"), report.run());
    assert_eq!(json["classes"].as_array().map(Vec::len), Some(1), "{page}");
    for row in [
        "| C5   | GPU power limit | 600 W      | 450 W: gpu-03  |",
        "| C5   | PCIe lanes      | 16         | 8: gpu-03      |",
        "| C5   | GPU driver      | 580.126.09 | 570.86: gpu-03 |",
    ] {
        assert!(page.contains(row), "{page}");
    }
    let causes = json["hosts"][2]["causes"].as_array().expect("causes");
    let causes: Vec<&str> = causes.iter().filter_map(Value::as_str).collect();
    assert_eq!(causes[0], "GPU power limit 450 W (most others 600 W)");
    assert_eq!(causes[1], "PCIe lanes 8 (most others 16)");
    let driver = "GPU driver 570.86 (most others 580.126.09)";
    assert_eq!(causes.last(), Some(&driver), "behind what was measured: {causes:?}");
    assert!(
        report.text("hosts/gpu-03.md").contains("Differences from the other hosts of its class: "),
        "{page}"
    );
}

/// A simulated engine of this version on this port.
fn engine(port: u16, version: &str) -> Running {
    let listen = format!("127.0.0.1:{port}");
    let program: Program = regatta();
    let sim = program
        .args(["sim", "--listen", &listen, "--engine-version", version])
        .args(["--ttft", "20ms", "--inter-token", "4ms"])
        .start();
    let _ = sim.line_with(Stream::Err, "simulated host on", START);
    sim
}

/// Engines are upgraded in the middle of a night's run: the later cells once went into the same
/// table as the earlier ones.
#[test]
fn cells_after_a_restart_with_another_version_are_of_another_class() {
    let port = free_port();
    let first = engine(port, "1.0.0");
    let program = regatta();
    let flags = ["--expect", "1", "--warmup", "1", "--repetitions", "6", "--json"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let agent = agent("gpu-01", &address, port, &[]);
    let third = ["attempt_finished", "\"repetition\":3"];
    let _ = run.line_with_all(Stream::Out, &third, LIMIT);
    drop(first);
    let _second = engine(port, "2.0.0");
    let run = run.wait(LIMIT);
    drop(agent);
    let report = Report::of(&run, program.home());
    assert_complete_but(&run, &report, &["engine_changed", "no_ok_request"]);
    let (page, json) = (report.text("report.md"), report.run());
    assert_eq!(json["classes"].as_array().map(Vec::len), Some(1), "{page}");
    let class = json["classes"][0]["facts"].as_array().expect("facts").iter();
    let version = class.clone().find(|fact| fact["name"] == "engine version").expect("a version");
    assert_eq!(version["value"], "1.0.0");
    let later = &json["later_engines"][0];
    assert_eq!((&later["host"], &later["label"]), (&"gpu-01".into(), &"B".into()), "{page}");
    assert_eq!(later["change"], "engine version 2.0.0, at first: 1.0.0 (C3)");
    assert!(later["cells"].as_u64().is_some_and(|n| n >= 6), "two repetitions of three: {later}");
    // Nothing that the second engine answered is in a figure.
    let cells = json["hosts"][0]["cases"].as_array().expect("cases").iter();
    let cells = cells.flat_map(|case| case["cells"].as_array().expect("cells"));
    let late = cells.filter(|cell| cell["repetition"].as_u64().is_some_and(|n| n >= 5));
    assert!(late.clone().all(|cell| cell["validity"] == "invalid"), "{page}");
    assert_eq!(late.count(), 2 * 3);
    assert!(page.contains("engine version 2.0.0, at first: 1.0.0"), "{page}");
}

/// Three hosts whose servers report nothing about themselves are still compared.
#[test]
fn hosts_that_agree_in_what_nobody_knows_are_compared_and_marked() {
    let sims = [(); 3].map(|()| Sim::start(&["--ttft", "20ms", "--inter-token", "4ms"]));
    let program = regatta();
    let flags = ["--expect", "3", "--warmup", "1", "--repetitions", "5"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let agents: Vec<Running> = ["gpu-01", "gpu-02", "gpu-03"]
        .iter()
        .zip(&sims)
        .map(|(name, sim)| agent(name, &address, sim.port, &[]))
        .collect();
    let run = run.wait(LIMIT);
    drop(agents);
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    let page = report.text("report.md");
    // Neither the GPU nor the quantization is known here.
    assert!(page.contains("unverified: quantization, "), "{page}");
    assert_eq!(report.run()["classes"][0]["hosts"].as_array().map(Vec::len), Some(3));
    let case = &report.run()["hosts"][0]["cases"][0];
    let cells = case["cells"].as_array().expect("cells").iter();
    let usable = cells.filter(|cell| cell["validity"] != "invalid").count() as u64;
    let engine = &case["engine"];
    let before_and_after = |n| n >= 2 * usable;
    assert!(engine["samples"].as_u64().is_some_and(before_and_after), "{usable}: {engine}");
    assert!(engine["running_max"].is_number() && engine["queue_mean_s"].is_number(), "{engine}");
}
