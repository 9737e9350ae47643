//! Flags of the commands that compare runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regatta_figures::history::{Match, Terms};
use regatta_types::comparability::ClassFact;
use regatta_types::margin::Margins;

use super::{StoreArgs, examples};

/// `regatta compare`.
#[derive(Debug, Args)]
#[command(after_help = examples::COMPARE)]
pub struct CompareArgs {
    /// Earlier run: run id, `latest` or baseline file
    #[arg(value_name = "BEFORE")]
    pub before: String,
    /// Later run: run id or `latest`
    #[arg(value_name = "AFTER", default_value = "latest")]
    pub after: String,
    /// Treat changes within this margin as equivalent: 3%, or per metric: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub margin: Option<Margins>,
    /// Comparison options.
    #[command(flatten)]
    pub terms: TermsArgs,
}

/// `regatta check`.
#[derive(Debug, Args)]
#[command(after_help = examples::CHECK)]
pub struct CheckArgs {
    /// Run to check: run id or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Baseline file or earlier run to check against
    #[arg(long, value_name = "FILE|RUN")]
    pub baseline: String,
    /// Maximum allowed slowdown: 3%, or per metric: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub max_regress: Option<Margins>,
    /// Exit with 9 if a comparison is inconclusive
    #[arg(long)]
    pub strict: bool,
    /// Ignore hosts of the baseline that are missing from the run
    #[arg(long)]
    pub allow_absent: bool,
    /// Comparison options.
    #[command(flatten)]
    pub terms: TermsArgs,
}

/// `regatta baseline`.
#[derive(Debug, Args)]
#[command(after_help = examples::BASELINE)]
pub struct BaselineArgs {
    /// Run to save: run id or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Output file, replaced if it exists [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Comparison options.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparing runs")]
pub struct TermsArgs {
    /// Compare even if FACT differs between the runs, e.g. engine-version,engine-flags
    #[arg(long, value_name = "FACT,...", value_delimiter = ',')]
    pub allow_different: Vec<ClassFact>,
    /// Match hosts by name, or by GPU, model and engine; a new host is always matched by the latter
    #[arg(long, value_name = "WHAT", default_value = "host")]
    pub by: By,
    /// Write Markdown to this file instead of stdout
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub out: Option<PathBuf>,
    /// Print JSON instead of Markdown
    #[arg(long)]
    pub json: bool,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// How hosts of two runs are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// By name
    Host,
    /// By GPU, model and engine
    Gpu,
}

impl TermsArgs {
    /// The terms for the report.
    #[must_use]
    pub fn terms(&self, margins: Option<Margins>) -> Terms {
        let by = match self.by {
            By::Host => Match::Host,
            By::Gpu => Match::Gpu,
        };
        let allowed = self.allow_different.clone();
        Terms { margins: margins.unwrap_or_default(), allowed, by }
    }
}
