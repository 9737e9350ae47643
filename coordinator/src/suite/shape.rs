//! Expands the settings of one `[[case]]` into cases, one per prompt length, shared prefix, output
//! limit and load level, each with its id, title and stop rule. Reports conflicting settings.
//!
//! The entry point is [`Shape::new`].

use std::time::Duration;

use regatta_types::suite::{Arrivals, Length, Load, Prompt, Ramp, StopRule, TextPrompt};
use regatta_types::units::grouped;

use super::fields::Levels;
use super::problem::{Problems, Sourced};
use super::range;
use super::settings::{Limit, Settings};

/// Default minimum of requests per level of a sweep, and per stream of a level, so that each stream
/// has a window at constant load between its first and last answers.
const LEVEL_REQUESTS: u32 = 20;
const STREAM_REQUESTS: u32 = 4;
/// Default maximum of requests in flight in an open loop.
const MAX_IN_FLIGHT: u32 = 1_024;

/// One case of a `[[case]]`.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    /// Suffix of the id.
    pub(super) id_ending: String,
    /// Suffix of the title.
    pub(super) title_ending: String,
    pub(super) prompt: Prompt,
    pub(super) min_max_tokens: u32,
    pub(super) max_tokens: u32,
    pub(super) load: Load,
    pub(super) stop: StopRule,
    /// The common id suffix of its sweep, and its level.
    pub(super) sweep: Option<(String, u32)>,
}

/// Prompt, limit and load of a `[[case]]`, without conflicts.
#[derive(Debug)]
pub(super) struct Shape<'s> {
    settings: &'s Settings,
    own: Option<Prompt>,
    requests_yield: bool,
}

/// A dimension of a grid: suffixes of id and title, and the value.
type Part<T> = (String, Vec<String>, T);

impl<'s> Shape<'s> {
    /// `own` is the explicit prompt of the case, if any. It overrides default lengths. Conflicts go
    /// to `problems`.
    pub(super) fn new(
        settings: &'s Settings,
        own: Option<Prompt>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let raised = |said: &Sourced<Levels<u32>>| said.is_flag();
        let shape = Self {
            // The number of requests in a file applies to the number of streams in the file.
            requests_yield: settings.concurrency.as_ref().is_some_and(raised)
                && settings.requests.as_ref().is_some_and(|said| !said.is_flag()),
            settings,
            own,
        };
        shape.check_prompt(problems);
        shape.check_load(problems);
        shape.check_stop(problems);
        shape
    }

    /// Output length.
    pub(super) fn length(&self) -> Length {
        let natural = if self.own.is_some() { Length::Natural } else { Length::Fixed };
        self.settings.length.unwrap_or(natural)
    }

    /// The cases, with the levels of a sweep in ascending order. With problems, only the ids are
    /// valid.
    pub(super) fn variants(&self) -> Vec<Variant> {
        let mut out = Vec::new();
        for (prompt_id, prompt_title, prompt) in self.prompts() {
            for (limit_id, limit_title, (min_max_tokens, max_tokens)) in self.limits() {
                let id = format!("{prompt_id}{limit_id}");
                let grid = [&prompt_title[..], &limit_title[..]].concat().join(", ");
                let grid = if grid.is_empty() { grid } else { format!(" ({grid})") };
                let loads = self.loads();
                for (level, (load_id, load_title, load)) in (0..).zip(loads) {
                    let is_level = !load_id.is_empty();
                    out.push(Variant {
                        id_ending: format!("{id}{load_id}"),
                        title_ending: format!("{grid}{load_title}"),
                        prompt: prompt.clone(),
                        min_max_tokens,
                        max_tokens,
                        load,
                        stop: self.stop(&load, is_level, prompt.turns()),
                        sweep: is_level.then(|| (id.clone(), level)),
                    });
                }
            }
        }
        out
    }

    fn prompts(&self) -> Vec<Part<Prompt>> {
        if let Some(own) = &self.own {
            return vec![(String::new(), Vec::new(), own.clone())];
        }
        let mut out = Vec::new();
        let lengths = match &self.settings.prompt_tokens {
            Some(said) => each(Some(said), "p"),
            None => vec![(1, String::new())],
        };
        for (tokens, tokens_id) in lengths {
            for (text, prefix_id) in self.texts(tokens) {
                let mut title = Vec::new();
                if !tokens_id.is_empty() {
                    title.push(format!("prompt {tokens}"));
                }
                if !prefix_id.is_empty() {
                    title.push(format!("depth {}", text.shared));
                }
                out.push((format!("{tokens_id}{prefix_id}"), title, Prompt::Text(text)));
            }
        }
        out
    }

