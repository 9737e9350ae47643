//! What the cases of a suite want to know of an engine before the first of them.

use std::time::Duration;

use regatta_types::assignment::{ContextNeed, Wants};
use regatta_types::suite::{Case, Length, Load, Message, Prompt, Suite, TextPrompt, Timeouts};

/// Streams of the client overhead for cases that send at a rate.
const OPEN_OVERHEAD_STREAMS: u32 = 64;
/// No tokenizer makes fewer tokens of a text than one for this many characters.
const CHARS_A_TOKEN: usize = 8;

/// Waits of a check: one that takes longer than a person stays has missed its purpose.
pub(super) const CHECK_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_token: Duration::from_secs(60),
    chunk: Duration::from_secs(30),
    request: Duration::from_secs(120),
};

/// What every host is asked for. A check does not measure the client overhead. Without a suite it
/// checks everything that a suite may need.
pub(super) fn wants(suite: &Suite, check_only: bool) -> Wants {
    let mut texts: Vec<TextPrompt> = Vec::new();
    for case in &suite.cases {
        if let Prompt::Text(text) = case.prompt
            && !texts.contains(&text)
        {
            texts.push(text);
        }
    }
    let streams = suite.cases.iter().map(|case| match case.load {
        Load::Closed { streams, .. } => streams,
        // The number in flight at a rate is a result of the run.
        Load::Open { max_in_flight, .. } => max_in_flight.min(OPEN_OVERHEAD_STREAMS),
    });
    let any_fixed = suite.cases.iter().any(|case| case.length == Length::Fixed);
    Wants {
        texts,
        fixed_length: any_fixed || suite.cases.is_empty(),
        overhead_streams: if check_only { 0 } else { streams.max().unwrap_or(1) },
        context: context(suite),
    }
}

fn context(suite: &Suite) -> Option<ContextNeed> {
    let needs = || suite.cases.iter().map(tokens);
    Some(ContextNeed { least: needs().min()?, most: needs().max()? })
}

/// Tokens of context that a case needs at least: its longest prompt and its longest answer, with those
/// before it in a conversation.
fn tokens(case: &Case) -> u32 {
    let of_text = |text: &str| text.chars().count().div_ceil(CHARS_A_TOKEN);
    let of_messages =
        |list: &[Message]| list.iter().map(|message| of_text(&message.content)).sum::<usize>();
    let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
    let prompt = match &case.prompt {
        Prompt::Messages(messages) => count(of_messages(messages)),
        Prompt::Text(text) => text.tokens,
        Prompt::Conversation { opening, turns } => {
            count(of_messages(opening) + turns.iter().map(|turn| of_text(turn)).sum::<usize>())
        }
    };
    // Earlier answers may be as short as they like.
    let earlier = case.min_max_tokens.saturating_mul(case.prompt.turns().saturating_sub(1));
    let earlier = if case.length == Length::Fixed { earlier } else { 0 };
    prompt.saturating_add(earlier).saturating_add(case.max_tokens).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;

    fn need(source: &str) -> ContextNeed {
        let suite = suite::parse(source, "test").expect("a good suite");
        wants(&suite, false).context.expect("cases")
    }

    #[test]
    fn the_context_that_is_needed_is_that_of_the_shortest_and_the_longest_case() {
        let least = "[[case]]\ntitle = \"Short\"\nmax_tokens = 10\nmessages = [{ role = \"user\", content = \"12345678 2345678\" }]\n";
        let most = "[[case]]\ntitle = \"Long\"\nmax_tokens = 100\nprompt_tokens = 4000\n";
        let need = need(&format!("name = \"both\"\n{least}{most}"));
        assert_eq!(need, ContextNeed { least: 12, most: 4_100 });
    }

    #[test]
    fn a_check_measures_no_overhead_and_asks_for_everything_when_there_is_no_suite() {
        let quick = suite::load("quick", &suite::Overrides::default()).expect("built in");
        assert_eq!(wants(&quick, true).overhead_streams, 0);
        let none = Suite { cases: Vec::new(), ..quick };
        let wants = wants(&none, true);
        assert_eq!((wants.fixed_length, wants.context), (true, None));
    }
}
