//! Scripted GPUs in the reports of whole runs, through the real wrapper.

use std::time::Duration;

use regatta_fake_nvml::{gpu, install, script};
use regatta_tests::fleet::{Report, Sim};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::{Finished, Program, regatta};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

/// One GPU that its power limit holds; `more` is added to it.
fn capped(number: usize, more: &str) -> String {
    let own = "power_limit_w = 450\nclock_sm_mhz = 2317\nclock_memory_mhz = 14001\n\
               memory_clock_max_mhz = 14001\nmemory_bus_bits = 512\nreasons = 4\n\
               pcie_gen = 5\npcie_width = 8\npcie_gen_max = 5\npcie_width_max = 16\n";
    gpu(number, &format!("{own}{more}"))
}

/// `regatta bench` with these GPUs on one stream for so long; the engine's process is `ENGINE`. The
/// report is gone with the program.
fn bench(gpus: &[String], seconds: u32) -> (Program, Finished, Report) {
    let program = regatta();
    let sim = Sim::start(&["--ttft", "50ms", "--inter-token", "5ms"]);
    let script = script(gpus).replace("ENGINE", &sim.process.id().to_string());
    let library = install(program.home(), &script).expect("the fake library is there");
    let (url, duration) = (format!("127.0.0.1:{}", sim.port), format!("{seconds}s"));
    let flags = ["bench", &url, "--concurrency", "1", "--duration", &duration];
    let more = ["--repetitions", "1", "--warmup", "0", "--nvml-library"];
    let done = program.clone().args(flags).args(more).args([&library]).run(LIMIT);
    let report = Report::of(&done, program.home());
    (program, done, report)
}

fn host_page(report: &Report) -> String {
    let host = report.run()["hosts"][0]["host"].as_str().expect("one host").to_owned();
    report.text(&format!("hosts/{host}.md"))
}

fn has(page: &str, text: &str) {
    assert!(page.contains(text), "{text} is missing in\n{page}");
}

#[test]
fn energy_and_memory_are_those_of_the_engines_gpu_and_not_of_a_strangers() {
    let (_home, done, report) = bench(
        &[
            capped(0, "processes = [{ pid = ENGINE, memory_mib = 89000 }]"),
            capped(1, "processes = [{ pid = 1, memory_mib = 30000 }]"),
        ],
        6,
    );
    assert_complete(&done, &report);
    let page = host_page(&report);
    has(&page, "GPUs of the endpoint: used by the processes that own its port.");
    has(&page, "Not used by the endpoint, excluded from sums: GPU 1.");
    has(&page, "GPU 0: 450 W (default 600 W)");
    has(&page, "1,792 GB/s");
    has(&page, "| engine ");
    has(&page, "power limit");
    let energy: Value = report.run()["hosts"][0]["cases"][0]["energy"].clone();
    let of = |name: &str| energy[name].as_f64().unwrap_or_else(|| panic!("{name} in {energy}"));
    let watts = of("joules") / of("seconds");
    assert!((watts - 420.0).abs() < 420.0 * 0.05, "one GPU of 420 W: {energy}");
    assert!(of("residual").abs() < 0.05, "{energy}");
    assert!(of("j_per_out_tok") > 0.0);
    let combined = report.text("report.md");
    has(&combined, " 420.0 |");
    assert!(!combined.contains("840.0"), "one GPU's power, not the sum");
}

#[test]
fn a_lost_gpu_and_memory_used_by_another_process_are_findings_and_the_run_continues() {
    let steps: Vec<String> =
        (0..60).map(|second| format!("[{second}, {}]", 300 + 100 * second)).collect();
    let strangers = format!(
        "processes = [{{ pid = ENGINE, memory_mib = 9 }}, {{ pid = 1, memory_mib = [{}] }}]",
        steps.join(", ")
    );
    let lost = "processes = [{ pid = ENGINE, memory_mib = 9 }]\nlost_from_s = 7";
    let (_home, done, report) = bench(&[capped(0, &strangers), capped(1, lost)], 8);
    assert_eq!(done.code, Some(5), "its one attempt is invalid: {}", done.stderr);
    let page = host_page(&report);
    has(&page, "| degraded | gpu_lost ");
    has(&page, "| invalid  | gpu_shared ");
    has(&page, "GPU-1: GPU lost ");
    assert_eq!(report.run()["hosts"][0]["cases"][0]["cells"][0]["validity"], "invalid");
}

/// 25.8 tok/s of a model with 3 GB of active weights, on a board that reads 1,792 GB/s.
#[test]
fn a_host_at_a_small_part_of_its_memory_bandwidth_says_so_in_its_verdict() {
    let program = regatta();
    let sim = Sim::start(&["--ttft", "50ms", "--inter-token", "38760us"]);
    let library =
        install(program.home(), &script(&[capped(0, "")])).expect("the fake library is there");
    let url = format!("127.0.0.1:{}", sim.port);
    let flags = ["bench", &url, "--concurrency", "1", "--requests", "1", "--max-tokens", "60"];
    let more = ["--repetitions", "1", "--warmup", "0", "--active-weights", "3GB"];
    let program = program.args(flags).args(more).args(["--nvml-library"]).args([&library]);
    let done = program.run(LIMIT);
    let report = Report::of(&done, program.home());
    assert_complete(&done, &report);
    let page = host_page(&report);
    let verdict = page.split("## Per case").next().expect("a page begins with a summary");
    has(verdict, "Decoding uses **4 % of the theoretical memory bandwidth**");
    has(verdict, "of 1,792 GB/s");
    let share = report.run()["hosts"][0]["bandwidth"]["share"].as_f64().expect("a share");
    assert!((share - 25.8 * 3.0 / 1792.0).abs() < 0.002, "{share}");
}