    /// The prompts of one length, one per shared prefix.
    fn texts(&self, tokens: u32) -> Vec<(TextPrompt, String)> {
        if let Some(depth) = &self.settings.depth {
            let at =
                |(shared, id)| (TextPrompt { tokens: tokens.saturating_add(shared), shared }, id);
            return each(Some(depth), "d").into_iter().map(at).collect();
        }
        match &self.settings.shared_prefix {
            Some(prefix) => each(Some(prefix), "d")
                .into_iter()
                .map(|(shared, id)| (TextPrompt { tokens, shared }, id))
                .collect(),
            None => vec![(TextPrompt { tokens, shared: 0 }, String::new())],
        }
    }

    fn limits(&self) -> Vec<Part<(u32, u32)>> {
        match self.settings.max_tokens.as_ref().map(|said| &said.value) {
            None => vec![(String::new(), Vec::new(), (1, 1))],
            Some(Limit::Between(from, to)) => vec![(String::new(), Vec::new(), (*from, *to))],
            Some(Limit::Same(levels)) => levels
                .each(|n| format!(".t{n}"))
                .into_iter()
                .map(|(n, id)| {
                    let title =
                        if id.is_empty() { Vec::new() } else { vec![format!("output {n}")] };
                    (id, title, (n, n))
                })
                .collect(),
        }
    }

    fn loads(&self) -> Vec<(String, String, Load)> {
        let settings = self.settings;
        if let Some(rates) = &settings.rate {
            let arrivals = settings.arrivals.as_ref().map_or(Arrivals::Poisson, |s| s.value);
            let most = settings.max_in_flight.as_ref().map_or(MAX_IN_FLIGHT, |s| s.value);
            let mut levels = rates.value.each(|rate| format!(".rps{rate}"));
            levels.sort_by(|a, b| a.0.total_cmp(&b.0));
            return levels
                .into_iter()
                .map(|(rate, id)| {
                    let title = if id.is_empty() { id.clone() } else { format!(" ({rate}/s)") };
                    (id, title, Load::Open { rate, arrivals, max_in_flight: most })
                })
                .collect();
        }
        let ramp = match settings.ramp.as_ref().is_some_and(|said| said.value) {
            true => Ramp::Service,
            false => Ramp::None,
        };
        let mut levels = match &settings.concurrency {
            Some(said) => said.value.each(|n| format!(".c{n}")),
            None => vec![(1, String::new())],
        };
        levels.sort_by_key(|(streams, _)| *streams);
        levels
            .into_iter()
            .map(|(streams, id)| {
                let s = if streams == 1 { "" } else { "s" };
                let title =
                    if id.is_empty() { id.clone() } else { format!(" ({streams} stream{s})") };
                (id, title, Load::Closed { streams, ramp })
            })
            .collect()
    }

    fn stop(&self, load: &Load, is_level: bool, turns: u32) -> StopRule {
        let requests = self.settings.requests.as_ref().map(|said| said.value);
        let duration = self.settings.duration.as_ref().map(|said| said.value);
        let streams = match *load {
            Load::Closed { streams, .. } => streams,
            Load::Open { .. } => return StopRule { requests, duration },
        };
        let each_stream = streams.saturating_mul(turns);
        let steady = each_stream.saturating_mul(STREAM_REQUESTS);
        let requests = match requests {
            None if duration.is_some() => None,
            None if is_level => Some(steady.max(LEVEL_REQUESTS)),
            None => Some(each_stream),
            Some(n) if self.requests_yield && streams > 1 => Some(n.max(steady)),
            Some(n) => Some(n),
        };
        StopRule { requests, duration }
    }

    fn check_prompt(&self, problems: &mut Problems<'_>) {
        let settings = self.settings;
        let lengths = [&settings.prompt_tokens, &settings.shared_prefix, &settings.depth];
        if self.own.is_some() {
            for said in lengths.into_iter().flatten().filter(|said| said.is_meant()) {
                let what = "requires a generated prompt, but this case sets its own messages";
                problems.wrong(said, what, Some("Remove one of the two".to_owned()));
            }
            return;
        }
        if let (Some(prefix), Some(_)) = (&settings.shared_prefix, &settings.depth) {
            let what = "conflicts with depth, which also sets the shared tokens";
            problems.wrong(prefix, what, Some("Remove one of the two".to_owned()));
        } else if let (Some(prefix), Some(tokens)) =
            (&settings.shared_prefix, &settings.prompt_tokens)
        {
            let longest = each(Some(prefix), "").into_iter().map(|(n, _)| n).max().unwrap_or(0);
            let least =
                each(Some(tokens), "").into_iter().map(|(n, _)| n).min().unwrap_or(u32::MAX);
            if longest >= least {
                let what = format!(
                    "{} must be less than prompt_tokens ({})",
                    grouped(longest.into()),
                    grouped(least.into())
                );
                let hint = "Set a smaller value, or use depth for tokens before the prompt";
                problems.wrong(prefix, &what, Some(hint.to_owned()));
            }
        }
    }

