//! Open loop: requests are sent at the times of a [`Schedule`], regardless of outstanding requests.
//!
//! The dispatcher assigns each request to a slot in advance, so that its body is built and its
//! connection is open at its send time. A slot is a stream that waits for requests. Slots are
//! created on demand, up to the maximum number of requests in flight, and assigned in schedule
//! order. A request without a free slot at its send time is dropped.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use regatta_sim::Alarm;
use regatta_types::suite::Prompt;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Phase, RequestTrace};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::attempt::{AttemptError, AttemptJob, LoopResult, REQUESTS};
use super::progress::Activity;
use super::schedule::Schedule;
use super::start::{before, sleep_until_near};
use super::stream::{Request, Stream, StreamContext};
use super::window::Window;
use crate::endpoint::ConversationTurn;

/// How early a request is assigned to a slot.
const AHEAD: Duration = Duration::from_millis(50);

/// Runs the loop: sequential warm-up, then the schedule.
pub(super) async fn run(
    job: &AttemptJob,
    shared: &Rc<StreamContext>,
    schedule: Schedule,
    max_in_flight: u32,
) -> Result<LoopResult, AttemptError> {
    let case = &job.assignment.case;
    if let Prompt::Conversation { .. } = case.prompt {
        return Err(AttemptError::OpenConversation);
    }
    let mut first = shared.stream(0);
    first.prime().await;
    if case.warmup > 0 {
        job.progress.enter(Activity::WarmingUp);
        for _ in 0..case.warmup {
            if !shared.may_begin() {
                break;
            }
            let request = shared.request(ConversationTurn::first(shared.take_seq()), Phase::Warmup);
            first.request(request).await;
        }
    }
    job.progress.enter(Activity::Waiting);
    let first_seq = shared.begun();
    let room = REQUESTS.saturating_sub(first_seq).max(1);
    let is_full = schedule.requests > room;
    let schedule = Schedule { requests: schedule.requests.min(room), ..schedule };
    let (case, repetition) = (&job.assignment.case, job.assignment.key.cell.repetition);
    let open_loop = Rc::new(OpenLoop {
        shared: Rc::clone(shared),
        start: job.assignment.start,
        offsets: schedule.offsets(job.assignment.seed, case.drawn_as(), repetition),
        first_seq,
        state: RefCell::default(),
    });
    sleep_until_near(before(job.assignment.start, 2 * AHEAD), &shared.halt).await;

    let mut slots = Slots { tasks: JoinSet::new(), most: max_in_flight.max(1), spare: Some(first) };
    let dispatched = dispatch(&open_loop, &mut slots).await;
    open_loop.close();
    let streams = slots.tasks.join_all().await;
    let window = dispatched?.close();
    let mut traces = std::mem::take(&mut open_loop.state.borrow_mut().not_sent);
    traces.extend(streams.into_iter().flat_map(|stream| stream.traces));
    Ok(LoopResult { traces, window, is_full })
}

/// Follows the schedule until its end or a halt; the window that was opened with the first request.
async fn dispatch(open_loop: &Rc<OpenLoop>, slots: &mut Slots) -> Result<Window, AttemptError> {
    let mut alarm = Alarm::new().map_err(AttemptError::Timer)?;
    let mut halted = pin!(open_loop.shared.halt.either());
    let mut window = None;
    let (mut offered, mut released) = (0, 0);
    while released < open_loop.offsets.len() {
        let due = open_loop.due(released);
        let offer =
            offered < open_loop.offsets.len() && before(open_loop.due(offered), AHEAD) <= due;
        let at = if offer { before(open_loop.due(offered), AHEAD) } else { due };
        tokio::select! {
            biased;
            () = &mut halted => {
                open_loop.shared.note_halt();
                break;
            }
            reached = alarm.until(at) => reached.map_err(AttemptError::Timer)?,
        }
        if offer {
            open_loop.offer(offered, slots);
            offered += 1;
            continue;
        }
        window.get_or_insert_with(|| {
            open_loop.shared.progress.enter(Activity::Measuring);
            Window::open()
        });
        open_loop.release(released);
        released += 1;
    }
    Ok(window.unwrap_or_else(Window::open))
}

/// All streams.
struct Slots {
    tasks: JoinSet<Stream>,
    most: u32,
    /// The stream of the warm-up, until a slot uses it.
    spare: Option<Stream>,
}

impl Slots {
    /// Another slot, up to the maximum.
    fn open(&mut self, open_loop: &Rc<OpenLoop>) -> Option<Rc<Slot>> {
        let number = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        if number >= self.most {
            return None;
        }
        let stream = self.spare.take().unwrap_or_else(|| open_loop.shared.stream(number));
        let slot = Rc::new(Slot { task: Cell::new(SlotTask::None), changed: Notify::new() });
        self.tasks.spawn_local(serve(Rc::clone(&slot), Rc::clone(open_loop), stream));
        Some(slot)
    }
}

