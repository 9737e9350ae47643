//! `regatta doctor`: what is wrong with hosts, before a run and without one.

use std::time::Duration;

use regatta_fake_nvml::{gpu, install, script};
use regatta_tests::fleet::{Report, Sim, agent};
use regatta_tests::free_port;
use regatta_tests::process::{Finished, Program, Running, Stream, regatta, regatta_agent};
use rustix::process::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
/// An engine that is not what is tested.
const FAST: [&str; 4] = ["--ttft", "20ms", "--inter-token", "2ms"];

/// Starts `regatta doctor` for a fleet; returns it and its address.
fn fleet(program: &Program, flags: &[&str]) -> (Running, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let doctor = program.clone().args(["doctor", "--listen", &address]).args(flags).start();
    let _ = doctor.line_with(Stream::Err, "waiting for hosts", LIMIT);
    (doctor, address)
}

fn fast(more: &[&str]) -> Sim {
    Sim::start(&[FAST.as_slice(), more].concat())
}

/// The rows of `--json`, by host.
fn rows(done: &Finished) -> Vec<Value> {
    done.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The checks of a host with this mark, each as `name: sentence`.
fn marked(row: &Value, mark: &str) -> Vec<String> {
    let checks = row["checks"].as_array().expect("checks").iter();
    let marked = checks.filter(|check| check["mark"] == mark);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    marked.map(|check| format!("{}: {}", text(&check["check"]), text(&check["text"]))).collect()
}

/// Four hosts, four faults, and what each gets to hear.
struct Four {
    sims: Vec<Sim>,
    dead: u16,
    suite: &'static str,
}

const HOSTS: [&str; 4] = ["gpu-01", "gpu-02", "gpu-03", "gpu-04"];

impl Four {
    fn new() -> Self {
        let sims = vec![
            fast(&["--model", "chat"]),
            // All tokens in one event, when the last of them is there.
            fast(&["--model", "coder", "--first-chunk", "500"]),
            fast(&["--model", "coder", "--context-length", "90"]),
        ];
        Self { sims, dead: free_port(), suite: "text" }
    }

    fn agents(&self, address: &str) -> Vec<Running> {
        let ports = std::iter::once(self.dead).chain(self.sims.iter().map(|sim| sim.port));
        HOSTS.iter().zip(ports).map(|(host, port)| agent(host, address, port, &[])).collect()
    }
}

#[test]
fn each_of_four_faulty_hosts_gets_the_right_message() {
    let four = Four::new();
    let program = regatta();
    let flags = ["--expect", "4", "--suite", four.suite, "--model", "coder"];
    let (doctor, address) = fleet(&program, &[flags.as_slice(), &["--json"]].concat());
    let agents = four.agents(&address);
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    for agent in agents {
        assert_eq!(agent.wait(LIMIT).code, Some(0), "released after the checks");
    }
    let rows = rows(&done);
    let hosts: Vec<&str> = rows.iter().filter_map(|row| row["host"].as_str()).collect();
    assert_eq!(hosts, HOSTS);
    let url = format!("http://127.0.0.1:{}/v1/models", four.dead);
    let told = [
        format!(
            "endpoint: no answer from {url} (Connection refused (os error 111)). Is the engine \
             running?"
        ),
        "model: the endpoint does not serve `coder`. Available: chat".to_owned(),
        "streaming: 3 of 3 answers arrived in one burst instead of a stream. Disable response \
         buffering in the proxy in front of the engine (nginx: proxy_buffering off)"
            .to_owned(),
        "context: context of 90 tokens is too short: every case needs at least 640. Start the \
         engine with a longer context or choose another suite"
            .to_owned(),
    ];
    for (row, sentence) in rows.iter().zip(told) {
        assert_eq!(marked(row, "failed"), [sentence]);
    }
    assert!(!program.home().join(".local").exists(), "nothing is stored");
}

#[test]
fn a_run_refuses_the_faulty_host_with_the_same_message_and_measures_the_other() {
    let (good, buffered) = (fast(&[]), fast(&["--first-chunk", "500"]));
    let program = regatta();
    let (doctor, address) = fleet(&program, &["--hosts", "good,bad", "--suite", "quick", "--json"]);
    // They stay for the run that follows.
    let _agents = [("good", &good), ("bad", &buffered)].map(|(name, sim)| {
        regatta_agent()
            .args(["--coordinator", &address, "--name", name])
            .args(["--endpoint", &format!("127.0.0.1:{}", sim.port)])
            .start()
    });
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let told = marked(&rows(&done)[0], "failed");
    let sentence = told[0].split_once(": ").expect("a check and a sentence").1;

    let run = program
        .clone()
        .args(["run", "quick", "--hosts", "good,bad", "--listen", &address])
        .args(["--warmup", "3", "--repetitions", "1"])
        .run(LIMIT);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("bad refused: {sentence}")), "{}", run.stderr);
    let warned = "warning: good: GPU readings: GPUs not readable (NVML library not found)";
    assert!(run.stderr.contains(warned), "{}", run.stderr);
    let report = Report::of(&run, program.home());
    assert!(report.text("report.md").contains(sentence), "{}", report.text("report.md"));
    assert!(report.text("hosts/good.md").contains("| GPU readings "), "a warning on its page");
    assert_eq!(marked(&report.run()["hosts"][0], "failed"), told, "run.json has the checks");
    let cells = &report.run()["cells"];
    assert_eq!((&cells["counted"], &cells["missing"]), (&3.into(), &3.into()), "{cells}");
}

