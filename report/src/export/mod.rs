//! The machine-readable files: `run.json`, `requests.jsonl`, and the latter as CSV.

mod csv;
mod requests;
mod run;

pub(crate) use self::csv::requests_csv;
pub(crate) use requests::requests_jsonl;
pub(crate) use run::run_json;
