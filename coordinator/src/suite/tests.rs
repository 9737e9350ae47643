use std::io::Write as _;

use regatta_types::suite::{Length, Load, Prompt, Ramp, Suite};

use super::*;

fn load(name: &str) -> Result<Suite, SuiteError> {
    super::load(name, &Overrides::default())
}

#[test]
fn complex_has_the_titles_and_lengths_its_users_know() {
    let suite = load("complex").unwrap();
    let seen: Vec<_> = suite.cases.iter().map(|c| (c.title.as_str(), c.max_tokens)).collect();
    let wanted = [
        ("Full Backend System", 800),
        ("Microservices Architecture", 600),
        ("Complex Algorithms", 700),
        ("Debug Task", 500),
        ("Data Analysis Report", 600),
        ("System Design Interview", 600),
        ("Multi-turn Conversation", 800),
        ("Technical Documentation", 700),
        ("Database Optimization", 500),
        ("ML Project", 800),
    ];
    assert_eq!(seen, wanted);
    assert!(suite.cases.iter().all(|c| c.repetitions == 5));
    let turns: Vec<_> = suite.cases[6].prompt.messages().iter().map(|m| m.role.name()).collect();
    assert_eq!(turns, ["system", "user", "assistant", "user"]);
}

#[test]
fn prompts_of_complex_are_about_as_long_as_those_its_users_know() {
    let tokens = [88, 95, 53, 148, 107, 86, 135, 84, 125, 133];
    for (case, tokens) in load("complex").unwrap().cases.iter().zip(tokens) {
        let chars: usize = case.prompt.messages().iter().map(|m| m.content.chars().count()).sum();
        let guess = chars / 4;
        assert!(guess.abs_diff(tokens) <= tokens / 7, "{}: {guess} for {tokens}", case.title);
    }
}

#[test]
fn no_built_in_prompt_holds_the_backslash_of_a_folded_line() {
    for builtin in builtin() {
        for case in builtin.suite().cases {
            let folded = |m: &regatta_types::suite::Message| m.content.contains("\\\n");
            assert!(!case.prompt.messages().iter().any(folded), "{}: {}", builtin.name, case.title);
        }
    }
}

#[test]
fn quick_is_quick() {
    let suite = load("quick").unwrap();
    assert!(suite.cases.iter().all(|c| c.repetitions == 3));
    assert!(suite.cases.iter().map(|c| c.max_tokens).sum::<u32>() <= 320);
}

#[test]
fn built_in_suites_answer_to_their_own_name() {
    for builtin in builtin() {
        assert_eq!(builtin.suite().name.as_str(), builtin.name);
        assert!(!builtin.suite().description.is_empty());
    }
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let error = |name| load(name).unwrap_err().to_string();
    assert_eq!(
        error("nonesuch"),
        "no suite or file `nonesuch`. Built-in suites: complex, quick, load, grid, text"
    );
    assert_eq!(error("quik"), "no suite or file `quik`. Did you mean `quick`?");
}

#[test]
fn a_file_is_read_and_its_problems_name_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    file.write_all(builtin()[1].source.as_bytes()).unwrap();
    assert_eq!(load(&path).unwrap(), builtin()[1].suite());
    file.write_all(b"[defautls]\n").unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{path}:")), "{error}");
    assert!(error.ends_with("Did you mean `defaults`?"), "{error}");
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_change_a_suite() {
    let unix = "name = \"lines\"\n[[case]]\ntitle = \"A\"\nmax_tokens = 16\n\
                messages = [{ role = \"user\", content = \"\"\"\nOne.\nTwo.\"\"\" }]\n";
    let suite = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(&file.path().display().to_string()).unwrap()
    };
    let windows = unix.replace('\n', "\r\n");
    for text in [windows.clone(), format!("\u{feff}{unix}"), format!("\u{feff}{windows}")] {
        assert_eq!(suite(&text), suite(unix));
        assert_eq!(suite(&text).hash(), suite(unix).hash());
    }
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    assert!(matches!(load("/dev/zero"), Err(SuiteError::TooLong { .. })));
}

#[test]
fn speed_is_measured_over_answers_of_equal_length() {
    for builtin in builtin() {
        assert!(
            builtin.suite().cases.iter().all(|c| c.length == Length::Fixed),
            "{}",
            builtin.name
        );
    }
}

#[test]
fn the_load_suite_is_a_ramped_sweep_whose_answers_differ() {
    let suite = load("load").unwrap();
    let streams: Vec<_> = suite.cases.iter().filter_map(|c| c.concurrency()).collect();
    assert_eq!(streams, [1, 2, 4, 8, 16, 32, 64]);
    let requests: Vec<_> = suite.cases.iter().filter_map(|c| c.stop.requests).collect();
    assert_eq!(requests, [20, 20, 20, 32, 64, 128, 256]);
    for case in &suite.cases {
        let Load::Closed { ramp, .. } = case.load else { panic!("{}: no streams", case.id) };
        assert_eq!(ramp, Ramp::Service);
        assert_eq!((case.min_max_tokens, case.max_tokens), (96, 160));
        assert_eq!(case.sweep.as_ref().map(|s| s.of.as_str()), Some("load"));
    }
}

#[test]
fn the_grid_fits_into_a_context_of_8192_tokens() {
    let suite = load("grid").unwrap();
    assert_eq!(suite.cases.len(), 8);
    for case in &suite.cases {
        let Prompt::Text(text) = case.prompt else { panic!("{}: no text", case.id) };
        assert!(text.tokens + case.max_tokens <= 8_192 - 64, "{}", case.id);
    }
}

#[test]
fn list_and_check_tell_what_would_be_measured() {
    assert_eq!(
        list(),
        "complex  10 cases  ten engineering tasks with answers of 500 to 800 tokens\n\
         quick     3 cases  three short answers, for a quick test of a host\n\
         load      7 cases  1 to 64 streams until saturation, prompts of 512 tokens, answers of 96 to 160 tokens\n\
         grid      8 cases  prompts of 512 and 2,048 tokens, answers of 32 and 128 tokens, at depth 0 and 4,096\n\
         text       1 case  prompts of 512 tokens, answers of 128 tokens, load set by flags\n"
    );
    assert_eq!(
        check("quick").unwrap(),
        "case            repetitions  load      prompt      max_tokens  length  warmup  stop\n\
         explain-code    3            1 stream  1 message   128         fixed   0       1 request\n\
         write-function  3            1 stream  2 messages  96          fixed   0       1 request\n\
         short-answer    3            1 stream  1 message   64          fixed   0       1 request\n\
         quick: no problems, 9 cells per host\n"
    );
    let lines = |name| check(name).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        lines("load")[7],
        "load.c64  3            64 streams, ramped  512 tokens  96-160      fixed   0       256 requests"
    );
    assert_eq!(
        lines("grid")[8],
        "grid.p2048.d4096.t128  3            1 stream  6,144 tokens, 4,096 shared  128         fixed   0       3 requests"
    );
    assert_eq!(show("quick").unwrap(), builtin()[1].source);
}
