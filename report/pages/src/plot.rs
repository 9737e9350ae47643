//! Pictures, as SVG files beside the pages. Each has a table with the same figures beside it, so
//! that nothing depends on seeing it; shapes and labels repeat what colors say.
//!
//! The entries are [`Plots`], pictures by their path and a link to one if it exists, and
//! [`HostPlots`], which draws those of one host after the other.

mod canvas;
mod cases;
mod difference;
mod distribution;
mod load;
mod timeline;

use std::collections::BTreeMap;

use regatta_figures::compare::Class;
use regatta_figures::hosts::HostAnalysis;
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;

use self::canvas::Plot;
pub(crate) use self::canvas::{dark_rules, style_element};
use self::cases::ClassSpeeds;
use crate::report::Report;

/// Pictures of a report, by their path below its folder.
#[derive(Debug, Default)]
pub(crate) struct Plots {
    all: BTreeMap<String, Plot>,
}

/// Draws the pictures of single hosts.
pub(crate) struct HostPlots<'a> {
    /// What the hosts of each class have, by the class's label.
    speeds: BTreeMap<&'a str, ClassSpeeds<'a>>,
    analysis: &'a Report<'a>,
}

impl<'a> HostPlots<'a> {
    pub(crate) fn new(analysis: &'a Report<'a>) -> Self {
        let speeds = analysis
            .classes
            .iter()
            .map(|class| (class.class.label.as_str(), ClassSpeeds::of(&analysis.members(class))));
        Self { speeds: speeds.collect(), analysis }
    }

    /// Those of a host's page.
    pub(crate) fn of(&self, host: &HostAnalysis<'_>) -> Plots {
        let mut plots = Plots::default();
        let class = self.analysis.class_of(host.host);
        if let Some(speeds) = class.and_then(|c| self.speeds.get(c.class.label.as_str())) {
            plots.add(PlotKind::Cases(host.host), cases::cases(host, speeds));
        }
        plots.add(PlotKind::Timeline(host.host), timeline::timeline(host));
        plots
    }
}

/// What a picture shows, and of what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PlotKind<'a> {
    /// The differences between the hosts of a class.
    Difference(&'a Class, Metric),
    /// Times to first token of the hosts of a class.
    FirstToken(&'a Class),
    /// Gaps between chunks of the hosts of a class.
    Gaps(&'a Class),
    /// Throughput against time to first token of the hosts of a class.
    Load(&'a Class),
    /// The repetitions of a host's cases.
    Cases(&'a HostId),
    /// What a host did over time.
    Timeline(&'a HostId),
}

impl PlotKind<'_> {
    fn path(self) -> String {
        let of =
            |what: &str, class: &Class| format!("plots/{what}-{}.svg", class.label.to_lowercase());
        match self {
            Self::Difference(class, metric) => {
                let metric = metric.label().replace(' ', "-");
                of(&format!("difference-{metric}"), class)
            }
            Self::FirstToken(class) => of("ttft", class),
            Self::Gaps(class) => of("gaps", class),
            Self::Load(class) => of("load", class),
            Self::Cases(host) => format!("plots/host-{host}-cases.svg"),
            Self::Timeline(host) => format!("plots/host-{host}-timeline.svg"),
        }
    }
}

impl Plots {
    /// Those of the combined report.
    pub(crate) fn of_classes(analysis: &Report<'_>) -> Self {
        let mut plots = Self::default();
        for class in &analysis.classes {
            for report in &class.metrics {
                let kind = PlotKind::Difference(&class.class, report.metric);
                plots.add(kind, difference::difference(report));
            }
            let shown = difference::different_first(class, &analysis.members(class));
            plots.add(PlotKind::FirstToken(&class.class), distribution::first_token(&shown));
            plots.add(PlotKind::Gaps(&class.class), distribution::gaps(&shown));
            plots.add(PlotKind::Load(&class.class), load::load(&shown));
        }
        plots
    }

    fn add(&mut self, kind: PlotKind<'_>, drawn: Option<Plot>) {
        self.all.extend(drawn.map(|plot| (kind.path(), plot)));
    }

    /// Path and description of a picture, if there is one.
    pub(crate) fn find(&self, kind: PlotKind<'_>) -> Option<(String, &str)> {
        let path = kind.path();
        let plot = self.all.get(&path)?;
        Some((path, &plot.alt))
    }

    /// The files.
    pub(crate) fn into_files(self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.all.into_iter().map(|(path, plot)| (path, plot.svg.into_bytes()))
    }
}
