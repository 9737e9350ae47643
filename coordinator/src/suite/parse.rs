//! From the text of a suite file to checked cases, or to everything that is wrong with it.
//!
//! The entry is [`parse`]. Sweeps become one case per level here; nothing later knows of them.

use std::collections::HashMap;
use std::ops::Range;

use regatta_types::clean;
use regatta_types::ids::{CaseId, SuiteName};
use regatta_types::suite::{Case, Length, Load, Message, Prompt, Ramp, Role, Slo, Suite};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Fields, did_you_mean, list, table, text};
use super::problem::{Problems, SuiteProblems};
use super::settings::{Level, Settings};

/// Most cases of a suite, levels of sweeps counted one by one.
pub const CASES_MAX: usize = 1_000;
/// Most bytes of text in the messages of one case: with its title it fits into one assignment.
pub const MESSAGES_MAX: usize = 760 << 10;
/// Most characters of a title or description.
const LINE_MAX: usize = 200;

/// Reads a suite. `file` is only for the problems' text.
///
/// # Errors
/// All problems of the file, by line.
pub fn parse(source: &str, file: &str) -> Result<Suite, SuiteProblems> {
    let mut problems = Problems::new(file, source);
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        problems.syntax(error);
    }
    let suite = Reader { problems: &mut problems, first_use: HashMap::new() }
        .suite(document.get_ref(), document.span());
    problems.into_result()?;
    Ok(suite)
}

struct Reader<'p, 's> {
    problems: &'p mut Problems<'s>,
    /// The line that first used each case id.
    first_use: HashMap<String, usize>,
}

