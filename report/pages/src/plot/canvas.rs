//! What all pictures share: colours for light and dark, the frame, and how many hosts fit.

use plotters::coord::Shift;
use plotters::prelude::*;
use regatta_types::clean;

use regatta_figures::metrics::real;

/// A part of a picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Drawing into a string fails only where numbers have no place in the picture.
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
pub(super) const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
pub(super) const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6E);
pub(super) const GRID: RGBColor = RGBColor(0xD1, 0xD9, 0xE0);
pub(super) const BAND: RGBColor = RGBColor(0xDD, 0xF4, 0xFF);
pub(super) const BLUE: RGBColor = RGBColor(0x09, 0x69, 0xDA);
pub(super) const ORANGE: RGBColor = RGBColor(0xBC, 0x4C, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x1A, 0x7F, 0x37);

/// What each colour is where the reader prefers a dark page.
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

/// Text of this size (px) and colour.
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

/// A picture as SVG; `None` if there is nothing that could be drawn.
pub(super) fn picture(
    title: &str,
    height: u32,
    paint: impl FnOnce(&Area<'_>) -> Drawn,
) -> Option<String> {
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
    Some(format!("{before}\n<title>{}</title>\n{}{after}", escaped(title), style_element()))
}

/// The style sheet of a picture for dark pages. The library writes colours as attributes; these
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
    let mut out = String::with_capacity(text.len());
    for c in clean::line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// A range that holds all of `values` with some air around it.
pub(super) fn range_of(values: impl IntoIterator<Item = f64>) -> Option<std::ops::Range<f64>> {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold(None, |range: Option<(f64, f64)>, v| {
        Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
    })?;
    let air = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.05 };
    Some(low - air..high + air)
}

/// A chart with numbers along both axes.
pub(super) type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// What a picture of labelled rows has around them.
pub(super) struct Rows<'a> {
    /// From the top down.
    pub(super) labels: Vec<&'a str>,
    /// Per cent.
    pub(super) range: std::ops::Range<f64>,
    /// Shaded over all rows.
    pub(super) band: Option<(f64, f64)>,
    pub(super) axis: &'a str,
    pub(super) legend: &'a str,
}

impl Rows<'_> {
    /// Height of the picture.
    pub(super) fn height(rows: usize) -> Option<u32> {
        Some(ABOVE + BELOW + ROW * u32::try_from(rows).ok()?)
    }

    /// Where the middle of a row is on the vertical axis.
    pub(super) fn place(&self, row: usize) -> f64 {
        real(self.labels.len()) - real(row) - 0.5
    }

    /// The frame, the labels and the legend; the rows themselves are drawn into it.
    pub(super) fn draw<'a, 'b>(
        &self,
        root: &'a Area<'b>,
    ) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
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
            .x_desc(self.axis)
            .draw()?;
        let mut top = i32::try_from(ABOVE + ROW / 2)? - 7;
        for name in &self.labels {
            root.draw_text(&label(name), &font(13, &INK), (12, top))?;
            top += i32::try_from(ROW)?;
        }
        let (_, height) = root.dim_in_pixel();
        root.draw_text(self.legend, &font(11, &MUTED), (12, i32::try_from(height)? - 16))?;
        Ok(chart)
    }
}
