use std::time::Duration;

use super::*;
use crate::suite::{builtin, parse};

fn suite(lines: &str) -> Suite {
    let text = format!(
        "name = \"s\"\n[[case]]\ntitle = \"Chat\"\nmax_tokens = 10\n\
         messages = [{{ role = \"user\", content = \"hi\" }}]\n{lines}\n"
    );
    parse(&text, "s.toml").unwrap()
}

/// Id, title, streams and requests of each case.
fn shape(suite: &Suite) -> Vec<(&str, &str, u32, Option<u32>)> {
    suite
        .cases
        .iter()
        .map(|c| (c.id.as_str(), c.title.as_str(), c.in_flight_max(), c.stop.requests))
        .collect()
}

fn concurrency(levels: &[u32]) -> Overrides {
    Overrides { concurrency: Some(levels.to_vec()), ..Overrides::default() }
}

#[test]
fn no_flag_changes_nothing() {
    let complex = builtin()[0].suite();
    assert_eq!(Overrides::default().apply(complex.clone()), Ok(complex));
}

#[test]
fn one_concurrency_keeps_the_ids_so_that_runs_line_up() {
    let changed = concurrency(&[16]).apply(suite("")).unwrap();
    assert_eq!(shape(&changed), [("chat", "Chat", 16, Some(16))]);
    let more = concurrency(&[16]).apply(suite("requests = 40")).unwrap();
    assert_eq!(shape(&more), [("chat", "Chat", 16, Some(40))]);
}

#[test]
fn several_concurrencies_make_a_case_of_each() {
    let wanted =
        [("chat.c1", "Chat (1 stream)", 1, Some(1)), ("chat.c4", "Chat (4 streams)", 4, Some(4))];
    assert_eq!(shape(&concurrency(&[1, 4]).apply(suite("")).unwrap()), wanted);
    let sweep = suite("concurrency = [2, 8, 32]");
    assert_eq!(shape(&concurrency(&[1, 4]).apply(sweep).unwrap()), wanted, "no sweep of a sweep");
}

#[test]
fn requests_and_duration_replace_the_stop_rule() {
    let by_time = Overrides { duration: Some(Duration::from_secs(30)), ..Overrides::default() };
    let stop = by_time.apply(suite("requests = 9")).unwrap().cases[0].stop;
    assert_eq!(stop, StopRule { requests: None, duration: Some(Duration::from_secs(30)) });
    let by_count = Overrides { requests: Some(3), ..Overrides::default() };
    let stop = by_count.apply(suite("duration = \"1m\"")).unwrap().cases[0].stop;
    assert_eq!(stop, StopRule { requests: Some(3), duration: None });
}

#[test]
fn numbers_apply_to_every_case() {
    let flags = Overrides { max_tokens: Some(5), repetitions: Some(2), ..Overrides::default() };
    let complex = flags.apply(builtin()[0].suite()).unwrap();
    assert!(complex.cases.iter().all(|c| (c.max_tokens, c.repetitions) == (5, 2)));
}

#[test]
fn flags_that_cannot_be_are_refused_with_a_sentence() {
    let refused = |flags: Overrides| flags.apply(suite("")).unwrap_err().to_string();
    let default = Overrides::default;
    assert_eq!(
        refused(Overrides { max_tokens: Some(0), ..default() }),
        "--max-tokens must be from 1 to 1,000,000, not 0"
    );
    assert_eq!(refused(concurrency(&[1, 0])), "--concurrency must be from 1 to 4,096, not 0");
    for levels in [&[][..], &[2, 2]] {
        assert!(refused(concurrency(levels)).starts_with("--concurrency must be a number"));
    }
    assert_eq!(
        refused(Overrides { requests: Some(3), ..concurrency(&[4]) }),
        "--requests 3 cannot keep 4 streams busy; ask for at least 4"
    );
    let long = suite(&format!("id = \"{}\"", "x".repeat(60)));
    assert!(matches!(concurrency(&[1, 16]).apply(long), Err(OverrideError::Id(_))));
}
