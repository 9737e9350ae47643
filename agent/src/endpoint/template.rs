//! Reads an event that is like an earlier one but for its text and its counts, without parsing it
//! again.
//!
//! The events of a stream differ in little. [`Template`] keeps one that has been parsed, with the
//! places of its text, token ids and usage numbers in it. An event with the same bytes everywhere
//! else, and at these places a plain string, a plain list and plain numbers, parses to the same but
//! for these values: that follows from JSON's grammar, it is no guess. Anything else is not read
//! here.

use regatta_types::trace::{ChunkKind, Usage};

use super::event::{Event, UsageField};

/// Numbers of a usage that are kept apart; engines send three to five.
const NUMBERS: usize = 12;
/// Digits of a number that cannot overflow.
const DIGITS: usize = 18;

/// An event with one piece of text, and nothing else of interest but counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub(super) kind: ChunkKind,
    /// Not empty.
    pub(super) text: &'a str,
    /// How many token ids it names.
    pub(super) ids: Option<u32>,
    pub(super) usage: Option<Usage>,
}

impl<'a> Plain<'a> {
    /// What a parsed event says, if it is as plain as that.
    pub(super) fn of(event: &'a Event<'_>) -> Option<Self> {
        let mut choices = event.choices.iter();
        let (Some(choice), None) = (choices.next(), choices.next()) else { return None };
        if event.error.is_some() || event.timings.is_some() || choice.has_finished() {
            return None;
        }
        let texts = choice.texts();
        let mut texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let (Some((kind, text)), None) = (texts.next(), texts.next()) else { return None };
        let usage = match &event.usage {
            Some(usage) => Some(usage.value.counts()?),
            None => None,
        };
        Some(Self { kind, text, ids: choice.ids(), usage })
    }
}

/// An event that has been parsed, and the places where others may differ from it.
#[derive(Debug, Default)]
pub(super) struct Template {
    event: Vec<u8>,
    /// In order; none as long as nothing has been learned.
    holes: Vec<Hole>,
    kind: Option<ChunkKind>,
    /// For each count of a usage, which of the numbers it is.
    usage: Option<Usage>,
}

/// A place in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    start: usize,
    end: usize,
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// What is between the quotes of a string.
    Text,
    /// A list of numbers without spaces.
    Ids,
    /// An integer.
    Number,
}

impl Template {
    /// Keeps `event`, which was parsed from `data`, if others can be read by it.
    pub(super) fn learn(&mut self, data: &[u8], event: &Event<'_>) {
        self.holes.clear();
        let Some(plain) = Plain::of(event) else { return };
        if self.find_holes(data, event, &plain).is_none() {
            self.holes.clear();
            return;
        }
        self.holes.sort_unstable_by_key(|hole| hole.start);
        self.event.clear();
        self.event.extend_from_slice(data);
        self.kind = Some(plain.kind);
    }

    fn find_holes(&mut self, data: &[u8], event: &Event<'_>, plain: &Plain<'_>) -> Option<()> {
        // A text with escapes is not in `data` as it is.
        let text = place(data, plain.text)?;
        self.holes.push(Hole { start: text, end: text + plain.text.len(), content: Content::Text });
        if let Some(ids) = event.choices.iter().next().and_then(|choice| choice.token_ids.as_ref())
        {
            let start = place(data, ids.raw)?;
            let (_, length) = list(ids.raw.as_bytes()).filter(|(_, n)| *n == ids.raw.len())?;
            self.holes.push(Hole { start, end: start + length, content: Content::Ids });
        }
        self.usage = None;
        if let Some(usage) = &event.usage {
            let start = place(data, usage.raw)?;
            let mut numbered = String::with_capacity(usage.raw.len());
            let mut rest = 0;
            for (number, (begin, end)) in numbers(usage.raw)?.into_iter().enumerate() {
                let content = Content::Number;
                self.holes.push(Hole { start: start + begin, end: start + end, content });
                numbered.push_str(&usage.raw[rest..begin]);
                numbered.push_str(&number.to_string());
                rest = end;
            }
            numbered.push_str(&usage.raw[rest..]);
            // With its ordinal in the place of each number, every count says which number it is.
            self.usage = Some(serde_json::from_str::<UsageField>(&numbered).ok()?.counts()?);
        }
        Some(())
    }

