//! Closed loop: each stream sends its next request after the previous one has ended.
//!
//! With a conversation as prompt, each stream runs complete conversations in sequence. Each turn
//! includes the engine's answers to the previous turns.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use regatta_types::suite::{Ramp, StopRule};
use regatta_types::time::MonoNs;
use regatta_types::trace::Phase;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attempt::{AttemptJob, LoopResult, REQUESTS};
use super::progress::Activity;
use super::start::{CONNECT_AHEAD, before, sleep_until_near, start_at};
use super::stream::{Request, Stream, StreamContext};
use super::window::Window;
use crate::endpoint::{ConversationTurn, carried};

/// Runs the loop: warm-up, connections, start instant, measured requests.
pub(super) async fn run(
    job: &AttemptJob,
    shared: &Rc<StreamContext>,
    streams: u32,
    ramp: Ramp,
) -> LoopResult {
    let case = &job.assignment.case;
    let count = streams.min(case.stop.requests.unwrap_or(u32::MAX)).max(1);
    let closed_loop = Rc::new(ClosedLoop {
        stop: case.stop,
        turns: case.prompt.turns(),
        keep_text: job.assignment.keep_text,
        conversations: Cell::new(0),
        under_way: Cell::new(0),
        measured: Cell::new(0),
        began: Cell::new(None),
        is_full: Cell::new(false),
    });
    let mut all: Vec<Stream> = (0..count).map(|number| shared.stream(number)).collect();
    all[0].prime().await;
    if case.warmup > 0 {
        job.progress.enter(Activity::WarmingUp);
        let last = shared.begun().saturating_add(case.warmup);
        all = each(all, |_, stream| warm_up(stream, Rc::clone(&closed_loop), last)).await;
    }
    job.progress.enter(Activity::Waiting);
    sleep_until_near(before(job.assignment.start, CONNECT_AHEAD), &shared.halt).await;
    all = each(all, |_, stream| connect(stream)).await;
    let (phase, spread) = match ramp {
        Ramp::None => (Phase::Measured, Duration::ZERO),
        Ramp::Service => (Phase::Warmup, job.pace.map_or(Duration::ZERO, |pace| pace.answer(case))),
    };
    let mut firsts: Vec<_> = all.iter().map(|_| Some(closed_loop.begin(shared, phase))).collect();
    start_at(job.assignment.start, job.spin, &shared.halt).await;

    job.progress.enter(Activity::Measuring);
    let window = Window::open();
    all = each(all, |number, stream| {
        let first = firsts[number].take().expect("one for each stream");
        let delay = spread * u32::try_from(number).unwrap_or(u32::MAX) / count;
        measure(stream, Rc::clone(&closed_loop), first, delay)
    })
    .await;
    let window = window.close();
    let traces = all.into_iter().flat_map(|stream| stream.traces).collect();
    LoopResult { traces, window, is_full: closed_loop.is_full.get() }
}

/// Runs an operation on all streams concurrently, each in a separate task, and waits for all.
async fn each<F: Future<Output = Stream> + 'static>(
    streams: Vec<Stream>,
    mut act: impl FnMut(usize, Stream) -> F,
) -> Vec<Stream> {
    let mut tasks = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate() {
        tasks.spawn_local(act(number, stream));
    }
    tasks.join_all().await
}

async fn connect(mut stream: Stream) -> Stream {
    // If the connection fails, the first request reports it.
    let _ = stream.connect().await;
    stream
}

async fn warm_up(mut stream: Stream, closed_loop: Rc<ClosedLoop>, last: u32) -> Stream {
    while stream.shared.begun() < last && stream.shared.may_begin() {
        let (_, request) = closed_loop.begin(&stream.shared, Phase::Warmup);
        let trace = stream.request(request).await;
        closed_loop.forget_text(&mut trace.answer.text);
    }
    stream
}

async fn measure(
    mut stream: Stream,
    closed_loop: Rc<ClosedLoop>,
    first: (u32, Request),
    delay: Duration,
) -> Stream {
    if !delay.is_zero() {
        tokio::select! {
            biased;
            () = stream.shared.halt.either() => {}
            () = sleep(delay) => {}
        }
    }
    let mut next = Some(first);
    while let Some((conversation, request)) = next
        && stream.shared.may_begin()
    {
        closed_loop.converse(&mut stream, conversation, request).await;
        let another = || closed_loop.begin(&stream.shared, Phase::Measured);
        next = closed_loop.allows_another(&stream.shared).then(another);
    }
    stream
}

/// State shared by all streams.
#[derive(Debug)]
struct ClosedLoop {
    stop: StopRule,
    /// Requests of a conversation.
    turns: u32,
    keep_text: bool,
    /// Started conversations.
    conversations: Cell<u32>,
    /// Open conversations.
    under_way: Cell<u32>,
    /// Started measured requests.
    measured: Cell<u32>,
    /// Time of the first one.
    began: Cell<Option<MonoNs>>,
    /// Ended at the maximum number of traces.
    is_full: Cell<bool>,
}

impl ClosedLoop {
    /// Whether another conversation can start.
    fn allows_another(&self, shared: &StreamContext) -> bool {
        let StopRule { requests, duration } = self.stop;
        let began = self.began.get().unwrap_or_else(MonoNs::now);
        let is_due = requests.is_none_or(|requests| self.measured.get() < requests)
            && duration.is_none_or(|limit| MonoNs::now().since(began) <= limit);
        // Open conversations have further turns.
        let owed = self.under_way.get().saturating_add(1).saturating_mul(self.turns);
        if is_due && shared.begun() > REQUESTS.saturating_sub(owed) {
            self.is_full.set(true);
            return false;
        }
        is_due
    }

    /// The first request of a new conversation, and its number.
    fn begin(&self, shared: &StreamContext, phase: Phase) -> (u32, Request) {
        let conversation = self.conversations.replace(self.conversations.get() + 1);
        (conversation, self.request(shared, (conversation, 0), &[], phase))
    }

    fn request(
        &self,
        shared: &StreamContext,
        (conversation, turn): (u32, u32),
        answers: &[String],
        phase: Phase,
    ) -> Request {
        let which = ConversationTurn { seq: shared.take_seq(), conversation, turn, answers };
        let mut request = shared.request(which, phase);
        request.trace.turn = (self.turns > 1).then_some(turn);
        request
    }

    /// Sends the requests of a conversation until the first failure.
    async fn converse(&self, stream: &mut Stream, conversation: u32, first: Request) {
        self.under_way.set(self.under_way.get() + 1);
        self.turns_of(stream, conversation, first).await;
        self.under_way.set(self.under_way.get() - 1);
    }

    async fn turns_of(&self, stream: &mut Stream, conversation: u32, first: Request) {
        let mut answers = Vec::new();
        let mut request = first;
        for turn in 1.. {
            if request.trace.phase == Phase::Measured {
                self.measured.set(self.measured.get() + 1);
                self.began.set(self.began.get().or_else(|| Some(MonoNs::now())));
            }
            let trace = stream.request(request).await;
            let answer = (turn < self.turns && trace.is_ok()).then(|| carried(trace)).flatten();
            self.forget_text(&mut trace.answer.text);
            let Some(answer) = answer else { return };
            if !stream.shared.may_begin() {
                return;
            }
            answers.push(answer);
            request = self.request(&stream.shared, (conversation, turn), &answers, Phase::Measured);
        }
    }

    /// Texts are kept for later turns, and afterwards only with --keep-text.
    fn forget_text(&self, text: &mut Option<String>) {
        if !self.keep_text {
            *text = None;
        }
    }
}
