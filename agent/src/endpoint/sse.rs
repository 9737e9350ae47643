//! Server-sent events: bytes in, the data of each event out, however the bytes are cut.
//!
//! [`Decoder`] is synchronous and knows nothing about HTTP or JSON. An event that lies whole in one
//! piece of input is handed out as a slice of it; only what is cut by the end of a piece is copied.
//! Fields other than `data` (`event`, `id`, `retry`) mean nothing here and are skipped.

use std::ops::ControlFlow;

/// A line or an event longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event line exceeds {limit} bytes")]
pub struct TooLong {
    /// The limit, bytes.
    pub limit: usize,
}

/// Decodes one stream of server-sent events.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// Data lines of an event whose end has not arrived, joined by line feeds.
    data: Vec<u8>,
    /// Whether `data` holds an event's data, which may be empty.
    pending: bool,
    /// The last line ended in CR, so that an LF right after it belongs to it.
    after_cr: bool,
    /// No line has ended yet: a byte order mark may stand before the first.
    at_start: bool,
    limit: usize,
}

impl Decoder {
    /// A decoder that refuses lines and events over `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            pending: false,
            after_cr: false,
            at_start: true,
            limit,
        }
    }

    /// Takes the next bytes and calls `on_event` with the data of every event they complete,
    /// until it breaks; the rest of the input is then dropped.
    ///
    /// # Errors
    /// When a line or an event exceeds the limit; the decoder must not be used afterwards.
    pub fn push(
        &mut self,
        mut input: &[u8],
        mut on_event: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TooLong> {
        // The only data line so far of the event at hand, while it is still in the input.
        let mut whole: Option<&[u8]> = None;
        loop {
            if self.after_cr && !input.is_empty() {
                self.after_cr = false;
                input = input.strip_prefix(b"\n").unwrap_or(input);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', input) else { break };
            let (line, rest) = (&input[..end], &input[end + 1..]);
            self.after_cr = input[end] == b'\r';
            input = rest;
            if self.line.len() + line.len() > self.limit {
                return Err(self.too_long());
            }
            if self.line.is_empty() {
                let line = strip_mark(line, std::mem::take(&mut self.at_start));
                if line.is_empty() {
                    if let Some(data) = whole.take() {
                        if on_event(data).is_break() {
                            return Ok(());
                        }
                    } else if self.dispatch(&mut on_event).is_break() {
                        return Ok(());
                    }
                } else if let Some(value) = data_value(line) {
                    if whole.is_none() && !self.pending {
                        whole = Some(value);
                    } else {
                        if let Some(first) = whole.take() {
                            self.append(first)?;
                        }
                        self.append(value)?;
                    }
                }
            } else {
                if let Some(first) = whole.take() {
                    self.append(first)?;
                }
                self.finish_line(line)?;
            }
        }
        if let Some(first) = whole {
            self.append(first)?;
        }
        if self.line.len() + input.len() > self.limit {
            return Err(self.too_long());
        }
        self.line.extend_from_slice(input);
        Ok(())
    }

    /// The input has ended: a last event without its blank line counts as complete.
    ///
    /// # Errors
    /// When that event exceeds the limit.
    pub fn finish(
        &mut self,
        on_event: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TooLong> {
        // Ends the line, if one is open, and then the event.
        self.push(b"\n\n", on_event)
    }

    /// A line that began in an earlier piece has ended. It has bytes, so it ends no event.
    fn finish_line(&mut self, end: &[u8]) -> Result<(), TooLong> {
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        if let Some(value) = data_value(strip_mark(&line, std::mem::take(&mut self.at_start))) {
            self.append(value)?;
        }
        line.clear();
        self.line = line;
        Ok(())
    }

    fn append(&mut self, value: &[u8]) -> Result<(), TooLong> {
        if self.data.len() + value.len() + 1 > self.limit {
            return Err(self.too_long());
        }
        if self.pending {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.pending = true;
        Ok(())
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(&[u8]) -> ControlFlow<()>) -> ControlFlow<()> {
        if !std::mem::take(&mut self.pending) {
            return ControlFlow::Continue(());
        }
        let flow = on_event(&self.data);
        self.data.clear();
        flow
    }

    fn too_long(&self) -> TooLong {
        TooLong { limit: self.limit }
    }
}

fn strip_mark(line: &[u8], at_start: bool) -> &[u8] {
    if at_start { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line }
}

/// The value of a `data` line; `None` for comments and other fields.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.split_first() {
        None => Some(rest),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]], limit: usize) -> Result<Vec<String>, TooLong> {
        let mut decoder = Decoder::new(limit);
        let mut events = Vec::new();
        let mut keep = |data: &[u8]| {
            events.push(String::from_utf8_lossy(data).into_owned());
            ControlFlow::Continue(())
        };
        for piece in pieces {
            decoder.push(piece, &mut keep)?;
        }
        decoder.finish(&mut keep)?;
        Ok(events)
    }

    fn whole(text: &str) -> Vec<String> {
        decode(&[text.as_bytes()], 1000).unwrap()
    }

    #[test]
    fn every_line_ending_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("data: a{end}{end}data:b{end}{end}");
            assert_eq!(whole(&text), ["a", "b"], "{end:?}");
        }
    }

    #[test]
    fn lines_of_one_event_are_joined() {
        assert_eq!(whole("data: a\ndata\ndata:  b\n\n"), ["a\n\n b"]);
    }

    #[test]
    fn comments_other_fields_and_lookalikes_are_skipped() {
        let text = ": ping\n\nevent: x\nid: 1\ndatab: no\ndata: a\n: in between\nretry: 5\n\n\n\n";
        assert_eq!(whole(text), ["a"]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_only_at_the_start() {
        assert_eq!(whole("\u{feff}data: a\n\n"), ["a"]);
        assert_eq!(whole("\u{feff}\n\ndata: a\n\n"), ["a"]);
        assert_eq!(whole("data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        for end in ["", "\n", "\r", "\r\n"] {
            assert_eq!(whole(&format!("data: a\n\ndata: b{end}")), ["a", "b"], "{end:?}");
        }
    }

    #[test]
    fn an_empty_event_is_an_event() {
        assert_eq!(whole("data:\n\ndata\n\n"), ["", ""]);
    }

    #[test]
    fn lines_and_events_over_the_limit_are_refused_at_every_split() {
        for text in [format!("data: {}\n\n", "x".repeat(20)), "data: x\n".repeat(12)] {
            for cut in 0..text.len() {
                let (a, b) = text.as_bytes().split_at(cut);
                assert_eq!(decode(&[a, b], 20), Err(TooLong { limit: 20 }), "{cut}");
            }
        }
        assert_eq!(decode(&[&[b'x'; 21]], 20), Err(TooLong { limit: 20 }));
    }

    #[test]
    fn a_break_stops_at_that_event() {
        let mut decoder = Decoder::new(100);
        let mut seen = 0;
        let stop = |_: &[u8]| {
            seen += 1;
            ControlFlow::Break(())
        };
        decoder.push(b"data: a\n\ndata: b\n\n", stop).unwrap();
        assert_eq!(seen, 1);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_change_the_result(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "data: a", "data:", "data", ":", "b", "\u{feff}", "\n", "\r", "\r\n", "\n\n", "\u{1f600}",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            let text = parts.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> =
                cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(decode(&pieces, 1000), decode(&[text.as_bytes()], 1000));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&[&bytes], 64);
        }
    }
}
