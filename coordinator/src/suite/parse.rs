//! Parses a suite file into validated cases, or into a list of all its problems.
//!
//! The entry point is [`parse_with`]. It expands sweeps and grids into one case per level. Later
//! stages do not know about grids.

use std::collections::HashMap;
use std::ops::Range;

use regatta_types::clean;
use regatta_types::ids::{CaseId, SuiteName};
use regatta_types::suite::{Case, Suite, Sweep};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{DEFAULTS, Fields, bytes, list, table, text};
use super::overrides::Overrides;
use super::problem::{Problems, SuiteProblems};
use super::prompt;
use super::settings::Settings;
use super::shape::{Shape, Variant};

/// Maximum number of cases in a suite, including the levels of sweeps.
pub const CASES_MAX: usize = 1_000;
/// Maximum length of a title or description, in characters.
const LINE_MAX: usize = 200;

/// Parses a suite. `file` is used only in problems.
///
/// # Errors
/// All problems of the file, by line.
pub fn parse(source: &str, file: &str) -> Result<Suite, SuiteProblems> {
    parse_with(source, file, &Overrides::default())
}

/// Parses a suite with overrides from flags.
///
/// # Errors
/// All problems of the flags and of the file, by line.
pub fn parse_with(source: &str, file: &str, flags: &Overrides) -> Result<Suite, SuiteProblems> {
    let mut problems = Problems::new(file, source);
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        problems.syntax(error);
    }
    let active_weights = flags.active_weights;
    let flags = flags.settings(&mut problems);
    let suite = Reader { problems: &mut problems, flags, first_use: HashMap::new() }
        .suite(document.get_ref(), document.span());
    problems.into_result()?;
    Ok(Suite { active_weights: active_weights.or(suite.active_weights), ..suite })
}

/// A variant with its id and its position in a sweep.
type Named = (CaseId, Option<Sweep>, Variant);

struct Reader<'p, 's> {
    problems: &'p mut Problems<'s>,
    flags: Settings,
    /// The line that first used each case id.
    first_use: HashMap<String, usize>,
}

impl Reader<'_, '_> {
    /// The suite; complete only without problems.
    fn suite(mut self, document: &DeTable<'_>, span: Range<usize>) -> Suite {
        let mut top = Fields::new(document, span.start..span.start, "");
        let name = top
            .require(self.problems, "name", "name = \"my-suite\"", |v| {
                SuiteName::new(text(v)?).map_err(|e| e.to_string())
            })
            .map(Spanned::into_inner);
        let description = top.take(self.problems, "description", line_of_text);
        let active_weights = top.take(self.problems, "active_weights", bytes);
        let defaults = match top.take(self.problems, DEFAULTS, table) {
            Some(t) => self.defaults(&t),
            None => Settings::default(),
        };
        let list = top.require(self.problems, "case", "at least one [[case]]", list);
        top.finish(self.problems, |key| match key {
            "cases" | "test" | "tests" => Some("Write each case as [[case]]"),
            _ => None,
        });

        let mut cases = Vec::new();
        if let Some(list) = list {
            let span = list.span();
            let items = list.into_inner();
            for (i, item) in items.iter().enumerate() {
                cases.extend(self.case(item, &format!("case[{}]", i + 1), &defaults));
            }
            match cases.len() {
                0 if items.is_empty() => {
                    self.problems.missing(&span, "case", "Add at least one [[case]]")
                }
                0..=CASES_MAX => {}
                n => {
                    let what = format!("{n} cases exceed the maximum of {CASES_MAX}");
                    self.problems.add(&span, "case", &what, None);
                }
            }
        }
        Suite {
            // A missing name is a problem, so the suite is not used.
            name: name.unwrap_or_else(unnamed),
            description: description.map(Spanned::into_inner).unwrap_or_default(),
            cases,
            active_weights: active_weights.map(Spanned::into_inner),
        }
    }

    fn defaults(&mut self, table: &Spanned<&DeTable<'_>>) -> Settings {
        let mut fields = Fields::new(table.get_ref(), table.span(), DEFAULTS);
        let settings = Settings::read(&mut fields, self.problems);
        fields.finish(self.problems, |key| match key {
            "id" | "title" | "messages" | "turns" => Some("Move it into a [[case]]"),
            other => meant(other),
        });
        settings
    }

    /// The cases of one `[[case]]`: one, or one per level.
    fn case(&mut self, item: &Spanned<DeValue<'_>>, path: &str, defaults: &Settings) -> Vec<Case> {
        let table = match table(item.get_ref()) {
            Ok(table) => table,
            Err(what) => {
                self.problems.add(&item.span(), path, &what, None);
                return Vec::new();
            }
        };
        let before = self.problems.count();
        let mut fields = Fields::new(table, item.span(), path);
        let title =
            fields.require(self.problems, "title", "title = \"Short display name\"", line_of_text);
        let id = self.id(&mut fields, title.as_ref());
        let own = prompt::own(&mut fields, self.problems);
        let settings = self.flags.clone().or(&Settings::read(&mut fields, self.problems));
        let settings = settings.or(defaults);
        self.required(&fields, &settings);
        let shape = Shape::new(&settings, own, self.problems);
        fields.finish(self.problems, |key| match key {
            "prompt" | "system" | "user" | "assistant" | "content" | "message" => {
                Some("Write messages = [{ role = \"user\", content = \"...\" }]")
            }
            "name" => Some("Write id or title"),
            other => meant(other),
        });
        let title = title.map(Spanned::into_inner).unwrap_or_default();
        let Some(id) = id else { return Vec::new() };
        let variants = self.new_ids(&id, shape.variants(), path);
        if self.problems.count() > before {
            return Vec::new();
        }
        let case = |(id, sweep, variant): Named| Case {
            id,
            title: format!("{title}{}", variant.title_ending),
            prompt: variant.prompt,
            max_tokens: variant.max_tokens,
            min_max_tokens: variant.min_max_tokens,
            length: shape.length(),
            temperature: settings.temperature(),
            seed: Some(settings.seed()),
            stop: variant.stop,
            repetitions: settings.repetitions(),
            warmup: settings.warmup(),
            load: variant.load,
            sweep,
            slo: settings.slo(),
            solo_of: None,
            timeouts: settings.timeouts(),
        };
        variants.into_iter().map(case).collect()
    }

