//! Loads against the real program: what an endpoint that freezes does to an open loop and to a
//! closed one, and a sweep that ends where its endpoint gives no more.

use std::time::Duration;

use regatta_sim::Freeze;
use regatta_tests::fleet::{Report, Sim, number};
use regatta_tests::outcome::assert_complete;
use regatta_tests::process::regatta;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);

/// From the first chat request.
const FREEZE: Freeze = Freeze { after: Duration::from_secs(7), length: Duration::from_secs(2) };
const TTFT: Duration = Duration::from_millis(50);

fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    // Hundredths of places between the first and the last, interpolated as the reports do.
    let at = 99 * (values.len() - 1);
    let (below, share) = (at / 100, (at % 100) as f64 / 100.0);
    let above = (below + 1).min(values.len() - 1);
    values[below] + share * (values[above] - values[below])
}

/// Measures a host that freezes once; the measured requests and the simulator's log.
fn bench(load: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let sim = Sim::start(&["--ttft", "50ms", "--inter-token", "2ms", "--freeze", "7s+2s"]);
    let program = regatta();
    let address = format!("127.0.0.1:{}", sim.port);
    let bench = program
        .clone()
        .args(["bench", &address, "--warmup", "0", "--repetitions", "1", "--max-tokens", "4"])
        .args(["--duration", "12s", "--seed", "7"])
        .args(load)
        .run(LIMIT);
    let report = Report::of(&bench, program.home());
    assert_complete(&bench, &report);
    let requests = report.requests();
    let measured =
        requests.into_iter().filter(|r| r["phase"] == "measured" && r["counted"] == true);
    (measured.collect(), sim.log())
}

/// The 99th percentile of the time to first token as it was, and as it must be by the instants at
/// which the requests were due and the freeze.
fn ttft_p99(requests: &[Value], log: &[Value]) -> (f64, f64) {
    let received = |id: &Value| {
        let line = log.iter().find(|line| line["id"] == *id).expect("every request is in the log");
        line["received_ns"].as_f64().expect("a stamp")
    };
    let origin = log.iter().map(|line| number(line, "received_ns")).fold(f64::INFINITY, f64::min);
    // From wall time to the simulator's clock: by the first request, which was sent as it was due.
    let first = &requests[0];
    let anchor = number(first, "sent_unix_ns") - received(&first["request_id"]);
    let (mut seen, mut truth) = (Vec::new(), Vec::new());
    for request in requests {
        assert_eq!(request["status"], "ok", "{request}");
        let is_open = !request["scheduled_unix_ns"].is_null();
        let due = if is_open { "scheduled_unix_ns" } else { "sent_unix_ns" };
        let arrival = (number(request, due) - anchor - origin).max(0.0) / 1e9;
        let arrival = Duration::from_secs_f64(arrival);
        truth.push((FREEZE.shift(arrival, arrival + TTFT) - arrival).as_secs_f64());
        seen.push(number(request, if is_open { "ttft_sched_s" } else { "ttft_s" }));
    }
    (p99(seen), p99(truth))
}

#[test]
fn an_open_loop_shows_a_standstill_and_a_closed_one_hides_it() {
    let (requests, log) = bench(&["--rate", "20"]);
    assert_eq!(requests.len(), 240, "20 a second for 12 s");
    let (seen, truth) = ttft_p99(&requests, &log);
    assert!(truth > 1.5, "a sixth of the requests is due in the freeze: {truth}");
    assert!((seen / truth - 1.0).abs() < 0.01, "{seen} is not {truth}");

    let (requests, log) = bench(&["--concurrency", "4"]);
    let (seen, _) = ttft_p99(&requests, &log);
    assert!(seen < 0.5, "four of some {} requests met the freeze: {seen}", requests.len());
}

#[test]
fn a_sweep_names_the_level_that_saturates_and_skips_those_above() {
    let sim = Sim::start(&["--ttft", "5ms", "--inter-token", "10ms", "--decode-capacity", "200"]);
    let program = regatta();
    let bench = program
        .clone()
        .args(["bench", &format!("127.0.0.1:{}", sim.port), "--warmup", "0"])
        .args(["--repetitions", "2", "--concurrency", "1,2,4,8", "--max-tokens", "24"])
        .run(LIMIT);
    let report = Report::of(&bench, program.home());
    assert_complete(&bench, &report);
    let run = report.run();
    // 200 tokens a second are two streams of 100.
    let page = report.text("report.md");
    assert!(page.contains("saturated at 4 streams"), "{page}");
    let cases = run["hosts"][0]["cases"].as_array().expect("cases");
    for case in cases {
        let cells = case["cells"].as_array().expect("cells");
        let skipped = cells.iter().filter(|cell| cell["state"] == "skipped").count();
        let above = case["case"] == "text.c8";
        assert_eq!(skipped, if above { cells.len() } else { 0 }, "{}", case["case"]);
    }
}
