mod prepare;
mod shapes;
mod tokenizer;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regatta_types::assignment::{EngineWarmup, Wants};
use regatta_types::failure::FailureKind;
use regatta_types::ids::{AgentInstanceKind, AttemptNo, CaseId, RunId};
use regatta_types::reading::Reading;
use regatta_types::suite::{Arrivals, Case, Length, Load, Prompt, Ramp, StopRule, Timeouts};
use regatta_types::testing;
use regatta_types::time::UnixNs;
use regatta_types::trace::{Connection, Outcome, Phase};

use tokio::sync::Notify;

use super::*;
use crate::endpoint::Salt;
use crate::endpoint::testing::{
    FINISH, STREAM_HEAD, Server, Step, answer, attempt_key, content, endpoint_in, event, plain,
    within,
};

#[derive(Debug)]
struct FixedClock;

impl WallClock for FixedClock {
    fn now(&self) -> UnixNs {
        UnixNs(1_795_000_000_000_000_000)
    }
}

/// Notes the windows that were asked for.
#[derive(Default)]
struct Windows {
    begun: AtomicUsize,
    ended: Mutex<Vec<(MonoNs, MonoNs)>>,
}

impl GpuWindows for Windows {
    fn begin(&self, _start: Option<MonoNs>) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, spans: Spans) -> BoxFuture<'_, GpuWindow> {
        self.ended.lock().unwrap().push((spans.began, spans.finished));
        Box::pin(async { GpuWindow::of(Reading::Known(Vec::new()), 100) })
    }
}

fn worker(server: &Server) -> (Worker, Arc<Windows>) {
    worker_for(server.endpoint())
}

fn worker_for(endpoint: Endpoint) -> (Worker, Arc<Windows>) {
    let windows = Arc::new(Windows::default());
    let identity = Identity {
        instance: newtype_uuid::TypedUuid::<AgentInstanceKind>::nil(),
        boot: BootId("boot".to_owned()),
    };
    let gpus: Arc<dyn GpuWindows> = Arc::clone(&windows) as _;
    (Worker::new(endpoint, identity, Arc::new(FixedClock), gpus), windows)
}

fn assignment(concurrency: u32, warmup: u32, stop: StopRule) -> Assignment {
    Assignment {
        key: attempt_key(),
        epoch: Epoch(3),
        case: Case {
            stop,
            warmup,
            load: Load::Closed { streams: concurrency, ramp: Ramp::None },
            max_tokens: 16,
            min_max_tokens: 16,
            ..testing::case(attempt_key().cell.case.as_str())
        },
        start: MonoNs::now().after(Duration::from_millis(50)),
        keep_text: false,
        seed: 1,
    }
}

/// Lets the others go on until it is so; whoever calls sets the deadline.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

fn requests(n: u32) -> StopRule {
    StopRule { requests: Some(n), duration: None }
}

fn preparation(engine_warmup: EngineWarmup) -> Preparation {
    Preparation {
        run: RunId::new("run").unwrap(),
        suite_hash: String::new(),
        model: None,
        engine_warmup,
        timeouts: Timeouts::default(),
        wants: Wants::default(),
        attempt: AttemptNo(1),
        check_only: false,
    }
}

async fn warm_up(mut worker: Worker, warmup: EngineWarmup) -> AttemptReport {
    let host = HostId::new("host").unwrap();
    let halt = Halt::default();
    within("engine warm-up", worker.warm_up(&preparation(warmup), &host, &halt)).await
}

