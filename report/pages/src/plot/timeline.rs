//! Timeline of a host: decode speed, clock, power and temperature.

use std::ops::Range;

use plotters::prelude::*;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{
    Curve, TIMELINE_BINS as BINS, TIMELINE_SHORTEST as SHORTEST, Timeline, real,
};

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, INK, MUTED, ORANGE, Plot, WIDTH, axes, digits, font, foot, picture,
    range_of,
};

const PANEL: u32 = 110;
const BELOW: u32 = 62;

/// `None` for a host that measured nothing.
pub(super) fn timeline(host: &HostAnalysis<'_>) -> Option<Plot> {
    let times = host.timeline.as_ref()?;
    let title = format!("{}: timeline", host.host);
    let panels = u32::try_from(times.curves.len()).ok()?;
    let names: Vec<&str> = times.curves.iter().map(|panel| panel.name).collect();
    let alt = format!(" of {}", names.join("; "));
    picture(&title, &alt, ABOVE + PANEL * panels + BELOW, |root| paint(root, times))
}

fn paint(root: &Area<'_>, times: &Timeline) -> Drawn {
    let last = times.curves.len() - 1;
    let end = times.seconds.max(SHORTEST);
    let mut top = i32::try_from(ABOVE)?;
    for (index, panel) in times.curves.iter().enumerate() {
        let height = PANEL + if index == last { BELOW } else { 0 };
        let area = root.clone().shrink((0, top), (WIDTH, height));
        one(&area, panel, times, 0.0..end, index == last)?;
        area.draw_text(panel.name, &font(12, &INK), (70, 0))?;
        top += i32::try_from(PANEL)?;
    }
    foot(root, "gray line: attempts · orange bar: throttled · orange cross: no token for over 1 s")
}

fn one(area: &Area<'_>, panel: &Curve, times: &Timeline, x: Range<f64>, is_last: bool) -> Drawn {
    let values = panel.pieces.iter().flatten().map(|(_, y)| *y);
    let y = range_of(values)?;
    let (low, high) = (y.start.max(0.0), y.end);
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(24)
        .x_label_area_size(if is_last { 38 } else { 0 })
        .margin_bottom(if is_last { 24 } else { 4 })
        .y_label_area_size(64)
        .build_cartesian_2d(x, low..high)?;
    let mut mesh = axes(&mut chart);
    mesh.disable_x_mesh()
        .x_labels(10)
        .y_labels(3)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| digits(*y));
    if is_last {
        mesh.x_desc("time since the host's first attempt (s)");
    }
    mesh.draw()?;
    let at = |share: f64| low + (high - low) * share;
    let attempts = times.attempts.iter().map(|&(from, to)| {
        PathElement::new([(from, at(0.02)), (to, at(0.02))], MUTED.stroke_width(2))
    });
    chart.draw_series(attempts)?;
    chart.draw_series(panel.pieces.iter().map(|piece| match piece.as_slice() {
        [only] => Circle::new(*only, 2, BLUE.filled()).into_dyn(),
        _ => PathElement::new(piece.clone(), BLUE.stroke_width(2)).into_dyn(),
    }))?;
    if panel.name.contains("clock") {
        let width = times.seconds / real(BINS);
        let bars = times.throttled.iter().map(|&x| {
            let half = width.max(SHORTEST) / 2.0;
            PathElement::new([(x - half, at(0.97)), (x + half, at(0.97))], ORANGE.stroke_width(4))
        });
        chart.draw_series(bars)?;
    }
    if panel.name.contains("tok/s") {
        let stalls = times.stalls.iter();
        chart.draw_series(stalls.map(|&x| Cross::new((x, at(0.1)), 4, ORANGE.stroke_width(2))))?;
    }
    Ok(())
}
