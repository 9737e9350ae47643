//! The requests as CSV (RFC 4180): the fields of `requests.jsonl`, under their names and in their
//! order.

use std::io::Write;

use regatta_types::clean;
use regatta_types::ids::HostId;
use serde_json::Value;

use super::requests::{FIELDS, Field, Request, each};
use regatta_figures::source::{Cause, Run, each_host};

/// The columns; `failure` has one for each of its fields.
fn columns() -> Vec<String> {
    let parts = |(name, field): &(&str, Field)| {
        if matches!(field, Field::Failure(_)) {
            ["kind", "message", "http_status"].map(|part| format!("{name}.{part}")).to_vec()
        } else {
            vec![(*name).to_owned()]
        }
    };
    FIELDS.iter().flat_map(parts).collect()
}

/// Writes the whole file, with a line of names at its beginning.
pub(crate) fn requests_csv(run: &impl Run, out: &mut dyn Write) -> Result<(), Cause> {
    let columns = columns();
    let of_host = |host: &&HostId| {
        let mut rows = Vec::new();
        each(run, host, |request| rows.push(row(request, &columns)))?;
        Ok(table(rows))
    };
    out.write_all(&table([columns.clone()]))?;
    each_host(&run.hosts(), of_host, |rows| Ok(out.write_all(&rows)?))
}

fn table(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut file =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // Rows of equal length to memory: writing them cannot fail.
        let _ = file.write_record(row);
    }
    file.into_inner().unwrap_or_default()
}

fn row(request: &Request<'_>, columns: &[String]) -> Vec<String> {
    let fields = serde_json::to_value(request).unwrap_or_default();
    let value = |column: &String| column.split('.').fold(&fields, |value, name| &value[name]);
    columns.iter().map(|column| cell(value(column))).collect()
}

/// What does not exist is empty, a list is JSON, a number the same as in JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guarded(clean::line(text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A spreadsheet takes text that begins like this for a formula, and carries it out.
fn guarded(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hostile::poisoned;
    use crate::tests::page;
    use regatta_types::testing::WholeRun;

    fn rows(run: &WholeRun) -> Vec<Vec<String>> {
        let mut file = Vec::new();
        requests_csv(run, &mut file).unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&file[..]);
        let row = |row: csv::Result<csv::StringRecord>| {
            row.expect("a row").iter().map(str::to_owned).collect()
        };
        reader.records().map(row).collect()
    }

    #[test]
    fn a_round_trip_gives_the_fields_of_the_json_lines() {
        let text = "a \"quoted\", text";
        let record = poisoned(text);
        let rows = rows(&record);
        let lines = page(&record, "requests.jsonl");
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(rows.len(), lines.len() + 1);
        // The names and their order are those of the text, which a parsed object does not keep.
        let mut from = 0;
        for name in rows[0].iter().filter(|name| !name.contains("failure.")) {
            let at = lines[0][from..].find(&format!("\"{name}\":"));
            from += at.unwrap_or_else(|| panic!("{name} is not next in {}", lines[0]));
        }
        let mut failures = 0;
        for (row, line) in rows[1..].iter().zip(lines) {
            let line: Value = serde_json::from_str(line).unwrap();
            let fields = line.as_object().unwrap();
            assert_eq!(fields.len() + 2, row.len(), "every field has its column");
            for (name, cell) in rows[0].iter().zip(row) {
                let value = name.split('.').fold(&line, |value, name| &value[name]);
                match value {
                    Value::Null => assert_eq!(cell, "", "{name}"),
                    Value::String(text) => assert_eq!(cell, text, "{name}"),
                    Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), *value, "{name}");
                    }
                }
            }
            failures += usize::from(line["failure"]["message"] == text);
        }
        assert!(failures > 0, "some requests failed");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r\n=1", " =1"] {
            let record = poisoned(text);
            let rows = rows(&record);
            let mut guarded = 0;
            for cell in rows.iter().flatten() {
                let is_number = cell.parse::<f64>().is_ok();
                assert!(
                    is_number || !cell.trim_start().starts_with(['=', '+', '-', '@']),
                    "{cell}"
                );
                guarded += usize::from(cell.starts_with('\''));
            }
            assert!(guarded > 0, "{text:?} is in the file");
        }
    }
}
