//! Live progress on stderr: a bar per host on a terminal, plain lines elsewhere. A reader of the
//! run's events and of its view; it never holds the run up and nothing parses what it prints.

mod arrivals;
mod bars;
mod lines;

use std::io::IsTerminal as _;

use regatta_types::event::RunEvent;
use tokio::sync::{mpsc, watch};

use crate::run::RunView;

/// What the display reads.
#[derive(Debug)]
pub struct Feed {
    /// Every event, in order; ends with the run.
    pub events: mpsc::Receiver<RunEvent>,
    /// The newest picture of the run.
    pub view: watch::Receiver<RunView>,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A run.
    Run {
        /// Print its events as JSON lines on stdout, too.
        json: bool,
    },
    /// Which hosts have come, and that is all.
    Arrivals,
}

/// Shows the run until its events end.
pub async fn show(feed: Feed, what: Show) {
    let Feed { mut events, mut view } = feed;
    let json = what == Show::Run { json: true };
    let mut screen: Box<dyn Screen> = match what {
        Show::Arrivals => Box::new(arrivals::Arrivals::new()),
        Show::Run { .. } if std::io::stderr().is_terminal() => Box::new(bars::Bars::new()),
        Show::Run { .. } => Box::new(lines::Lines::new()),
    };
    let mut beat = tokio::time::interval(screen.period());
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let next = tokio::select! {
            event = events.recv() => Some(event),
            _ = beat.tick() => None,
        };
        match next {
            Some(Some(event)) => {
                if json {
                    print_json(&event);
                }
                screen.event(&event);
            }
            Some(None) => break,
            None => screen.view(&view.borrow_and_update()),
        }
    }
    screen.close();
}

/// One way of showing a run.
trait Screen: Send {
    /// Time between pictures.
    fn period(&self) -> std::time::Duration;
    /// Something happened.
    fn event(&mut self, event: &RunEvent);
    /// The picture is due.
    fn view(&mut self, view: &RunView);
    /// The run is over.
    fn close(&mut self);
}

fn print_json(event: &RunEvent) {
    if let Ok(line) = serde_json::to_string(event) {
        crate::output::print(&format!("{line}\n"));
    }
}

/// `1m05s`, `42s`.
fn short(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
