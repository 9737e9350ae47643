use regatta_types::ids::{AttemptNo, Epoch, HostId, Repetition};
use regatta_types::suite::{StopRule, TextPrompt};
use regatta_types::testing;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Chunk, Phase};

use super::super::testing::{attempt_key, endpoint_at};
use super::*;

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned() }
}

fn case(prompt: Prompt) -> Case {
    Case {
        prompt,
        max_tokens: 64,
        min_max_tokens: 64,
        temperature: 0.5,
        stop: StopRule { requests: Some(4), duration: None },
        ..testing::case(attempt_key().cell.case.as_str())
    }
}

fn assignment(case: &Case, key: &AttemptKey, seed: u64) -> Assignment {
    Assignment {
        key: key.clone(),
        epoch: Epoch(1),
        case: case.clone(),
        start: MonoNs(0),
        keep_text: false,
        seed,
    }
}

fn made(assignment: &Assignment, abilities: &Abilities) -> Result<Prepared, PrepareError> {
    let endpoint = endpoint_at(([127, 0, 0, 1], 1).into());
    Prepared::of_case(&endpoint, assignment, abilities)
}

fn prepared(case: &Case, key: &AttemptKey, seed: u64) -> Prepared {
    made(&assignment(case, key, seed), &Abilities::default()).unwrap()
}

/// The body as it is sent.
fn body(built: Built) -> String {
    let mut body = built.request.into_body();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let frame = std::pin::Pin::new(&mut body);
    match hyper::body::Body::poll_frame(frame, &mut cx) {
        std::task::Poll::Ready(Some(Ok(frame))) => {
            String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
        }
        std::task::Poll::Ready(_) | std::task::Poll::Pending => panic!("the body is missing"),
    }
}

fn json(built: Built) -> serde_json::Value {
    serde_json::from_str(&body(built)).unwrap()
}

fn hello() -> Prompt {
    Prompt::Messages(vec![message(Role::User, "Say \"hello\".\n")])
}

