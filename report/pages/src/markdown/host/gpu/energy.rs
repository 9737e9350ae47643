//! Energy of each case.

use std::collections::BTreeMap;

use crate::markdown::format::{fixed, tps};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::words::absent::why;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{GpuSum, RESIDUAL_FLAG};

/// Nothing at all without a reading of the counter: the list of what is missing says why.
pub(super) fn energy(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new([
        "Case",
        "Energy (J)>",
        "Time (s)>",
        "Energy per output token (J)>",
        "Above idle (J)>",
        "Prompt tokens per output token>",
        "Check by power samples (%)>",
        "Attempts>",
    ]);
    let mut withheld: BTreeMap<String, usize> = BTreeMap::new();
    let mut flagged = Vec::new();
    for case in &host.cases {
        let title = Inline::text(&case.case.title);
        let absent = match &case.energy {
            Ok(energy) => energy.withheld.as_ref(),
            Err(absent) => Some(absent),
        };
        if let Some(absent) = absent {
            *withheld.entry(why(absent)).or_insert(0) += 1;
        }
        let Ok(energy) = &case.energy else { continue };
        if energy.residual.is_some_and(|residual| residual.abs() > RESIDUAL_FLAG) {
            flagged.push(title.to_string());
        }
        table.row([
            title,
            fixed(Some(energy.joules), 0),
            fixed(Some(energy.seconds), 1),
            fixed(energy.j_per_out_tok, 3),
            fixed(energy.j_per_out_tok_above_idle, 3),
            fixed(energy.prompt_per_out_tok, 2),
            energy.residual.map_or("-".into(), |r| Inline::own(format!("{:+.1}", r * 100.0))),
            Inline::own(format!("{} of {}", energy.attempts, energy.of)),
        ]);
    }
    table.dash(&["Energy per output token (J)"], "some requests do not tell their tokens".into());
    table
        .dash(&["Prompt tokens per output token"], "some requests do not tell their tokens".into());
    table.dash(&["Above idle (J)"], "no idle power, or it is above the power of the case".into());
    table.dash(&["Check by power samples (%)"], "the power samples have holes".into());
    let has_energy = !table.is_empty();
    page.table(table);
    if has_energy {
        page.paragraph(&said(host));
    }
    let mut lines = Vec::new();
    if !flagged.is_empty() {
        lines.push(Inline::own(format!(
            "**Energy counter and power samples differ by over 5 %:** {}.",
            flagged.join(", ")
        )));
    }
    for (why, cases) in withheld {
        lines.push(Inline::own(format!(
            "Energy not available in {cases} of {} cases, or in some of their attempts: {}.",
            host.cases.len(),
            Inline::text(&why)
        )));
    }
    page.list(lines);
}

/// What each load gives for a watt.
pub(super) fn efficiency(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new([
        "Load",
        "Output (tok/s)>",
        "GPU power, mean (W)>",
        "Output per watt (tok/s/W)>",
        "Prompt tokens per output token>",
    ]);
    for case in &host.cases {
        let (Ok(steady), Ok(gpus)) = (&case.steady, &case.gpus) else { continue };
        let Some(per_watt) = case.tps_per_watt() else { continue };
        let prompt = case.figures.tokens.prompt_per_output();
        table.row([
            Inline::text(&case.case.title),
            tps(steady.output.per_second()),
            fixed(GpuSum::of(gpus).power_mean_w, 1),
            fixed(Some(per_watt), 3),
            fixed(prompt, 2),
        ]);
    }
    table
        .dash(&["Prompt tokens per output token"], "some requests do not tell their tokens".into());
    if !table.is_empty() {
        page.table(table);
        page.paragraph(&"Output of all requests together in the steady windows; power is the mean of the samples over the whole attempts, of the endpoint's GPU boards together.".into());
    }
}

fn said(host: &HostAnalysis<'_>) -> Inline {
    let idle = match &host.idle {
        Ok(idle) => format!(
            "Idle power, with the model resident and nothing asked: {:.1} W over {:.1} s.",
            idle.watts, idle.seconds
        ),
        Err(absent) => format!("Idle power not available: {}.", Inline::text(&why(absent))),
    };
    let limits = host.record.and_then(|r| r.gpus.known()).map_or_else(Vec::new, |inventory| {
        let known = inventory.gpus.iter().filter_map(|gpu| {
            let limit = gpu.power_limit_w.known()?;
            Some(match gpu.power_limit_default_w.known() {
                Some(default) => {
                    format!("GPU {}: {limit:.0} W (default {default:.0} W)", gpu.index)
                }
                None => format!("GPU {}: {limit:.0} W", gpu.index),
            })
        });
        known.collect()
    });
    let limits = if limits.is_empty() { "not known".to_owned() } else { limits.join(", ") };
    Inline::own(format!(
        "Energy is the driver's counter at the end of an attempt minus that at its begin, over the endpoint's GPUs, for attempts of at least 5 s: the GPU board only; host, fans and losses of the supply are not in it. The check is the area under the power samples against the counter; over 10 % the energy is withheld. {idle} Power limits, which energy follows: {limits}."
    ))
}