#[tokio::test]
async fn an_assignment_gives_a_report_of_all_requests() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let (worker, windows) = worker(&server);
    let assignment = assignment(2, 3, requests(5));
    let report = within("run", worker.run(assignment.clone(), &Halt::default())).await;

    assert_eq!(report.outcome, AttemptOutcome::Completed);
    assert_eq!((&report.key, report.epoch), (&assignment.key, Epoch(3)));
    assert_eq!(report.planned_start, Some(assignment.start));
    let seqs: Vec<u32> = report.traces.iter().map(|t| t.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(report.traces.iter().all(RequestTrace::is_ok));
    let measured: Vec<_> = report.traces.iter().filter(|t| t.phase == Phase::Measured).collect();
    assert_eq!(measured.len(), 5);
    assert!(measured.iter().any(|t| t.stream == 0) && measured.iter().any(|t| t.stream == 1));
    assert!(report.began >= assignment.start, "no measured request before the start");
    assert!(measured.iter().all(|t| t.t_send() >= Some(report.began)));
    assert!(measured.iter().all(|t| t.done <= Some(report.finished)));

    assert_eq!(windows.begun.load(Ordering::Relaxed), 1);
    assert_eq!(*windows.ended.lock().unwrap(), [(report.began, report.finished)]);
    assert_eq!(report.gpu.period_ms, 100);
    let snapshot = worker.progress().snapshot();
    assert_eq!((snapshot.activity, snapshot.done, snapshot.failed), (Activity::Idle, 8, 0));
    assert_eq!(snapshot.chunks, 24);
}

#[tokio::test]
async fn a_solo_counterpart_has_the_send_times_of_its_case_and_its_own_first_lines() {
    let mut seen = Vec::new();
    let mut sent = HashSet::new();
    let own = attempt_key().cell.case;
    let twin = CaseId::new(format!("{own}.solo")).unwrap();
    for (id, solo_of) in [(own.clone(), None), (twin, Some(own.clone()))] {
        let server = Server::always(vec![Step::Write(answer(3))]).await;
        let (worker, _) = worker(&server);
        let mut assignment = assignment(1, 0, requests(5));
        assignment.key.cell.case = id.clone();
        let load = Load::Open { rate: 200.0, arrivals: Arrivals::Poisson, max_in_flight: 8 };
        assignment.case = Case { id, solo_of, load, ..assignment.case };
        let report = within("run", worker.run(assignment.clone(), &Halt::default())).await;
        let since = |at: Option<MonoNs>| at.unwrap().since(assignment.start);
        seen.push(report.traces.iter().map(|t| since(t.scheduled)).collect::<Vec<_>>());
        sent.extend((0..5).map(|seq| Salt::of(&assignment.key, seq).to_string()));
    }
    assert_eq!(seen[0].len(), 5);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(sent.len(), 10);
}

