//! Strip plot: the decode speed of each case of a host, a dot for each repetition, beside what the
//! hosts of its class have.

use std::collections::BTreeMap;

use plotters::prelude::*;
use regatta_figures::compare::cell_value;
use regatta_figures::hosts::{CaseAnalysis, HostAnalysis};
use regatta_figures::metrics::{Distribution, real};
use regatta_types::ids::CaseId;
use regatta_types::metric::Metric;

use super::canvas::{BAND, BLUE, Plot, Rows, cut, range_of};

/// Most cases in one picture.
const CASES_MAX: usize = 50;

/// Speeds of each repetition of a case, tokens a second.
fn speeds(case: &CaseAnalysis<'_>) -> Vec<f64> {
    let usable = case.cells.iter().filter_map(|cell| cell.usable());
    usable.filter_map(|cell| cell_value(Metric::DecodeTps, case.case, cell)).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / real(values.len()))
}

/// The means of all hosts of a class, by case.
pub(super) struct ClassSpeeds<'a>(BTreeMap<&'a CaseId, Distribution>);

impl<'a> ClassSpeeds<'a> {
    pub(super) fn of(members: &[&'a HostAnalysis<'_>]) -> Self {
        let mut means: BTreeMap<&CaseId, Vec<f64>> = BTreeMap::new();
        for case in members.iter().flat_map(|host| &host.cases) {
            means.entry(&case.case.id).or_default().extend(mean(&speeds(case)));
        }
        Self(means.into_iter().map(|(case, means)| (case, Distribution::new(means))).collect())
    }
}

/// A row: per cent from the median of the hosts.
struct Row<'a> {
    title: &'a str,
    own: Vec<f64>,
    /// Means of the slowest and of the fastest host.
    hosts: (f64, f64),
}

/// `None` without any decode speed.
pub(super) fn cases(host: &HostAnalysis<'_>, class: &ClassSpeeds<'_>) -> Option<Plot> {
    let measured = host.cases.iter().filter_map(|case| {
        let means = class.0.get(&case.case.id)?;
        let (middle, low, high) = (means.median()?, means.min()?, means.max()?);
        let percent = |value: f64| (value / middle - 1.0) * 100.0;
        let own: Vec<f64> = speeds(case).into_iter().map(percent).collect();
        let hosts = (percent(low), percent(high));
        (!own.is_empty()).then_some(Row { title: &case.case.title, own, hosts })
    });
    let mut rows: Vec<Row<'_>> = measured.collect();
    if rows.is_empty() {
        return None;
    }
    let note = cut(&mut rows, CASES_MAX, |_| format!(" (the first {CASES_MAX} cases)"));
    let title = format!("{}: decode speed of each repetition{note}", host.host);
    let alt = ", by case, vs. the median of the hosts of its class";
    let ends =
        rows.iter().flat_map(|row| row.own.iter().copied().chain([row.hosts.0, row.hosts.1]));
    let frame = Rows {
        labels: rows.iter().map(|row| row.title).collect(),
        range: range_of(ends.chain([-1.0, 1.0])).ok()?,
        band: None,
        axis: "decode speed vs. the median of the hosts (%)",
        legend: "circle: one repetition · band: from the slowest to the fastest host",
    };
    frame.picture(&title, alt, |chart| {
        for (index, row) in rows.iter().enumerate() {
            let (y, (low, high)) = (frame.middle(index), row.hosts);
            let span = Rectangle::new([(low, y - 0.32), (high, y + 0.32)], BAND.filled());
            chart.draw_series([span])?;
            let dots = row.own.iter().map(|x| Circle::new((*x, y), 4, BLUE.stroke_width(2)));
            chart.draw_series(dots)?;
        }
        Ok(())
    })
}
