//! The pages of a report, made of the figures of a run.
//!
//! [`render`] makes every file of a report, [`export`] one alone, [`redact()`] replaces names in a run first. `words` says everything in
//! sentences, `markdown` and `plot` lay it out, `html` puts all pages in one file. The crate sees only `regatta-figures` and
//! `regatta-types`: no clock, no environment, no network, so that the same run gives the same bytes anywhere and in any order of its rows.

#[cfg(any(test, feature = "calibration"))]
pub mod calibration;
mod export;
mod folder;
mod html;
mod markdown;
mod plot;
mod redact;
mod report;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use regatta_figures::history::Baseline;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::source::{Cause, Error, Run, each_host};

use crate::folder::put;
use crate::plot::{HostPlots, Plots};
use crate::report::Report;

pub use export::changes_json;
pub use folder::{Content, Folder, Out};
pub use markdown::changes::change_page;
pub use redact::{Redacted, redact};
pub use words::changes::change_lines;
pub use words::{HostSummary, Summary, trend_json, trend_line};

/// Writes every file of a report, with a baseline also what changed since; its answer in a few lines.
///
/// # Errors
/// When attempts cannot be read or a file cannot be written.
pub fn render(
    run: &impl Run,
    baseline: Option<&Baseline>,
    folder: &mut impl Folder,
) -> Result<Summary, Error> {
    let analysis = Report::new(run, baseline)?;
    let html = html(&analysis, true, |files| {
        let mut files = files.iter();
        files.try_for_each(|(path, content)| put(folder, path, |out| Ok(out.write_all(content)?)))
    })?;
    put(folder, "report.html", |out| Ok(out.write_all(html.as_bytes())?))?;
    drop(html);
    put(folder, "run.json", |out| export::run_json(&analysis, out))?;
    let summary = words::summarise(&analysis);
    drop(analysis);
    put(folder, "requests.jsonl", |out| export::requests_jsonl(run, out))?;
    Ok(summary)
}

/// Content by path.
type Files = BTreeMap<String, Vec<u8>>;

/// `report.html`, from the combined report and the pages of hosts, with their pictures; gives these
/// files away on the way. `others`: also those of hosts that are not in it.
fn html(
    analysis: &Report<'_>,
    others: bool,
    mut take: impl FnMut(&Files) -> Result<(), Error>,
) -> Result<String, Error> {
    let file = |plots: Plots, path: String, page: String| {
        plots.into_files().chain([(path, page.into_bytes())]).collect::<Files>()
    };
    let plots = Plots::of_classes(analysis);
    let page = markdown::combined(analysis, &plots);
    let mut in_html = file(plots, "report.md".to_owned(), page);
    take(&in_html)?;
    let shown = html::shown(analysis);
    let plots = HostPlots::new(analysis);
    let of_host = |host: &&HostAnalysis<'_>| {
        let plots = plots.of(host);
        let page = markdown::host(analysis, host, &plots);
        Ok((host.host.clone(), file(plots, format!("hosts/{}.md", host.host), page)))
    };
    let hosts = analysis.hosts.iter().filter(|host| others || shown.contains(&host.host));
    each_host(&hosts.collect::<Vec<_>>(), of_host, |(host, files)| {
        take(&files)?;
        if shown.contains(&&host) {
            in_html.extend(files);
        }
        Ok(())
    })?;
    Ok(html::html(analysis, &shown, &in_html))
}

/// A file that is made alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The requests as CSV, one line each.
    Csv,
    /// The requests as JSON lines: `requests.jsonl`.
    Jsonl,
    /// The requests as Parquet, one row each.
    #[cfg(feature = "parquet")]
    Parquet,
    /// The run for programs: `run.json`.
    Json,
    /// The combined report, without pictures.
    Markdown,
    /// All pages in one file: `report.html`.
    Html,
}

impl Format {
    /// Whether the bytes are nothing to look at.
    #[must_use]
    pub fn is_binary(self) -> bool {
        match self {
            #[cfg(feature = "parquet")]
            Self::Parquet => true,
            Self::Csv | Self::Jsonl | Self::Json | Self::Markdown | Self::Html => false,
        }
    }
}

/// Writes one file of a report.
///
/// # Errors
/// When attempts cannot be read or the file cannot be written.
pub fn export(run: &impl Run, format: Format, out: &mut Out<'_>) -> Result<(), Cause> {
    match format {
        #[cfg(feature = "parquet")]
        Format::Parquet => export::requests_parquet(run, out),
        Format::Csv => export::requests_csv(run, out),
        Format::Jsonl => export::requests_jsonl(run, out),
        Format::Json => export::run_json(&Report::new(run, None)?, out),
        Format::Markdown => {
            let page = markdown::combined(&Report::new(run, None)?, &Plots::default());
            Ok(out.write_all(page.as_bytes())?)
        }
        Format::Html => {
            let html = html(&Report::new(run, None)?, false, |_| Ok(()))?;
            Ok(out.write_all(html.as_bytes())?)
        }
    }
}
