//! Live progress on stderr: a bar per host on a terminal, plain lines elsewhere. It reads the
//! events and the view of the run, never blocks the run, and its output is not meant to be parsed.

mod arrivals;
mod bars;
mod lines;

use std::io::IsTerminal as _;

use regatta_types::event::RunEvent;
use tokio::sync::{mpsc, watch};

use crate::run::RunView;

/// Input of the display.
#[derive(Debug)]
pub struct Feed {
    /// Every event, in order; ends with the run.
    pub events: mpsc::Receiver<RunEvent>,
    /// The latest view of the run.
    pub view: watch::Receiver<RunView>,
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A run.
    Run {
        /// Also print events as JSON lines on stdout.
        json: bool,
    },
    /// Only the arrival of hosts.
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

/// A display of a run.
trait Screen: Send {
    /// Time between updates.
    fn period(&self) -> std::time::Duration;
    /// Handles an event.
    fn event(&mut self, event: &RunEvent);
    /// Handles an update.
    fn view(&mut self, view: &RunView);
    /// Called at the end of the run.
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
