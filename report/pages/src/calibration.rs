//! docs/calibration.md.

use regatta_figures::calibration::{
    Bound, Broken, Calibration, FALSE_EQUIVALENT, FALSE_FASTER, FALSE_SLOWER, FOUND, QUIET, Trouble,
};
use regatta_types::margin::percent;
use regatta_types::units::grouped;

use crate::markdown::layout::{Inline, Page, Table, known};

/// The figures as a page, with what is simulated and the bounds.
#[must_use]
pub fn page(calibration: &Calibration) -> String {
    let mut page = Page::default();
    let (fleets, seed) = (calibration.fleets, calibration.seed);
    page.title("How often verdicts are right");
    page.paragraph(Inline::own(format!(
        "Made by `cargo xtask calibrate` (seed {seed}), which ends with an error where a bound is broken. A test makes a short run of it. Each row is {} simulated fleets that go through the comparison of a report ([Verdicts](reports.md#verdicts)), from the numbers by host, case and repetition on.", grouped(u64::from(fleets))
    )));
    page.section("What is simulated");
    page.list([
        "Three cases of equal weight. What befalls all hosts alike in a case and repetition scatters by 2 %; what befalls each by itself is normal, so that a host's mean over the cases scatters by *CV* between repetitions.".into(),
        "*Slow*: the first host is slower by so much, all others are equal. 1.96 % is the margin itself (1/1.02).".into(),
        Inline::own(format!("*Coverage*: how often the printed 95 % interval covers the true difference from the hosts that the report names as its reference, for the host that does least and the one that does most often. Bounds: 93 to 97 %; one share of {} has a standard error of {:.1} points.", grouped(u64::from(fleets)), (0.05_f64 * 0.95 / f64::from(fleets)).sqrt() * 100.0)),
        Inline::own(format!("*False slower* and *false faster*: fleets in which at least one good host is called so. Bounds: {} and {} %, the second with a slow host up to CV {} %: where hosts scatter by more, a slow host is often missed and stays in the reference of the good ones, which are then truly faster than it by up to 1 % (of four hosts), and are called so a little more often. Of a pair with a slow host the other one is faster, and rightly.", percent(FALSE_SLOWER), percent(FALSE_FASTER), percent(QUIET))),
        Inline::own(format!("*Found*: the slow host is called slower. Bound: {} % for 3 % and more, CV 1 %, ten repetitions.", percent(FOUND))),
        Inline::own(format!("*False equivalent*: a host that is slow by the margin or more is called equivalent. Bound: {} %.", percent(FALSE_EQUIVALENT))),
        "*Two groups*: no majority agrees, and nobody is judged.".into(),
    ]);
    page.section("Figures, per cent of fleets");
    let share = |share: f64| format!("{:.1}", share * 100.0);
    let no_slow_host = "no host is slow by the margin";
    Table::of(&calibration.rows)
        .number("Hosts", |row| known(Some(row.scenario.hosts)))
        .number("Repetitions", |row| known(Some(row.scenario.repetitions)))
        .number("CV (%)", |row| Inline::own(percent(row.scenario.scatter)))
        .number("Slow (%)", |row| Inline::own(format!("{:.2}", row.scenario.slow * 100.0)))
        .text("Trouble", |row| trouble(row.scenario.trouble).into())
        .number("Coverage", |row| {
            Inline::own(format!("{}–{}", share(row.coverage.0), share(row.coverage.1)))
        })
        .number("False slower", |row| Inline::own(share(row.false_slower)))
        .number("False faster", |row| known(row.false_faster.map(share)))
        .absent("a pair with a slow host")
        .number_or("Found", no_slow_host, |row| known(row.found.map(share)))
        .number_or("False equivalent", no_slow_host, |row| known(row.false_equivalent.map(share)))
        .number("Two groups", |row| Inline::own(share(row.two_groups)))
        .add_to(&mut page);
    page.section("What this does not show");
    page.paragraph("Repetitions of one run share one start of the engine. What a restart changes (placement, compiled kernels) is in no interval of one run, nor is what differs from day to day: a verdict holds for the engines as they ran. Between two runs it is the same, so that a small settled change may be the restart's.");
    page.finish()
}

fn trouble(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::None => "none",
        Trouble::Noisy => "one noisy host",
        Trouble::Gaps => "3 % of cells missing",
    }
}

/// A bound that is broken, on one line.
#[must_use]
pub fn broken_line(broken: &Broken) -> String {
    let Broken { scenario, bound, share, limit } = broken;
    let bound = match bound {
        Bound::FalseSlower => "false slower",
        Bound::FalseFaster => "false faster",
        Bound::FalseEquivalent => "false equivalent",
        Bound::Covered => "coverage",
        Bound::NotCovered => "not covered",
        Bound::NotFound => "not found",
    };
    format!(
        "{} hosts, {} repetitions, CV {} %, {:.2} % slow, trouble: {}: {bound} {:.1} %, over {} %",
        scenario.hosts,
        scenario.repetitions,
        scenario.scatter * 100.0,
        scenario.slow * 100.0,
        trouble(scenario.trouble),
        share * 100.0,
        limit * 100.0,
    )
}