#[tokio::test]
async fn every_prompt_has_a_unique_first_line_that_is_equal_on_all_hosts() {
    let mut seen = Vec::new();
    for (host, repetition) in [("host-a", 1), ("host-b", 1), ("host-a", 2)] {
        let server = Server::always(vec![Step::Write(answer(3))]).await;
        let (worker, _) = worker(&server);
        let mut assignment = assignment(1, 2, requests(2));
        assignment.key.cell.host = HostId::new(host).unwrap();
        assignment.key.cell.repetition = Repetition(repetition);
        within("run", worker.run(assignment, &Halt::default())).await;
        seen.push(server.seen().into_iter().map(|seen| seen.body).collect::<Vec<_>>());
    }
    let [first, other_host, again] = &seen[..] else { panic!("three runs") };
    assert_eq!(first, other_host);

    let bodies: Vec<&String> = first.iter().chain(again).collect();
    let (lines, rests): (Vec<&str>, Vec<String>) = bodies
        .iter()
        .map(|body| {
            let at = body.find(r#""content":"["#).expect("a first line") + 12;
            (&body[at..at + 9], format!("{}{}", &body[..at], &body[at + 9..]))
        })
        .unzip();
    assert!(lines.iter().all(|line| line.bytes().all(|b| b.is_ascii_digit())), "{lines:?}");
    assert_eq!(lines.iter().collect::<HashSet<_>>().len(), 8, "{lines:?}");
    assert!(rests[0].contains(r#""content":"[]\nhello""#), "{}", rests[0]);
    assert!(rests.iter().all(|rest| *rest == rests[0]), "{rests:?}");
}

#[tokio::test]
async fn all_connections_are_open_before_the_start() {
    let server = Server::always(vec![Step::Write(answer(3)), Step::Close]).await;
    let (worker, _) = worker(&server);
    let report = within("run", worker.run(assignment(8, 0, requests(8)), &Halt::default())).await;
    for trace in &report.traces {
        assert_eq!(trace.connection, Some(Connection::New));
        assert!(trace.connect.is_some());
    }
}

#[tokio::test]
async fn a_start_without_spinning_is_not_early() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let worker =
        worker(&server).0.with_options(WorkerOptions { spin: false, ..WorkerOptions::default() });
    let assignment = assignment(1, 0, requests(1));
    let report = within("run", worker.run(assignment.clone(), &Halt::default())).await;
    let late = report.began.since(assignment.start);
    assert!(report.began >= assignment.start && late < Duration::from_secs(5), "{late:?}");
}

#[tokio::test]
async fn no_request_starts_after_the_duration() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let (worker, _) = worker(&server);
    let limit = Duration::from_millis(50);
    let stop = StopRule { requests: None, duration: Some(limit) };
    let report = within("run", worker.run(assignment(2, 0, stop), &Halt::default())).await;
    assert_eq!(report.outcome, AttemptOutcome::Completed);
    let sent: Vec<Duration> =
        report.traces.iter().filter_map(|t| Some(t.t_send()?.since(report.began))).collect();
    assert!(!sent.is_empty());
    // A reactor's turn lies between the look at the clock and the send.
    let late = sent.iter().filter(|after| **after > limit).count();
    assert!(late <= 2, "{late} of {}", sent.len());
}

#[tokio::test]
async fn cancelling_keeps_what_has_arrived() {
    let head = (STREAM_HEAD.to_owned() + &content("a")).into_bytes();
    let server = Server::start(move |n, _| match n {
        0 => vec![Step::Write(answer(3))],
        _ => vec![Step::Write(head.clone()), Step::Hang],
    })
    .await;
    let (worker, _) = worker(&server);
    let (halt, progress) = (Halt::default(), worker.progress());
    let cancelling = async {
        until(|| progress.snapshot().chunks >= 5).await;
        halt.now.cancel();
    };
    let run = worker.run(assignment(2, 0, requests(100)), &halt);
    let (report, ()) = within("run", async { tokio::join!(run, cancelling) }).await;
    assert_eq!(report.outcome, AttemptOutcome::Cancelled);
    let mut outcomes: Vec<_> = report.traces.iter().map(|t| t.outcome.status()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["cancelled", "cancelled", "ok"]);
    assert!(report.traces.iter().all(|t| !t.chunks.is_empty()));
}

/// Requests this many answers. As soon as the first one has begun, asks to begin no more; the first
/// then ends normally.
async fn halted_soon(count: u32) -> AttemptReport {
    let (go, head) = (Arc::new(Notify::new()), STREAM_HEAD.to_owned() + &content("a"));
    let rest = content("b") + &event(FINISH) + &event("[DONE]") + "0\r\n\r\n";
    let steps = vec![
        Step::Write(head.into_bytes()),
        Step::Wait(Arc::clone(&go)),
        Step::Write(rest.into_bytes()),
    ];
    let server = Server::always(steps).await;
    let (worker, _) = worker(&server);
    let (halt, progress) = (Halt::default(), worker.progress());
    let halting = async {
        until(|| progress.snapshot().chunks >= 1).await;
        halt.soon.cancel();
        go.notify_one();
    };
    let run = worker.run(assignment(1, 0, requests(count)), &halt);
    within("run", async { tokio::join!(run, halting) }).await.0
}

#[tokio::test]
async fn a_soft_stop_completes_requests_in_flight() {
    let report = halted_soon(100).await;
    assert_eq!(report.outcome, AttemptOutcome::Cancelled);
    assert_eq!(report.traces.len(), 1);
    assert!(report.traces[0].is_ok());
}

#[tokio::test]
async fn a_soft_stop_after_the_last_send_completes_the_attempt() {
    let report = halted_soon(1).await;
    assert_eq!((report.outcome, report.traces.len()), (AttemptOutcome::Completed, 1));
}

#[tokio::test]
async fn cancelling_before_the_start_sends_nothing() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let (worker, _) = worker(&server);
    let halt = Halt::default();
    let mut assignment = assignment(2, 0, requests(2));
    assignment.start = MonoNs::now().after(Duration::from_secs(3600));
    let progress = worker.progress();
    let cancelling = async {
        until(|| progress.snapshot().activity == Activity::Waiting).await;
        halt.now.cancel();
    };
    let (report, ()) =
        within("run", async { tokio::join!(worker.run(assignment, &halt), cancelling) }).await;
    assert_eq!((report.outcome, report.traces.len()), (AttemptOutcome::Cancelled, 0));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_attempt_with_engine_failures_completes() {
    let refusal = plain("503 Service Unavailable", "text/plain", "busy");
    let server = Server::start(move |n, _| match n {
        1 => vec![Step::Write(refusal.clone())],
        _ => vec![Step::Write(answer(3))],
    })
    .await;
    let (worker, _) = worker(&server);
    let report = within("run", worker.run(assignment(1, 0, requests(3)), &Halt::default())).await;
    assert_eq!(report.outcome, AttemptOutcome::Completed);
    let outcomes: Vec<_> = report.traces.iter().map(|t| t.outcome.status()).collect();
    assert_eq!(outcomes, ["ok", "failed", "ok"]);
    let Outcome::Failed(failure) = &report.traces[1].outcome else { panic!() };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::HttpStatus, "busy"));
    assert_eq!(worker.progress().snapshot().failed, 1);
}

