//! What the settings of one `[[case]]` make of it: a case for each prompt length, beginning, limit
//! and level of load, each with its id, title and stop rule; or what contradicts what.
//!
//! The entry is [`Shape::new`].

use std::time::Duration;

use regatta_types::suite::{Arrivals, Length, Load, Prompt, Ramp, StopRule, TextPrompt};
use regatta_types::units::grouped;

use super::fields::Levels;
use super::problem::{Problems, Sourced};
use super::range;
use super::settings::{Limit, Settings};

/// Least requests of a level of a sweep that names none; and least for each of its streams, so
/// that between the first and the last answers of a stream there is a part at constant load.
const LEVEL_REQUESTS: u32 = 20;
const STREAM_REQUESTS: u32 = 4;
/// Most requests under way in an open loop, unless the case says otherwise.
const MAX_IN_FLIGHT: u32 = 1_024;

/// One case made of a `[[case]]`.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    /// What stands after the id of the `[[case]]`.
    pub(super) id_ending: String,
    /// What stands after its title.
    pub(super) title_ending: String,
    pub(super) prompt: Prompt,
    pub(super) min_max_tokens: u32,
    pub(super) max_tokens: u32,
    pub(super) load: Load,
    pub(super) stop: StopRule,
    /// The ending of the id that all levels of its sweep share, and its number among them.
    pub(super) sweep: Option<(String, u32)>,
}

/// What a `[[case]]` says of prompt, limit and load, free of contradictions.
#[derive(Debug)]
pub(super) struct Shape<'s> {
    settings: &'s Settings,
    own: Option<Prompt>,
    requests_yield: bool,
}

/// A part of a grid: endings of id and title, and what is measured.
type Part<T> = (String, Vec<String>, T);

impl<'s> Shape<'s> {
    /// `own` is the prompt that the case writes out, if it does: it stands above the defaults'
    /// lengths. Contradictions go to `problems`.
    pub(super) fn new(
        settings: &'s Settings,
        own: Option<Prompt>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let raised = |said: &Sourced<Levels<u32>>| said.is_flag();
        let shape = Self {
            // A number of requests in the file is one for the file's number of streams.
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

    /// Where answers end.
    pub(super) fn length(&self) -> Length {
        let natural = if self.own.is_some() { Length::Natural } else { Length::Fixed };
        self.settings.length.unwrap_or(natural)
    }

    /// The cases, the levels of a sweep one after another from the lowest. When something was wrong
    /// only their ids mean anything.
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

    /// The prompts of one length, with every beginning that is asked for.
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
                let what =
                    "is for a text of an asked length, and this case writes out what is sent";
                problems.wrong(said, what, Some("leave one of them out".to_owned()));
            }
            return;
        }
        if let (Some(prefix), Some(_)) = (&settings.shared_prefix, &settings.depth) {
            let what = "stands beside depth, which is another way to say it";
            problems.wrong(prefix, what, Some("leave one of them out".to_owned()));
        } else if let (Some(prefix), Some(tokens)) =
            (&settings.shared_prefix, &settings.prompt_tokens)
        {
            let longest = each(Some(prefix), "").into_iter().map(|(n, _)| n).max().unwrap_or(0);
            let least =
                each(Some(tokens), "").into_iter().map(|(n, _)| n).min().unwrap_or(u32::MAX);
            if longest >= least {
                let what = format!(
                    "{} is a part of the prompt, and there are prompt_tokens of {}",
                    grouped(longest.into()),
                    grouped(least.into())
                );
                let hint = "write less than prompt_tokens, or depth for what comes before them";
                problems.wrong(prefix, &what, Some(hint.to_owned()));
            }
        }
    }

    fn check_load(&self, problems: &mut Problems<'_>) {
        let settings = self.settings;
        if let (Some(rate), Some(_)) = (&settings.rate, &settings.concurrency) {
            let what = "stands beside concurrency: requests are sent at a rate, or as answers end";
            problems.wrong(rate, what, Some("leave one of them out".to_owned()));
        }
        if let Some(rate) = &settings.rate {
            let turns = self.own.as_ref().map_or(1, Prompt::turns);
            if turns > 1 {
                let what = "a turn of a conversation is sent when the answer before it has come";
                problems.wrong(rate, what, Some("write concurrency".to_owned()));
            }
            if let Some(ramp) =
                settings.ramp.as_ref().filter(|said| said.value && self.stands(said))
            {
                problems.wrong(ramp, "is for streams (concurrency)", None);
            }
        } else {
            let hint = || Some("write rate = 2.5, or leave it out".to_owned());
            if let Some(said) = settings.arrivals.as_ref().filter(|said| self.stands(said)) {
                problems.wrong(said, "is for requests sent at a rate", hint());
            }
            if let Some(said) = settings.max_in_flight.as_ref().filter(|said| self.stands(said)) {
                problems.wrong(said, "is for requests sent at a rate", hint());
            }
        }
    }

    /// Whether a detail of the load is meant for the load that is asked for: flags replace a file's
    /// load with its details.
    fn stands<T>(&self, detail: &Sourced<T>) -> bool {
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
                format!("{} are not a conversation of {turns} turns a stream", requests.value)
            } else {
                format!("{} cannot keep {streams} streams busy", requests.value)
            };
            let hint = format!("write at least {least}, or leave it out");
            problems.wrong(requests, &what, Some(hint));
        }
    }

    fn check_open_stop(&self, rate: &Sourced<Levels<f64>>, problems: &mut Problems<'_>) {
        let settings = self.settings;
        let fastest = rate.value.each(|_| String::new()).into_iter().map(|(rate, _)| rate);
        let fastest = fastest.fold(0.0, f64::max);
        match (&settings.requests, &settings.duration) {
            (None, None) => {
                let what = "needs an end";
                let hint = "give requests or duration (\"30s\"), or both: the first reached counts";
                problems.wrong(rate, what, Some(hint.to_owned()));
            }
            (None, Some(duration)) if too_many(fastest, duration.value) => {
                let most = grouped((*range::REQUESTS.end()).into());
                let what = format!("at {fastest} a second has more than {most} requests");
                problems.wrong(duration, &what, Some("give requests too".to_owned()));
            }
            (Some(_), _) | (None, Some(_)) => {}
        }
    }
}

fn too_many(rate: f64, duration: Duration) -> bool {
    rate * duration.as_secs_f64() > f64::from(*range::REQUESTS.end())
}

/// The values of a setting with the endings of their ids.
fn each(said: Option<&Sourced<Levels<u32>>>, letter: &str) -> Vec<(u32, String)> {
    said.map_or_else(Vec::new, |said| said.value.each(|n| format!(".{letter}{n}")))
}
