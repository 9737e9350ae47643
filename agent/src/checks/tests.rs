//! Tests of each check and its message.

use std::time::Duration;

use regatta_types::assignment::ContextNeed;
use regatta_types::attempt::AttemptOutcome;
use regatta_types::check::{Check, Mark, refusal};
use regatta_types::engine::EngineSample;
use regatta_types::facts::{EndpointLocation, EngineProcess, EngineSettings};
use regatta_types::failure::{Failure, FailureKind};
use regatta_types::gpu::{
    Attribution, GpuBoard, GpuFacts, GpuProcess, GpuSeries, GpuWindow, ProcessMemory, ProcessOwner,
};
use regatta_types::ids::{Epoch, Repetition};
use regatta_types::suite::TextPrompt;
use regatta_types::testing;
use regatta_types::time::MonoNs;
use regatta_types::trace::{
    Chunk, ChunkCounts, ChunkKind, Outcome, Phase, RequestTrace, SendStamp, Usage,
};
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::*;

const MS: u64 = 1_000_000;

/// An answer with one token per event, a fixed number of milliseconds apart.
fn answer(tokens: u32, apart_ms: u64) -> RequestTrace {
    let mut trace = RequestTrace::new(0, 0, Phase::Warmup);
    trace.sent = Some(SendStamp { before: MonoNs(0), after: MonoNs(0) });
    trace.chunks = (0..u64::from(tokens))
        .map(|i| Chunk {
            at: MonoNs((200 + i * apart_ms) * MS),
            late_us: None,
            kind: ChunkKind::Answer,
            chars: 4,
            tokens: Some(1),
        })
        .collect();
    trace.chunk_counts = Some(ChunkCounts::TokenIds);
    trace.usage = Some(Usage { prompt: 20, completion: tokens.into(), ..Usage::default() });
    trace.outcome = Outcome::Ok;
    trace
}

fn failure(kind: FailureKind, message: &str) -> RequestTrace {
    let mut trace = RequestTrace::new(0, 0, Phase::Warmup);
    trace.outcome = Outcome::Failed(Failure::new(kind, message));
    trace
}

fn warmup(traces: Vec<RequestTrace>) -> AttemptReport {
    let mut key = testing::attempt_key("settling");
    key.cell.repetition = Repetition(0);
    AttemptReport {
        finished: MonoNs(0).after(Duration::from_secs(9)),
        traces,
        gpu: GpuWindow::missing("no driver"),
        ..testing::report(key, Epoch(0))
    }
}

fn gpu(index: u32, persistence: Reading<bool>) -> GpuFacts {
    GpuFacts {
        index,
        uuid: format!("GPU-{index}"),
        name: Reading::Known("RTX".into()),
        pci_bus_id: Reading::missing("x"),
        memory_total: Reading::missing("x"),
        power_limit_w: Reading::missing("x"),
        power_limit_default_w: Reading::missing("x"),
        board: Some(GpuBoard {
            unified: false,
            memory_reserved: Reading::missing("x"),
            persistence,
            compute_mode: Reading::missing("x"),
            ecc: Reading::missing("x"),
            pcie_gen_max: Reading::missing("x"),
            pcie_width_max: Reading::missing("x"),
            memory_bus_bits: Reading::missing("x"),
            memory_clock_max_mhz: Reading::missing("x"),
        }),
    }
}

fn requests(running: f64, waiting: f64) -> EngineSample {
    EngineSample { running: Some(running), waiting: Some(waiting), ..EngineSample::default() }
}

/// A healthy host.
struct Host {
    wants: Wants,
    facts: EngineFacts,
    abilities: Abilities,
    warmup: AttemptReport,
    metrics: Reading<EngineSample>,
    has_tokenizer: bool,
    missing: Option<DiscoverError>,
    gpus: Reading<GpuInventory>,
    chosen: Vec<GpuSelector>,
    governor: Reading<String>,
    disk: Option<Reading<Bytes>>,
}

