//! Forest plot: each host's difference from the others with its interval, and the margin within
//! which a difference is of no account.

use plotters::prelude::*;

use super::canvas::{
    ABOVE, Area, BAND, BELOW, BLUE, Drawn, GREEN, GRID, HOSTS_MAX, INK, MUTED, ORANGE, ROW, font,
    label, label_room, picture, range_of,
};
use crate::analysis::HostAnalysis;
use crate::compare::{ClassReport, Judged, Metric, MetricReport, Verdict};
use crate::metrics::real;

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

/// The settled ones first, then the farthest.
fn order(a: &Row<'_>, b: &Row<'_>) -> std::cmp::Ordering {
    let settled = |row: &Row<'_>| !row.judged.verdict.is_settled_difference();
    settled(a)
        .cmp(&settled(b))
        .then_with(|| b.middle.abs().total_cmp(&a.middle.abs()))
        .then_with(|| a.judged.host.cmp(&b.judged.host))
}

/// Description and picture; `None` where no host was compared.
pub(super) fn difference(report: &MetricReport) -> Option<(String, String)> {
    let row = |judged: &'_ Judged| {
        let effect = judged.effect?;
        let (low, high) = effect.interval(0.95);
        Some((percent(effect.mean), percent(low), percent(high)))
    };
    let mut rows: Vec<Row<'_>> = report
        .outcome
        .hosts
        .iter()
        .filter_map(|judged| {
            let (middle, low, high) = row(judged)?;
            Some(Row { judged, middle, low, high })
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(order);
    let left_out = rows.len().saturating_sub(HOSTS_MAX);
    rows.truncate(HOSTS_MAX);
    // Read from the slowest to the fastest.
    rows.sort_by(|a, b| {
        a.middle.total_cmp(&b.middle).then_with(|| a.judged.host.cmp(&b.judged.host))
    });
    let metric = report.metric;
    let mut title = format!("{}: difference from the other hosts", metric.heading());
    if left_out > 0 {
        title.push_str(&format!(" ({left_out} more hosts are nearer to the others)"));
    }
    let height = ABOVE + BELOW + ROW * u32::try_from(rows.len()).ok()?;
    let svg = picture(&title, height, |root| paint(root, report, &rows))?;
    let alt =
        format!("{title}, with 95 % intervals and the margin; the table above has the figures");
    Some((alt, svg))
}

fn paint(root: &Area<'_>, report: &MetricReport, rows: &[Row<'_>]) -> Drawn {
    let (margin, metric) = (report.margin.ln_1p(), report.metric);
    let (margin, opposite) = (percent(margin), percent(-margin));
    let ends = rows.iter().flat_map(|row| [row.low, row.high]);
    let range = range_of(ends.chain([margin * 1.5, opposite * 1.5])).ok_or("no range")?;
    let room = label_room(rows.iter().map(|row| row.judged.host.as_str()));
    let n = real(rows.len());
    let mut chart = ChartBuilder::on(root)
        .margin_top(ABOVE)
        .margin_right(24)
        .margin_bottom(24)
        .x_label_area_size(BELOW - 24)
        .y_label_area_size(room)
        .build_cartesian_2d(range.clone(), 0.0..n)?;
    chart.draw_series([Rectangle::new([(opposite, 0.0), (margin, n)], BAND.filled())])?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_labels(9)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .label_style(font(12, &MUTED))
        .x_label_formatter(&|x| format!("{x:+.1}"))
        .x_desc(axis(metric))
        .draw()?;
    chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, n)], INK)])?;
    for (row, index) in rows.iter().zip(0_u32..) {
        let y = f64::from(index) + 0.5;
        let colour = colour(row.judged.verdict);
        chart.draw_series([PathElement::new(
            [(row.low, y), (row.high, y)],
            colour.stroke_width(2),
        )])?;
        mark(&mut chart, (row.middle, y), row.judged.verdict)?;
        let (_, height) = chart.plotting_area().dim_in_pixel();
        let top = f64::from(height) * (1.0 - y / n);
        let place = (12, i32::try_from(ABOVE)? + pixels(top) - 7);
        root.draw_text(&label(row.judged.host.as_str()), &font(13, &INK), place)?;
    }
    let (_, height) = root.dim_in_pixel();
    let legend = "circle: equivalent · square: slower · triangle: faster · hollow: not settled · line: 95 % interval · band: margin";
    root.draw_text(legend, &font(11, &MUTED), (12, i32::try_from(height)? - 16))?;
    Ok(())
}

/// Whole pixels of a height within a picture.
#[expect(clippy::cast_possible_truncation, reason = "pictures are some thousand pixels high")]
pub(super) fn pixels(height: f64) -> i32 {
    height as i32
}

fn axis(metric: Metric) -> &'static str {
    match metric {
        Metric::DecodeTps | Metric::OutputTps => "slower  ←  difference, per cent  →  faster",
        Metric::Ttft | Metric::FirstAnswer | Metric::E2e => {
            "shorter  ←  difference, per cent  →  longer"
        }
        Metric::Energy => "less  ←  difference, per cent  →  more",
    }
}

fn colour(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Slower => ORANGE,
        Verdict::Faster => BLUE,
        Verdict::Equivalent => GREEN,
        Verdict::NotSettled { .. } | Verdict::NotJudged(_) => MUTED,
    }
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn mark(chart: &mut Chart<'_, '_>, at: (f64, f64), verdict: Verdict) -> Drawn {
    let colour = colour(verdict);
    match verdict {
        Verdict::Slower => {
            let square = Rectangle::new([(-5, -5), (5, 5)], colour.filled());
            chart.draw_series([EmptyElement::at(at) + square])?;
        }
        Verdict::Faster => {
            chart.draw_series([TriangleMarker::new(at, 7, colour.filled())])?;
        }
        Verdict::Equivalent => {
            chart.draw_series([Circle::new(at, 5, colour.filled())])?;
        }
        Verdict::NotSettled { .. } | Verdict::NotJudged(_) => {
            chart.draw_series([Circle::new(at, 5, colour.stroke_width(2))])?;
        }
    }
    Ok(())
}

/// The hosts that a picture with room for a few shows: those whose decode speed is settled as
/// different first, then in order of their names.
pub(super) fn most_telling<'a, 'r>(
    class: &ClassReport,
    members: &[&'a HostAnalysis<'r>],
) -> Vec<(&'a HostAnalysis<'r>, bool)> {
    let settled = |host: &HostAnalysis<'_>| {
        let judged = class.metric(Metric::DecodeTps).and_then(|m| m.judged(host.host));
        judged.is_some_and(|j| j.verdict.is_settled_difference())
    };
    let mut shown: Vec<(&HostAnalysis<'_>, bool)> =
        members.iter().map(|host| (*host, settled(host))).collect();
    shown.sort_by_key(|(host, settled)| (!settled, host.host));
    shown.truncate(HOSTS_MAX);
    shown
}