    /// What `data` says, if it is an event like the one that was learned.
    pub(super) fn read<'d>(&self, data: &'d [u8]) -> Option<Plain<'d>> {
        let kind = self.kind?;
        let (mut text, mut ids) = ("", None);
        let mut numbers = [0_u64; NUMBERS];
        let mut next_number = numbers.iter_mut();
        let (mut rest, mut known) = (data, 0);
        if self.holes.is_empty() {
            return None;
        }
        for hole in &self.holes {
            rest = rest.strip_prefix(&self.event[known..hole.start])?;
            known = hole.end;
            let length = match hole.content {
                Content::Text => {
                    text = plain_text(rest)?;
                    text.len()
                }
                Content::Ids => {
                    let (count, length) = list(rest)?;
                    ids = Some(count);
                    length
                }
                Content::Number => {
                    let (number, length) = integer(rest)?;
                    *next_number.next()? = number;
                    length
                }
            };
            rest = &rest[length..];
        }
        if rest != &self.event[known..] || text.is_empty() {
            return None;
        }
        let of = |which: u64| numbers.get(usize::try_from(which).ok()?).copied();
        let usage = match self.usage {
            None => None,
            Some(Usage { prompt, completion, cached, reasoning }) => Some(Usage {
                prompt: of(prompt)?,
                completion: of(completion)?,
                cached: cached.and_then(of),
                reasoning: reasoning.and_then(of),
            }),
        };
        Some(Plain { kind, text, ids, usage })
    }
}

/// Where `part`, a slice of `data`, begins in it; `None` if it is no slice of it.
fn place(data: &[u8], part: &str) -> Option<usize> {
    let start = part.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
    (data.get(start..start + part.len())? == part.as_bytes()).then_some(start)
}

/// The string up to the next quote, if it has no escape and nothing that a string may not hold.
fn plain_text(data: &[u8]) -> Option<&str> {
    let end = data.iter().position(|&b| b == b'"' || b == b'\\' || b < b' ')?;
    if data[end] != b'"' {
        return None;
    }
    str::from_utf8(&data[..end]).ok()
}

/// An integer without a sign, and its length.
fn integer(data: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    let mut length = 0;
    while let Some(digit) = data.get(length).filter(|b| b.is_ascii_digit()) {
        value = value * 10 + u64::from(digit - b'0');
        length += 1;
        if length > DIGITS {
            return None;
        }
    }
    let is_written_right = length == 1 || (length > 1 && data[0] != b'0');
    is_written_right.then_some((value, length))
}

/// How many integers a list has that is written without spaces, and its length.
fn list(data: &[u8]) -> Option<(u32, usize)> {
    let mut at = 1;
    let mut count = 0;
    if data.starts_with(b"[]") {
        return Some((0, 2));
    }
    if data.first() != Some(&b'[') {
        return None;
    }
    loop {
        let (_, length) = integer(&data[at..])?;
        count += 1;
        at += length + 1;
        match data.get(at - 1)? {
            b',' => {}
            b']' => return Some((count, at)),
            _ => return None,
        }
    }
}

/// The places of all numbers in a JSON text; `None` if one is no plain integer, or of too many, or
/// with escapes.
fn numbers(json: &str) -> Option<Vec<(usize, usize)>> {
    let bytes = json.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut in_string) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => return None,
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string => {
                let (_, length) = integer(&bytes[at..])?;
                let before = at.checked_sub(1).and_then(|i| bytes.get(i));
                let after = bytes.get(at + length);
                if before == Some(&b'-') || matches!(after, Some(b'.' | b'e' | b'E')) {
                    return None;
                }
                found.push((at, at + length));
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    (found.len() <= NUMBERS).then_some(found)
}

#[cfg(test)]
mod tests;