    fn check_load(&self, problems: &mut Problems<'_>) {
        let settings = self.settings;
        if let (Some(rate), Some(_)) = (&settings.rate, &settings.concurrency) {
            let what = "conflicts with concurrency: a load is either open loop (rate) or closed \
                loop (concurrency)";
            problems.wrong(rate, what, Some("Remove one of the two".to_owned()));
        }
        if let Some(rate) = &settings.rate {
            let turns = self.own.as_ref().map_or(1, Prompt::turns);
            if turns > 1 {
                let what = "conversations require a closed loop: each turn waits for the previous \
                    answer";
                problems.wrong(rate, what, Some("Use concurrency".to_owned()));
            }
            if let Some(ramp) =
                settings.ramp.as_ref().filter(|said| said.value && self.applies(said))
            {
                problems.wrong(ramp, "requires concurrency", None);
            }
        } else {
            let hint = || Some("Add rate = 2.5, or omit it".to_owned());
            if let Some(said) = settings.arrivals.as_ref().filter(|said| self.applies(said)) {
                problems.wrong(said, "requires rate", hint());
            }
            if let Some(said) = settings.max_in_flight.as_ref().filter(|said| self.applies(said)) {
                problems.wrong(said, "requires rate", hint());
            }
        }
    }

    /// Whether a detail applies to the load: a load from flags replaces the load of a file
    /// including its details.
    fn applies<T>(&self, detail: &Sourced<T>) -> bool {
        let by_flag = self.settings.rate.as_ref().is_some_and(Sourced::is_flag)
            || self.settings.concurrency.as_ref().is_some_and(Sourced::is_flag);
        detail.is_flag() || (detail.is_meant() && !by_flag)
    }

    fn check_stop(&self, problems: &mut Problems<'_>) {
        let settings = self.settings;
        if let Some(rate) = &settings.rate {
            self.check_open_stop(rate, problems);
            return;
        }
        let Some(requests) = settings.requests.as_ref().filter(|_| !self.requests_yield) else {
            return;
        };
        let streams = match &settings.concurrency {
            Some(said) => said.value.each(|_| String::new()).into_iter().map(|(n, _)| n).max(),
            None => None,
        };
        let streams = streams.unwrap_or(1);
        let turns = self.own.as_ref().map_or(1, Prompt::turns);
        let least = streams.saturating_mul(turns);
        if requests.value < least {
            let what = if turns > 1 {
                format!(
                    "{} requests are too few for a conversation of {turns} turns per stream",
                    requests.value
                )
            } else {
                format!("{} requests are too few for {streams} streams", requests.value)
            };
            let hint = format!("Set at least {least}, or omit it");
            problems.wrong(requests, &what, Some(hint));
        }
    }

    fn check_open_stop(&self, rate: &Sourced<Levels<f64>>, problems: &mut Problems<'_>) {
        let settings = self.settings;
        let fastest = rate.value.each(|_| String::new()).into_iter().map(|(rate, _)| rate);
        let fastest = fastest.fold(0.0, f64::max);
        match (&settings.requests, &settings.duration) {
            (None, None) => {
                let what = "requires an end";
                let hint = "Add requests or duration (\"30s\"). With both, the first one reached \
                    ends the attempt";
                problems.wrong(rate, what, Some(hint.to_owned()));
            }
            (None, Some(duration)) if too_many(fastest, duration.value) => {
                let most = grouped((*range::REQUESTS.end()).into());
                let what = format!(
                    "at {fastest} requests per second exceeds the maximum of {most} \
                    requests"
                );
                problems.wrong(duration, &what, Some("Also set requests".to_owned()));
            }
            (Some(_), _) | (None, Some(_)) => {}
        }
    }
}

fn too_many(rate: f64, duration: Duration) -> bool {
    rate * duration.as_secs_f64() > f64::from(*range::REQUESTS.end())
}

/// The values of a setting with their id suffixes.
fn each(said: Option<&Sourced<Levels<u32>>>, letter: &str) -> Vec<(u32, String)> {
    said.map_or_else(Vec::new, |said| said.value.each(|n| format!(".{letter}{n}")))
}
