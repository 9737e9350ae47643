//! The machine-readable files: `run.json` and `requests.jsonl`.

mod requests;
mod run;

pub(crate) use requests::requests_jsonl;
pub(crate) use run::run_json;
