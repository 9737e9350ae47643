//! Explicit prompts of a case: messages, and the turns of a conversation.

use std::ops::Range;

use regatta_types::suite::{Message, Prompt, Role};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Fields, list, table, text, word};
use super::problem::Problems;

/// Maximum text in the messages and turns of one case, in bytes: with the title it fits in one
/// assignment.
pub const MESSAGES_MAX: usize = 760 << 10;

type Items<'d> = Spanned<&'d [Spanned<DeValue<'d>>]>;

/// The prompt from `messages` and `turns` of a case; `None` without both.
pub(super) fn own(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Prompt> {
    let messages = fields.take(problems, "messages", list);
    let turns = fields.take(problems, "turns", list);
    let list = messages.as_ref().map(|list| read(list, &fields.key("messages"), problems));
    let Some(turns) = turns else {
        if let (Some(list), Some(said)) = (&list, &messages)
            && list.len() == said.get_ref().len()
            && list.last().is_some_and(|m| m.role != Role::User)
        {
            let what = "the last message must have role \"user\"";
            problems.add(&said.span(), &fields.key("messages"), what, None);
        }
        return list.map(Prompt::Messages);
    };
    let opening = list.unwrap_or_default();
    if let Some(said) = messages
        && opening.last().is_some_and(|m| m.role == Role::User)
    {
        let what = "the last message before turns must not have role \"user\"";
        let hint = Some("Make it the first entry of turns".to_owned());
        problems.add(&said.span(), &fields.key("messages"), what, hint);
    }
    let turns = texts(&turns, &fields.key("turns"), problems);
    let bytes = opening.iter().map(|m| m.content.len()).chain(turns.iter().map(String::len)).sum();
    within(bytes, &fields.span, &fields.key("turns"), problems);
    Some(Prompt::Conversation { opening, turns })
}

/// The turns of a conversation.
fn texts(list: &Items<'_>, path: &str, problems: &mut Problems<'_>) -> Vec<String> {
    let items = *list.get_ref();
    if items.len() < 2 {
        let hint = Some("Write messages for a single turn".to_owned());
        problems.add(&list.span(), path, "a conversation needs at least two turns", hint);
    }
    let mut turns = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        match full(item.get_ref()) {
            Ok(turn) => turns.push(turn),
            Err(what) => {
                problems.add(&item.span(), &format!("{path}[{}]", i + 1), &what, None);
            }
        }
    }
    turns
}

fn read(list: &Items<'_>, path: &str, problems: &mut Problems<'_>) -> Vec<Message> {
    let items = *list.get_ref();
    let mut messages = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{}]", i + 1);
        match table(item.get_ref()) {
            Ok(table) => messages.extend(message(table, item.span(), &path, problems)),
            Err(what) => problems.add(&item.span(), &path, &what, None),
        }
    }
    if items.is_empty() {
        let hint = Some("Add at least { role = \"user\", content = \"...\" }".to_owned());
        problems.add(&list.span(), path, "no messages", hint);
    }
    let bytes = messages.iter().map(|m| m.content.len()).sum();
    within(bytes, &list.span(), path, problems);
    messages
}

fn within(bytes: usize, at: &Range<usize>, path: &str, problems: &mut Problems<'_>) {
    if bytes > MESSAGES_MAX {
        let what = format!("{bytes} bytes of text exceed the maximum of {MESSAGES_MAX}");
        problems.add(at, path, &what, None);
    }
}

fn message(
    table: &DeTable<'_>,
    span: Range<usize>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<Message> {
    let mut fields = Fields::new(table, span, path);
    let role = fields.require(problems, "role", "role = \"user\"", role);
    let content = fields.require(problems, "content", "content = \"...\"", full);
    fields.finish(problems, |_| None);
    Some(Message { role: role?.into_inner(), content: content?.into_inner() })
}

fn full(value: &DeValue<'_>) -> Result<String, String> {
    let content = text(value)?;
    if content.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(content.to_owned()) }
}

fn role(value: &DeValue<'_>) -> Result<Role, String> {
    let roles = [Role::System, Role::User, Role::Assistant].map(|role| (role.name(), role));
    word("role", &roles)(value)
}
