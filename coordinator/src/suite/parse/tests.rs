use std::time::Duration;

use regatta_types::suite::{
    Arrivals, Length, Load, Message, Prompt, Ramp, Role, Slo, StopRule, TextPrompt, Timeouts,
};

use super::*;
use crate::suite::MESSAGES_MAX;

/// A case with nothing but what it must have, and then `more`.
fn case(title: &str, more: &str) -> String {
    format!(
        "[[case]]\ntitle = \"{title}\"\nmax_tokens = 100\n\
         messages = [{{ role = \"user\", content = \"hi\" }}]\n{more}\n"
    )
}

fn suite(text: &str) -> Suite {
    parse(&format!("name = \"s\"\n{text}"), "s.toml").expect("a suite without problems")
}

/// The problems of `text`, one per line.
fn problems(text: &str) -> String {
    parse(text, "s.toml").expect_err("problems").to_string()
}

/// The problems of a suite with a name on line 1 and `text` from line 2.
fn named(text: &str) -> String {
    problems(&format!("name = \"s\"\n{text}"))
}

#[test]
fn a_minimal_case_gets_the_documented_defaults() {
    let suite = suite(&case("Hello, World!", ""));
    assert_eq!(
        suite.cases,
        [Case {
            id: CaseId::new("hello-world").unwrap(),
            title: "Hello, World!".to_owned(),
            prompt: Prompt::Messages(vec![Message { role: Role::User, content: "hi".to_owned() }]),
            max_tokens: 100,
            min_max_tokens: 100,
            length: Length::Natural,
            temperature: 0.0,
            seed: Some(0),
            stop: StopRule { requests: Some(1), duration: None },
            repetitions: 5,
            warmup: 0,
            load: Load::Closed { streams: 1, ramp: Ramp::None },
            sweep: None,
            slo: Slo::default(),
            solo_of: None,
            timeouts: Timeouts::default(),
        }]
    );
}

#[test]
fn a_case_overrides_the_defaults() {
    let suite = suite(&format!(
        "[defaults]\nmax_tokens = 7\ntemperature = 1\nseed = -3\nrepetitions = 2\nwarmup = 1\n\
         concurrency = 2\nrequests = 9\nconnect_timeout = \"1s\"\nfirst_token_timeout = \"2s\"\n\
         chunk_timeout = \"3s\"\nrequest_timeout = \"4s\"\n\
         {}{}",
        case("a", "temperature = 0.5\nduration = \"1m\"\nchunk_timeout = \"9s\""),
        case("b", "").replace("max_tokens = 100\n", "")
    ));
    let [a, b] = &suite.cases[..] else { panic!("two cases") };
    assert_eq!((a.max_tokens, a.temperature, a.seed), (100, 0.5, Some(-3)));
    assert_eq!((b.max_tokens, b.temperature, b.seed), (7, 1.0, Some(-3)));
    assert_eq!((b.repetitions, b.warmup, b.in_flight_max()), (2, 1, 2));
    let minute = Duration::from_mins(1);
    assert_eq!(a.stop, StopRule { requests: None, duration: Some(minute) }, "one rule, not two");
    assert_eq!(b.stop, StopRule { requests: Some(9), duration: None });
    let seconds = Duration::from_secs;
    assert_eq!(
        a.timeouts,
        Timeouts {
            connect: seconds(1),
            first_token: seconds(2),
            chunk: seconds(9),
            request: seconds(4)
        }
    );
}

#[test]
fn a_list_of_concurrencies_makes_one_case_per_level() {
    let suite = suite(&case("Chat", "id = \"chat\"\nconcurrency = [16, 1]"));
    let seen: Vec<_> = suite
        .cases
        .iter()
        .map(|c| (c.id.as_str(), c.title.as_str(), c.in_flight_max(), c.stop.requests))
        .collect();
    let wanted = [
        ("chat.c1", "Chat (1 stream)", 1, Some(20)),
        ("chat.c16", "Chat (16 streams)", 16, Some(64)),
    ];
    assert_eq!(seen, wanted, "the lowest first, each long enough for a steady part");
    let sweeps: Vec<_> = suite.cases.iter().filter_map(|c| c.sweep.clone()).collect();
    let of = CaseId::new("chat").unwrap();
    assert_eq!(sweeps, [Sweep { of: of.clone(), level: 0 }, Sweep { of, level: 1 }]);
}

