//! What a rendered JSON file says otherwise than a stored one.
//!
//! Every number, verdict, code, name, flag and absence must be there as it was, in its place. What is
//! new beside them is fine; what sentences say is free, but for the codes they name.

use serde_json::{Map, Number, Value};

/// Where `run.json` has sentences for people, without list indices, and why their text may change.
pub const PROSE: [(&str, &str); 15] = [
    (".not_available", "why a reading is missing"),
    (".checks.text", "what a check saw; its mark is compared"),
    (".refused", "the sentences of the checks that failed"),
    (".missing.why", "why a host took no part or an attempt failed; the code is compared"),
    (".missing.progress", "what a lost agent was doing"),
    (".evidence", "the figures behind a finding or the end of a sweep"),
    (".advice", "what to do about a finding"),
    (".causes", "differences in configuration"),
    (".later_engines.change", "which fact of an engine changed"),
    (".left_out.why", "why a host is in no sum"),
    (".cases_left_out", "pairs of a case, which is compared, and why it is excluded"),
    (".hosts_left_out", "pairs of a host, which is compared, and why it is excluded"),
    (".not_comparable", "why a host is not compared with its baseline"),
    (".why_not", "why there is no verdict"),
    (".other_facts", "facts that are no longer those of the baseline"),
];

/// How far two numbers may be from each other, relatively: not at all, but for what printing and
/// parsing may do to the last bit.
const TOLERANCE: f64 = 1e-12;

/// Every difference: its JSON path, what is stored and what was rendered.
#[must_use]
pub fn differences(stored: &Value, rendered: &Value) -> Vec<String> {
    let mut found = Found { path: "$".to_owned(), lines: Vec::new() };
    found.value(stored, rendered);
    found.lines
}

struct Found {
    path: String,
    lines: Vec<String>,
}

impl Found {
    fn value(&mut self, stored: &Value, rendered: &Value) {
        match (stored, rendered) {
            (Value::Object(a), Value::Object(b)) => self.object(a, b),
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (at, (a, b)) in a.iter().zip(b).enumerate() {
                    self.below(&format!("[{at}]"), |found| found.value(a, b));
                }
            }
            (Value::Number(a), Value::Number(b)) if is_same(a, b) => {}
            (a, b) if a == b => {}
            (Value::String(a), Value::String(b))
                if is_prose(&self.path) && codes(a).eq(codes(b)) => {}
            (a, b) => self.differs(&a.to_string(), &b.to_string()),
        }
    }

    fn object(&mut self, stored: &Map<String, Value>, rendered: &Map<String, Value>) {
        for (key, a) in stored {
            self.below(&format!(".{key}"), |found| match rendered.get(key) {
                Some(b) => found.value(a, b),
                None => found.differs(&a.to_string(), "no such key"),
            });
        }
    }

    fn below(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        look(self);
        self.path.truncate(length);
    }

    fn differs(&mut self, stored: &str, rendered: &str) {
        self.lines.push(format!("{}: stored {stored}, rendered {rendered}", self.path));
    }
}

fn is_prose(path: &str) -> bool {
    let outside_lists = |part: &str| part.split_once(']').map_or(part, |(_, rest)| rest).to_owned();
    let keys: String = path.split('[').map(outside_lists).collect::<String>() + ".";
    // The first of a pair is an id.
    !path.ends_with("][0]") && PROSE.iter().any(|(prose, _)| keys.contains(&format!("{prose}.")))
}

/// Integers to the last digit: stamps in nanoseconds are longer than the precision of a float.
fn is_same(a: &Number, b: &Number) -> bool {
    if !(a.is_f64() || b.is_f64()) {
        return a == b;
    }
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        (_, _) => false,
    }
}

/// The codes of comparability that a sentence names: `C` and a number.
fn codes(sentence: &str) -> impl Iterator<Item = &str> {
    let is_code = |word: &&str| {
        let digits = word.strip_prefix('C').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    sentence.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored() -> Value {
        json!({
            "begun_unix_ns": 1_798_012_345_678_901_234_u64,
            "hosts": [{ "host": "gpu-01", "verdict": "slower", "mean": 0.25, "ci95": [0.2, 0.3], "p99": null }],
            "not_available": { "gpu-02": "C3: engine version 2.0, before 1.0" },
            "cases_left_out": [["short", "no usable repetition"]],
        })
    }

    /// The differences after one change.
    fn after(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut rendered = stored();
        change(&mut rendered);
        differences(&stored(), &rendered)
    }

    #[test]
    fn what_is_as_it_was_or_is_new_is_no_difference() {
        assert_eq!(after(|_| {}), [""; 0]);
        assert_eq!(after(|run| run["hosts"][0]["rank"] = json!(1)), [""; 0]);
        assert_eq!(after(|run| run["hosts"][0]["mean"] = json!(0.25 + 1e-14)), [""; 0]);
    }

    #[test]
    fn whatever_changes_is_told_with_its_path_and_both_values() {
        assert_eq!(
            after(|run| run["hosts"][0]["ci95"][1] = json!(0.3001)),
            ["$.hosts[0].ci95[1]: stored 0.3, rendered 0.3001"]
        );
        assert_eq!(
            after(|run| run["hosts"][0]["verdict"] = json!("equivalent")),
            [r#"$.hosts[0].verdict: stored "slower", rendered "equivalent""#]
        );
        assert_eq!(
            after(|run| drop(run["hosts"][0].as_object_mut().unwrap().remove("host"))),
            [r#"$.hosts[0].host: stored "gpu-01", rendered no such key"#]
        );
        assert_eq!(
            after(|run| run["hosts"][0]["p99"] = json!(0.5)),
            ["$.hosts[0].p99: stored null, rendered 0.5"]
        );
        assert_eq!(
            after(|run| run["begun_unix_ns"] = json!(1_798_012_345_678_901_235_u64)),
            ["$.begun_unix_ns: stored 1798012345678901234, rendered 1798012345678901235"]
        );
        assert_eq!(after(|run| run["hosts"].as_array_mut().unwrap().clear()).len(), 1);
    }

    #[test]
    fn a_sentence_may_change_but_not_vanish_nor_name_another_code() {
        let sentence = |text: Value| after(|run| run["not_available"]["gpu-02"] = text);
        assert_eq!(sentence(json!("The engine's version was 1.0 (C3).")), [""; 0]);
        assert_eq!(sentence(json!("C4: engine version 2.0, before 1.0")).len(), 1);
        assert_eq!(sentence(Value::Null).len(), 1);
        assert_eq!(sentence(json!(["C3"])).len(), 1);
        assert_eq!(after(|run| run["cases_left_out"][0][1] = json!("nothing usable")), [""; 0]);
        assert_eq!(after(|run| run["cases_left_out"][0][0] = json!("longer")).len(), 1);
    }
}
