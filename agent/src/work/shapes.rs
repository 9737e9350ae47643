//! One short request for each prompt length of the suite, before the engine's speed is watched.
//!
//! Some engines build kernels when a prompt of a new length comes: here, and not in the first
//! measured request of that length. These prompts are those of the cases but for the first line, so
//! no prefix cache has a measured one.

use std::time::Duration;

use regatta_types::assignment::{Assignment, Preparation};
use regatta_types::ids::{AttemptKey, Epoch};
use regatta_types::suite::Case;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, Phase};

use super::stream::{Request, Stream};
use crate::endpoint::{Abilities, ConversationTurn, Endpoint, Prepared};
use crate::prompt::text;

/// Tokens of an answer.
const MAX_TOKENS: u32 = 8;
/// No request begins later than this after the first: a coordinator waits five minutes for a host.
const LONGEST: Duration = Duration::from_secs(120);
/// In the later turns of a conversation an answer has the tokens that its case allows, at most this
/// many: few answers are as long as they may be.
const ANSWER_TOKENS: u32 = 512;
const BYTES_PER_TOKEN: u32 = 4;

/// Sends the shapes of `preparation`. The traces stay in `stream`.
pub(super) async fn send(
    endpoint: &Endpoint,
    key: &AttemptKey,
    preparation: &Preparation,
    abilities: &Abilities,
    stream: &mut Stream,
) {
    let begun = MonoNs::now();
    for case in &preparation.wants.shapes {
        let assignment = short(key, case);
        // A case that cannot be prepared says so itself.
        let Ok(prepared) = Prepared::of_case(endpoint, &assignment, abilities) else { continue };
        let turns = case.prompt.turns();
        let answers = answers(case);
        let conversation = stream.shared.begun();
        for turn in 0..turns {
            if MonoNs::now().since(begun) > LONGEST || !stream.shared.may_begin() {
                return;
            }
            let seq = stream.shared.take_seq();
            let which = ConversationTurn { seq, conversation, turn, answers: &answers };
            let mut request = Request::new(seq, Phase::Warmup, prepared.build(which));
            request.trace.turn = (turns > 1).then_some(turn);
            let trace = stream.request(request).await;
            trace.answer.text = None;
            match &trace.outcome {
                Outcome::Ok => {}
                // The later turns are longer; the other cases may still be answered.
                Outcome::Failed(failure) if failure.http_status.is_some() => break,
                // Nobody answers: the warm-up reports the error.
                Outcome::Failed(_) | Outcome::Cancelled | Outcome::NotSent => return,
            }
        }
    }
}

/// The case with short answers.
fn short(key: &AttemptKey, case: &Case) -> Assignment {
    let max_tokens = case.max_tokens.min(MAX_TOKENS);
    Assignment {
        key: key.clone(),
        epoch: Epoch(0),
        case: Case { max_tokens, min_max_tokens: max_tokens, ..case.clone() },
        start: MonoNs(0),
        keep_text: false,
        seed: 0,
    }
}

/// Text in the place of the engine's answers to all turns but the last.
fn answers(case: &Case) -> Vec<String> {
    let bytes = usize::try_from(case.max_tokens.min(ANSWER_TOKENS) * BYTES_PER_TOKEN);
    let answer = text::beginning(bytes.expect("a few thousand"));
    (1..case.prompt.turns()).map(|_| answer.to_owned()).collect()
}
