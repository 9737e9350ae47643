//! Throughput against time to first token over the levels of a load: up and to the left is better.

use plotters::prelude::*;

use regatta_figures::hosts::{HostAnalysis, is_load};
use regatta_figures::metrics::Distribution;

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, GREEN, INK, LEGEND, MUTED, ORANGE, Plot, axes, cut, digits, font,
    label, over_time, picture, range_of, time_label,
};
use crate::words::offered;

const HEIGHT: u32 = 400;
/// Fewest levels of a line.
const LEAST: usize = 2;
/// Most hosts that have a line of their own.
const NAMED_MAX: usize = 12;

struct Line {
    name: String,
    /// Time to first token, ms; output, tok/s; what was offered.
    levels: Vec<(f64, f64, String)>,
}

/// Which time to first token the levels stand at, one for the whole picture: its name, and its value.
type At = (&'static str, fn(&Distribution) -> Option<f64>);

const P95: At = ("p95", |ttft| ttft.percentile(0.95).map(|p95| p95.value));
/// Where some level has too few requests for a p95.
const P50: At = ("p50", Distribution::median);

/// `None` without a host that was measured at two levels.
pub(super) fn load(hosts: &[(&HostAnalysis<'_>, bool)]) -> Option<Plot> {
    let levels = |host: &HostAnalysis<'_>, (_, at): At| {
        let levels = host.cases.iter().filter(|case| is_load(case.case)).filter_map(|case| {
            let output = case.steady.as_ref().ok()?.output.per_second()?;
            let ttft = at(case.figures.first_token(&case.case.load)).filter(|s| *s > 0.0)?;
            Some((ttft * 1e3, output, offered(case.case)))
        });
        levels.collect::<Vec<_>>()
    };
    let all_have = hosts.iter().all(|(host, _)| levels(host, P95).len() == levels(host, P50).len());
    let at = if all_have { P95 } else { P50 };
    let mut lines: Vec<Line> = hosts
        .iter()
        .map(|(host, _)| Line { name: label(host.host.as_str()), levels: levels(host, at) })
        .filter(|line| line.levels.len() >= LEAST)
        .collect();
    if lines.is_empty() {
        return None;
    }
    let note = cut(&mut lines, NAMED_MAX, |more| format!(" ({more} more hosts not shown)"));
    let title = format!("System output vs. time to first token ({}){note}", at.0);
    let alt = ", one line per host over its load levels; the figures are in the table";
    picture(&title, alt, HEIGHT, |root| paint(root, at.0, &lines))
}

fn paint(root: &Area<'_>, at: &str, lines: &[Line]) -> Drawn {
    let all = || lines.iter().flat_map(|line| &line.levels);
    let times = || all().map(|(x, _, _)| *x);
    let (low, high) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let top = range_of(all().map(|(_, y, _)| *y))?.end;
    let mut chart = over_time(root, (low * 0.85, high * 1.2), (0.0..top, 64))?;
    axes(&mut chart)
        .x_label_formatter(&time_label)
        .y_label_formatter(&|y| digits(*y))
        .x_desc(format!("time to first token, {at} (ms, log scale)"))
        .y_desc("system output (tok/s)")
        .draw()?;
    let colours = [BLUE, ORANGE, GREEN, INK, MUTED];
    for ((line, index), colour) in lines.iter().zip(0_i32..).zip(colours.into_iter().cycle()) {
        let points = || line.levels.iter().map(|(x, y, _)| (x.log10(), *y));
        chart.draw_series([PathElement::new(points().collect::<Vec<_>>(), colour)])?;
        // The number of a host labels its levels, because colors repeat.
        let number = (index + 1).to_string();
        chart.draw_series(points().map(|at| Circle::new(at, 3, colour.filled())))?;
        chart.draw_series(points().map(|at| {
            EmptyElement::at(at) + Text::new(number.clone(), (5, -14), font(11, &colour))
        }))?;
        let top = i32::try_from(ABOVE)? + index * 18;
        root.draw_text(&format!("{number}  {}", line.name), &font(12, &colour), (LEGEND, top))?;
    }
    let named = lines.first().into_iter().flat_map(|line| &line.levels);
    chart.draw_series(named.map(|(x, y, offered)| {
        EmptyElement::at((x.log10(), *y)) + Text::new(offered.clone(), (5, 4), font(11, &MUTED))
    }))?;
    Ok(())
}
