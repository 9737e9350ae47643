//! What a host did over time: decode speed, clock, power and temperature, one below the other.

use std::ops::Range;

use plotters::prelude::*;
use regatta_types::gpu::GpuSample;

use super::canvas::{
    ABOVE, Area, BLUE, Drawn, GRID, INK, MUTED, ORANGE, WIDTH, font, picture, range_of,
};
use super::distribution::digits;
use crate::analysis::HostAnalysis;
use crate::metrics::{real, serving};

/// Points of a line: more than that no eye tells apart.
const BINS: usize = 300;
/// Shortest bin, seconds.
const SHORTEST: f64 = 0.25;
const PANEL: u32 = 110;
const BELOW: u32 = 62;
/// Reasons for lowered clocks that are a limit or a fault: power, heat, hardware.
const HELD: u64 = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
/// A gap between two chunks from which on it is marked, seconds.
const STALL: f64 = 1.0;

/// Means over equal pieces of the time.
struct Bins {
    width: f64,
    sums: Vec<(f64, f64)>,
}

impl Bins {
    fn new(seconds: f64) -> Self {
        let width = (seconds / real(BINS)).max(SHORTEST);
        Self { width, sums: vec![(0.0, 0.0); BINS] }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a run over a quarter of a second, never negative"
    )]
    fn index(&self, seconds: f64) -> usize {
        ((seconds / self.width) as usize).min(self.sums.len() - 1)
    }

    fn add(&mut self, seconds: f64, value: f64, weight: f64) {
        let index = self.index(seconds);
        self.sums[index].0 += value;
        self.sums[index].1 += weight;
    }

    /// Middles and means of the bins that have any, in pieces without a hole.
    fn pieces(&self) -> Vec<Vec<(f64, f64)>> {
        let mut pieces = vec![Vec::new()];
        for ((sum, weight), index) in self.sums.iter().zip(0_u32..) {
            let at = (f64::from(index) + 0.5) * self.width;
            match pieces.last_mut() {
                Some(piece) if *weight > 0.0 => piece.push((at, sum / weight)),
                Some(piece) if !piece.is_empty() => pieces.push(Vec::new()),
                _ => {}
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// One of the panels.
struct Panel {
    name: &'static str,
    pieces: Vec<Vec<(f64, f64)>>,
}

/// Everything that is drawn.
struct Times {
    seconds: f64,
    panels: Vec<Panel>,
    /// Begin and end of each attempt.
    attempts: Vec<(f64, f64)>,
    /// When the clocks were held by a limit or a fault.
    held: Vec<f64>,
    stalls: Vec<f64>,
}

/// Description and picture; `None` for a host that measured nothing.
pub(super) fn timeline(host: &HostAnalysis<'_>) -> Option<(String, String)> {
    let times = times(host)?;
    let title = format!("{}: over the time of the run", host.host);
    let panels = u32::try_from(times.panels.len()).ok()?;
    let svg = picture(&title, ABOVE + PANEL * panels + BELOW, |root| paint(root, &times))?;
    let names: Vec<&str> = times.panels.iter().map(|panel| panel.name).collect();
    Some((format!("{title}: {}", names.join(", ")), svg))
}

fn times(host: &HostAnalysis<'_>) -> Option<Times> {
    let reports: Vec<_> =
        host.cells().filter_map(|(_, cell)| Some(cell.counted()?.report)).collect();
    // A host that was rebooted has another monotonic clock: the wall clock joins them.
    let begin = reports.iter().map(|report| report.anchor.to_unix(report.began).0).min()?;
    let ends = reports.iter().map(|report| report.anchor.to_unix(report.finished).0);
    let seconds = (ends.max()? - begin) as f64 / 1e9;
    let mut decode = Bins::new(seconds);
    let width = decode.width;
    let (mut clock, mut power, mut heat, mut reasons) =
        (Bins::new(seconds), Bins::new(seconds), Bins::new(seconds), Bins::new(seconds));
    let (mut attempts, mut stalls) = (Vec::new(), Vec::new());
    for report in &reports {
        let since = |at| (report.anchor.to_unix(at).0 - begin) as f64 / 1e9;
        let (began, finished) = (since(report.began), since(report.finished));
        attempts.push((began, finished));
        for bin in decode.index(began)..=decode.index(finished) {
            decode.sums[bin].1 = width;
        }
        for trace in &report.traces {
            for (chunk, tokens) in trace.chunks.iter().zip(trace.chunk_tokens()) {
                let bin = decode.index(since(chunk.at));
                decode.sums[bin].0 += tokens;
            }
            let late = trace
                .chunks
                .windows(2)
                .filter(|pair| pair[1].at.since(pair[0].at).as_secs_f64() > STALL);
            stalls.extend(late.map(|pair| since(pair[1].at)));
        }
        let series: Vec<_> = serving(&report.gpu).collect();
        let gpus = real(series.len().max(1));
        for sample in series.iter().flat_map(|series| &series.samples) {
            let at = since(sample.at).max(0.0);
            let add = |bins: &mut Bins, value: Option<f64>| {
                if let Some(value) = value {
                    bins.add(at, value, 1.0);
                }
            };
            add(&mut clock, sample.clock_sm_mhz.map(f64::from));
            // Of several GPUs the sum.
            add(&mut power, sample.power_w.map(|watts| watts * gpus));
            add(&mut heat, sample.temperature_c.map(f64::from));
            add(&mut reasons, held(sample));
        }
    }
    let panels = [
        ("output, tok/s", decode),
        ("SM clock, MHz", clock),
        ("power, W", power),
        ("temperature, °C", heat),
    ];
    let panels: Vec<Panel> = panels
        .into_iter()
        .map(|(name, bins)| Panel { name, pieces: bins.pieces() })
        .filter(|panel| !panel.pieces.is_empty())
        .collect();
    let held = reasons.pieces().into_iter().flatten().filter(|(_, share)| *share > 0.5);
    let held = held.map(|(at, _)| at).collect();
    (!panels.is_empty()).then_some(Times { seconds, panels, attempts, held, stalls })
}

fn held(sample: &GpuSample) -> Option<f64> {
    sample.reasons.map(|reasons| if reasons.has(HELD) { 1.0 } else { 0.0 })
}

fn paint(root: &Area<'_>, times: &Times) -> Drawn {
    let last = times.panels.len() - 1;
    let end = times.seconds.max(SHORTEST);
    let mut top = i32::try_from(ABOVE)?;
    for (index, panel) in times.panels.iter().enumerate() {
        let below = if index == last { BELOW } else { 0 };
        let height = PANEL + below;
        let area = root.clone().shrink((0, top), (WIDTH, height));
        one(&area, panel, times, 0.0..end, index == last)?;
        area.draw_text(panel.name, &font(12, &INK), (70, 0))?;
        top += i32::try_from(PANEL)?;
    }
    let (_, height) = root.dim_in_pixel();
    let legend = "grey line: attempts · orange bar: clocks held by a limit or a fault · orange cross: no token for over 1 s";
    root.draw_text(legend, &font(11, &MUTED), (12, i32::try_from(height)? - 16))?;
    Ok(())
}

fn one(area: &Area<'_>, panel: &Panel, times: &Times, x: Range<f64>, is_last: bool) -> Drawn {
    let values = panel.pieces.iter().flatten().map(|(_, y)| *y);
    let y = range_of(values).ok_or("no range")?;
    let (low, high) = (y.start.max(0.0), y.end);
    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(24)
        .x_label_area_size(if is_last { 38 } else { 0 })
        .margin_bottom(if is_last { 24 } else { 4 })
        .y_label_area_size(64)
        .build_cartesian_2d(x, low..high)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .x_labels(10)
        .y_labels(3)
        .label_style(font(12, &MUTED))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| digits(*y));
    if is_last {
        mesh.x_desc("seconds since the host's first attempt");
    }
    mesh.draw()?;
    let at = |share: f64| low + (high - low) * share;
    let attempts = times.attempts.iter().map(|&(from, to)| {
        PathElement::new([(from, at(0.02)), (to, at(0.02))], MUTED.stroke_width(2))
    });
    chart.draw_series(attempts)?;
    for piece in &panel.pieces {
        match piece.as_slice() {
            [only] => chart.draw_series([Circle::new(*only, 2, BLUE.filled())])?,
            _ => chart.draw_series([PathElement::new(piece.clone(), BLUE.stroke_width(2))])?,
        };
    }
    if panel.name.contains("clock") {
        let width = times.seconds / real(BINS);
        let bars = times.held.iter().map(|&x| {
            let half = width.max(SHORTEST) / 2.0;
            PathElement::new([(x - half, at(0.97)), (x + half, at(0.97))], ORANGE.stroke_width(4))
        });
        chart.draw_series(bars)?;
    }
    if panel.name.contains("tok/s") {
        let stalls = times.stalls.iter().take(BINS);
        chart.draw_series(stalls.map(|&x| Cross::new((x, at(0.1)), 4, ORANGE.stroke_width(2))))?;
    }
    Ok(())
}
