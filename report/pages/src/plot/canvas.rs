//! What all pictures share: colors for light and dark mode, the frame, the number of hosts.

use std::ops::Range;

use itertools::Itertools as _;
use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use regatta_figures::metrics::real;
use regatta_types::{clean, units};

/// A part of a picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A chart with numbers along both axes.
pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
/// Drawing into a string fails only where numbers have no place in the picture.
pub(super) type Drawn<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// One picture.
#[derive(Debug)]
pub(super) struct Plot {
    /// What it shows, for those who do not see it.
    pub(super) alt: String,
    pub(super) svg: String,
}

pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub(super) const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
pub(super) const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6E);
pub(super) const GRID: RGBColor = RGBColor(0xD1, 0xD9, 0xE0);
pub(super) const BAND: RGBColor = RGBColor(0xDD, 0xF4, 0xFF);
pub(super) const BLUE: RGBColor = RGBColor(0x09, 0x69, 0xDA);
pub(super) const ORANGE: RGBColor = RGBColor(0xBC, 0x4C, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x1A, 0x7F, 0x37);

/// The color of each in dark mode.
const DARK: [(RGBColor, &str); 8] = [
    (PAPER, "#0D1117"),
    (INK, "#E6EDF3"),
    (MUTED, "#9DA7B3"),
    (GRID, "#3D444D"),
    (BAND, "#12304F"),
    (BLUE, "#4493F8"),
    (ORANGE, "#F0883E"),
    (GREEN, "#3FB950"),
];

/// Width of every picture, pixels.
pub(super) const WIDTH: u32 = 860;
/// Most hosts in one picture.
pub(super) const HOSTS_MAX: usize = 30;
/// Height of a host's row.
const ROW: u32 = 22;
/// Room for the title above, and for the axis with its name below.
pub(super) const ABOVE: u32 = 40;
const BELOW: u32 = 66;
/// Most characters of a name.
const NAME_MAX: usize = 24;
/// Width of a character of a name.
const CHAR: u32 = 7;

/// What plotters divides a size by before it writes it as that of an SVG text.
const FONT: f64 = 1.24;

/// Text of this size (px) and color.
pub(super) fn font(size: u32, colour: &RGBColor) -> TextStyle<'static> {
    ("sans-serif", f64::from(size) * FONT).into_font().color(colour)
}

/// An outside name as a label.
pub(super) fn label(name: &str) -> String {
    clean::excerpt(name, NAME_MAX)
}

/// Room that these labels need on the left.
fn label_room<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    let longest = names.into_iter().map(|name| label(name).chars().count()).max().unwrap_or(0);
    u32::try_from(longest).unwrap_or(0) * CHAR + 24
}

/// A picture, described by its title and what `alt` adds; `None` if there is nothing that could be
/// drawn.
pub(super) fn picture(
    title: &str,
    alt: &str,
    height: u32,
    paint: impl FnOnce(&Area<'_>) -> Drawn,
) -> Option<Plot> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&PAPER).ok()?;
        root.draw_text(title, &font(16, &INK), (12, 12)).ok()?;
        paint(&root).ok()?;
        root.present().ok()?;
    }
    let head = svg.find('>')? + 1;
    let (before, after) = svg.split_at(head);
    let svg = format!("{before}\n<title>{}</title>\n{}{after}", escaped(title), style_element());
    Some(Plot { alt: format!("{title}{alt}"), svg })
}

/// Keeps the first `max`; what the title says of the others, if there are any.
pub(super) fn cut<T>(all: &mut Vec<T>, max: usize, note: impl Fn(usize) -> String) -> String {
    let left_out = all.len().saturating_sub(max);
    all.truncate(max);
    if left_out > 0 { note(left_out) } else { String::new() }
}

/// The style sheet of a picture for dark pages. The library writes colors as attributes; these
/// rules override those.
pub(crate) fn dark_rules() -> String {
    let rules: String = DARK
        .iter()
        .map(|(RGBColor(r, g, b), dark)| {
            let light = format!("#{r:02X}{g:02X}{b:02X}");
            format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
        })
        .collect();
    format!("@media screen and (prefers-color-scheme: dark){{{rules}}}")
}

/// The same, as it stands in each picture.
pub(crate) fn style_element() -> String {
    format!("<style>{}</style>", dark_rules())
}