impl Host {
    fn new() -> Self {
        let series = GpuSeries { uuid: "GPU-0".into(), serves: true, ..GpuSeries::default() };
        let gpu_window = GpuWindow {
            attribution: Some(Attribution::PortOwner),
            ..GpuWindow::of(Reading::Known(vec![series]), 100)
        };
        Self {
            wants: Wants {
                fixed_length: true,
                context: Some(ContextNeed { least: 100, most: 900 }),
                ..Wants::default()
            },
            facts: EngineFacts {
                engine: Reading::Known("vllm".into()),
                version: Reading::missing("x"),
                model: "coder".into(),
                context_length: Reading::Known(4_096),
                quantization: Reading::missing("x"),
                fixed_length: Some(true),
                location: EndpointLocation::Loopback { port: 8000 },
                socket: None,
                settings: EngineSettings::default(),
                process: EngineProcess::default(),
            },
            abilities: Abilities { fixed_length: Some(true), ..Abilities::default() },
            warmup: AttemptReport { gpu: gpu_window, ..warmup(vec![answer(64, 20); 3]) },
            metrics: Reading::Known(requests(0.0, 0.0)),
            has_tokenizer: false,
            missing: None,
            gpus: Reading::Known(GpuInventory {
                driver: Reading::Known("580".into()),
                cuda_driver: Reading::missing("x"),
                gpus: vec![gpu(0, Reading::Known(true)), gpu(1, Reading::Known(true))],
            }),
            chosen: Vec::new(),
            governor: Reading::Known("performance".into()),
            disk: Some(Reading::Known(Bytes(300 << 30))),
        }
    }

    fn but(change: impl FnOnce(&mut Self)) -> Vec<CheckOutcome> {
        let mut host = Self::new();
        change(&mut host);
        host.list()
    }

    fn list(&self) -> Vec<CheckOutcome> {
        let engine = PreflightEngine {
            facts: &self.facts,
            abilities: &self.abilities,
            warmup: &self.warmup,
            metrics: &self.metrics,
            has_tokenizer: self.has_tokenizer,
        };
        list(&PreflightInput {
            wants: &self.wants,
            engine: self.missing.as_ref().map_or(Ok(engine), Err),
            gpus: &self.gpus,
            chosen: &self.chosen,
            governor: &self.governor,
            disk: self.disk.as_ref(),
        })
    }
}

fn of(checks: &[CheckOutcome], check: Check) -> (Mark, &str) {
    let found = checks.iter().find(|outcome| outcome.check == check).expect("a check");
    (found.mark, found.text.as_str())
}

/// Asserts that one check has this mark and text, and all others passed or are unknown.
fn only(checks: &[CheckOutcome], check: Check, mark: Mark, words: &str) {
    let (is, text) = of(checks, check);
    assert_eq!(is, mark, "{text}");
    assert!(text.contains(words), "`{words}` is not in `{text}`");
    let others = checks.iter().filter(|other| other.check != check);
    let worst = others.map(|other| other.mark).max().unwrap();
    assert!(worst <= Mark::Unknown, "{checks:#?}");
}

#[test]
fn a_healthy_host_passes_all_checks_in_order() {
    let checks = Host::new().list();
    assert!(checks.iter().all(|outcome| outcome.mark == Mark::Ok), "{checks:#?}");
    let made: Vec<Check> = checks.iter().map(|outcome| outcome.check).collect();
    let own = Check::ALL.into_iter().filter(|check| *check != Check::Clock);
    assert_eq!(made, own.collect::<Vec<_>>(), "the clock is the coordinator's to judge");
}

#[test]
fn without_an_endpoint_only_that_check_fails_and_dependent_ones_are_unknown() {
    let checks = Host::but(|host| host.missing = Some(DiscoverError::NoEngine));
    only(&checks, Check::Endpoint, Mark::Failed, "no engine answers on loopback ports");
    assert_eq!(of(&checks, Check::Streaming).0, Mark::Unknown);
    assert_eq!(of(&checks, Check::Disk).0, Mark::Ok);
}

#[test]
fn a_missing_model_and_a_missing_endpoint_are_different_failures() {
    let unknown = DiscoverError::UnknownModel { model: "coder".into(), listed: "chat".into() };
    let checks = Host::but(|host| host.missing = Some(unknown));
    only(&checks, Check::Model, Mark::Failed, "does not serve `coder`. Available: chat");
    let other = failure(FailureKind::WrongModel, "asked for `coder`, got `chat`");
    let checks = Host::but(|host| {
        host.warmup.traces = vec![other; 4];
        host.warmup.outcome = AttemptOutcome::Failed("3 requests in a row failed".into());
        host.abilities.fixed_length = None;
    });
    only(&checks, Check::Model, Mark::Failed, "got `chat`");
}

#[test]
fn an_engine_is_refused_after_three_failures_but_not_after_one() {
    let broken = failure(FailureKind::HttpStatus, "500: out of memory");
    let checks = Host::but(|host| {
        host.warmup.traces = vec![broken.clone(); 4];
        host.warmup.outcome =
            AttemptOutcome::Failed(format!("3 requests in a row failed (last error: {broken:?})"));
        host.abilities.fixed_length = None;
    });
    only(&checks, Check::Streaming, Mark::Failed, "3 requests in a row failed");
    let checks = Host::but(|host| host.warmup.traces[1] = broken);
    only(
        &checks,
        Check::Streaming,
        Mark::Warning,
        "1 of 3 requests failed (last error: http_status",
    );
    assert_eq!(refusal(&checks), None);
}

