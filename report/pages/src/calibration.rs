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
    page.title("Error rates of the verdicts");
    page.paragraph(Inline::own(format!(
        "Written by `cargo xtask calibrate` (seed {seed}), which fails if a bound is exceeded. A test runs a short version. Each row is {} simulated fleets that go through the comparison of a report ([Verdicts](reports.md#verdicts)), starting from the numbers by host, case and repetition.", grouped(u64::from(fleets))
    )));
    page.section("Simulation");
    page.list([
        "Three cases of equal weight. Variation shared by all hosts in a case and repetition has a standard deviation of 2 %. Variation of each host is normal, such that a host's mean over the cases has a coefficient of variation of *CV* between repetitions.".into(),
        "*Slow*: the first host is slower by this much, all others are equal. 1.96 % is the margin itself (1/1.02).".into(),
        Inline::own(format!("*Coverage*: how often the printed 95 % interval covers the true difference from the hosts that the report names as its reference, for the host with the lowest and the host with the highest coverage. Bounds: 93 to 97 %. A share of {} fleets has a standard error of {:.1} percentage points.", grouped(u64::from(fleets)), (0.05_f64 * 0.95 / f64::from(fleets)).sqrt() * 100.0)),
        Inline::own(format!("*False slower* and *false faster*: fleets in which at least one good host gets this verdict. Bounds: {} and {} %, the second with a slow host up to CV {} %: with more scatter a slow host is often missed and remains in the reference of the good hosts, which are then faster than the reference by up to 1 % (with four hosts) and get this verdict slightly more often. In a pair with a slow host the other host is faster, correctly.", percent(FALSE_SLOWER), percent(FALSE_FASTER), percent(QUIET))),
        Inline::own(format!("*Found*: the slow host gets the verdict slower. Bound: {} % for 3 % and more, CV 1 %, ten repetitions.", percent(FOUND))),
        Inline::own(format!("*False equivalent*: a host that is slow by the margin or more gets the verdict equivalent. Bound: {} %.", percent(FALSE_EQUIVALENT))),
        "*Two groups*: no majority of hosts agrees, so there are no verdicts.".into(),
    ]);
    page.section("Results, % of fleets");
    let share = |share: f64| format!("{:.1}", share * 100.0);
    let no_slow_host = "no host is slow by the margin";
    Table::of(&calibration.rows)
        .number("Hosts", |row| known(Some(row.scenario.hosts)))
        .number("Repetitions", |row| known(Some(row.scenario.repetitions)))
        .number("CV (%)", |row| Inline::own(percent(row.scenario.scatter)))
        .number("Slow (%)", |row| Inline::own(format!("{:.2}", row.scenario.slow * 100.0)))
        .text("Disturbance", |row| trouble(row.scenario.trouble).into())
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
    page.section("Limits");
    page.paragraph("All repetitions of a run share one start of the engine. The intervals of a run do not cover the effect of a restart (placement, compiled kernels) or differences from day to day: a verdict holds for the engines as they ran. Between two runs, a small significant change may be the effect of a restart.");
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
        "{} hosts, {} repetitions, CV {} %, {:.2} % slow, disturbance: {}: {bound} {:.1} %, over {} %",
        scenario.hosts,
        scenario.repetitions,
        scenario.scatter * 100.0,
        scenario.slow * 100.0,
        trouble(scenario.trouble),
        share * 100.0,
        limit * 100.0,
    )
}