impl Reader<'_, '_> {
    /// The suite; only complete when no problem was found.
    fn suite(mut self, document: &DeTable<'_>, span: Range<usize>) -> Suite {
        let mut top = Fields::new(document, span.start..span.start, "");
        let name = top
            .require(self.problems, "name", "name = \"my-suite\"", |v| {
                SuiteName::new(text(v)?).map_err(|e| e.to_string())
            })
            .map(Spanned::into_inner);
        let description = top.take(self.problems, "description", line_of_text);
        let defaults = match top.take(self.problems, "defaults", table) {
            Some(t) => self.defaults(&t),
            None => Settings::default(),
        };
        let list = top.require(self.problems, "case", "at least one [[case]]", list);
        top.finish(self.problems, |key| match key {
            "cases" | "test" | "tests" => Some("each case is a [[case]]"),
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
                    self.problems.missing(&span, "case", "write at least one [[case]]")
                }
                0..=CASES_MAX => {}
                n => {
                    let what = format!("{n} cases are more than the {CASES_MAX} allowed");
                    self.problems.add(&span, "case", &what, None);
                }
            }
        }
        Suite {
            // Without a name there is a problem, and the suite is not used.
            name: name.unwrap_or_else(unnamed),
            description: description.map(Spanned::into_inner).unwrap_or_default(),
            cases,
        }
    }

    fn defaults(&mut self, table: &Spanned<&DeTable<'_>>) -> Settings {
        let mut fields = Fields::new(table.get_ref(), table.span(), "defaults");
        let settings = Settings::read(&mut fields, self.problems);
        fields.finish(self.problems, |key| match key {
            "id" | "title" | "messages" => Some("this belongs into a [[case]]"),
            _ => None,
        });
        settings
    }

    /// The cases of one `[[case]]`: one, or one for each level.
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
        let title = fields.require(
            self.problems,
            "title",
            "title = \"Short name for people\"",
            line_of_text,
        );
        let id = self.id(&mut fields, title.as_ref());
        let example = "messages = [{ role = \"user\", content = \"...\" }]";
        let messages = fields.require(self.problems, "messages", example, list);
        let messages = messages.map(|list| self.messages(&list, &fields.key("messages")));
        let settings = Settings::read(&mut fields, self.problems).or(defaults);
        let max_tokens = settings.max_tokens;
        if max_tokens.is_none() && !fields.has("max_tokens") {
            self.problems.missing(
                &fields.span,
                &fields.key("max_tokens"),
                "write max_tokens = 500",
            );
        }
        let levels = settings.levels(&fields, self.problems);
        fields.finish(self.problems, |key| match key {
            "prompt" | "system" | "user" | "assistant" | "content" | "message" => {
                Some("write messages = [{ role = \"user\", content = \"...\" }]")
            }
            "name" => Some("write id or title"),
            _ => None,
        });
        let title = title.map(Spanned::into_inner).unwrap_or_default();
        let levels = id.map(|id| self.new_ids(&id, levels.each(id.get_ref(), &title), path));
        let (Some(levels), Some(messages), Some(max_tokens)) = (levels, messages, max_tokens)
        else {
            return Vec::new();
        };
        if self.problems.count() > before {
            return Vec::new();
        }
        levels
            .into_iter()
            .map(|(id, Level { title, streams, .. })| Case {
                id,
                title,
                prompt: Prompt::Messages(messages.clone()),
                max_tokens,
                min_max_tokens: max_tokens,
                length: Length::Natural,
                temperature: settings.temperature(),
                seed: Some(settings.seed()),
                stop: settings.stop(streams),
                repetitions: settings.repetitions(),
                warmup: settings.warmup(),
                load: Load::Closed { streams, ramp: Ramp::None },
                sweep: None,
                slo: Slo::default(),
                timeouts: settings.timeouts(),
            })
            .collect()
    }

    /// The id as written, or made of the title.
    fn id(
        &mut self,
        fields: &mut Fields<'_>,
        title: Option<&Spanned<String>>,
    ) -> Option<Spanned<String>> {
        let written = fields.take(self.problems, "id", |v| {
            let id = CaseId::new(text(v)?).map_err(|e| e.to_string())?;
            if id.is_settling() {
                return Err("`settling` is reserved for the requests before a run".to_owned());
            }
            Ok(id.to_string())
        });
        if written.is_some() || fields.has("id") {
            return written;
        }
        let title = title?;
        let slug = slug_of(title.get_ref());
        if slug.is_empty() || CaseId::new(slug.as_str()).is_ok_and(|id| id.is_settling()) {
            let hint = Some("write id = \"a-short-id\"".to_owned());
            self.problems.add(&title.span(), &fields.key("title"), "gives no id", hint);
            return None;
        }
        Some(Spanned::new(title.span(), slug))
    }

    /// The levels with their ids, each checked to be new in the suite.
    fn new_ids(
        &mut self,
        id: &Spanned<String>,
        levels: Vec<Level>,
        path: &str,
    ) -> Vec<(CaseId, Level)> {
        let mut out = Vec::new();
        let key = format!("{path}.id");
        let (line, _) = self.problems.position(id.span().start);
        for level in levels {
            if let Some(first) = self.first_use.get(&level.id) {
                let what = format!("duplicate case id `{}`, first used in line {first}", level.id);
                let hint = Some("write an id of its own".to_owned());
                self.problems.add(&id.span(), &key, &what, hint);
                break;
            }
            self.first_use.insert(level.id.clone(), line);
            match CaseId::new(level.id.as_str()) {
                Ok(id) => out.push((id, level)),
                Err(error) => self.problems.add(&id.span(), &key, &error.to_string(), None),
            }
        }
        out
    }

    fn messages(&mut self, list: &Spanned<&[Spanned<DeValue<'_>>]>, path: &str) -> Vec<Message> {
        let items = *list.get_ref();
        let mut messages = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{}]", i + 1);
            match table(item.get_ref()) {
                Ok(table) => messages.extend(self.message(table, item.span(), &path)),
                Err(what) => self.problems.add(&item.span(), &path, &what, None),
            }
        }
        let bytes: usize = messages.iter().map(|m| m.content.len()).sum();
        if items.is_empty() {
            let hint = Some("write at least { role = \"user\", content = \"...\" }".to_owned());
            self.problems.add(&list.span(), path, "no messages", hint);
        } else if bytes > MESSAGES_MAX {
            let what = format!("{bytes} bytes of text are more than the {MESSAGES_MAX} allowed");
            self.problems.add(&list.span(), path, &what, None);
        } else if messages.len() == items.len()
            && messages.last().is_some_and(|m| m.role != Role::User)
        {
            let what = "the last message is not the user's";
            self.problems.add(&list.span(), path, what, None);
        }
        messages
    }

    fn message(&mut self, table: &DeTable<'_>, span: Range<usize>, path: &str) -> Option<Message> {
        let mut fields = Fields::new(table, span, path);
        let role = fields.require(self.problems, "role", "role = \"user\"", role);
        let content = fields.require(self.problems, "content", "content = \"...\"", |v| {
            let content = text(v)?;
            if content.trim().is_empty() {
                return Err("is empty".to_owned());
            }
            Ok(content.to_owned())
        });
        fields.finish(self.problems, |_| None);
        Some(Message { role: role?.into_inner(), content: content?.into_inner() })
    }
}

fn role(value: &DeValue<'_>) -> Result<Role, String> {
    const ROLES: [Role; 3] = [Role::System, Role::User, Role::Assistant];
    let name = text(value)?;
    ROLES.into_iter().find(|role| role.name() == name).ok_or_else(|| {
        let hint = did_you_mean(name, &ROLES.map(Role::name))
            .unwrap_or_else(|| "known: system, user, assistant".to_owned());
        format!("unknown role `{name}`; {hint}")
    })
}

/// A title or description: one clean line that is not empty.
fn line_of_text(value: &DeValue<'_>) -> Result<String, String> {
    let line = clean::line(text(value)?);
    match line.chars().count() {
        0 => Err("is empty".to_owned()),
        1..=LINE_MAX => Ok(line),
        n => Err(format!("has {n} characters; at most {LINE_MAX} fit into a table")),
    }
}

/// Lower case, everything but letters and digits made one `-`; short enough for a level's ending.
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
