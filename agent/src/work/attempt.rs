//! The closed loop of one attempt, on the measured thread: warm-up, connections, start instant,
//! measured requests.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regatta_types::assignment::Assignment;
use regatta_types::suite::StopRule;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};
use regatta_types::validity::Finding;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::halt::Halt;
use super::progress::{Activity, Progress};
use super::stream::{Shared, Stream};
use super::watchdog::{self, Stalls};
use crate::endpoint::{Abilities, Endpoint, PrepareError, Prepared, Stop};

/// Connections are made sure of at most this long before the start: shorter than one may be idle. A
/// coordinator orders a start 0.1 to 1 s ahead, so mostly they are opened as soon as it is ordered.
const CONNECT_AHEAD: Duration = Duration::from_millis(1500);
/// The last stretch before the start is slept by the kernel's clock: the runtime's timer goes off
/// in whole milliseconds.
const FINE: Duration = Duration::from_millis(3);
/// The very last stretch is spun, unless the worker was told not to.
const SPIN: Duration = Duration::from_micros(100);

/// What to do.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) endpoint: Endpoint,
    pub(super) assignment: Assignment,
    pub(super) spin: bool,
    pub(super) progress: Arc<Progress>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) began: MonoNs,
    pub(super) finished: MonoNs,
    pub(super) cancelled: bool,
    /// In order of `seq`.
    pub(super) traces: Vec<RequestTrace>,
    pub(super) findings: Vec<Finding>,
}

/// Runs the job until its stop rule is met or it is halted.
pub(super) async fn run(job: Job, halt: Halt) -> Result<Measured, PrepareError> {
    let Job { endpoint, assignment, spin, progress } = job;
    let prepared = Prepared::of_case(&endpoint, &assignment, &Abilities::default())?;
    let prepared = Rc::new(prepared);
    let Assignment { case, start, .. } = assignment;
    let shared = Shared::new(Arc::clone(&progress), halt.clone());
    let count = case.in_flight_max().min(case.stop.requests.unwrap_or(u32::MAX)).max(1);
    let mut stoppers = Vec::new();
    let mut streams = Vec::new();
    for number in 0..count {
        let (stopper, stop) = Stop::new();
        stoppers.push(stopper);
        streams.push(Stream::new(number, endpoint.lane(), stop, Rc::clone(&shared)));
    }
    let mut tasks = JoinSet::new();
    let stopping = halt.now.clone();
    tasks.spawn_local(async move {
        stopping.cancelled().await;
        drop(stoppers);
    });

    if case.warmup > 0 {
        progress.enter(Activity::WarmingUp);
        let warm_up = |stream| warm_up(stream, Rc::clone(&prepared), case.warmup);
        streams = each(streams, warm_up).await;
    }
    progress.enter(Activity::Waiting);
    sleep_until_near(start.offset_by(-nanos(CONNECT_AHEAD)), &halt).await;
    streams = each(streams, |stream| connect(stream, Rc::clone(&prepared))).await;
    start_at(start, if spin { SPIN } else { Duration::ZERO }, &halt).await;

    progress.enter(Activity::Measuring);
    let stalls = Rc::new(RefCell::new(Stalls::new()));
    tasks.spawn_local(watchdog::watch(Rc::clone(&stalls)));
    let began = MonoNs::now();
    let quota = Rc::new(Quota { stop: case.stop, first: shared.begun(), began });
    let measured = |stream| measure(stream, Rc::clone(&prepared), Rc::clone(&quota));
    streams = each(streams, measured).await;
    let finished = MonoNs::now();
    stalls.borrow_mut().end(finished);
    tasks.shutdown().await;

    let mut traces: Vec<_> = streams.into_iter().flat_map(|stream| stream.traces).collect();
    traces.sort_by_key(|trace| trace.seq);
    let findings = stalls.borrow().findings(median_ttft(&traces), finished.since(began));
    Ok(Measured { began, finished, cancelled: shared.was_halted(), traces, findings })
}

/// Does one thing on every stream at once, each in a task of its own so that none uses up another's
/// turn, and waits for all.
async fn each<F: Future<Output = Stream> + 'static>(
    streams: Vec<Stream>,
    act: impl Fn(Stream) -> F,
) -> Vec<Stream> {
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn_local(act(stream));
    }
    tasks.join_all().await
}

/// When the measured part is over.
#[derive(Debug)]
struct Quota {
    stop: StopRule,
    /// Number of the first measured request.
    first: u32,
    began: MonoNs,
}

impl Quota {
    fn allows_another(&self, begun: u32) -> bool {
        self.stop.requests.is_none_or(|requests| begun - self.first < requests)
            && self.stop.duration.is_none_or(|limit| MonoNs::now().since(self.began) <= limit)
    }
}

async fn connect(mut stream: Stream, prepared: Rc<Prepared>) -> Stream {
    stream.connect(&prepared).await;
    stream
}

async fn measure(mut stream: Stream, prepared: Rc<Prepared>, quota: Rc<Quota>) -> Stream {
    while quota.allows_another(stream.begun()) && stream.may_begin() {
        stream.request(&prepared, Phase::Measured).await;
    }
    stream
}

async fn warm_up(mut stream: Stream, prepared: Rc<Prepared>, count: u32) -> Stream {
    while stream.begun() < count && stream.may_begin() {
        stream.request(&prepared, Phase::Warmup).await;
    }
    stream
}

/// Waits for an instant to within the milliseconds of the runtime's timer, or until cancelled.
async fn sleep_until_near(instant: MonoNs, halt: &Halt) {
    let left = instant.since(MonoNs::now());
    tokio::select! {
        biased;
        () = halt.either() => {}
        () = sleep(left) => {}
    }
}

/// Waits for an instant, the last stretch by spinning, or until cancelled.
async fn start_at(instant: MonoNs, spun: Duration, halt: &Halt) {
    sleep_until_near(instant.offset_by(-nanos(FINE)), halt).await;
    if halt.is_requested() {
        return;
    }
    let left = instant.since(MonoNs::now());
    if left > spun {
        // Nothing else happens on this thread now.
        std::thread::sleep(left - spun);
    }
    while MonoNs::now() < instant {
        std::hint::spin_loop();
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn median_ttft(traces: &[RequestTrace]) -> Option<Duration> {
    let measured = traces.iter().filter(|t| t.phase == Phase::Measured && t.is_ok());
    let mut all: Vec<f64> = measured.filter_map(RequestTrace::ttft).collect();
    all.sort_by(f64::total_cmp);
    // As reports have it: of an even number, the mean of the two in the middle.
    let (lower, upper) = (all.get(all.len().checked_sub(1)? / 2)?, all.get(all.len() / 2)?);
    Some(Duration::from_secs_f64(f64::midpoint(*lower, *upper)))
}
