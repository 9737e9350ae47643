//! Ten stored runs, rendered again: every figure, interval, verdict and code of `run.json` is what it
//! was.
//!
//! `fixtures/runs` holds the stores as text and what was rendered from them. The runs were made by
//! `regatta run` with agents and simulated engines as processes on one machine. The facts of that
//! machine were replaced by invented ones, and the store was dumped with its pragmas.
//!
//! Where a change is meant, the message of the failed test has the command that takes what is
//! rendered now. Review the diff of every number.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regatta_tests::difference::differences;
use regatta_tests::fleet::Report;
use regatta_tests::process::regatta;
use regatta_tests::repository;
use rusqlite::Connection;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
/// Longest value on one line of a stored file.
const LINE: usize = 120;

/// A stored run and how it is rendered.
struct Kind {
    /// What is rendered: `<name>.json`.
    name: &'static str,
    /// Its store: `<store>.sql`.
    store: &'static str,
    flags: &'static [&'static str],
    /// The exit code of `regatta report`.
    code: i32,
    /// What only such a run has.
    shows: &'static str,
}

impl Kind {
    const fn new(name: &'static str, code: i32, shows: &'static str) -> Self {
        Self { name, store: name, flags: &[], code, shows }
    }

    const fn with(self, store: &'static str, flags: &'static [&'static str]) -> Self {
        Self { store, flags, ..self }
    }
}

const KINDS: [Kind; 10] = [
    Kind::new("one_host", 0, r#""not_available":"only one host""#),
    Kind::new("three_hosts", 0, r#""verdict":"slower""#),
    Kind::new("sweep", 0, r#""code":"saturated""#),
    // Some attempts are invalid.
    Kind::new("open_loop", 3, r#""validity":"invalid""#),
    Kind::new("solo_and_together", 0, r#""contention":[{"#),
    Kind::new("failures", 0, r#""code":"error_rate""#),
    // Results are missing.
    Kind::new("missing_host", 4, r#""code":"agent_lost""#),
    Kind::new("excluded_host", 0, r#""label":"D""#),
    Kind::new("baseline", 0, r#""since":{"#).with("baseline", &["--baseline", EARLIER]),
    Kind::new("redacted", 0, r#""redacted":true"#).with("three_hosts", &["--redact"]),
];

/// The earlier of the two runs in the store of `baseline`.
const EARLIER: &str = "2026-11-30-fleet-cc84";

fn fixtures() -> PathBuf {
    repository().join("tests/fixtures/runs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `run.json` of a kind as it is rendered now, and the exit code.
fn render(kind: &Kind) -> (Value, Option<i32>) {
    let program = regatta();
    std::fs::create_dir(program.home().join("state")).expect("a folder");
    let store = Connection::open(program.home().join("state/regatta.sqlite3")).expect("a file");
    let dump = read(&fixtures().join(kind.store).with_extension("sql"));
    store.execute_batch(&dump).expect("a dump of a store");
    store.close().expect("all is written");
    let flags = ["report", "latest", "--state", "state", "--out", "rendered"];
    let done = program.clone().args(flags).args(kind.flags).run(LIMIT);
    (Report::of(&done, program.home()).run(), done.code)
}

/// JSON for readable diffs: a value that fits is on one line. `newline` holds the indentation.
fn lay_out(value: &Value, newline: &str, out: &mut String) {
    let whole = value.to_string();
    let inner = format!("{newline} ");
    let mut part = |at: usize, key: &str, value: &Value, open: char| {
        out.push(if at == 0 { open } else { ',' });
        let _ = write!(out, "{inner}{key}");
        lay_out(value, &inner, out);
    };
    match value {
        Value::Array(items) if whole.len() > LINE => {
            items.iter().enumerate().for_each(|(at, item)| part(at, "", item, '['));
            out.push_str(newline);
            out.push(']');
        }
        Value::Object(fields) if whole.len() > LINE => {
            for (at, (key, field)) in fields.iter().enumerate() {
                part(at, &format!("{}: ", Value::from(key.as_str())), field, '{');
            }
            out.push_str(newline);
            out.push('}');
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => out.push_str(&whole),
    }
}

#[test]
fn stored_runs_render_to_the_figures_verdicts_and_codes_they_had() {
    let rendered_now = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stored_runs");
    std::fs::create_dir_all(&rendered_now).expect("a folder");
    let mut wrong = String::new();
    for kind in &KINDS {
        let (rendered, code) = render(kind);
        let file = PathBuf::from(kind.name).with_extension("json");
        let mut text = String::new();
        lay_out(&rendered, "\n", &mut text);
        std::fs::write(rendered_now.join(&file), text + "\n").expect("a file");
        let stored = std::fs::read_to_string(fixtures().join(&file));
        let stored = stored.ok().and_then(|text| serde_json::from_str(&text).ok());
        let mut lines = differences(&stored.unwrap_or(Value::Null), &rendered);
        if code != Some(kind.code) {
            lines.push(format!("exit: {} is due, came {code:?}", kind.code));
        }
        if !rendered.to_string().contains(kind.shows) {
            lines.push(format!("nowhere: {}", kind.shows));
        }
        for line in lines {
            let _ = writeln!(wrong, "{}: {line}", kind.name);
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}If all of this is meant: cp {}/*.json {}",
        rendered_now.display(),
        fixtures().display()
    );
}