#[test]
fn every_problem_has_its_line() {
    let text = format!(
        "{}{}{}",
        case("One", "max_token = 5"),
        case("One", "temperature = \"hot\"").replace("100", "0"),
        case("Two", "").replace("\"user\"", "\"usr\"")
    );
    assert_eq!(
        named(&text),
        "s.toml:6:1: case[1].max_token: unknown key. Did you mean `max_tokens`?\n\
         s.toml:8:9: case[2].id: duplicate case id `one`, first used on line 3. Set a unique id\n\
         s.toml:9:14: case[2].max_tokens: must be from 1 to 1,000,000, not 0\n\
         s.toml:11:15: case[2].temperature: must be a number, not a string\n\
         s.toml:15:22: case[3].messages[1].role: unknown role `usr`. Did you mean `user`?"
    );
}

#[test]
fn syntax_errors_are_reported_with_the_other_problems() {
    let text =
        format!("{}{}", case("One", "temperature = = 1\nseeds = 4"), case("Two", "id = \"A\""));
    let seen = named(&text);
    let lines: Vec<_> = seen.lines().collect();
    assert!(lines[0].starts_with("s.toml:6:15: invalid TOML: "), "{seen}");
    assert!(
        lines.contains(&"s.toml:7:1: case[1].seeds: unknown key. Did you mean `seed`?"),
        "{seen}"
    );
    assert!(seen.contains("s.toml:12:6: case[2].id: `A` is not a valid case id"), "{seen}");
}

#[test]
fn a_syntax_error_hides_missing_keys() {
    let seen = named("[[case]\ntitle = \"a\"\n");
    assert!(seen.starts_with("s.toml:2:"), "{seen}");
    assert!(!seen.contains("missing"), "{seen}");
}

#[test]
fn missing_required_keys_are_reported() {
    assert_eq!(
        problems(""),
        "s.toml:1:1: name: missing. Add name = \"my-suite\"\n\
         s.toml:1:1: case: missing. Add at least one [[case]]"
    );
    assert_eq!(
        named("[[case]]\n"),
        "s.toml:2:1: case[1].title: missing. Add title = \"Short display name\"\n\
         s.toml:2:1: case[1].messages: missing. Add messages = [{ role = \"user\", content = \"...\" }], or prompt_tokens = 512 for a generated prompt\n\
         s.toml:2:1: case[1].max_tokens: missing. Add max_tokens = 500"
    );
    assert!(named("case = []\n").contains("Add at least one [[case]]"));
}

#[test]
fn each_message_is_checked() {
    let with =
        |list: &str| named(&case("a", "").replace("[{ role = \"user\", content = \"hi\" }]", list));
    assert!(with("[]").contains("no messages"));
    assert!(with("\"hi\"").contains("5:12: case[1].messages: must be an array, not a string"));
    assert!(with("[\"hi\"]").contains("case[1].messages[1]: must be a table, not a string"));
    assert!(with("[{ role = \"user\", content = \" \" }]").contains("content: is empty"));
    assert!(with("[{ role = \"user\" }]").contains("messages[1].content: missing"));
    assert!(with("[{ role = \"user\", content = \"a\", name = \"b\" }]").contains("unknown key"));
    let prefilled =
        "[{ role = \"user\", content = \"a\" }, { role = \"assistant\", content = \"b\" }]";
    assert!(with(prefilled).contains("the last message must have role \"user\""));
    let long = format!("[{{ role = \"user\", content = \"{}\" }}]", "x".repeat(MESSAGES_MAX + 1));
    assert!(with(&long).contains("exceed the maximum of 778240"));
}

#[test]
fn suite_limits_fit_the_protocol() {
    use regatta_wire::limits::{CASE_TEXT_MAX, REQUESTS_MAX};

    use crate::suite::range::{CONCURRENCY, REQUESTS, WARMUP};
    let title =
        4 * LINE_MAX + " (prompt 1000000, depth 1000000, output 1000000) (4096 streams)".len();
    assert!(MESSAGES_MAX + title <= CASE_TEXT_MAX);
    // The first request of every stream of a ramp, and the one that sends a shared beginning.
    let requests = REQUESTS.end() + WARMUP.end() + CONCURRENCY.end() + 1;
    assert!(usize::try_from(requests).unwrap() <= REQUESTS_MAX);
}