fn escaped(text: &str) -> String {
    clean::line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Enough digits to distinguish adjacent labels.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value {
        0.0 | 100.0.. => 0,
        1.0.. => 1,
        _ => 3,
    };
    units::grouped_real(value, decimals)
}

/// A range that holds all of `values` with some air around it.
pub(super) fn range_of(values: impl IntoIterator<Item = f64>) -> Drawn<Range<f64>> {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.minmax_by(f64::total_cmp).into_option().ok_or("no range")?;
    let air = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.05 };
    Ok(low - air..high + air)
}

/// The axes of a chart, as all pictures have them.
pub(super) fn axes<'a, 'm, 'b>(
    chart: &'m mut Chart<'a, 'b>,
) -> MeshStyle<'a, 'm, RangedCoordf64, RangedCoordf64, SVGBackend<'b>> {
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .label_style(font(12, &MUTED));
    mesh
}

/// A chart over a time in milliseconds, with room for a legend on the right. It is drawn by the
/// logarithm of the time: the library names only powers of ten on a logarithmic axis of its own, and
/// here lies all between two of them.
pub(super) fn over_time<'a, 'b>(
    root: &'a Area<'b>,
    (low, high): (f64, f64),
    (y, y_labels): (Range<f64>, u32),
) -> Drawn<Chart<'a, 'b>> {
    Ok(ChartBuilder::on(root)
        .margin_top(ABOVE)
        .margin_right(200)
        .margin_bottom(8)
        .x_label_area_size(46)
        .y_label_area_size(y_labels)
        .build_cartesian_2d(low.log10()..high.log10(), y)?)
}

/// A label of such a time.
pub(super) fn time_label(log: &f64) -> String {
    digits(10_f64.powf(*log))
}

/// Left edge of the legend beside such a chart.
pub(super) const LEGEND: i32 = 670;

/// What the marks of a picture are, at its foot.
pub(super) fn foot(root: &Area<'_>, marks: &str) -> Drawn {
    let (_, height) = root.dim_in_pixel();
    Ok(root.draw_text(marks, &font(11, &MUTED), (12, i32::try_from(height)? - 16))?)
}

/// What a picture of labelled rows has around them.
pub(super) struct Rows<'a> {
    /// From the top down.
    pub(super) labels: Vec<&'a str>,
    /// Per cent.
    pub(super) range: Range<f64>,
    /// Shaded over all rows.
    pub(super) band: Option<(f64, f64)>,
    pub(super) axis: &'a str,
    pub(super) legend: &'a str,
}

impl Rows<'_> {
    /// A picture with the frame, into which the rows themselves are drawn.
    pub(super) fn picture(
        &self,
        title: &str,
        alt: &str,
        rows: impl FnOnce(&mut Chart<'_, '_>) -> Drawn,
    ) -> Option<Plot> {
        let height = ABOVE + BELOW + ROW * u32::try_from(self.labels.len()).ok()?;
        picture(title, alt, height, |root| rows(&mut self.draw(root)?))
    }

    /// Where the middle of a row is on the vertical axis.
    pub(super) fn middle(&self, row: usize) -> f64 {
        real(self.labels.len()) - real(row) - 0.5
    }

    /// The frame, the labels and the legend.
    fn draw<'a, 'b>(&self, root: &'a Area<'b>) -> Drawn<Chart<'a, 'b>> {
        let n = real(self.labels.len());
        let mut chart = ChartBuilder::on(root)
            .margin_top(ABOVE)
            .margin_right(24)
            .margin_bottom(24)
            .x_label_area_size(BELOW - 24)
            .y_label_area_size(label_room(self.labels.iter().copied()))
            .build_cartesian_2d(self.range.clone(), 0.0..n)?;
        if let Some((low, high)) = self.band {
            chart.draw_series([Rectangle::new([(low, 0.0), (high, n)], BAND.filled())])?;
        }
        axes(&mut chart)
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_labels(9)
            .x_label_formatter(&|x| format!("{x:+.1}"))
            .x_desc(self.axis)
            .draw()?;
        let mut top = i32::try_from(ABOVE + ROW / 2)? - 7;
        for name in &self.labels {
            root.draw_text(&label(name), &font(13, &INK), (12, top))?;
            top += i32::try_from(ROW)?;
        }
        foot(root, self.legend)?;
        Ok(chart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_labels_have_the_digits_they_need() {
        assert_eq!([1_234.5, 12.34, 0.0123].map(digits), ["1,234", "12.3", "0.012"]);
    }
}
