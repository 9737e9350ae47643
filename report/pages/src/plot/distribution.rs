//! Distributions: which share of the times to first token, or of the gaps between chunks, is at or
//! below a time.

use plotters::element::{DashedPathElement, DynElement};
use plotters::prelude::*;
use regatta_figures::hosts::HostAnalysis;

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, GREEN, INK, LEGEND, MUTED, ORANGE, Plot, axes, font, label,
    over_time, picture, time_label,
};

/// A host, and whether it differs significantly from the others.
type Shown<'a, 'r> = (&'a HostAnalysis<'r>, bool);

const HEIGHT: u32 = 360;
/// Points of a line.
const POINTS: u32 = 120;

/// A line: time in milliseconds, share.
struct Line {
    name: Option<String>,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn on_paper(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|(x, y)| (x.log10(), *y)).collect()
    }
}

/// Times to first token; `None` without any.
pub(super) fn first_token(hosts: &[Shown<'_, '_>]) -> Option<Plot> {
    let line = |host: &HostAnalysis<'_>| {
        let values = &host.first_token;
        let shares = (0..=POINTS).map(|i| f64::from(i) / f64::from(POINTS));
        shares.filter_map(|p| Some((values.quantile(p)? * 1e3, p))).collect()
    };
    let title = "Time to first token: cumulative share of requests";
    draw(title, "time to first token (ms, log scale)", hosts, line)
}

/// Gaps between the chunks of a request; `None` without any.
pub(super) fn gaps(hosts: &[Shown<'_, '_>]) -> Option<Plot> {
    let line = |host: &HostAnalysis<'_>| {
        host.gaps.shares().into_iter().map(|(seconds, share)| (seconds * 1e3, share)).collect()
    };
    draw("Gaps between chunks: cumulative share of gaps", "gap (ms, log scale)", hosts, line)
}

fn draw(
    title: &str,
    axis: &str,
    hosts: &[Shown<'_, '_>],
    points: impl Fn(&HostAnalysis<'_>) -> Vec<(f64, f64)>,
) -> Option<Plot> {
    let few = hosts.len() <= 4;
    let lines: Vec<Line> = hosts
        .iter()
        .map(|(host, differs)| Line {
            name: (*differs || few).then(|| host.host.to_string()),
            points: points(host).into_iter().filter(|(x, _)| *x > 0.0).collect(),
        })
        .filter(|line| line.points.len() > 1)
        .collect();
    let xs = || lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x));
    let (low, high) = (xs().reduce(f64::min)?, xs().reduce(f64::max)?);
    let alt = ", by host; percentiles are in the table above";
    picture(title, alt, HEIGHT, |root| paint(root, axis, (low * 0.9, high * 1.1), &lines))
}

fn paint(root: &Area<'_>, axis: &str, range: (f64, f64), lines: &[Line]) -> Drawn {
    let mut chart = over_time(root, range, (0.0..1.0, 50))?;
    axes(&mut chart)
        .x_labels(8)
        .y_labels(5)
        .x_label_formatter(&time_label)
        .y_label_formatter(&|y| format!("{:.0} %", y * 100.0))
        .x_desc(axis)
        .draw()?;
    let (others, named): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.name.is_none());
    // Those that are named lie above the others.
    for line in &others {
        chart.draw_series([PathElement::new(line.on_paper(), MUTED)])?;
    }
    let styled = || named.iter().zip(STYLES.iter().cycle());
    for (line, style) in styled() {
        chart.draw_series([stroke(line.on_paper(), *style)])?;
    }
    let sample = |top: i32| vec![(LEGEND, top + 7), (LEGEND + 26, top + 7)];
    let mut top = i32::try_from(ABOVE)?;
    for (line, style) in styled().take(12) {
        root.draw(&stroke(sample(top), *style))?;
        let name = label(line.name.as_deref().unwrap_or_default());
        root.draw_text(&name, &font(12, &INK), (LEGEND + 32, top))?;
        top += 18;
    }
    if !others.is_empty() {
        root.draw(&PathElement::new(sample(top), MUTED))?;
        let words = if named.is_empty() { "hosts" } else { "other hosts" };
        let words = format!("{} {words}", others.len());
        root.draw_text(&words, &font(12, &INK), (LEGEND + 32, top))?;
    }
    Ok(())
}

/// A line of a host with a name.
fn stroke<'b, C: Clone + 'static>(
    points: Vec<C>,
    (colour, dash): (RGBColor, i32),
) -> DynElement<'static, SVGBackend<'b>, C> {
    let stroke = colour.stroke_width(2);
    if dash == 0 {
        PathElement::new(points, stroke).into_dyn()
    } else {
        DashedPathElement::new(points, dash, 4, stroke).into_dyn()
    }
}

/// Color and length of the dashes, 0 for none.
const STYLES: [(RGBColor, i32); 5] = [(ORANGE, 0), (BLUE, 8), (GREEN, 3), (INK, 12), (INK, 2)];
