use std::io::Write as _;

use super::*;

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
    assert_eq!(error("nonesuch"), "there is no suite or file `nonesuch`; built in: complex, quick");
    assert_eq!(error("quik"), "there is no suite or file `quik`; did you mean `quick`?");
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
    assert!(error.ends_with("did you mean `defaults`?"), "{error}");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    assert!(matches!(load("/dev/zero"), Err(SuiteError::TooLong { .. })));
}

#[test]
fn list_and_check_tell_what_would_be_measured() {
    assert_eq!(
        list(),
        "complex     10 cases  ten engineering tasks with answers of 500 to 800 tokens\n\
         quick        3 cases  three short answers, for a first look at a host\n"
    );
    assert_eq!(
        check("quick").unwrap(),
        "case            repetitions  streams  warmup  max_tokens  stop\n\
         explain-code              3        1       0         128  1 request\n\
         write-function            3        1       0          96  1 request\n\
         short-answer              3        1       0          64  1 request\n\
         quick: no problems; 9 cells per host\n"
    );
    assert_eq!(show("quick").unwrap(), builtin()[1].source);
}