#[test]
fn numbers_durations_and_ids_are_checked() {
    let with = |line: &str| named(&case("a", line));
    for (line, what) in [
        ("repetitions = 0", "repetitions: must be from 1 to 1,000, not 0"),
        ("repetitions = 2.0", "repetitions: must be an integer, not a float"),
        ("temperature = 2.1", "temperature: must be from 0 to 2, not 2.1"),
        ("temperature = nan", "temperature: must be from 0 to 2, not nan"),
        ("warmup = -1", "warmup: must be from 0 to 1,000, not -1"),
        ("requests = 99999999999999999999", "does not fit in 64 bits"),
        ("concurrency = 5000", "concurrency: must be from 1 to 4,096, not 5000"),
        ("concurrency = []", "concurrency: empty list"),
        (
            "concurrency = [1, \"2\", 4, 4]",
            "6:19: case[1].concurrency: must be an integer, not a string",
        ),
        ("concurrency = [1, \"2\", 4, 4]", "6:27: case[1].concurrency: level 4 is listed twice"),
        ("concurrency = [1, 8]\nrequests = 4", "requests: 4 requests are too few for 8 streams"),
        ("duration = 30", "duration: must be a duration string, e.g. \"30s\", not an integer"),
        ("chunk_timeout = \"30\"", "chunk_timeout: `30` is not a duration"),
        ("id = \"../x\"", "id: `../x` is not a valid case id"),
        ("id = \"settling\"", "id: `settling` is reserved"),
        ("id = \"client-floor\"", "id: `client-floor` is reserved"),
        ("prompt = \"hi\"", "unknown key. Write messages = ["),
    ] {
        let seen = with(line);
        assert!(seen.contains(what), "{line}: {seen}");
    }
    assert!(
        named(&case("数据", "")).contains("title: cannot derive an id. Add id = \"a-short-id\"")
    );
    assert!(named(&case("a", "")[1..]).contains("s.toml:2:"));
}

#[test]
fn columns_count_characters_and_lines_survive_windows() {
    let text = "name = \"s\"\r\ndescription = \"ä\"\r\n\"ö\" = 1\r\n";
    assert!(problems(text).contains("s.toml:3:1: ö: unknown key"), "{}", problems(text));
    let inline = case("a", "").replace("role = \"user\"", "content = \"äöü\", rôle = 1");
    assert!(named(&inline).lines().all(|line| line.starts_with("s.toml:5:")), "{}", named(&inline));
}

#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let seen = problems("\"\\u001b[31mx\" = 1\n");
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}

#[test]
fn the_id_of_a_level_must_not_equal_the_id_of_another_case() {
    let text =
        format!("{}{}", case("Chat", "concurrency = [1, 16]"), case("x", "id = \"chat.c16\""));
    assert!(named(&text).contains("duplicate case id `chat.c16`, first used on line 3"));
}

/// A case with a generated prompt.
fn cut(lines: &str) -> String {
    format!("[[case]]\ntitle = \"t\"\nmax_tokens = 100\n{lines}\n")
}

fn ids(suite: &Suite) -> Vec<&str> {
    suite.cases.iter().map(|case| case.id.as_str()).collect()
}

#[test]
fn lists_of_lengths_make_a_grid_of_sweeps() {
    let grid = suite(
        &cut(
            "prompt_tokens = [512, 64]\ndepth = [0, 4096]\nmax_tokens = [16]\nconcurrency = [1, 2]"
                .trim_end(),
        )
        .replacen("max_tokens = 100\n", "", 1),
    );
    let wanted = [
        "t.p512.d0.t16.c1",
        "t.p512.d0.t16.c2",
        "t.p512.d4096.t16.c1",
        "t.p512.d4096.t16.c2",
        "t.p64.d0.t16.c1",
        "t.p64.d0.t16.c2",
        "t.p64.d4096.t16.c1",
        "t.p64.d4096.t16.c2",
    ];
    assert_eq!(ids(&grid), wanted);
    let last = grid.cases.last().unwrap();
    assert_eq!(last.title, "t (prompt 64, depth 4096, output 16) (2 streams)");
    assert_eq!(last.prompt, Prompt::Text(TextPrompt { tokens: 4_160, shared: 4_096 }));
    let of = CaseId::new("t.p64.d4096.t16").unwrap();
    assert_eq!(last.sweep, Some(Sweep { of, level: 1 }), "a grid has no levels of its own");
    assert_eq!((last.max_tokens, last.length), (16, Length::Fixed));
}