/// Task of a slot, with the request number of the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SlotTask {
    /// Wait.
    None,
    /// Build a request and open the connection for it.
    Prepare(usize),
    /// Send it.
    Send(usize),
    /// End.
    End,
}

#[derive(Debug)]
struct Slot {
    task: Cell<SlotTask>,
    changed: Notify,
}

impl Slot {
    fn set(&self, task: SlotTask) {
        self.task.set(task);
        self.changed.notify_one();
    }

    /// Waits until there is another task.
    async fn other_than(&self, task: SlotTask) -> SlotTask {
        while self.task.get() == task {
            self.changed.notified().await;
        }
        self.task.get()
    }
}

/// Executes the tasks of a slot in sequence.
async fn serve(slot: Rc<Slot>, open_loop: Rc<OpenLoop>, mut stream: Stream) -> Stream {
    loop {
        let index = match slot.other_than(SlotTask::None).await {
            SlotTask::None | SlotTask::End => return stream,
            SlotTask::Prepare(index) | SlotTask::Send(index) => index,
        };
        let request = open_loop.request(index);
        let connected = tokio::select! {
            biased;
            connected = stream.connect() => Some(connected),
            SlotTask::End = slot.other_than(SlotTask::Prepare(index)) => None,
        };
        let task = slot.other_than(SlotTask::Prepare(index)).await;
        let (SlotTask::Send(_), Some(connected)) = (task, connected) else { return stream };
        stream.send(request, connected).await;
        open_loop.free(&slot);
    }
}

/// Assigns requests to slots.
#[derive(Debug)]
struct OpenLoop {
    shared: Rc<StreamContext>,
    start: MonoNs,
    /// Send times after the start, nanoseconds.
    offsets: Vec<u64>,
    /// Number of the first request in the attempt.
    first_seq: u32,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// End of the requests that need a slot, which start at `taken`.
    offered: usize,
    /// Requests that had a slot or were dropped.
    taken: usize,
    /// Slots of pending requests, in order.
    ready: VecDeque<Rc<Slot>>,
    /// Idle slots, most recently used last.
    idle: Vec<Rc<Slot>>,
    /// Dropped requests.
    not_sent: Vec<RequestTrace>,
    is_closed: bool,
}

impl State {
    /// Assigns the next request to a slot.
    fn assign(&mut self, slot: Rc<Slot>) {
        slot.set(SlotTask::Prepare(self.taken));
        self.taken += 1;
        self.ready.push_back(slot);
    }
}

impl OpenLoop {
    fn due(&self, index: usize) -> MonoNs {
        self.start.after(Duration::from_nanos(self.offsets[index]))
    }

    fn seq(&self, index: usize) -> u32 {
        self.first_seq + u32::try_from(index).expect("a schedule has at most `REQUESTS`")
    }

    fn request(&self, index: usize) -> Request {
        let mut request =
            self.shared.request(ConversationTurn::first(self.seq(index)), Phase::Measured);
        request.trace.scheduled = Some(self.due(index));
        request
    }

    /// Allows a slot for the next request.
    fn offer(self: &Rc<Self>, index: usize, slots: &mut Slots) {
        let mut state = self.state.borrow_mut();
        state.offered = index + 1;
        if state.taken == index
            && let Some(slot) = state.idle.pop().or_else(|| slots.open(self))
        {
            state.assign(slot);
        }
    }

    /// A request is due.
    fn release(&self, index: usize) {
        let mut state = self.state.borrow_mut();
        if let Some(slot) = state.ready.pop_front() {
            slot.set(SlotTask::Send(index));
            return;
        }
        state.taken = index + 1;
        let mut trace = RequestTrace::new(self.seq(index), 0, Phase::Measured);
        trace.scheduled = Some(self.due(index));
        state.not_sent.push(trace);
    }

    /// A slot completed its task.
    fn free(&self, slot: &Rc<Slot>) {
        let mut state = self.state.borrow_mut();
        if state.is_closed {
            slot.set(SlotTask::End);
        } else if state.taken < state.offered {
            state.assign(Rc::clone(slot));
        } else {
            slot.set(SlotTask::None);
            state.idle.push(Rc::clone(slot));
        }
    }

    /// No more requests: slots end, after their current request.
    fn close(&self) {
        let State { ready, idle, is_closed, .. } = &mut *self.state.borrow_mut();
        *is_closed = true;
        for slot in ready.drain(..).chain(idle.drain(..)) {
            slot.set(SlotTask::End);
        }
    }
}
