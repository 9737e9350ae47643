//! Reads a chat request as vLLM does: which fields count, what is refused and in which words.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::options::{SimOptions, UsagePolicy};
use crate::prefix::PrefixCache;

/// Bytes of a prompt's token.
const TOKEN_BYTES: usize = 4;

/// A request that will be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// As server-sent events.
    pub(crate) stream: bool,
    /// When a stream says its usage.
    pub(crate) usage: UsageEvents,
    /// One for every four bytes of a message, rounded up, four a message and three more.
    pub(crate) prompt_tokens: u32,
    /// How many of them are in the prefix cache, if there is one.
    pub(crate) cached_tokens: Option<u32>,
    /// Every choice carries its tokens' ids.
    pub(crate) token_ids: bool,
    /// Exactly this many will be made; at least 1.
    pub(crate) completion_tokens: u32,
    /// `stop` or `length`.
    pub(crate) finish_reason: &'static str,
}

#[cfg(test)]
impl Accepted {
    /// A plain streamed request for this many tokens.
    pub(crate) fn for_tests(completion_tokens: u32) -> Self {
        Self {
            stream: true,
            usage: UsageEvents::AtEnd,
            prompt_tokens: 7,
            cached_tokens: None,
            token_ids: false,
            completion_tokens,
            finish_reason: "length",
        }
    }
}

/// When a stream says how many tokens there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageEvents {
    /// `stream_options.include_usage` was not set, or the host does not know it.
    Never,
    /// In one event after the finish reason.
    AtEnd,
    /// `continuous_usage_stats`: in every event as well.
    Always,
}

/// A request that is answered with an error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    kind: &'static str,
    param: Option<String>,
    message: String,
}

impl Refusal {
    fn invalid(param: impl Into<String>, message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "BadRequestError",
            param: Some(param.into()),
            message,
        }
    }

    /// The body that vLLM sends.
    pub(crate) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.status.as_u16(),
        }})
    }
}

/// The fields that change the answer, and those whose type vLLM checks; others are ignored.
#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    min_tokens: Option<i64>,
    #[serde(default)]
    ignore_eos: bool,
    #[serde(default)]
    return_token_ids: bool,
    n: Option<i64>,
    #[serde(rename = "temperature")]
    _temperature: Option<f64>,
    #[serde(rename = "seed")]
    _seed: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
    #[serde(default)]
    continuous_usage_stats: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// The prompt as the host sees it: each message is headed by its role in the bytes of four tokens
/// and filled up to a whole token.
fn prompt(messages: &[Message]) -> Vec<u8> {
    let mut prompt = Vec::new();
    for message in messages {
        let head = prompt.len() + 4 * TOKEN_BYTES;
        prompt.extend_from_slice(message.role.as_bytes());
        prompt.resize(head, b' ');
        match &message.content {
            None => {}
            Some(Content::Text(text)) => prompt.extend_from_slice(text.as_bytes()),
            Some(Content::Parts(parts)) => {
                parts.iter().for_each(|part| prompt.extend_from_slice(part.text.as_bytes()));
            }
        }
        prompt.resize(prompt.len().next_multiple_of(TOKEN_BYTES), b' ');
    }
    prompt
}

/// Reads the bytes of a request to `/v1/chat/completions`.
pub(crate) fn parse(
    bytes: &[u8],
    options: &SimOptions,
    cache: &PrefixCache,
) -> Result<Accepted, Refusal> {
    refuse_fields(bytes, &options.refuse)?;
    let body: Body = serde_json::from_slice(bytes).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        kind: "Bad Request",
        param: Some("body".into()),
        message: format!("1 validation error: {error}"),
    })?;
    if let Some(model) = body.model.as_ref().filter(|m| **m != options.model) {
        let known = &options.model;
        return Err(Refusal {
            status: StatusCode::NOT_FOUND,
            kind: "NotFoundError",
            param: Some("model".into()),
            message: format!("The model `{model}` does not exist. Valid aliases: {known}."),
        });
    }
    if body.messages.is_empty() {
        return Err(Refusal::invalid("messages", "messages must not be empty".into()));
    }
    if body.n.is_some_and(|n| n != 1) {
        return Err(Refusal::invalid(
            "n",
            "the simulated host supports only one choice (n = 1)".into(),
        ));
    }
    let usage = match &body.stream_options {
        Some(o) if o.include_usage => match options.usage {
            UsagePolicy::AsAsked if o.continuous_usage_stats => UsageEvents::Always,
            UsagePolicy::AsAsked | UsagePolicy::Final => UsageEvents::AtEnd,
            UsagePolicy::Never => UsageEvents::Never,
        },
        Some(_) | None => UsageEvents::Never,
    };
    let prompt = prompt(&body.messages);
    let prompt_tokens = u32::try_from(prompt.len() / TOKEN_BYTES + 3).unwrap_or(u32::MAX);
    let (completion_tokens, finish_reason) = length(&body, prompt_tokens, options)?;
    Ok(Accepted {
        stream: body.stream,
        usage,
        prompt_tokens,
        cached_tokens: options.prefix_cache.then(|| cache.see(&prompt)),
        token_ids: options.token_ids && body.return_token_ids,
        completion_tokens,
        finish_reason,
    })
}

