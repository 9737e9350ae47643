//! `--dry-run`: the planned cells.

use std::time::Duration;

use regatta_types::exit::Exit;
use regatta_types::ids::Repetition;
use regatta_types::suite::{Case, Load, Pace, Prompt, Ramp, StartMode, Suite};

use crate::cli::OutputArgs;
use crate::command_error::CommandError;
use crate::execute::Starting;
use crate::output::print;
use crate::plan::Plan;
use crate::suite;

/// Prints the planned cells of every host.
pub(super) fn dry_run(
    suite: &Suite,
    start: Starting,
    seed: Option<u64>,
    output: &OutputArgs,
) -> Result<Exit, CommandError> {
    let plan = Plan::new(suite, seed.unwrap_or(0));
    let mut text = String::new();
    for (index, block) in plan.blocks().iter().enumerate() {
        let Some(case) = suite.cases.get(block.case) else { continue };
        let line = if output.json {
            let mut json = dry_json(index + 1, case, block.repetition);
            json["start"] = pace_name(start.mode.pace(case)).into();
            json.to_string()
        } else {
            format!(
                "{:>4}  {:<32} r{:<3} {}; {}; {}, up to {} tokens each",
                index + 1,
                case.id,
                block.repetition,
                suite::load_of(case),
                suite::prompt_of(case),
                suite::stop_of(&case.stop),
                suite::tokens_of(case),
            )
        };
        text.push_str(&line);
        text.push('\n');
    }
    if !output.json {
        let order = if seed.is_some() {
            ""
        } else {
            " (the run itself uses a new random order; set --seed \
                to fix it)"
        };
        let (cells, mode) = (plan.cells_per_host(), started(start));
        text.push_str(&format!("{cells} cells per host{order}\n"));
        text.push_str(&format!("start mode {}: {mode}\n", start.mode));
    }
    print(&text);
    Ok(Exit::Ok)
}

/// Description of a start mode.
fn started(start: Starting) -> String {
    let Starting { mode, stagger } = start;
    match (mode, stagger) {
        (StartMode::Together, _) => "all hosts start each cell simultaneously".to_owned(),
        (StartMode::Staggered, stagger) => format!(
            "in each cell the hosts start {} s apart, in rotating order",
            stagger.unwrap_or_default().as_secs_f64()
        ),
        (StartMode::Solo, _) => {
            "one host measures at a time, in rotating order, so N hosts take N times as long"
                .to_owned()
        }
        (StartMode::Both, _) => {
            "cells that end in `.solo` run on one host at a time, the cells after them on all \
             hosts together"
                .to_owned()
        }
    }
}

fn pace_name(pace: Pace) -> &'static str {
    match pace {
        Pace::Together => "together",
        Pace::Staggered => "staggered",
        Pace::Solo => "solo",
    }
}

/// A cell of `--dry-run --json`; settings that do not apply to a case are null.
fn dry_json(cell: usize, case: &Case, repetition: Repetition) -> serde_json::Value {
    let seconds = |time: Option<Duration>| time.map(|d| d.as_secs_f64());
    let (ramp, rate, arrivals, max_in_flight) = match case.load {
        Load::Closed { ramp, .. } => (Some(ramp == Ramp::Service), None, None, None),
        Load::Open { rate, arrivals, max_in_flight } => {
            (None, Some(rate), Some(suite::arrivals_of(arrivals)), Some(max_in_flight))
        }
    };
    let text = match case.prompt {
        Prompt::Text(text) => Some(text),
        Prompt::Messages(_) | Prompt::Conversation { .. } => None,
    };
    serde_json::json!({
        "cell": cell, "case": case.id, "repetition": repetition, "concurrency": case.concurrency(),
        "ramp": ramp, "rate": rate, "arrivals": arrivals, "max_in_flight": max_in_flight,
        "requests": case.stop.requests, "duration_s": seconds(case.stop.duration),
        "prompt_tokens": text.map(|t| t.tokens), "shared_tokens": text.map(|t| t.shared),
        "turns": case.prompt.turns(), "min_max_tokens": case.min_max_tokens,
        "max_tokens": case.max_tokens, "length": suite::length_of(case),
        "sweep": case.sweep.as_ref().map(|s| &s.of), "level": case.sweep.as_ref().map(|s| s.level),
        "slo_ttft_s": seconds(case.slo.ttft), "slo_tpot_s": seconds(case.slo.tpot),
        "slo_e2e_s": seconds(case.slo.e2e),
    })
}
