//! Energy of each case.

use itertools::Itertools as _;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{GpuSum, RESIDUAL_FLAG};

use crate::markdown::layout::{Inline, Page, Table, fixed, known, tps};
use crate::words::absent::why;

/// Why there is no figure per token.
const UNTOLD: &str = "requests without token counts";

/// Empty without a reading of the counter; the list below gives the reason.
pub(super) fn energy(page: &mut Page, host: &HostAnalysis<'_>) {
    let withheld = host.cases.iter().filter_map(|case| match &case.energy {
        Ok(energy) => energy.withheld.as_ref().map(why),
        Err(absent) => Some(why(absent)),
    });
    let known_energy =
        host.cases.iter().filter_map(|case| Some((case, case.energy.as_ref().ok()?)));
    let rows = known_energy.collect_vec();
    let flagged = rows.iter().filter(|(_, energy)| {
        energy.residual.is_some_and(|residual| residual.abs() > RESIDUAL_FLAG)
    });
    let flagged = flagged.map(|(case, _)| Inline::text(&case.case.title)).join(", ");
    let table = Table::of(rows)
        .text("Case", |(case, _)| Inline::text(&case.case.title))
        .number("Energy (J)", |(_, energy)| fixed(Some(energy.joules), 0))
        .number("Time (s)", |(_, energy)| fixed(Some(energy.seconds), 1))
        .number("Energy per output token (J)", |(_, energy)| fixed(energy.j_per_out_tok, 3))
        .absent(UNTOLD)
        .number("Above idle (J)", |(_, energy)| fixed(energy.j_per_out_tok_above_idle, 3))
        .absent("no idle power, or above the power of the case")
        .number("Prompt tokens per output token", |(_, energy)| fixed(energy.prompt_per_out_tok, 2))
        .absent(UNTOLD)
        .number("Difference from power samples (%)", |(_, energy)| {
            known(energy.residual.map(|residual| format!("{:+.1}", residual * 100.0)))
        })
        .absent("the power samples have gaps")
        .number("Attempts", |(_, energy)| {
            Inline::own(format!("{} of {}", energy.attempts, energy.of))
        });
    if !table.is_empty() {
        table.add_to(page);
        page.paragraph(method(host));
    }
    let flagged = (!flagged.is_empty()).then(|| {
        format!("**Energy counter and power samples differ by more than 5 %:** {flagged}.")
    });
    let withheld = withheld.counts().into_iter().sorted().map(|(why, cases)| {
        let (of, why) = (host.cases.len(), Inline::text(why));
        format!(
            "Energy not available in {cases} of {of} cases, or in some of their attempts: {why}."
        )
    });
    page.list(flagged.into_iter().chain(withheld).map(Inline::own));
}

/// Output per watt of each load.
pub(super) fn efficiency(page: &mut Page, host: &HostAnalysis<'_>) {
    let known = host.cases.iter().filter_map(|case| {
        Some((case, case.steady.as_ref().ok()?, case.gpus.as_ref().ok()?, case.tps_per_watt()?))
    });
    let table = Table::of(known)
        .text("Load", |(case, ..)| Inline::text(&case.case.title))
        .number("Output (tok/s)", |(_, steady, ..)| tps(steady.output.per_second()))
        .number("GPU power, mean (W)", |(_, _, gpus, _)| fixed(GpuSum::of(gpus).power_mean_w, 1))
        .number("Output per watt (tok/s/W)", |&(.., per_watt)| fixed(Some(per_watt), 3))
        .number_or("Prompt tokens per output token", UNTOLD, |(case, ..)| {
            fixed(case.figures.tokens.prompt_per_output(), 2)
        });
    if !table.is_empty() {
        table.add_to(page);
        page.paragraph("Output of all requests in the steady windows; power is the mean over the whole attempts, summed over the endpoint's GPU boards.");
    }
}

/// How energy was measured.
fn method(host: &HostAnalysis<'_>) -> Inline {
    let idle = match &host.idle {
        Ok(idle) => format!(
            "Idle power with the model loaded: {:.1} W over {:.1} s.",
            idle.watts, idle.seconds
        ),
        Err(absent) => format!("Idle power not available: {}.", Inline::text(why(absent))),
    };
    let gpus = host.record.and_then(|r| r.gpus.known()).into_iter().flat_map(|known| &known.gpus);
    let mut limits = gpus.filter_map(|gpu| {
        let (index, limit) = (gpu.index, gpu.power_limit_w.known()?);
        Some(match gpu.power_limit_default_w.known() {
            Some(default) => format!("GPU {index}: {limit:.0} W (default {default:.0} W)"),
            None => format!("GPU {index}: {limit:.0} W"),
        })
    });
    let limits = limits.join(", ");
    let limits = if limits.is_empty() { "unknown" } else { &limits };
    Inline::own(format!(
        "Energy: difference of the driver's counter over an attempt of at least 5 s, summed over the endpoint's GPUs; GPU boards only, without host, fans and power-supply losses. If it differs from the integral of the power samples by more than 10 %, it is withheld. {idle} Power limits: {limits}."
    ))
}
