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

use regatta_figures::completeness::Completeness;
use regatta_figures::history::Baseline;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::source::{Cause, Error, Run, each_host};
use regatta_types::ids::HostId;

use crate::folder::put;
use crate::plot::{HostPlots, Plots};
use crate::report::Report;

pub use export::changes_json;
pub use folder::{Content, Folder, Out};
pub use markdown::changes::change_page;
pub use redact::{Redacted, redact};
pub use words::changes::change_lines;
pub use words::{HostSummary, Summary, trend_json, trend_line};

/// What a report says, beside its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The answer in a few lines of plain text.
    pub summary: Summary,
    /// How complete the run is.
    pub completeness: Completeness,
}

/// Writes every file of a report; with a baseline also what changed since.
///
/// # Errors
/// When attempts cannot be read or a file cannot be written.
pub fn render(
    run: &impl Run,
    baseline: Option<&Baseline>,
    folder: &mut impl Folder,
) -> Result<Rendered, Error> {
    let analysis = Report::new(run, baseline)?;
    let shown = html::shown(&analysis);
    let mut in_html = Files::new();
    let hosts: Vec<&HostAnalysis<'_>> = analysis.hosts.iter().collect();
    pages(&analysis, &hosts, |host, files| {
        for (path, content) in &files {
            put(folder, path, |out| Ok(out.write_all(content)?))?;
        }
        if host.is_none_or(|host| shown.contains(&host)) {
            in_html.extend(files);
        }
        Ok(())
    })?;
    let html = html::html(&analysis, &shown, &in_html);
    drop(in_html);
    put(folder, "report.html", |out| Ok(out.write_all(html.as_bytes())?))?;
    drop(html);
    put(folder, "run.json", |out| export::run_json(&analysis, out))?;
    let rendered =
        Rendered { summary: words::summarise(&analysis), completeness: analysis.completeness() };
    drop(analysis);
    put(folder, "requests.jsonl", |out| export::requests_jsonl(run, out))?;
    Ok(rendered)
}

/// Content by path.
type Files = BTreeMap<String, Vec<u8>>;

/// Makes the combined report (of no host) and then the pages of these hosts, with their pictures.
fn pages(
    analysis: &Report<'_>,
    hosts: &[&HostAnalysis<'_>],
    mut take: impl FnMut(Option<&HostId>, Files) -> Result<(), Error>,
) -> Result<(), Error> {
    let plots = Plots::of_classes(analysis);
    let page = markdown::combined(analysis, &plots).into_bytes();
    let mut files: Files = plots.into_files().collect();
    files.insert("report.md".to_owned(), page);
    take(None, files)?;
    let plots = HostPlots::new(analysis);
    let of_host = |host: &&HostAnalysis<'_>| {
        let plots = plots.of(host);
        let page = markdown::host(analysis, host, &plots).into_bytes();
        let mut files: Files = plots.into_files().collect();
        files.insert(format!("hosts/{}.md", host.host), page);
        Ok((host.host.clone(), files))
    };
    each_host(hosts, of_host, |(host, files)| take(Some(&host), files))
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
            let analysis = Report::new(run, None)?;
            let shown = html::shown(&analysis);
            let is_shown = |host: &&HostAnalysis<'_>| shown.contains(&host.host);
            let hosts: Vec<&HostAnalysis<'_>> = analysis.hosts.iter().filter(is_shown).collect();
            let mut in_html = Files::new();
            pages(&analysis, &hosts, |_, files| {
                in_html.extend(files);
                Ok(())
            })?;
            Ok(out.write_all(html::html(&analysis, &shown, &in_html).as_bytes())?)
        }
    }
}
