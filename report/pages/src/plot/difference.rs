//! Forest plot: each host's difference from the others with its interval, and the margin of
//! equivalence.

use plotters::prelude::*;
use regatta_types::metric::Metric;

use regatta_figures::compare::{ClassReport, Judged, Judgement, MetricReport, Verdict};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::real;

use super::canvas::{
    BLUE, Chart, Drawn, GREEN, HOSTS_MAX, INK, MUTED, ORANGE, Plot, Rows, cut, range_of,
};

/// A host's row: the middle and both ends, per cent.
struct Row<'a> {
    judged: &'a Judged,
    middle: f64,
    low: f64,
    high: f64,
}

fn percent(log: f64) -> f64 {
    log.exp_m1() * 100.0
}

/// `None` where no host was compared.
pub(super) fn difference(report: &MetricReport) -> Option<Plot> {
    let compared = report.outcome.hosts.iter().filter_map(|judged| {
        let effect = judged.effect?;
        let (low, high) = effect.interval(0.95);
        Some(Row { judged, middle: percent(effect.mean), low: percent(low), high: percent(high) })
    });
    let mut rows: Vec<Row<'_>> = compared.collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by_key(|row| &row.judged.host);
    // Significant differences first, then the farthest.
    rows.sort_by(|a, b| b.middle.abs().total_cmp(&a.middle.abs()));
    rows.sort_by_key(|row| !row.judged.verdict.is_difference());
    let note = cut(&mut rows, HOSTS_MAX, |more| {
        format!(" ({more} more hosts with smaller differences not shown)")
    });
    // Read from the largest to the smallest.
    rows.sort_by_key(|row| &row.judged.host);
    rows.sort_by(|a, b| b.middle.total_cmp(&a.middle));
    let title = format!("{}: difference from the other hosts{note}", report.metric.heading());
    let alt = ", with 95 % intervals and the margin; the table above has the figures";
    let margin = report.margin.ln_1p();
    let (margin, opposite) = (percent(margin), percent(-margin));
    let ends = rows.iter().flat_map(|row| [row.low, row.high]);
    let frame = Rows {
        labels: rows.iter().map(|row| row.judged.host.as_str()).collect(),
        range: range_of(ends.chain([margin * 1.5, opposite * 1.5])).ok()?,
        band: Some((opposite, margin)),
        axis: axis(report.metric),
        legend: "circle: equivalent · square: slower · triangle: faster · hollow: inconclusive · line: 95 % interval · band: margin",
    };
    frame.picture(&title, alt, |chart| paint(chart, &frame, &rows))
}

fn paint(chart: &mut Chart<'_, '_>, frame: &Rows<'_>, rows: &[Row<'_>]) -> Drawn {
    chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, real(rows.len()))], INK)])?;
    for (index, row) in rows.iter().enumerate() {
        let (y, colour) = (frame.middle(index), colour(&row.judged.verdict));
        let line = colour.stroke_width(2);
        chart.draw_series([PathElement::new([(row.low, y), (row.high, y)], line)])?;
        let at = (row.middle, y);
        match row.judged.verdict.verdict() {
            Some(Verdict::Slower) => {
                let square = Rectangle::new([(-5, -5), (5, 5)], colour.filled());
                chart.draw_series([EmptyElement::at(at) + square])?;
            }
            Some(Verdict::Faster) => {
                chart.draw_series([TriangleMarker::new(at, 7, colour.filled())])?;
            }
            Some(Verdict::Equivalent) => {
                chart.draw_series([Circle::new(at, 5, colour.filled())])?;
            }
            Some(Verdict::Inconclusive { .. }) | None => {
                chart.draw_series([Circle::new(at, 5, line)])?;
            }
        }
    }
    Ok(())
}

fn axis(metric: Metric) -> &'static str {
    match metric {
        Metric::DecodeTps | Metric::OutputTps => "slower  ←  difference (%)  →  faster",
        Metric::Ttft | Metric::FirstAnswer | Metric::E2e => "shorter  ←  difference (%)  →  longer",
        Metric::Energy => "less  ←  difference (%)  →  more",
    }
}

fn colour(judgement: &Judgement) -> RGBColor {
    match judgement.verdict() {
        Some(Verdict::Slower) => ORANGE,
        Some(Verdict::Faster) => BLUE,
        Some(Verdict::Equivalent) => GREEN,
        Some(Verdict::Inconclusive { .. }) | None => MUTED,
    }
}

/// The hosts that a picture with room for a few shows: those whose decode speed differs
/// significantly first, then in order of their names.
pub(super) fn different_first<'a, 'r>(
    class: &ClassReport,
    members: &[&'a HostAnalysis<'r>],
) -> Vec<(&'a HostAnalysis<'r>, bool)> {
    let differs = |host: &HostAnalysis<'_>| {
        let judged = class.metric(Metric::DecodeTps).and_then(|m| m.judged(host.host));
        judged.is_some_and(|j| j.verdict.is_difference())
    };
    let mut shown: Vec<(&HostAnalysis<'_>, bool)> =
        members.iter().map(|host| (*host, differs(host))).collect();
    shown.sort_by_key(|(host, differs)| (!differs, host.host));
    shown.truncate(HOSTS_MAX);
    shown
}
