//! Flags of the commands over several runs.

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
    /// The earlier run: an id, `latest`, or a baseline file
    #[arg(value_name = "BEFORE")]
    pub before: String,
    /// The later run
    #[arg(value_name = "AFTER", default_value = "latest")]
    pub after: String,
    /// Changes up to this are of no account: 3%, or by figure: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub margin: Option<Margins>,
    /// What is compared and where it goes.
    #[command(flatten)]
    pub terms: TermsArgs,
}

/// `regatta check`.
#[derive(Debug, Args)]
#[command(after_help = examples::CHECK)]
pub struct CheckArgs {
    /// The run to check: an id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// What it is checked against: a baseline file, or an earlier run
    #[arg(long, value_name = "FILE|RUN")]
    pub baseline: String,
    /// How much slower a host may be: 3%, or by figure: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub max_regress: Option<Margins>,
    /// Return 9 also where it is not settled whether a host is slower
    #[arg(long)]
    pub strict: bool,
    /// Return 0 also where hosts of the baseline are not in the run
    #[arg(long)]
    pub allow_absent: bool,
    /// What is compared and where it goes.
    #[command(flatten)]
    pub terms: TermsArgs,
}

/// `regatta baseline`.
#[derive(Debug, Args)]
#[command(after_help = examples::BASELINE)]
pub struct BaselineArgs {
    /// The run to keep: an id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// File to write; an earlier one is replaced [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What of two runs is compared, and where it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparing runs")]
pub struct TermsArgs {
    /// Compare although FACT differs between the runs: engine-version, engine-flags, ...
    #[arg(long, value_name = "FACT,...", value_delimiter = ',')]
    pub allow_different: Vec<ClassFact>,
    /// Compare a host with itself, or with all earlier hosts of equal GPU, model and engine; a host
    /// that is new is always compared with those
    #[arg(long, value_name = "WHAT", default_value = "host")]
    pub by: By,
    /// Write the Markdown to this file instead of stdout
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub out: Option<PathBuf>,
    /// Print JSON instead of Markdown
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What a host is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Itself
    Host,
    /// The hosts that are equal to it
    Gpu,
}

impl TermsArgs {
    /// As the report takes them.
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
