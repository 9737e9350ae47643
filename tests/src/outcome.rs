//! The exit code of a run against the outcome of its cells in its own `run.json`.
//!
//! A test machine may be busy, and then the client rightly finds itself in the way of what it
//! measures: [`BUSY`] lists the findings that this may cause. Which of them came decides between
//! exit 0 and 3, so the code is derived from `run.json` and never chosen from a set. A run of which
//! nothing is usable proves nothing and fails its test.

use regatta_types::exit::Exit;
use serde_json::Value;

use crate::fleet::Report;
use crate::process::Finished;

/// Codes of findings that make an attempt invalid and that a lack of CPU alone may cause.
pub const BUSY: [&str; 3] = ["client_limited", "client_stall", "drifting"];

/// Asserts that every cell of a run was counted or skipped, and that it returned the code for that.
///
/// # Panics
/// Where a cell is missing or invalid for another reason than lack of CPU, no cell is usable, or the
/// code is another one.
#[track_caller]
pub fn assert_complete(run: &Finished, report: &Report) {
    assert_complete_but(run, report, &[]);
}

/// The same for a run in which cells are planned to be invalid, by findings of these codes.
///
/// # Panics
/// As [`assert_complete`].
#[track_caller]
pub fn assert_complete_but(run: &Finished, report: &Report, planned: &[&str]) {
    let code = usable(run, &report.run(), planned);
    assert!(matches!(code, Exit::Ok | Exit::Invalid), "cells are missing:\n{}", run.stderr);
}

/// Asserts that cells of a run are missing, and that it returned the code for that.
///
/// # Panics
/// Where no cell is missing; else as [`assert_complete`].
#[track_caller]
pub fn assert_partial(run: &Finished, report: &Report) {
    let code = usable(run, &report.run(), &[]);
    assert_eq!(code, Exit::Partial, "no cell is missing:\n{}", run.stderr);
}

/// The code of a run, which is the one that its cells ask for; some of them are usable.
#[track_caller]
fn usable(run: &Finished, json: &Value, planned: &[&str]) -> Exit {
    for cell in cells(json).filter(|cell| cell["validity"] == "invalid") {
        let findings = cell["findings"].as_array().expect("findings").iter();
        for finding in findings.filter(|finding| finding["validity"] == "invalid") {
            let code = finding["code"].as_str().expect("a code");
            assert!(BUSY.contains(&code) || planned.contains(&code), "{finding}\n{}", run.stderr);
        }
    }
    let code = exit_code(json);
    assert_ne!(code, Exit::NothingUsable, "no cell is usable:\n{}", run.stderr);
    assert_eq!(run.code, Some(i32::from(code.code())), "{code:?} by run.json\n{}", run.stderr);
    code
}

/// The code that a run must have returned by the cells of its `run.json` (`docs/exit-codes.md`).
///
/// # Panics
/// When it is no `run.json`.
#[must_use]
pub fn exit_code(json: &Value) -> Exit {
    let of = |field: &str, value: &str| cells(json).filter(|cell| cell[field] == value).count();
    let absent = json["absent_hosts"].as_u64().expect("a number of hosts");
    let lost = of("state", "missing") + of("state", "open");
    if of("state", "counted") == of("validity", "invalid") {
        Exit::NothingUsable
    } else if lost > 0 || absent > 0 {
        Exit::Partial
    } else if of("validity", "invalid") > 0 {
        Exit::Invalid
    } else {
        Exit::Ok
    }
}

/// Every cell of every host that has joined.
fn cells(json: &Value) -> impl Iterator<Item = &Value> {
    let hosts = json["hosts"].as_array().expect("hosts").iter();
    let cases = hosts.flat_map(|host| host["cases"].as_array().expect("cases"));
    cases.flat_map(|case| case["cells"].as_array().expect("cells"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell(state: &str, invalid: Option<&str>) -> Value {
        let validity = (state == "counted").then_some(invalid.map_or("valid", |_| "invalid"));
        let findings = invalid.map(|code| json!({ "code": code, "validity": "invalid" }));
        json!({
            "state": state,
            "validity": validity,
            "findings": findings.into_iter().collect::<Vec<_>>(),
        })
    }

    fn run(cells: &[Value]) -> Value {
        json!({ "absent_hosts": 0, "hosts": [{ "cases": [{ "cells": cells }] }] })
    }

    fn finished(code: i32) -> Finished {
        Finished { code: Some(code), signal: None, stdout: String::new(), stderr: String::new() }
    }

    fn good() -> Value {
        cell("counted", None)
    }

    fn limited() -> Value {
        cell("counted", Some("client_limited"))
    }

    #[test]
    fn the_cells_decide_which_code_it_is() {
        let (skipped, missing) = (cell("skipped", None), cell("missing", None));
        assert_eq!(exit_code(&run(&[good(), skipped.clone()])), Exit::Ok);
        assert_eq!(exit_code(&run(&[good(), limited()])), Exit::Invalid);
        assert_eq!(exit_code(&run(&[good(), limited(), missing.clone()])), Exit::Partial);
        assert_eq!(exit_code(&run(&[limited(), missing])), Exit::NothingUsable);
        assert_eq!(exit_code(&run(&[limited(), limited()])), Exit::NothingUsable);
        let mut absent = run(&[good()]);
        absent["absent_hosts"] = 1.into();
        assert_eq!(exit_code(&absent), Exit::Partial);
        assert_eq!(usable(&finished(3), &run(&[good(), limited()]), &[]), Exit::Invalid);
    }

    #[test]
    #[should_panic(expected = "Invalid by run.json")]
    fn a_code_that_the_cells_do_not_ask_for_is_refused() {
        let _ = usable(&finished(0), &run(&[good(), limited()]), &[]);
    }

    #[test]
    #[should_panic(expected = "gpu_shared")]
    fn a_finding_that_no_busy_machine_causes_is_refused() {
        let _ = usable(&finished(3), &run(&[good(), cell("counted", Some("gpu_shared"))]), &[]);
    }

    #[test]
    #[should_panic(expected = "no cell is usable")]
    fn nothing_usable_is_refused_with_its_own_code_too() {
        let _ = usable(&finished(5), &run(&[limited()]), &[]);
    }
}