#[test]
fn a_body_differs_in_its_salt_and_its_limit_only() {
    let ranged = Case { min_max_tokens: 1, max_tokens: 2_000_000_000, ..case(hello()) };
    let prepared = prepared(&ranged, &attempt_key(), 7);
    let rest = |seq| {
        let built = prepared.build(ConversationTurn::first(seq));
        let salt = Salt::of(&attempt_key(), seq).to_string();
        let limit = built.max_tokens.to_string();
        let body = body(built);
        assert!(body.contains(&salt) && body.contains(&limit), "{body}");
        body.replace(&salt, "").replace(&format!("{limit:>10}"), "")
    };
    assert_eq!(
        rest(0),
        r#"{"model":"tiny","messages":[{"role":"user","content":"[]\nSay \"hello\".\n"}],"max_tokens":,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(rest(0), rest(1));
}

#[test]
fn limits_are_those_of_the_documented_draw_on_every_host() {
    let ranged = Case { min_max_tokens: 16, ..case(hello()) };
    let draws = |key: &AttemptKey, seed| {
        let prepared = prepared(&ranged, key, seed);
        [5, 0, 1, 2, 3].map(|seq| prepared.build(ConversationTurn::first(seq)).max_tokens)
    };
    let key = attempt_key();
    // Computed by an independent implementation of the documented rule.
    assert_eq!(draws(&key, 7), [53, 42, 23, 41, 38]);
    let mut other = key.clone();
    other.cell.host = HostId::new("other").unwrap();
    assert_eq!(draws(&key, 7), draws(&other, 7));
    other.cell.repetition = Repetition(2);
    assert_ne!(draws(&key, 7), draws(&other, 7));
    assert_ne!(draws(&key, 7), draws(&key, 8));
}

#[test]
fn limits_are_spread_evenly_from_the_smallest_to_the_largest() {
    let ranged = Case { min_max_tokens: 61, ..case(hello()) };
    let prepared = prepared(&ranged, &attempt_key(), 1);
    let mut seen = [0; 4];
    for seq in 0..4_000 {
        seen[prepared.lengths.of_request(seq) as usize - 61] += 1;
    }
    assert!(seen.iter().all(|n| (900..=1_100).contains(n)), "{seen:?}");
}

#[test]
fn a_conversation_carries_its_turns_and_the_answers_under_one_salt() {
    let conversation = Prompt::Conversation {
        opening: vec![message(Role::System, "Be brief.")],
        turns: ["One?", "Two?", "Three?"].map(str::to_owned).to_vec(),
    };
    let prepared = prepared(&case(conversation), &attempt_key(), 7);
    let answers = ["1".to_owned(), "\"2\"".to_owned()];
    let which = |seq, turn| ConversationTurn { seq, conversation: 9, turn, answers: &answers };
    let sent = |which| json(prepared.build(which))["messages"].clone();
    let salted = format!("[{}]\nBe brief.", Salt::of(&attempt_key(), 9));
    let first = serde_json::json!([
        {"role": "system", "content": salted},
        {"role": "user", "content": "One?"},
    ]);
    let mut all = first.as_array().unwrap().clone();
    assert_eq!(sent(which(3, 0)), first);
    all.push(serde_json::json!({"role": "assistant", "content": "1"}));
    all.push(serde_json::json!({"role": "user", "content": "Two?"}));
    assert_eq!(sent(which(4, 1)), serde_json::Value::from(all.clone()));
    all.push(serde_json::json!({"role": "assistant", "content": "\"2\""}));
    all.push(serde_json::json!({"role": "user", "content": "Three?"}));
    assert_eq!(sent(which(5, 2)), serde_json::Value::from(all));
    let other = ConversationTurn { conversation: 10, ..which(6, 0) };
    assert_ne!(sent(other), first);
}

#[test]
fn an_answer_is_carried_without_its_reasoning() {
    let mut trace = RequestTrace::new(0, 0, Phase::Measured);
    assert_eq!(carried(&trace), None);
    let chunk = |kind, chars| Chunk { at: MonoNs(1), late_us: None, kind, chars, tokens: None };
    trace.chunks = vec![chunk(ChunkKind::Reasoning, 3), chunk(ChunkKind::Answer, 2)];
    trace.answer.text = Some("h\u{e4}?ja".to_owned());
    assert_eq!(carried(&trace).as_deref(), Some("ja"));
}

#[test]
fn a_shared_beginning_has_the_salt_of_the_attempt_and_is_primed() {
    let asked = TextPrompt { tokens: 9, shared: 4 };
    let fitted = Fitted { shared: "Same words.", own: "Own words." };
    let abilities = Abilities { texts: [(asked, Ok(fitted))].into(), ..Abilities::default() };
    let case = case(Prompt::Text(asked));
    let of = |key: &AttemptKey| made(&assignment(&case, key, 7), &abilities).unwrap();
    let key = attempt_key();
    let sent = |built| json(built)["messages"][0]["content"].as_str().unwrap().to_owned();
    let beginning = format!("[{}]\nSame words.", Salt::of_attempt(&key));
    for seq in [0, 1] {
        let own = Salt::of(&key, seq);
        let text = sent(of(&key).build(ConversationTurn::first(seq)));
        assert_eq!(text, format!("{beginning}\n[{own}]\nOwn words."));
    }
    let prime = of(&key).prime().unwrap();
    assert_eq!(prime.request.headers()[REQUEST_ID], "night/gpu-01/case/r1/a1/prime");
    assert_eq!(prime.max_tokens, 1);
    assert_eq!(sent(prime), beginning);
    let second = AttemptKey { attempt: AttemptNo(2), ..key };
    assert_ne!(sent(of(&second).prime().unwrap()), beginning);
}

#[test]
fn a_text_that_was_not_fitted_says_why() {
    let asked = TextPrompt { tokens: 9, shared: 0 };
    let case = case(Prompt::Text(asked));
    let said = |abilities: &Abilities| {
        made(&assignment(&case, &attempt_key(), 7), abilities).unwrap_err().to_string()
    };
    let none = "no prompt of 9 tokens was generated for the engine";
    assert_eq!(said(&Abilities::default()), none);
    let refused =
        Abilities { texts: [(asked, Err("too long".to_owned()))].into(), ..Abilities::default() };
    assert_eq!(said(&refused), "too long");
}

/// llama.cpp keeps the last prompt of each slot, so that a second run of a case began further on.
#[test]
fn a_prompt_cache_is_off_unless_the_case_is_about_it() {
    let asked = |shared| TextPrompt { tokens: 96, shared };
    let fitted = Fitted { shared: "Same words.", own: "Own words." };
    let all = Abilities {
        fields: Fields { uncached: true, ..Fields::default() },
        texts: [0, 32].map(|shared| (asked(shared), Ok(fitted))).into(),
        ..Abilities::default()
    };
    let sent = |prompt: Prompt| {
        let prepared = made(&assignment(&case(prompt), &attempt_key(), 1), &all).unwrap();
        json(prepared.build(ConversationTurn::first(0))).get("cache_prompt").cloned()
    };
    let off = Some(serde_json::Value::Bool(false));
    assert_eq!(sent(Prompt::Messages(vec![message(Role::User, "hello")])), off);
    assert_eq!((sent(Prompt::Text(asked(0))), sent(Prompt::Text(asked(32)))), (off, None));
    let turns = vec!["One?".to_owned(), "Two?".to_owned()];
    assert_eq!(sent(Prompt::Conversation { opening: Vec::new(), turns }), None);
}