/// What strict servers answer to a field that they do not know.
fn refuse_fields(bytes: &[u8], refused: &[String]) -> Result<(), Refusal> {
    if refused.is_empty() {
        return Ok(());
    }
    // What is no object, the caller refuses.
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_slice(bytes).unwrap_or_default();
    match refused.iter().find(|name| fields.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("Unrecognized request argument supplied: {name}");
            Err(Refusal::invalid(name.clone(), message))
        }
    }
}

/// How many tokens the answer has, and why it ends there. Like vLLM, an answer that would pass
/// the context's end is cut there without a word; a prompt that leaves no room is refused.
fn length(
    body: &Body,
    prompt_tokens: u32,
    options: &SimOptions,
) -> Result<(u32, &'static str), Refusal> {
    let context = options.context_length;
    let room = context.saturating_sub(prompt_tokens);
    if room == 0 {
        let message = format!(
            "This model's maximum context length is {context} tokens. However, your prompt \
             contains at least {prompt_tokens} input tokens."
        );
        return Err(Refusal::invalid("input_tokens", message));
    }
    let limit = match body.max_completion_tokens.or(body.max_tokens) {
        None => room,
        Some(asked) => match u32::try_from(asked) {
            Ok(asked) if asked >= 1 && asked <= context => asked.min(room),
            Ok(0) | Err(_) if asked < 1 => {
                let message = format!("max_tokens must be at least 1, got {asked}.");
                return Err(Refusal::invalid("max_tokens", message));
            }
            Ok(_) | Err(_) => {
                let message = format!(
                    "max_tokens={asked} cannot be greater than max_model_len={context}. Please \
                     request fewer output tokens."
                );
                return Err(Refusal::invalid("max_tokens", message));
            }
        },
    };
    let least = match body.min_tokens {
        None => 0,
        Some(least) => u32::try_from(least).ok().filter(|l| *l <= limit).ok_or_else(|| {
            let message =
                format!("min_tokens must be between 0 and max_tokens={limit}, got {least}.");
            Refusal::invalid("min_tokens", message)
        })?,
    };
    let (endless, least) =
        if options.forced_length { (body.ignore_eos, least) } else { (false, 0) };
    match options.stop_after {
        Some(end) if !endless && end.max(least) < limit => Ok((end.max(least), "stop")),
        Some(_) | None => Ok((limit, "length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SimOptions {
        SimOptions { model: "m".into(), context_length: 100, ..SimOptions::default() }
    }

    fn parse_with(extra: &str, options: &SimOptions) -> Result<Accepted, Refusal> {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"12345678"}}]{extra}}}"#);
        parse(body.as_bytes(), options, &PrefixCache::default())
    }

    fn parse_bytes(bytes: &[u8]) -> Result<Accepted, Refusal> {
        parse(bytes, &options(), &PrefixCache::default())
    }

    fn refused(extra: &str) -> (u16, String) {
        let refusal = parse_with(extra, &options()).unwrap_err();
        (refusal.status.as_u16(), refusal.message)
    }

    #[test]
    fn the_answer_ends_at_max_tokens_or_at_the_end_of_the_context() {
        let accepted = parse_with(r#","max_tokens":5,"stream":true"#, &options()).unwrap();
        assert_eq!(
            accepted,
            Accepted {
                stream: true,
                usage: UsageEvents::Never,
                prompt_tokens: 9,
                cached_tokens: None,
                token_ids: false,
                completion_tokens: 5,
                finish_reason: "length",
            }
        );
        assert_eq!(parse_with("", &options()).unwrap().completion_tokens, 91);
        let cut = parse_with(r#","max_tokens":100"#, &options()).unwrap();
        assert_eq!((cut.completion_tokens, cut.finish_reason), (91, "length"));
    }

    #[test]
    fn a_natural_end_stops_the_answer_unless_ignored() {
        let options = SimOptions { stop_after: Some(10), ..options() };
        let end = |extra| {
            let a = parse_with(extra, &options).unwrap();
            (a.completion_tokens, a.finish_reason)
        };
        assert_eq!(end(r#","max_tokens":20"#), (10, "stop"));
        assert_eq!(end(r#","max_tokens":10"#), (10, "length"));
        assert_eq!(end(r#","max_tokens":20,"min_tokens":15"#), (15, "stop"));
        assert_eq!(end(r#","max_tokens":20,"ignore_eos":true"#), (20, "length"));
        let options = SimOptions { forced_length: false, ..options };
        let forced = parse_with(r#","max_tokens":20,"ignore_eos":true,"min_tokens":15"#, &options);
        assert_eq!(forced.unwrap().completion_tokens, 10);
    }

    #[test]
    fn what_vllm_refuses_is_refused_with_its_status() {
        assert_eq!(refused(r#","max_tokens":0"#).0, 400);
        assert_eq!(refused(r#","max_tokens":-3"#).1, "max_tokens must be at least 1, got -3.");
        assert!(refused(r#","max_tokens":101"#).1.contains("max_model_len=100"));
        assert!(refused(r#","max_tokens":9999999999"#).1.contains("max_model_len=100"));
        assert_eq!(refused(r#","max_tokens":5,"min_tokens":6"#).0, 400);
        assert_eq!(refused(r#","temperature":"hot""#).0, 400);
        assert_eq!(refused(r#","model":"other""#).0, 404);
        assert_eq!(parse_bytes(b"{").unwrap_err().status.as_u16(), 400);
        assert_eq!(parse_bytes(br#"{"messages":[]}"#).unwrap_err().status.as_u16(), 400);
        let long = format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"{}"}}]}}]}}"#,
            "x".repeat(400)
        );
        let refusal = parse_bytes(long.as_bytes()).unwrap_err();
        assert_eq!(refusal.body()["error"]["param"], "input_tokens");
    }

    #[test]
    fn a_strict_host_names_the_unknown_field() {
        let options = SimOptions { refuse: vec!["ignore_eos".into()], ..options() };
        let refusal = parse_with(r#","ignore_eos":true"#, &options).unwrap_err();
        let error = &refusal.body()["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!(400), &json!("ignore_eos")));
        assert!(error["message"].as_str().unwrap().ends_with("supplied: ignore_eos"));
        assert!(parse_with(r#","min_tokens":1"#, &options).is_ok());
    }

    #[test]
    fn token_ids_and_usage_follow_request_and_host() {
        let asked = r#","return_token_ids":true,
            "stream_options":{"include_usage":true,"continuous_usage_stats":true}"#;
        let got = |options: &SimOptions| {
            let accepted = parse_with(asked, options).unwrap();
            (accepted.token_ids, accepted.usage)
        };
        assert_eq!(got(&options()), (true, UsageEvents::Always));
        let plain = SimOptions { token_ids: false, usage: UsagePolicy::Final, ..options() };
        assert_eq!(got(&plain), (false, UsageEvents::AtEnd));
        let silent = SimOptions { usage: UsagePolicy::Never, ..options() };
        assert_eq!(got(&silent), (true, UsageEvents::Never));
    }

    #[test]
    fn a_repeated_prompt_is_cached_in_whole_blocks() {
        let options = SimOptions { prefix_cache: true, context_length: 1000, ..options() };
        let cache = PrefixCache::default();
        let ask = |text: &str| {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
            let accepted = parse(body.as_bytes(), &options, &cache).unwrap();
            (accepted.prompt_tokens, accepted.cached_tokens)
        };
        let text = "x".repeat(120);
        // 30 tokens, four of the message and three of the prompt: two blocks and five tokens.
        assert_eq!(ask(&text), (37, Some(0)));
        assert_eq!(ask(&text), (37, Some(32)));
        assert_eq!(ask(&format!("y{text}")), (38, Some(0)));
    }
}