#[test]
fn a_prompt_can_have_a_shared_prefix_and_a_natural_length() {
    let suite = suite(&cut("prompt_tokens = 512\nshared_prefix = 384\nlength = \"natural\"\n\
         slo = { ttft = \"2s\", e2e = \"1m\" }"));
    let [only] = &suite.cases[..] else { panic!("one case") };
    assert_eq!(only.prompt, Prompt::Text(TextPrompt { tokens: 512, shared: 384 }));
    assert_eq!((only.id.as_str(), only.length), ("t", Length::Natural));
    let (ttft, e2e) = (Some(Duration::from_secs(2)), Some(Duration::from_mins(1)));
    assert_eq!(only.slo, Slo { ttft, tpot: None, e2e });
}

#[test]
fn output_limits_can_vary_between_requests() {
    let range = "max_tokens = { from = 96, to = 160 }";
    let suite = suite(&case("a", "").replace("max_tokens = 100", range));
    assert_eq!((suite.cases[0].min_max_tokens, suite.cases[0].max_tokens), (96, 160));
    let with = |value: &str| {
        named(&case("a", "").replace("max_tokens = 100", &format!("max_tokens = {value}")))
    };
    assert!(with("{ from = 9, to = 8 }").contains("max_tokens: from (9) is greater than to (8)"));
    assert!(with("{ from = 9 }").contains("max_tokens.to: missing. Add to = 160"));
    assert!(with("{ from = 0, to = 8, by = 1 }").contains("max_tokens.by: unknown key"));
    assert!(with("[]").contains("max_tokens: empty list"));
    assert_eq!(with("{ from = 0, to = 8 }").lines().count(), 1);
}

#[test]
fn a_rate_makes_an_open_loop() {
    let open = |lines: &str| suite(&case("a", &format!("requests = 9\n{lines}"))).cases;
    let load = Load::Open { rate: 2.0, arrivals: Arrivals::Poisson, max_in_flight: 1_024 };
    assert_eq!((open("rate = 2")[0].load, open("rate = 2")[0].sweep.clone()), (load, None));
    let levels = open("rate = [2.5, 1]\narrivals = \"gamma\"\nshape = 0.5\nmax_in_flight = 7");
    let arrivals = Arrivals::Gamma { shape: 0.5 };
    assert_eq!(levels[1].load, Load::Open { rate: 2.5, arrivals, max_in_flight: 7 });
    let seen: Vec<_> = levels.iter().map(|c| (c.id.as_str(), c.stop.requests)).collect();
    assert_eq!(seen, [("a.rps1", Some(9)), ("a.rps2.5", Some(9))]);
}

#[test]
fn a_conversation_has_turns_and_an_opening() {
    let turns = "turns = [\"one\", \"two\", \"three\"]\nconcurrency = 2";
    let talk = suite(&cut(turns));
    let Prompt::Conversation { opening, turns: said } = &talk.cases[0].prompt else {
        panic!("a conversation")
    };
    assert_eq!((opening.len(), said.len()), (0, 3));
    assert_eq!(talk.cases[0].stop.requests, Some(6), "a conversation for each stream");
    assert_eq!(talk.cases[0].length, Length::Natural);
    let system = "messages = [{ role = \"system\", content = \"be brief\" }]";
    let opened = suite(&cut(&format!("{system}\n{turns}")));
    assert_eq!(opened.cases[0].prompt.messages().len(), 1);
    let with = |lines: &str| named(&cut(lines));
    assert!(
        with("turns = [\"one\"]").contains("5:9: case[1].turns: a conversation needs at least")
    );
    assert!(with("turns = [\"one\", \" \"]").contains("case[1].turns[2]: is empty"));
    assert!(with("turns = \"one\"").contains("case[1].turns: must be an array, not a string"));
    let mine = "messages = [{ role = \"user\", content = \"hi\" }]\nturns = [\"a\", \"b\"]";
    assert!(with(mine).contains("the last message before turns must not have role \"user\""));
    let half = with(&format!("{turns}\nrequests = 5"));
    assert!(
        half.contains("requests: 5 requests are too few for a conversation of 3 turns per stream"),
        "{half}"
    );
}