    /// Checks required keys of a case, including the defaults.
    fn required(&mut self, fields: &Fields<'_>, settings: &Settings) {
        let written = ["messages", "turns", "prompt_tokens"].into_iter().any(|key| fields.has(key));
        if settings.prompt_tokens.is_none() && !written {
            let hint = "Add messages = [{ role = \"user\", content = \"...\" }], or prompt_tokens \
                = 512 for a generated prompt";
            self.problems.missing(&fields.span, &fields.key("messages"), hint);
        }
        if settings.max_tokens.is_none() && !fields.has("max_tokens") {
            let key = fields.key("max_tokens");
            self.problems.missing(&fields.span, &key, "Add max_tokens = 500");
        }
    }

    /// The id as given, or derived from the title.
    fn id(
        &mut self,
        fields: &mut Fields<'_>,
        title: Option<&Spanned<String>>,
    ) -> Option<Spanned<String>> {
        let written = fields.take(self.problems, "id", |v| {
            let id = CaseId::new(text(v)?).map_err(|e| e.to_string())?;
            if id.is_reserved() {
                return Err(format!("`{id}` is reserved for requests before a run"));
            }
            Ok(id.to_string())
        });
        if written.is_some() || fields.has("id") {
            return written;
        }
        let title = title?;
        let slug = slug_of(title.get_ref());
        if slug.is_empty() || CaseId::new(slug.as_str()).is_ok_and(|id| id.is_reserved()) {
            let hint = Some("Add id = \"a-short-id\"".to_owned());
            self.problems.add(&title.span(), &fields.key("title"), "cannot derive an id", hint);
            return None;
        }
        Some(Spanned::new(title.span(), slug))
    }

    /// The variants with their ids, which must be unique in the suite.
    fn new_ids(&mut self, id: &Spanned<String>, variants: Vec<Variant>, path: &str) -> Vec<Named> {
        let mut out = Vec::new();
        let key = format!("{path}.id");
        let (line, _) = self.problems.position(id.span().start);
        for variant in variants {
            let full = format!("{}{}", id.get_ref(), variant.id_ending);
            if let Some(first) = self.first_use.get(&full) {
                let what = format!("duplicate case id `{full}`, first used on line {first}");
                let hint = Some("Set a unique id".to_owned());
                self.problems.add(&id.span(), &key, &what, hint);
                break;
            }
            self.first_use.insert(full.clone(), line);
            let sweep = variant.sweep.as_ref().map(|(ending, level)| {
                let of = CaseId::new(format!("{}{ending}", id.get_ref()));
                of.map(|of| Sweep { of, level: *level })
            });
            match CaseId::new(full).and_then(|id| Ok((id, sweep.transpose()?))) {
                Ok((id, sweep)) => out.push((id, sweep, variant)),
                Err(error) => {
                    self.problems.add(&id.span(), &key, &error.to_string(), None);
                    break;
                }
            }
        }
        out
    }
}

/// Hints for keys of other programs.
fn meant(key: &str) -> Option<&'static str> {
    Some(match key {
        "rps" | "qps" | "request_rate" => "Write rate = 2.5",
        "burstiness" => "Write arrivals = \"gamma\" and shape",
        "streams" | "users" | "clients" | "max_concurrency" => "Write concurrency",
        "input_tokens" | "input_len" | "prompt_length" => "Write prompt_tokens",
        "output_tokens" | "output_len" | "min_tokens" => "Write max_tokens",
        "ignore_eos" => "Write length = \"fixed\"",
        "goodput" => "Write slo = { ttft = \"2s\" }",
        _ => return None,
    })
}

/// A title or description: one non-empty line.
fn line_of_text(value: &DeValue<'_>) -> Result<String, String> {
    let line = clean::line(text(value)?);
    match line.chars().count() {
        0 => Err("is empty".to_owned()),
        1..=LINE_MAX => Ok(line),
        n => Err(format!("has {n} characters, the maximum is {LINE_MAX}")),
    }
}

/// Lower case, other characters than letters and digits replaced by `-`; leaves space for the
/// suffix of a level.
fn slug_of(title: &str) -> String {
    const ROOM: usize = 50;
    let mut slug = String::new();
    for c in title.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(ROOM);
    slug.trim_end_matches('-').to_owned()
}

fn unnamed() -> SuiteName {
    SuiteName::new("unnamed").expect("a valid slug")
}

#[cfg(test)]
mod tests;
