//! Every fault that the simulator knows, against the real program: the requests that are hit fail
//! as the table says, the others succeed, and the program stays alive and small.

#![expect(clippy::unwrap_used, reason = "test helpers: a failure is the test's")]

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use regatta_sim::{Fault, FaultRate, SimOptions, SimServer};
use regatta_tests::fleet::Report;
use regatta_tests::outcome::exit_code;
use regatta_tests::process::regatta;
use regatta_types::exit::Exit;
use regatta_types::failure::FailureKind;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Longest a run may take: each lane may run into the request timeout a few times.
const LIMIT: Duration = Duration::from_secs(60);
/// Programs at a time: most of a run is waiting.
const AT_ONCE: usize = 8;
/// By how much the program may be larger than without a fault, bytes.
const GROWTH_MAX: u64 = 32 << 20;

const SUITE: &str = r#"
name = "faults"

[[case]]
title = "Hit"
concurrency = 8
requests = 32
max_tokens = 16
repetitions = 1
first_token_timeout = "1s"
chunk_timeout = "1s"
request_timeout = "3s"
messages = [{ role = "user", content = "hello" }]
"#;

/// The outcome of one run.
struct Run {
    code: Option<i32>,
    /// The code that its `run.json` asks for. With several programs at a time on purpose, any.
    asked: Exit,
    /// Those of `requests.jsonl` that are the case's: not what the agent asks to begin with.
    requests: Vec<Value>,
    /// The simulator's own log.
    log: Vec<Value>,
    /// The program's largest resident size, bytes.
    peak: u64,
}

/// Measures a simulated host whose every fourth request is hit.
fn run(fault: Option<Fault>) -> Run {
    let program = regatta();
    let (suite, log) = (program.home().join("faults.toml"), program.home().join("sim.jsonl"));
    fs::write(&suite, SUITE).unwrap();
    let options = SimOptions {
        ttft: Duration::from_millis(10),
        inter_token: Duration::from_millis(1),
        faults: fault.map(|fault| FaultRate { fault, percent: 25 }).into_iter().collect(),
        log: Some(log.clone()),
        ..SimOptions::default()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server =
        runtime.block_on(SimServer::bind("127.0.0.1:0".parse().unwrap(), options)).unwrap();
    let (address, stop) = (server.local_addr().to_string(), CancellationToken::new());
    let serving = runtime.spawn(server.serve(stop.clone()));

    let bench = program
        .clone()
        .args(["bench", &address, "--suite", "faults.toml", "--warmup", "0"])
        .args(["--model", &SimOptions::default().model])
        .start();
    let pid = bench.id();
    let watch = thread::spawn(move || peak_of(pid));
    let done = bench.wait(LIMIT);
    let peak = watch.join().unwrap();
    stop.cancel();
    runtime.block_on(serving).unwrap();
    let report = Report::of(&done, program.home());
    let mut requests = report.requests();
    requests.retain(|request| request["case"] == "hit");
    Run {
        code: done.code,
        asked: exit_code(&report.run()),
        requests,
        log: fs::read_to_string(&log)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect(),
        peak,
    }
}

/// The largest resident size of a process in bytes, sampled until it ends.
fn peak_of(pid: u32) -> u64 {
    let mut peak = 0;
    // A process that has ended has no memory to speak of.
    while let Some(kib) = fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| status.lines().find_map(|l| l.strip_prefix("VmHWM:").map(str::to_owned)))
    {
        let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        peak = peak.max(kib << 10);
        thread::sleep(Duration::from_millis(5));
    }
    peak
}

/// How often each kind of failure came, of the requests that were hit and of the others.
type Kinds = BTreeMap<String, usize>;

fn kinds(run: &Run, fault: Fault) -> (Kinds, Kinds) {
    let (mut hit, mut others) = (Kinds::new(), Kinds::new());
    let logged = |request: &Value| {
        let is_its = |line: &&Value| line["id"] == request["request_id"];
        run.log.iter().find(is_its).is_some_and(|line| line["fault"] == fault.name())
    };
    // This one hits a connection before it is known what for.
    let at_accept = fault == Fault::CloseAtAccept;
    let is_hit =
        |request: &Value| if at_accept { request["status"] != "ok" } else { logged(request) };
    for request in &run.requests {
        let kind = request["failure"]["kind"].as_str().or(request["status"].as_str()).unwrap();
        let kinds = if is_hit(request) { &mut hit } else { &mut others };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    (hit, others)
}

/// What is wrong with a run, and its line of the table.
fn judge(fault: Fault, run: &Run, usual: u64) -> (Vec<String>, String) {
    let wanted = fault.outcome().map_or("ok", FailureKind::name);
    let (hit, others) = kinds(run, fault);
    let logged = run.log.iter().filter(|line| line["fault"] == fault.name()).count();
    let growth = run.peak.saturating_sub(usual);
    let mut problems = Vec::new();
    let mut check = |good: bool, what: String| {
        if !good {
            problems.push(format!("{fault}: {what}"));
        }
    };
    check(run.requests.len() == 32, format!("{} requests", run.requests.len()));
    check(logged >= 4, format!("{logged} hits"));
    check(hit == Kinds::from([(wanted.to_owned(), logged)]), format!("{logged} were hit: {hit:?}"));
    check(others.keys().all(|kind| kind == "ok"), format!("others: {others:?}"));
    let asked = run.asked;
    check(run.code == Some(i32::from(asked.code())), format!("exit {:?}, not {asked:?}", run.code));
    check(growth < GROWTH_MAX, format!("{growth} bytes larger"));
    let hits = hit.values().sum::<usize>();
    let ok = others.values().sum::<usize>();
    let name = fault.name();
    let code = run.code.unwrap_or(-1);
    let row = format!(
        "| {name:<19} | {wanted:<19} | {hits:>3} | {ok:>2} | {code:>4} | {:>6.1} |",
        growth as f64 / f64::from(1 << 20)
    );
    (problems, row)
}

#[test]
fn a_request_that_is_hit_fails_by_its_kind_and_no_other_does() {
    let usual = run(None);
    assert!(
        usual.requests.iter().all(|r| r["status"] == "ok"),
        "without a fault: {:?}",
        usual.code
    );
    let todo = Mutex::new(Fault::ALL.iter().copied().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(fault) = todo.lock().unwrap().pop_front() else { return };
                    let judged = judge(fault, &run(Some(fault)), usual.peak);
                    done.lock().unwrap().push((fault.name(), judged));
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    println!("| fault               | kind                | hit | ok | exit | MiB up |");
    for fault in Fault::ALL {
        let (_, (_, row)) = done.iter().find(|(name, _)| *name == fault.name()).expect("was run");
        println!("{row}");
    }
    let problems: Vec<_> = done.into_iter().flat_map(|(_, (problems, _))| problems).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
