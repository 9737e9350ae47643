//! Answers that the engine does not count, counted by a file of the user's.

use regatta_types::trace::TokenSource;

use super::*;
use crate::endpoint::testing::USAGE;

/// A token for each word and each run of punctuation.
const WORDS: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
}"#;

/// One request of an answer in two chunks and five words.
async fn counted(usage: &str, keep_text: bool) -> RequestTrace {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokenizer.json");
    std::fs::write(&file, WORDS).unwrap();
    let tokenizer = Some(Arc::new(Tokenizer::open(&file).unwrap()));

    let text = STREAM_HEAD.to_owned() + &content("The sea is") + &content(" never still");
    let text = text + &event(FINISH) + usage + &event("[DONE]") + "0\r\n\r\n";
    let server = Server::always(vec![Step::Write(text.into_bytes())]).await;
    let options = WorkerOptions { tokenizer, ..WorkerOptions::default() };
    let worker = worker(&server).0.with_options(options);
    let assignment = Assignment { keep_text, ..assignment(1, 0, requests(1)) };
    let report = within("run", worker.run(assignment, &Halt::default())).await;
    let trace = report.traces.into_iter().find(|trace| trace.phase == Phase::Measured).unwrap();
    assert!(trace.is_ok(), "{trace:?}");
    trace
}

#[tokio::test]
async fn answers_without_a_count_get_that_of_the_tokenizer() {
    let trace = counted("", false).await;
    assert_eq!(trace.token_source(), Some(TokenSource::Tokenizer));
    assert_eq!(trace.completion_tokens(), Some(5.0));
    assert_eq!(trace.chunk_tokens().sum::<f64>(), 5.0);
    assert_eq!(trace.answer.text, None, "nobody asked for it");
}

#[tokio::test]
async fn the_engines_own_count_comes_first() {
    let trace = counted(&event(USAGE), true).await;
    assert_eq!((trace.token_source(), trace.tokenizer_count), (Some(TokenSource::Usage), None));
    assert_eq!(trace.answer.text.as_deref(), Some("The sea is never still"));
}