#[test]
fn the_checks_of_a_single_machine_are_a_table() {
    let sim = fast(&[]);
    let program = regatta();
    let processes =
        "processes = [{ pid = ENGINE, memory_mib = 89000 }, { pid = 1, memory_mib = 2000 }]";
    let script = script(&[gpu(0, processes)]);
    let script = script.replace("ENGINE", &sim.process.id().to_string());
    let library = install(program.home(), &script).expect("the fake library is there");
    let url = format!("127.0.0.1:{}", sim.port);
    let doctor = program.clone().args(["doctor", &url, "--suite", "quick", "--nvml-library"]);
    let done = doctor.clone().args([&library]).run(LIMIT);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let row = |name: &str| {
        let row = done.stdout.lines().find(|line| line.starts_with(name));
        row.unwrap_or_else(|| panic!("no row {name} in\n{}", done.stdout)).to_owned()
    };
    for check in ["endpoint", "model", "streaming", "usage", "context", "GPU readings", "disk"] {
        assert!(row(check).ends_with(" ok"), "{}", done.stdout);
    }
    assert!(row("GPU processes").ends_with(" warn"), "{}", done.stdout);
    assert!(done.stdout.contains("process 1 ("), "{}", done.stdout);
    assert!(done.stdout.lines().all(|line| line.chars().count() <= 100), "{}", done.stdout);

    let done = doctor.args([&library]).args(["--gpu", "3", "--json"]).run(LIMIT);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let sentence = "gpu-choice: --gpu 3 matches no GPU of this host. Available: 0 (GPU-0)";
    assert_eq!(marked(&rows(&done)[0], "failed"), [sentence]);
    let bench = ["bench", &url, "--warmup", "0", "--gpu", "3", "--nvml-library"];
    let bench = program.clone().args(bench).args([&library]).run(LIMIT);
    assert_eq!(bench.code, Some(5), "nothing is measured: {}", bench.stderr);
    assert!(bench.stderr.contains("--gpu 3 matches no GPU of this host"), "{}", bench.stderr);
    assert!(!bench.stderr.contains("some agents did not disconnect cleanly"), "{}", bench.stderr);
    let settling = &Report::of(&bench, program.home()).run()["hosts"][0]["settling"];
    assert_eq!(settling.as_array().map(Vec::len), Some(1), "its warm-up is in the report");
}

#[test]
fn a_different_model_on_one_of_three_hosts_is_a_warning() {
    let sims = ["coder", "chat", "coder"].map(|model| fast(&["--model", model]));
    let program = regatta();
    let (doctor, address) = fleet(&program, &["--expect", "3", "--json"]);
    let _agents: Vec<Running> =
        HOSTS.iter().zip(&sims).map(|(host, sim)| agent(host, &address, sim.port, &[])).collect();
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let rows = rows(&done);
    let sentence = "model: serves `chat`, but 2 of 3 hosts serve `coder`, so this host is compared \
                    separately. Load `coder` on it or choose a model with --model";
    let models = |row: &Value| {
        let warnings = marked(row, "warning");
        warnings.into_iter().filter(|text| text.starts_with("model")).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2].map(|i| models(&rows[i])), [vec![], vec![sentence.to_owned()], vec![]]);
    let clock = marked(&rows[0], "ok").into_iter().find(|text| text.starts_with("clock"));
    assert!(clock.is_some_and(|text| text.ends_with("of the coordinator's clock")), "one machine");
}

#[test]
fn missing_hosts_are_distinguished_from_failed_ones() {
    let sim = fast(&[]);
    let program = regatta();
    let (doctor, address) = fleet(&program, &["--hosts", "here,away", "--wait", "10s", "--json"]);
    let _agent = agent("here", &address, sim.port, &[]);
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let states: Vec<Value> = rows(&done).iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["never-joined", "checked"]);
    let hung = fast(&["--fault", "no-head"]);
    let (doctor, address) = fleet(&program, &["--hosts", "hung", "--wait", "3s", "--json"]);
    let asks = agent("hung", &address, hung.port, &[]);
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert_eq!(rows(&done)[0]["state"], "no-answer");
    assert!(!done.stderr.contains("some agents did not disconnect cleanly"), "{}", done.stderr);
    assert_eq!(asks.wait(LIMIT).code, Some(0), "it stops sending requests to the engine");
    let (doctor, _) = fleet(&program, &["--expect", "2", "--wait", "1s"]);
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert_eq!(done.stdout, "2 expected hosts never joined.\n");
}

#[test]
fn an_interrupt_ends_the_wait_and_shows_the_results_so_far() {
    let sim = fast(&[]);
    let program = regatta();
    let (doctor, address) = fleet(&program, &["--expect", "2"]);
    let agent = agent("here", &address, sim.port, &[]);
    let _ = doctor.line_with(Stream::Err, "here checked", LIMIT);
    doctor.signal(Signal::INT);
    let done = doctor.wait(LIMIT);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stdout.contains("streaming         ok\n"), "{}", done.stdout);
    assert!(done.stdout.ends_with("1 expected host never joined.\n"), "{}", done.stdout);
    assert_eq!(agent.wait(LIMIT).code, Some(0), "it is released");
}

#[test]
fn flags_of_a_host_and_of_a_fleet_conflict() {
    for flags in [
        vec!["doctor", "--listen", "127.0.0.1:0"],
        vec!["doctor", "--expect", "2", "--gpu", "0"],
        vec!["doctor", "localhost:8000", "--expect", "2"],
        vec!["doctor", "--expect", "2", "--listen", "0.0.0.0:0"],
        vec!["doctor", "--suite", "no-such-suite"],
    ] {
        let done = regatta().args(&flags).run(LIMIT);
        assert_eq!(done.code, Some(2), "{flags:?}: {}", done.stderr);
    }
}
