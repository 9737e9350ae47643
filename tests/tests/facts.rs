//! What the hosts of a run are, and what of it decides a comparison: over TCP, with real processes.

use std::time::Duration;

use regatta_tests::fleet::{Report, ScriptedGpu, Sim, agent, coordinator};
use regatta_tests::free_port;
use regatta_tests::http::get;
use regatta_tests::outcome::{assert_complete, assert_complete_but};
use regatta_tests::process::{Program, Running, Stream, regatta};
use regatta_types::time::MonoNs;
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

/// A simulated engine with these flags on this port.
fn engine(port: u16, flags: [&str; 2]) -> Running {
    let listen = format!("127.0.0.1:{port}");
    let program: Program = regatta();
    let sim = program
        .args(["sim", "--listen", &listen])
        .args(flags)
        .args(["--ttft", "20ms", "--inter-token", "4ms"])
        .start();
    let _ = sim.line_with(Stream::Err, "simulated host on", START);
    sim
}

/// A run of this many repetitions of `quick` whose engine is replaced during the `nth`: it is started
/// again on its port, with the other flags. With the program whose home folder has the report.
fn replaced_during(nth: u32, repetitions: &str, flags: [[&str; 2]; 2]) -> (Program, Report) {
    let (port, [before, after]) = (free_port(), flags);
    let first = engine(port, before);
    let program = regatta();
    let flags = ["--expect", "1", "--warmup", "1", "--repetitions", repetitions, "--json"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let agent = agent("gpu-01", &address, port, &[]);
    let repetition = format!("\"repetition\":{nth}");
    let _ = run.line_with_all(Stream::Out, &["attempt_finished", &repetition], LIMIT);
    drop(first);
    let _second = engine(port, after);
    let run = run.wait(LIMIT);
    drop(agent);
    let report = Report::of(&run, program.home());
    assert_complete_but(&run, &report, &["engine_changed", "no_ok_request"]);
    (program, report)
}

/// The cells of the only host.
fn cells(run: &Value) -> impl Iterator<Item = &Value> + Clone {
    let cases = run["hosts"][0]["cases"].as_array().expect("cases").iter();
    cases.flat_map(|case| case["cells"].as_array().expect("cells"))
}

/// Engines are upgraded in the middle of a night's run: the later cells once went into the same
/// table as the earlier ones.
#[test]
fn cells_after_a_restart_with_another_version_are_of_another_class() {
    let versions = [["--engine-version", "1.0.0"], ["--engine-version", "2.0.0"]];
    let (_program, report) = replaced_during(3, "6", versions);
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
    let late = cells(&json).filter(|cell| cell["repetition"].as_u64().is_some_and(|n| n >= 5));
    assert!(late.clone().all(|cell| cell["validity"] == "invalid"), "{page}");
    assert_eq!(late.count(), 2 * 3);
    assert!(page.contains("engine version 2.0.0, at first: 1.0.0"), "{page}");
    let own = report.text("hosts/gpu-01.md");
    assert!(own.contains("the engine restarted: a new process began"), "{own}");
}

/// That the port no longer served the model was taken for a missing reading, and the cells after it
/// for those of the engine before.
#[test]
fn cells_of_another_model_on_the_port_are_of_another_class() {
    let (_program, report) = replaced_during(2, "4", [["--model", "one"], ["--model", "two"]]);
    let json = report.run();
    let later = &json["later_engines"][0];
    assert_eq!((&later["host"], &later["label"]), (&"gpu-01".into(), &"B".into()), "{later}");
    assert_eq!(later["change"], "model two, at first: one (C1)");
    let last: Vec<&Value> = cells(&json).filter(|cell| cell["repetition"] == 4).collect();
    let changed = |cell: &&&Value| {
        let findings = cell["findings"].as_array().expect("findings");
        findings.iter().any(|finding| finding["code"] == "engine_changed")
    };
    assert_eq!((last.len(), last.iter().filter(changed).count()), (3, 3), "{last:?}");
}

/// A foreign load made a host 58 % slower, and no recorded fact explained it.
#[test]
fn another_client_of_an_engine_is_the_first_possible_cause() {
    let sim = ["--ttft", "20ms", "--inter-token", "4ms", "--decode-capacity", "400"];
    let sims = [(); 3].map(|()| Sim::start(&sim));
    let other = regatta();
    let shared = format!("127.0.0.1:{}", sims[2].port);
    let load = ["--concurrency", "3", "--requests", "9000", "--max-tokens", "1000"];
    let other = other.args(["bench", &shared, "--warmup", "1"]).args(load).start();
    let running = "vllm:num_requests_running{engine=\"0\",model_name=\"regatta-sim\"} 3.0";
    let deadline = MonoNs::now().after(START);
    while !get(sims[2].port, "/metrics").contains(running) {
        assert!(MonoNs::now() < deadline, "the other client has no three requests");
        std::thread::sleep(Duration::from_millis(20));
    }
    let program = regatta();
    let flags = ["--expect", "3", "--warmup", "1", "--repetitions", "5"];
    let (run, address) = coordinator(&program, "quick", &flags);
    let agents: Vec<Running> = ["gpu-01", "gpu-02", "gpu-03"]
        .iter()
        .zip(&sims)
        .map(|(name, sim)| agent(name, &address, sim.port, &[]))
        .collect();
    let run = run.wait(LIMIT);
    drop((agents, other));
    let report = Report::of(&run, program.home());
    assert_complete(&run, &report);
    let (page, json) = (report.text("report.md"), report.run());
    let hosts = json["hosts"].as_array().expect("hosts");
    let busy = hosts.iter().map(|host| {
        let cases = host["cases"].as_array().expect("cases").iter();
        let cells = cases.flat_map(|case| case["cells"].as_array().expect("cells"));
        let findings = cells.flat_map(|cell| cell["findings"].as_array().expect("findings"));
        findings.filter(|finding| finding["code"] == "engine_busy").count()
    });
    assert_eq!(busy.collect::<Vec<_>>(), [0, 0, 15], "{page}");
    let cause = hosts[2]["causes"][0].as_str().expect("a cause");
    let said =
        "other clients had 3 requests (median) in its engine in 15 of 15 attempts (others: none)";
    assert_eq!(cause, said);
    assert!(page.contains("Possible causes on gpu-03 (worse in decode speed"), "{page}");
    let loads = hosts.iter().map(|host| {
        let checks = host["checks"].as_array().expect("checks").iter();
        let load = checks.clone().find(|check| check["check"] == "engine-load");
        load.expect("a check")["mark"].as_str().expect("a mark")
    });
    assert_eq!(loads.collect::<Vec<_>>(), ["ok", "ok", "warning"], "{page}");
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
