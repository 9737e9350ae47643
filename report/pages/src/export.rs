//! The machine-readable files: `run.json`, `requests.jsonl`, and the latter as CSV and as Parquet.

mod compared;
mod csv;
#[cfg(feature = "parquet")]
mod parquet;
mod requests;
mod run;

pub(crate) use self::csv::requests_csv;
#[cfg(feature = "parquet")]
pub(crate) use self::parquet::requests_parquet;
pub use compared::changes_json;
pub(crate) use requests::requests_jsonl;
pub(crate) use run::run_json;
