//! A bar per host: cells done, current case, tokens per second, GPU memory, time left.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use regatta_types::event::RunEvent;
use regatta_types::ids::HostId;
use regatta_types::record::ExpectedHosts;
use regatta_types::units::Bytes;
use tokio::time::Instant;

use super::{Screen, lines, short};
use crate::run::{HostView, RunView, Stage};

/// Maximum number of bars, to fit a terminal.
const BARS_MAX: usize = 30;

pub(super) struct Bars {
    area: MultiProgress,
    head: ProgressBar,
    hosts: BTreeMap<HostId, ProgressBar>,
    /// Start of the first cell.
    measuring: Option<Instant>,
}

impl Bars {
    pub(super) fn new() -> Self {
        let area = MultiProgress::new();
        let head = area.add(ProgressBar::new_spinner().with_style(style("{msg}")));
        Self { area, head, hosts: BTreeMap::new(), measuring: None }
    }

    fn bar(&mut self, view: &HostView) -> Option<&ProgressBar> {
        if !self.hosts.contains_key(&view.host) {
            if self.hosts.len() >= BARS_MAX {
                return None;
            }
            let bar = ProgressBar::new(u64::try_from(view.total).unwrap_or(0))
                .with_style(
                    style("  {prefix} {bar:12} {pos:>3}/{len:<3} {wide_msg}").progress_chars("##-"),
                )
                .with_prefix(format!("{:<12.12}", view.host.as_str()));
            self.hosts.insert(view.host.clone(), self.area.add(bar));
        }
        self.hosts.get(&view.host)
    }

    fn rest(&self, view: &HostView) -> Option<Duration> {
        let began = self.measuring?;
        let done = u32::try_from(view.done).ok().filter(|&n| n > 0)?;
        let left = u32::try_from(view.total.saturating_sub(view.done)).ok().filter(|&n| n > 0)?;
        Some(began.elapsed() / done * left)
    }
}

/// The template is a constant of this module.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template")
}

fn message(view: &HostView, rest: Option<Duration>) -> String {
    let measuring = view.stage == Stage::Measuring;
    let speed = view.progress.tokens_per_second;
    let mut parts = vec![
        match &view.case {
            Some(case) if measuring => format!("{case:<16.16}"),
            Some(_) | None => format!("{:<16.16}", view.stage.name()),
        },
        // Blank without a value, to keep the columns aligned.
        if measuring && speed > 0.0 { format!("{speed:>7.1} tok/s") } else { " ".repeat(13) },
    ];
    let used: u64 = view.progress.gpus.iter().filter_map(|(_, s)| s.memory_used).map(|b| b.0).sum();
    if used > 0 {
        parts.push(format!("{:.1} GiB", Bytes(used).gib()));
    }
    if let Some(rest) = rest {
        parts.push(format!("~{} left", short(rest)));
    }
    parts.join("  ")
}

impl Screen for Bars {
    fn period(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn event(&mut self, event: &RunEvent) {
        if let Some(line) = lines::describe(&event.kind) {
            // A closed terminal is not an error.
            let _ = self.area.println(line);
        }
    }

    fn view(&mut self, view: &RunView) {
        let expected = match &view.expected {
            ExpectedHosts::Count(n) => usize::try_from(*n).unwrap_or(usize::MAX),
            ExpectedHosts::Named(names) => names.len(),
        };
        let head = if view.gathering {
            format!("waiting for hosts: {} of {expected} joined", view.joined())
        } else {
            let done = view.hosts.iter().filter(|h| h.stage == Stage::Done).count();
            let hidden = view.hosts.len().saturating_sub(BARS_MAX);
            let more = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
            format!("measuring: {done} of {} hosts done{more}", view.hosts.len())
        };
        self.head.set_message(head);
        if self.measuring.is_none() && view.hosts.iter().any(|h| h.stage == Stage::Measuring) {
            self.measuring = Some(Instant::now());
        }
        for host in &view.hosts {
            let message = message(host, self.rest(host));
            if let Some(bar) = self.bar(host) {
                bar.set_position(u64::try_from(host.done).unwrap_or(0));
                bar.set_message(message);
            }
        }
    }

    fn close(&mut self) {
        for bar in self.hosts.values() {
            bar.finish_and_clear();
        }
        self.head.finish_and_clear();
    }
}
