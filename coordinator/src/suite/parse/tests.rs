use std::time::Duration;

use regatta_types::suite::{StopRule, Timeouts};

use super::*;

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

/// The problems of `text`, one a line.
fn problems(text: &str) -> String {
    parse(text, "s.toml").expect_err("problems").to_string()
}

/// The problems of a suite with a name, which is its line 1, and `text` from line 2.
fn named(text: &str) -> String {
    problems(&format!("name = \"s\"\n{text}"))
}

#[test]
fn a_case_that_says_little_gets_the_documented_defaults() {
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
            timeouts: Timeouts::default(),
        }]
    );
}

#[test]
fn a_case_stands_above_the_defaults() {
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
fn a_list_of_concurrencies_is_a_case_for_each() {
    let suite = suite(&case("Chat", "id = \"chat\"\nconcurrency = [1, 16]"));
    let seen: Vec<_> = suite
        .cases
        .iter()
        .map(|c| (c.id.as_str(), c.title.as_str(), c.in_flight_max(), c.stop.requests))
        .collect();
    let wanted = [
        ("chat.c1", "Chat (1 stream)", 1, Some(1)),
        ("chat.c16", "Chat (16 streams)", 16, Some(16)),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn every_problem_is_named_with_its_line() {
    let text = format!(
        "{}{}{}",
        case("One", "max_token = 5"),
        case("One", "temperature = \"hot\"").replace("100", "0"),
        case("Two", "").replace("\"user\"", "\"usr\"")
    );
    assert_eq!(
        named(&text),
        "s.toml:6:1: case[1].max_token: unknown key; did you mean `max_tokens`?\n\
         s.toml:8:9: case[2].id: duplicate case id `one`, first used in line 3; write an id of its own\n\
         s.toml:9:14: case[2].max_tokens: must be from 1 to 1,000,000, not 0\n\
         s.toml:11:15: case[2].temperature: must be a number, not text\n\
         s.toml:15:22: case[3].messages[1].role: unknown role `usr`; did you mean `user`?"
    );
}

#[test]
fn syntax_errors_stand_beside_the_other_problems() {
    let text =
        format!("{}{}", case("One", "temperature = = 1\nseeds = 4"), case("Two", "id = \"A\""));
    let seen = named(&text);
    let lines: Vec<_> = seen.lines().collect();
    assert!(lines[0].starts_with("s.toml:6:15: not TOML: "), "{seen}");
    assert!(
        lines.contains(&"s.toml:7:1: case[1].seeds: unknown key; did you mean `seed`?"),
        "{seen}"
    );
    assert!(seen.contains("s.toml:12:6: case[2].id: `A` is not a valid case id"), "{seen}");
}

#[test]
fn a_broken_file_is_not_blamed_for_what_the_break_hides() {
    let seen = named("[[case]\ntitle = \"a\"\n");
    assert!(seen.starts_with("s.toml:2:"), "{seen}");
    assert!(!seen.contains("is missing"), "{seen}");
}

#[test]
fn what_must_be_there_is_asked_for() {
    assert_eq!(
        problems(""),
        "s.toml:1:1: name: is missing; write name = \"my-suite\"\n\
         s.toml:1:1: case: is missing; write at least one [[case]]"
    );
    assert_eq!(
        named("[[case]]\n"),
        "s.toml:2:1: case[1].title: is missing; write title = \"Short name for people\"\n\
         s.toml:2:1: case[1].messages: is missing; write messages = [{ role = \"user\", content = \"...\" }]\n\
         s.toml:2:1: case[1].max_tokens: is missing; write max_tokens = 500"
    );
    assert!(named("case = []\n").contains("write at least one [[case]]"));
}

#[test]
fn messages_are_checked_one_by_one() {
    let with =
        |list: &str| named(&case("a", "").replace("[{ role = \"user\", content = \"hi\" }]", list));
    assert!(with("[]").contains("no messages"));
    assert!(with("\"hi\"").contains("5:12: case[1].messages: must be a list, not text"));
    assert!(with("[\"hi\"]").contains("case[1].messages[1]: must be a table, not text"));
    assert!(with("[{ role = \"user\", content = \" \" }]").contains("content: is empty"));
    assert!(with("[{ role = \"user\" }]").contains("messages[1].content: is missing"));
    assert!(with("[{ role = \"user\", content = \"a\", name = \"b\" }]").contains("unknown key"));
    let prefilled =
        "[{ role = \"user\", content = \"a\" }, { role = \"assistant\", content = \"b\" }]";
    assert!(with(prefilled).contains("the last message is not the user's"));
    let long = format!("[{{ role = \"user\", content = \"{}\" }}]", "x".repeat(MESSAGES_MAX + 1));
    assert!(with(&long).contains("more than the 778240 allowed"));
}

#[test]
fn what_a_suite_allows_fits_into_the_protocol() {
    use regatta_wire::limits::{CASE_TEXT_MAX, REQUESTS_MAX};
    let title = 4 * LINE_MAX + crate::suite::settings::title_ending(u32::MAX).len();
    assert!(MESSAGES_MAX + title <= CASE_TEXT_MAX);
    let requests = crate::suite::range::REQUESTS.end() + crate::suite::range::WARMUP.end();
    assert!(usize::try_from(requests).unwrap() <= REQUESTS_MAX);
}

#[test]
fn numbers_durations_and_ids_are_checked() {
    let with = |line: &str| named(&case("a", line));
    for (line, what) in [
        ("repetitions = 0", "repetitions: must be from 1 to 1,000, not 0"),
        ("repetitions = 2.0", "repetitions: must be a whole number, not a decimal number"),
        ("temperature = 2.1", "temperature: must be from 0 to 2, not 2.1"),
        ("temperature = nan", "temperature: must be from 0 to 2, not nan"),
        ("warmup = -1", "warmup: must be from 0 to 1,000, not -1"),
        ("requests = 99999999999999999999", "does not fit into 64 bits"),
        ("concurrency = 5000", "concurrency: must be from 1 to 4,096, not 5000"),
        ("concurrency = []", "concurrency: no levels"),
        (
            "concurrency = [1, \"2\", 4, 4]",
            "6:19: case[1].concurrency: must be a whole number, not text",
        ),
        ("concurrency = [1, \"2\", 4, 4]", "6:27: case[1].concurrency: level 4 is listed twice"),
        ("concurrency = [1, 8]\nrequests = 4", "requests: 4 cannot keep 8 streams busy"),
        (
            "duration = 30",
            "duration: must be a duration in quotes such as \"30s\", not a whole number",
        ),
        ("chunk_timeout = \"30\"", "chunk_timeout: `30` is not a duration"),
        ("id = \"../x\"", "id: `../x` is not a valid case id"),
        ("id = \"settling\"", "id: `settling` is reserved"),
        ("prompt = \"hi\"", "unknown key; write messages = ["),
    ] {
        let seen = with(line);
        assert!(seen.contains(what), "{line}: {seen}");
    }
    assert!(named(&case("数据", "")).contains("title: gives no id; write id = \"a-short-id\""));
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
fn levels_may_not_take_the_id_of_another_case() {
    let text =
        format!("{}{}", case("Chat", "concurrency = [1, 16]"), case("x", "id = \"chat.c16\""));
    assert!(named(&text).contains("duplicate case id `chat.c16`, first used in line 3"));
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