#[tokio::test]
async fn local_gpus_are_not_recorded_for_a_remote_endpoint() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let (worker, windows) = worker_for(endpoint_in(server.address, EndpointLocation::Remote));
    let report = within("run", worker.run(assignment(1, 0, requests(1)), &Halt::default())).await;
    assert_eq!(report.gpu, GpuWindow::missing("the endpoint runs on another machine"));
    assert_eq!(windows.begun.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_warmup_sends_the_requested_number_of_unique_prompts() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let (worker, _) = worker(&server);
    let report = warm_up(worker, EngineWarmup::Requests(4)).await;
    assert_eq!(report.outcome, AttemptOutcome::Completed);
    assert_eq!(report.key.request_id(0), "run/host/settling/r0/a1/0");
    assert_eq!((report.epoch, report.planned_start), (Epoch(0), None));
    assert!(report.traces.iter().all(|t| t.phase == Phase::Warmup && t.is_ok()));
    let mut bodies: Vec<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    bodies.dedup();
    let all = (report.traces.len(), bodies.len());
    assert_eq!(all, (5, 5), "one look at the engine, then four requests");
}

#[tokio::test]
async fn a_warmup_without_requests_only_inspects_the_engine() {
    let server = Server::always(vec![Step::Write(answer(3))]).await;
    let report = warm_up(worker(&server).0, EngineWarmup::Requests(0)).await;
    assert_eq!((report.outcome, report.traces.len()), (AttemptOutcome::Completed, 1));
}

#[tokio::test]
async fn the_warmup_fails_after_three_consecutive_failures() {
    let refusal = plain("500 Internal Server Error", "text/plain", "broken");
    let server = Server::always(vec![Step::Write(refusal)]).await;
    let report = warm_up(worker(&server).0, EngineWarmup::UntilSteady).await;
    let AttemptOutcome::Failed(reason) = &report.outcome else { panic!("{}", report.outcome) };
    assert!(reason.contains("3 requests in a row") && reason.contains("broken"), "{reason}");
    assert_eq!(report.traces.len(), 4, "one look at the engine, then three requests");
}
