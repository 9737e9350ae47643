//! Distributions: which share of the times to first token, or of the gaps between chunks, is at or
//! below a time.

use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, GREEN, GRID, INK, MUTED, ORANGE, font, label, picture,
};
use regatta_figures::hosts::HostAnalysis;

/// A host, and whether it is settled as different from the others.
type Shown<'a, 'r> = (&'a HostAnalysis<'r>, bool);

const HEIGHT: u32 = 360;
/// Points of a line.
const POINTS: u32 = 120;

/// A line: time in milliseconds, share. Drawn by its logarithm: the library names only powers of ten
/// on a logarithmic axis of its own, and here lies all between two of them.
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
pub(super) fn first_token(hosts: &[Shown<'_, '_>]) -> Option<(String, String)> {
    let line = |host: &HostAnalysis<'_>| {
        let values = &host.first_token;
        let shares = (0..=POINTS).map(|i| f64::from(i) / f64::from(POINTS));
        shares.filter_map(|p| Some((values.quantile(p)? * 1e3, p))).collect()
    };
    draw(
        "Time to first token: share of the requests",
        "time to first token, ms (logarithmic)",
        hosts,
        line,
    )
}

/// GapHistogram between the chunks of a request; `None` without any.
pub(super) fn gaps(hosts: &[Shown<'_, '_>]) -> Option<(String, String)> {
    let line = |host: &HostAnalysis<'_>| {
        host.gaps.shares().into_iter().map(|(seconds, share)| (seconds * 1e3, share)).collect()
    };
    draw("GapHistogram between chunks: share of the gaps", "gap, ms (logarithmic)", hosts, line)
}

fn draw(
    title: &str,
    axis: &str,
    hosts: &[Shown<'_, '_>],
    points: impl Fn(&HostAnalysis<'_>) -> Vec<(f64, f64)>,
) -> Option<(String, String)> {
    let few = hosts.len() <= 4;
    let lines: Vec<Line> = hosts
        .iter()
        .map(|(host, settled)| Line {
            name: (*settled || few).then(|| host.host.to_string()),
            points: points(host).into_iter().filter(|(x, _)| *x > 0.0).collect(),
        })
        .filter(|line| line.points.len() > 1)
        .collect();
    let xs = || lines.iter().flat_map(|line| line.points.iter().map(|(x, _)| *x));
    let (low, high) = (xs().reduce(f64::min)?, xs().reduce(f64::max)?);
    let svg = picture(title, HEIGHT, |root| paint(root, axis, (low * 0.9, high * 1.1), &lines))?;
    let alt = format!("{title} at or below a time, for each host; the table above has percentiles");
    Some((alt, svg))
}

fn paint(root: &Area<'_>, axis: &str, (low, high): (f64, f64), lines: &[Line]) -> Drawn {
    let mut chart = ChartBuilder::on(root)
        .margin_top(ABOVE)
        .margin_right(200)
        .margin_bottom(8)
        .x_label_area_size(46)
        .y_label_area_size(50)
        .build_cartesian_2d(low.log10()..high.log10(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .x_labels(8)
        .y_labels(5)
        .label_style(font(12, &MUTED))
        .x_label_formatter(&|x| digits(10_f64.powf(*x)))
        .y_label_formatter(&|y| format!("{:.0} %", y * 100.0))
        .x_desc(axis)
        .draw()?;
    let mut named = 0_usize;
    let mut legend: Vec<(String, usize)> = Vec::new();
    let others = lines.iter().filter(|line| line.name.is_none()).count();
    // Those that are named lie above the others.
    for line in lines.iter().filter(|line| line.name.is_none()) {
        chart.draw_series([PathElement::new(line.on_paper(), MUTED)])?;
    }
    for line in lines {
        let Some(name) = &line.name else { continue };
        let style = named % STYLES.len();
        let (colour, dash) = STYLES[style];
        let stroke = colour.stroke_width(2);
        if dash == 0 {
            chart.draw_series([PathElement::new(line.on_paper(), stroke)])?;
        } else {
            chart.draw_series([DashedPathElement::new(line.on_paper(), dash, 4, stroke)])?;
        }
        legend.push((label(name), style));
        named += 1;
    }
    let left = i32::try_from(super::canvas::WIDTH)? - 190;
    let mut top = i32::try_from(ABOVE)?;
    for (name, style) in legend.iter().take(12) {
        let (colour, dash) = STYLES[*style];
        let sample = vec![(left, top + 7), (left + 26, top + 7)];
        if dash == 0 {
            root.draw(&PathElement::new(sample, colour.stroke_width(2)))?;
        } else {
            root.draw(&DashedPathElement::new(sample, dash, 4, colour.stroke_width(2)))?;
        }
        root.draw_text(name, &font(12, &INK), (left + 32, top))?;
        top += 18;
    }
    if others > 0 {
        root.draw(&PathElement::new(vec![(left, top + 7), (left + 26, top + 7)], MUTED))?;
        let words = if legend.is_empty() { "hosts" } else { "other hosts" };
        root.draw_text(&format!("{others} {words}"), &font(12, &INK), (left + 32, top))?;
    }
    Ok(())
}

/// Colour and length of the dashes, 0 for none.
const STYLES: [(RGBColor, i32); 5] = [(ORANGE, 0), (BLUE, 8), (GREEN, 3), (INK, 12), (INK, 2)];

/// As many digits as tell neighbours apart.
pub(super) fn digits(value: f64) -> String {
    let decimals = if value >= 100.0 || value == 0.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        3
    };
    regatta_types::units::grouped_real(value, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_labels_have_the_digits_they_need() {
        assert_eq!(digits(1_234.5), "1,234");
        assert_eq!(digits(12.34), "12.3");
        assert_eq!(digits(0.0123), "0.012");
    }
}