#[test]
fn a_refused_field_or_prompt_is_ok_if_other_requests_succeed() {
    let mut refused = failure(FailureKind::HttpStatus, "");
    let why = "min_tokens is not known";
    refused.outcome = Outcome::Failed(Failure::new(FailureKind::HttpStatus, why).with_status(400));
    let checks = Host::but(|host| host.warmup.traces.push(refused.clone()));
    assert_eq!(of(&checks, Check::Streaming), (Mark::Ok, "3 of 3 answers streamed incrementally"));
    let checks = Host::but(|host| host.warmup.traces = vec![refused]);
    only(&checks, Check::Streaming, Mark::Warning, "1 of 1 requests failed");
}

#[test]
fn buffered_answers_fail_if_they_are_the_majority() {
    let burst = answer(64, 0);
    let checks = Host::but(|host| host.warmup.traces = vec![burst.clone(); 3]);
    only(&checks, Check::Streaming, Mark::Failed, "3 of 3 answers arrived in one burst");
    let checks = Host::but(|host| host.warmup.traces[0] = burst);
    only(&checks, Check::Streaming, Mark::Warning, "1 of 3 answers arrived in one burst");
    let checks = Host::but(|host| host.warmup.traces = vec![answer(1, 0)]);
    only(&checks, Check::Streaming, Mark::Unknown, "no answer was long enough");
}

#[test]
fn missing_token_counts_are_a_warning_without_a_tokenizer() {
    let mut uncounted = answer(64, 20);
    uncounted.usage = None;
    let checks = Host::but(|host| host.warmup.traces = vec![uncounted.clone(); 3]);
    only(&checks, Check::Usage, Mark::Warning, "3 of 3 answers have no token counts");
    let checks = Host::but(|host| {
        host.warmup.traces = vec![uncounted.clone(); 3];
        host.wants.texts = vec![TextPrompt { tokens: 512, shared: 0 }];
    });
    only(&checks, Check::Usage, Mark::Warning, "cases with a fixed prompt length cannot run");
    let checks = Host::but(|host| {
        host.warmup.traces = vec![uncounted; 3];
        host.has_tokenizer = true;
    });
    assert_eq!(of(&checks, Check::Usage).0, Mark::Ok);
}

#[test]
fn reasoning_in_the_answer_text_is_a_warning() {
    let checks = Host::but(|host| host.warmup.traces[0].inline_reasoning = true);
    only(&checks, Check::Reasoning, Mark::Warning, "(<think> tags)");
    let checks = Host::but(|host| host.warmup.traces[0].chunks[0].kind = ChunkKind::Reasoning);
    assert_eq!(of(&checks, Check::Reasoning), (Mark::Ok, "reasoning has a separate field"));
}

#[test]
fn an_engine_without_fixed_length_is_a_warning_with_the_token_count() {
    let checks = Host::but(|host| {
        host.abilities.fixed_length = Some(false);
        host.abilities.findings = vec![Finding {
            code: FindingCode::LengthNotFixed,
            validity: Validity::Degraded,
            evidence: "asked for 24 tokens, it made 2".into(),
            advice: "Compare decode speed only".into(),
        }];
    });
    let text = "asked for 24 tokens, it made 2. Compare decode speed only";
    only(&checks, Check::FixedLength, Mark::Warning, text);
}

#[test]
fn a_context_too_short_for_all_cases_fails_and_for_some_is_a_warning() {
    let with =
        |least, most| Host::but(|host| host.wants.context = Some(ContextNeed { least, most }));
    let every = "4,096 tokens is too short: every case needs at least 5,000";
    only(&with(5_000, 9_000), Check::Context, Mark::Failed, every);
    let some = "too short for some cases, which need up to 9,000";
    only(&with(4_096, 9_000), Check::Context, Mark::Warning, some);
    assert_eq!(of(&with(1, 4_096), Check::Context).0, Mark::Ok);
    let checks = Host::but(|host| {
        let refused = Err("the engine refused the prompt: too long".to_owned());
        host.abilities.texts = [(TextPrompt { tokens: 4_000, shared: 0 }, refused)].into();
    });
    only(&checks, Check::Context, Mark::Warning, "the engine refused the prompt: too long");
}

