//! What the cases of a suite want to know of an engine before the first of them.

use std::time::Duration;

use regatta_types::assignment::{ContextNeed, EngineWarmup, Wants};
use regatta_types::suite::{Case, Length, Load, Message, Prompt, Suite, TextPrompt, Timeouts};
use regatta_wire::limits::{CASE_TEXT_MAX, SHAPES_MAX};

use super::state::Orders;

/// Streams of the client overhead for cases that send at a rate.
const OPEN_OVERHEAD_STREAMS: u32 = 64;
/// No tokenizer makes fewer tokens of a text than one for this many characters.
const CHARS_A_TOKEN: usize = 8;
/// Prompts whose lengths differ by no more than this are of one length, as for fitted texts.
const SAME_LENGTH: f64 = 0.02;

/// Waits of a check: one that takes longer than a person stays has missed its purpose.
pub(super) const CHECK_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_token: Duration::from_secs(60),
    chunk: Duration::from_secs(30),
    request: Duration::from_secs(120),
};

/// What every host is asked for. A check measures neither the client overhead nor a case. Without a
/// suite it checks everything that a suite may need.
pub(super) fn wants(suite: &Suite, orders: &Orders) -> Wants {
    let check_only = orders.check_only;
    let is_warmed_up = !check_only && orders.engine_warmup != EngineWarmup::Requests(0);
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
        shapes: if is_warmed_up { shapes(suite) } else { Vec::new() },
        fixed_length: any_fixed || suite.cases.is_empty(),
        overhead_streams: if check_only { 0 } else { streams.max().unwrap_or(1) },
        context: context(suite),
    }
}

/// One case of each prompt length, in the order of the suite, as far as they fit into a message. Texts
/// of a set length are sent anyway, when they are fitted.
fn shapes(suite: &Suite) -> Vec<Case> {
    let mut shapes: Vec<Case> = Vec::new();
    let mut room = CASE_TEXT_MAX;
    for case in &suite.cases {
        let known = shapes.iter().any(|other| are_alike(&other.prompt, &case.prompt));
        let bytes = length(&case.prompt, str::len);
        if matches!(case.prompt, Prompt::Text(_)) || known || bytes > room {
            continue;
        }
        room -= bytes;
        shapes.push(Case { title: String::new(), ..case.clone() });
        if shapes.len() == SHAPES_MAX {
            break;
        }
    }
    shapes
}

/// Whether an engine that was sent one prompt has been sent the other's length.
fn are_alike(a: &Prompt, b: &Prompt) -> bool {
    match (a, b) {
        (Prompt::Messages(_), Prompt::Messages(_)) => {
            let characters = |prompt| length(prompt, |text| text.chars().count()) as f64;
            let (a, b) = (characters(a), characters(b));
            (a - b).abs() <= SAME_LENGTH * a.max(b)
        }
        // The length of its prompts depends on the answers.
        (Prompt::Conversation { .. }, Prompt::Conversation { .. }) => a == b,
        (Prompt::Messages(_) | Prompt::Text(_) | Prompt::Conversation { .. }, _) => false,
    }
}

/// The length of what a suite writes out.
fn length(prompt: &Prompt, of: impl Fn(&str) -> usize) -> usize {
    let turns = match prompt {
        Prompt::Conversation { turns, .. } => turns.as_slice(),
        Prompt::Messages(_) | Prompt::Text(_) => &[],
    };
    let messages = prompt.messages().iter().map(|message| of(&message.content));
    messages.chain(turns.iter().map(|turn| of(turn))).sum()
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

    fn orders(engine_warmup: EngineWarmup, check_only: bool) -> Orders {
        Orders { model: None, engine_warmup, check_only }
    }

    fn of_run(source: &str) -> Wants {
        let suite = suite::parse(source, "test").expect("a good suite");
        wants(&suite, &orders(EngineWarmup::UntilSteady, false))
    }

    fn message(title: &str, length: usize) -> String {
        let content = "x".repeat(length);
        format!(
            "[[case]]\ntitle = \"{title}\"\nmax_tokens = 9\nmessages = [{{ role = \"user\", content = \"{content}\" }}]\n"
        )
    }

    #[test]
    fn the_context_that_is_needed_is_that_of_the_shortest_and_the_longest_case() {
        let least = "[[case]]\ntitle = \"Short\"\nmax_tokens = 10\nmessages = [{ role = \"user\", content = \"12345678 2345678\" }]\n";
        let most = "[[case]]\ntitle = \"Long\"\nmax_tokens = 100\nprompt_tokens = 4000\n";
        let need = of_run(&format!("name = \"both\"\n{least}{most}")).context;
        assert_eq!(need, Some(ContextNeed { least: 12, most: 4_100 }));
    }

    #[test]
    fn a_check_measures_no_overhead_and_asks_for_everything_when_there_is_no_suite() {
        let quick = suite::load("quick", &suite::Overrides::default()).expect("built in");
        let check = orders(EngineWarmup::Requests(3), true);
        let of_quick = wants(&quick, &check);
        assert_eq!((of_quick.overhead_streams, of_quick.shapes), (0, Vec::new()));
        let none = Suite { cases: Vec::new(), ..quick };
        let wants = wants(&none, &check);
        assert_eq!((wants.fixed_length, wants.context), (true, None));
    }

    #[test]
    fn one_case_of_each_prompt_length_is_sent_during_the_warmup() {
        let conversation = "[[case]]\ntitle = \"Talk\"\nmax_tokens = 9\nturns = [\"Hello.\", \"And then?\"]\nconcurrency = [1, 2]\n";
        let text = "[[case]]\ntitle = \"Text\"\nmax_tokens = 9\nprompt_tokens = 400\n";
        let cases = [("a", 100), ("b", 101), ("c", 110), ("d", 1_000), ("e", 985), ("f", 970)];
        let messages: String = cases.map(|(title, length)| message(title, length)).concat();
        let source = format!("name = \"all\"\n{messages}{text}{conversation}");
        let ids = |wants: Wants| wants.shapes.into_iter().map(|case| case.id.to_string());
        let all: Vec<String> = ids(of_run(&source)).collect();
        assert_eq!(all, ["a", "c", "d", "f", "talk.c1"]);
        let suite = suite::parse(&source, "test").expect("a good suite");
        let none = wants(&suite, &orders(EngineWarmup::Requests(0), false));
        assert_eq!(none.shapes, Vec::new(), "--warmup 0");
    }

    #[test]
    fn the_prompts_of_the_warmup_fit_into_a_message() {
        let of = |lengths: &mut dyn Iterator<Item = usize>| {
            let messages = lengths.enumerate().map(|(n, length)| message(&format!("c{n}"), length));
            of_run(&format!("name = \"all\"\n{}", messages.collect::<String>())).shapes.len()
        };
        assert_eq!(of(&mut (1..).map(|n| 100 * n).take(100)), SHAPES_MAX, "all of them differ");
        assert_eq!(of(&mut [700 << 10, 100 << 10, 9].into_iter()), 2, "the second is too much");
    }
}