#[test]
fn conflicting_settings_are_problems() {
    let text = |lines: &str| named(&cut(lines));
    let told = |lines: &str| named(&case("a", lines));
    for (seen, what) in [
        (told("rate = 1\nconcurrency = 2\nrequests = 9"), "rate: conflicts with concurrency"),
        (told("rate = 1"), "6:8: case[1].rate: requires an end. Add requests or duration"),
        (told("rate = [1, 1]\nrequests = 9"), "rate: level 1 is listed twice"),
        (told("rate = 0\nrequests = 9"), "rate: must be from 0.001 to 10000, not 0"),
        (
            told("rate = 9000\nduration = \"1h\""),
            "duration: at 9000 requests per second exceeds the maximum of 200,000",
        ),
        (told("rate = 1\nrequests = 9\nramp = true"), "ramp: requires concurrency"),
        (told("arrivals = \"poisson\""), "arrivals: requires rate"),
        (told("max_in_flight = 4"), "max_in_flight: requires rate"),
        (told("arrivals = \"gama\""), "unknown distribution `gama`. Did you mean `gamma`?"),
        (told("rate = 1\nrequests = 9\narrivals = \"gamma\""), "arrivals: gamma requires shape"),
        (told("rate = 1\nrequests = 9\nshape = 2"), "shape: requires gamma arrivals"),
        (told("prompt_tokens = 9"), "prompt_tokens: requires a generated prompt"),
        (told("depth = 9"), "depth: requires a generated prompt"),
        (told("ramp = 1"), "ramp: must be a boolean, not an integer"),
        (told("length = \"long\""), "unknown length `long`. Known values: fixed, natural"),
        (told("slo = { ttft = 2 }"), "slo.ttft: must be a duration"),
        (told("slo = { itl = \"2s\" }"), "slo.itl: unknown key. Write tpot"),
        (told("rps = 2"), "rps: unknown key. Write rate = 2.5"),
        (
            text("prompt_tokens = [9, 99]\nshared_prefix = 9"),
            "shared_prefix: 9 must be less than prompt_tokens",
        ),
        (
            text("prompt_tokens = 9\nshared_prefix = 1\ndepth = 1"),
            "shared_prefix: conflicts with depth",
        ),
        (text("shared_prefix = 9"), "messages: missing. Add messages = "),
        (
            text("turns = [\"a\", \"b\"]\nrate = 1\nrequests = 4"),
            "rate: conversations require a closed loop",
        ),
    ] {
        assert!(seen.contains(what), "{what}: {seen}");
        assert_eq!(seen.lines().count(), 1, "{seen}");
    }
}

#[test]
fn defaults_that_do_not_apply_to_a_case_are_no_problem() {
    let defaults = "[defaults]\nrate = 2\narrivals = \"constant\"\nrequests = 40\n\
                    prompt_tokens = 512\nshared_prefix = 100\n";
    let suite = suite(&format!(
        "{defaults}{}{}{}",
        cut(""),
        case("b", "concurrency = 2"),
        cut("turns = [\"x\", \"y\"]\nid = \"c\"\nconcurrency = 1"),
    ));
    let open: Vec<_> = suite.cases.iter().map(|case| case.concurrency()).collect();
    assert_eq!(open, [None, Some(2), Some(1)]);
    assert!(matches!(suite.cases[1].prompt, Prompt::Messages(_)));
    assert_eq!(suite.cases[0].prompt, Prompt::Text(TextPrompt { tokens: 512, shared: 100 }));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_suite_or_has_problems(text in ".{0,200}") {
        if let Err(SuiteProblems(list)) = parse(&text, "s.toml") {
            assert!(!list.is_empty());
        }
    }

    #[test]
    fn any_part_of_a_suite_is_a_suite_or_has_problems(from in 0_usize..4_000, len in 0_usize..4_000) {
        let source = crate::suite::builtin()[0].source;
        let from = source.floor_char_boundary(from);
        let end = source.floor_char_boundary((from + len).min(source.len()));
        if let Err(SuiteProblems(list)) = parse(&source[from..end], "s.toml") {
            assert!(!list.is_empty());
        }
    }
}
