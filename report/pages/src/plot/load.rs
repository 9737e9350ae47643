//! Throughput against time to first token over the levels of a load: up and to the left is better.

use plotters::prelude::*;

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, GREEN, GRID, INK, MUTED, ORANGE, font, label, picture, range_of,
};
use super::distribution::digits;
use crate::words::offered;
use regatta_figures::hosts::{HostAnalysis, is_load};
use regatta_figures::metrics::{Distribution, Percentile};

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

/// Which time to first token the levels stand at: one for the whole picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    P95,
    /// Where some level has too few requests for a p95.
    P50,
}

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::P95 => "p95",
            Self::P50 => "p50",
        }
    }

    fn of(self, ttft: &Distribution) -> Option<f64> {
        match (self, ttft.percentile(0.95)) {
            (Self::P95, Percentile::Value { value, .. }) => Some(value),
            (Self::P95, Percentile::TooFew { .. }) => None,
            (Self::P50, _) => ttft.median(),
        }
    }
}

/// Description and picture; `None` without a host that was measured at two levels.
pub(super) fn load(hosts: &[(&HostAnalysis<'_>, bool)]) -> Option<(String, String)> {
    let levels = |host: &HostAnalysis<'_>, at: At| {
        let levels = host.cases.iter().filter(|case| is_load(case.case)).filter_map(|case| {
            let output = case.steady.as_ref().ok()?.output.per_second()?;
            let ttft = at.of(case.figures.first_token(&case.case.load)).filter(|s| *s > 0.0)?;
            Some((ttft * 1e3, output, offered(case.case)))
        });
        levels.collect::<Vec<_>>()
    };
    let all_have =
        |at| hosts.iter().all(|(host, _)| levels(host, at).len() == levels(host, At::P50).len());
    let at = if all_have(At::P95) { At::P95 } else { At::P50 };
    let line = |host: &HostAnalysis<'_>| Line {
        name: label(host.host.as_str()),
        levels: levels(host, at),
    };
    let mut lines: Vec<Line> = hosts
        .iter()
        .map(|(host, _)| line(host))
        .filter(|line| line.levels.len() >= LEAST)
        .collect();
    if lines.is_empty() {
        return None;
    }
    let left_out = lines.len().saturating_sub(NAMED_MAX);
    lines.truncate(NAMED_MAX);
    let mut title = format!("System output against time to first token ({})", at.name());
    if left_out > 0 {
        title.push_str(&format!(" ({left_out} more hosts are not shown)"));
    }
    let svg = picture(&title, HEIGHT, |root| paint(root, at, &lines))?;
    let alt = format!("{title}, one line a host over its load levels; the table has the figures");
    Some((alt, svg))
}

fn paint(root: &Area<'_>, at: At, lines: &[Line]) -> Drawn {
    let all = || lines.iter().flat_map(|line| &line.levels);
    let (low, high) = all()
        .map(|(x, _, _)| *x)
        .filter(|x| *x > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    let top = range_of(all().map(|(_, y, _)| *y)).ok_or("no range")?.end;
    let mut chart = ChartBuilder::on(root)
        .margin_top(ABOVE)
        .margin_right(200)
        .margin_bottom(8)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d((low * 0.85).log10()..(high * 1.2).log10(), 0.0..top)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .label_style(font(12, &MUTED))
        .x_label_formatter(&|x| digits(10_f64.powf(*x)))
        .y_label_formatter(&|y| digits(*y))
        .x_desc(format!("time to first token, {}, ms (logarithmic)", at.name()))
        .y_desc("system output, tok/s")
        .draw()?;
    let left = i32::try_from(super::canvas::WIDTH)? - 190;
    for (line, index) in lines.iter().zip(0_i32..) {
        let colours = [BLUE, ORANGE, GREEN, INK, MUTED];
        let colour = colours[usize::try_from(index)? % colours.len()];
        let points = || line.levels.iter().map(|(x, y, _)| (x.log10(), *y));
        chart.draw_series([PathElement::new(points().collect::<Vec<_>>(), colour)])?;
        // The number of a host stands at its levels: colours repeat.
        let number = (index + 1).to_string();
        chart.draw_series(points().map(|at| Circle::new(at, 3, colour.filled())))?;
        chart.draw_series(points().map(|at| {
            EmptyElement::at(at) + Text::new(number.clone(), (5, -14), font(11, &colour))
        }))?;
        let top = i32::try_from(ABOVE)? + index * 18;
        root.draw_text(&format!("{number}  {}", line.name), &font(12, &colour), (left, top))?;
    }
    if let Some(line) = lines.first() {
        let places = line.levels.iter().map(|(x, y, offered)| {
            EmptyElement::at((x.log10(), *y)) + Text::new(offered.clone(), (5, 4), font(11, &MUTED))
        });
        chart.draw_series(places)?;
    }
    Ok(())
}
