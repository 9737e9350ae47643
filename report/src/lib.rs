//! Reports of a run, as a pure function of its record.
//!
//! [`render`] makes every file of a report, [`redact()`] replaces names in a record first, [`summary()`] the few lines for a terminal, [`sweep`]
//! says when a sweep has seen enough. The crate sees only `regatta-types`: it reads no clock, no environment, no file and no network, so that
//! the same record gives the same bytes anywhere and in any order of its rows.

mod analysis;
mod bandwidth;
#[cfg(any(test, feature = "calibration"))]
pub mod calibration;
mod capacity;
pub mod catalogue;
mod compare;
mod completeness;
mod export;
mod html;
mod levels;
mod markdown;
mod metrics;
pub mod over_time;
mod plot;
mod redact;
mod start;
mod summary;
pub mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod utc;

use std::collections::BTreeMap;

use regatta_types::record::RunRecord;

pub use completeness::{Cells, Completeness};
pub use metrics::METRICS_SCHEMA;
pub use redact::redact;
pub use summary::{HostSummary, Summary};

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Content by path below the report's folder: `report.md`, `hosts/<host>.md`, `report.html`,
    /// `run.json`, `requests.jsonl`, `plots/*.svg`. Paths have `/` and never leave the folder.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Renders every file of a report.
#[must_use]
pub fn render(record: &RunRecord) -> Rendered {
    let analysis = analysis::Analysis::new(record);
    let plots = plot::Plots::of(&analysis);
    let mut files = BTreeMap::new();
    files.insert("report.md".to_owned(), markdown::combined(&analysis, &plots).into_bytes());
    for host in &analysis.hosts {
        let page = markdown::host(&analysis, host, &plots);
        files.insert(format!("hosts/{}.md", host.host), page.into_bytes());
    }
    files.insert("run.json".to_owned(), export::run_json(&analysis));
    files.insert("requests.jsonl".to_owned(), export::requests_jsonl(&analysis));
    files.extend(plots.into_files());
    let html = html::html(&analysis, &files);
    files.insert("report.html".to_owned(), html.into_bytes());
    Rendered { files }
}

/// A file that is made alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The requests as CSV, one line each.
    Csv,
    /// The requests as JSON lines: `requests.jsonl`.
    Jsonl,
    /// The run for programs: `run.json`.
    Json,
    /// The combined report, without pictures.
    Markdown,
    /// All pages in one file: `report.html`.
    Html,
}

/// Makes one file of a report.
#[must_use]
pub fn export(record: &RunRecord, format: Format) -> Vec<u8> {
    let analysis = analysis::Analysis::new(record);
    match format {
        Format::Csv => export::requests_csv(&analysis),
        Format::Jsonl => export::requests_jsonl(&analysis),
        Format::Json => export::run_json(&analysis),
        Format::Markdown => markdown::combined(&analysis, &plot::Plots::default()).into_bytes(),
        Format::Html => render(record).files.remove("report.html").unwrap_or_default(),
    }
}

/// The answer in a few lines of plain text.
#[must_use]
pub fn summary(record: &RunRecord) -> Summary {
    summary::summarise(&analysis::Analysis::new(record))
}

/// How complete a run is.
#[must_use]
pub fn completeness(record: &RunRecord) -> Completeness {
    analysis::Analysis::new(record).completeness()
}