#[test]
fn unreadable_gpus_are_a_warning_and_unknown_ones_a_failure() {
    let checks = Host::but(|host| host.gpus = Reading::missing("no driver"));
    only(&checks, Check::GpuReadings, Mark::Warning, "GPUs not readable (no driver), so ");
    let checks = Host::but(|host| host.chosen = vec!["1".parse().unwrap(), "7".parse().unwrap()]);
    let text = "--gpu 7 matches no GPU of this host. Available: 0 (GPU-0), 1 (GPU-1)";
    only(&checks, Check::GpuChoice, Mark::Failed, text);
    let checks = Host::but(|host| {
        host.chosen = vec!["GPU-1".parse().unwrap()];
        host.gpus = Reading::missing("no driver");
    });
    assert_eq!(of(&checks, Check::GpuChoice).0, Mark::Unknown);
}

#[test]
fn large_foreign_processes_are_a_warning_and_small_ones_are_ok() {
    let with = |mib: u64| {
        let memory = vec![ProcessMemory { at: MonoNs(0), used: Some(Bytes(mib << 20)) }];
        let process = GpuProcess {
            pid: 4_711,
            name: "blender".into(),
            owner: ProcessOwner::Foreign,
            memory,
            last_seen: MonoNs(0),
        };
        Host::but(|host| {
            let Reading::Known(series) = &mut host.warmup.gpu.series else { panic!("series") };
            series[0].processes.push(process);
        })
    };
    only(&with(2_000), Check::GpuProcesses, Mark::Warning, "process 4711 (blender, 2,000 MiB");
    assert_eq!(of(&with(40), Check::GpuProcesses).0, Mark::Ok);
    let checks = Host::but(|host| {
        let reason = "no process on any GPU".to_owned();
        host.warmup.gpu.attribution = Some(Attribution::Unattributed { reason });
    });
    assert_eq!(of(&checks, Check::GpuProcesses).0, Mark::Unknown);
}

#[test]
fn persistence_mode_is_checked_only_on_the_engines_gpus() {
    let serve = |index: &str| {
        Host::but(|host| {
            let Reading::Known(series) = &mut host.warmup.gpu.series else { panic!("series") };
            series[0].uuid = format!("GPU-{index}");
            let Reading::Known(inventory) = &mut host.gpus else { panic!("GPUs") };
            inventory.gpus[1] = gpu(1, Reading::Known(false));
        })
    };
    assert_eq!(of(&serve("0"), Check::Persistence).0, Mark::Ok);
    only(&serve("1"), Check::Persistence, Mark::Warning, "off on GPU 1");
}

#[test]
fn gpu_checks_are_unknown_for_a_remote_endpoint() {
    let checks = Host::but(|host| {
        host.facts.location = EndpointLocation::Remote;
        host.chosen = vec!["7".parse().unwrap()];
    });
    for check in [Check::GpuReadings, Check::GpuChoice, Check::GpuProcesses, Check::Persistence] {
        assert_eq!(of(&checks, check).0, Mark::Unknown);
    }
}

#[test]
fn a_slow_governor_and_a_full_disk_have_hints() {
    let checks = Host::but(|host| host.governor = Reading::Known("powersave".into()));
    only(&checks, Check::Governor, Mark::Warning, "cpupower frequency-set -g performance");
    let free = |bytes| Host::but(|host| host.disk = Some(Reading::Known(Bytes(bytes))));
    only(&free(3 << 20), Check::Disk, Mark::Failed, "only 3 MiB free");
    only(&free(300 << 20), Check::Disk, Mark::Warning, "only 300 MiB free");
    let checks = Host::but(|host| host.disk = None);
    assert_eq!(of(&checks, Check::Disk), (Mark::Ok, "results are kept in memory"));
}

#[test]
fn requests_before_the_run_are_of_other_clients() {
    let with = |metrics| Host::but(|host| host.metrics = metrics);
    let said = "3 requests running, 1 waiting before the run";
    only(&with(Reading::Known(requests(3.0, 1.0))), Check::EngineLoad, Mark::Warning, said);
    only(&with(Reading::Known(requests(0.0, 2.0))), Check::EngineLoad, Mark::Warning, "2 waiting");
    let silent = with(Reading::Known(EngineSample::default()));
    assert_eq!(of(&silent, Check::EngineLoad), (Mark::Unknown, "not reported by the engine"));
    let none = with(Reading::missing("/metrics: status 404"));
    assert_eq!(of(&none, Check::EngineLoad), (Mark::Unknown, "/metrics: status 404"));
}
