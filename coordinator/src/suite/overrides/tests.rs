use std::time::Duration;

use regatta_types::suite::{Load, Prompt, StopRule, Suite, TextPrompt, Timeouts};

use super::*;
use crate::suite::{builtin, parse_with};

const TEXT: &str = "name = \"s\"\n[[case]]\ntitle = \"Chat\"\nmax_tokens = 10\n";

/// A case that sends a message.
fn suite(lines: &str, flags: &Overrides) -> Suite {
    let text = format!("{TEXT}messages = [{{ role = \"user\", content = \"hi\" }}]\n{lines}\n");
    parse_with(&text, "s.toml", flags).unwrap()
}

/// A case with a generated prompt.
fn text(lines: &str, flags: &Overrides) -> Suite {
    parse_with(&format!("{TEXT}prompt_tokens = 512\n{lines}\n"), "s.toml", flags).unwrap()
}

fn refused(lines: &str, flags: &Overrides) -> String {
    let text = format!("{TEXT}messages = [{{ role = \"user\", content = \"hi\" }}]\n{lines}\n");
    parse_with(&text, "s.toml", flags).unwrap_err().to_string()
}

/// Id, title, maximum requests in flight and total requests of each case.
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

fn rate(rates: &[f64]) -> Overrides {
    Overrides { rate: Some(rates.to_vec()), ..Overrides::default() }
}

#[test]
fn a_single_concurrency_keeps_the_case_ids() {
    let changed = suite("", &concurrency(&[16]));
    assert_eq!(shape(&changed), [("chat", "Chat", 16, Some(16))]);
    assert_eq!(changed.cases[0].sweep, None);
}

#[test]
fn the_number_of_requests_of_a_file_scales_with_the_streams() {
    for (streams, requests) in [(1, 5), (4, 16), (16, 64)] {
        let seen = suite("requests = 5", &concurrency(&[streams]));
        assert_eq!(seen.cases[0].stop.requests, Some(requests), "{streams}");
    }
    let many = suite("requests = 500", &concurrency(&[16]));
    assert_eq!(many.cases[0].stop.requests, Some(500));
}

#[test]
fn each_concurrency_level_is_long_enough_for_a_steady_window() {
    let wanted = [
        ("chat.c1", "Chat (1 stream)", 1, Some(20)),
        ("chat.c4", "Chat (4 streams)", 4, Some(20)),
        ("chat.c16", "Chat (16 streams)", 16, Some(64)),
    ];
    assert_eq!(shape(&suite("", &concurrency(&[16, 1, 4]))), wanted, "the lowest first");
    let sweep = suite("concurrency = [2, 8, 32]", &concurrency(&[1, 4, 16]));
    assert_eq!(shape(&sweep), wanted, "no sweep of a sweep");
    let rates = suite("rate = [0.5, 2]\nrequests = 10", &concurrency(&[1]));
    assert_eq!(shape(&rates), [("chat", "Chat", 1, Some(10))], "streams in place of rates");
}

#[test]
fn rates_override_streams() {
    let flags = Overrides {
        duration: Some(Duration::from_secs(30)),
        arrivals: Some(Arrivals::Constant),
        max_in_flight: Some(9),
        ..rate(&[2.5, 0.5])
    };
    let seen = suite("concurrency = [1, 4]\nramp = false\nrequests = 8", &flags);
    let ids: Vec<_> = seen.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["chat.rps0.5", "chat.rps2.5"]);
    let load = Load::Open { rate: 2.5, arrivals: Arrivals::Constant, max_in_flight: 9 };
    assert_eq!(seen.cases[1].load, load);
    assert_eq!(seen.cases[1].title, "Chat (2.5/s)");
    let stop = StopRule { requests: None, duration: Some(Duration::from_secs(30)) };
    assert_eq!(seen.cases[1].stop, stop);
}

#[test]
fn overriding_the_load_of_a_file_drops_its_details() {
    let open = "rate = [1, 2]\narrivals = \"constant\"\nmax_in_flight = 4\nrequests = 9";
    let closed = suite(open, &concurrency(&[4]));
    assert_eq!(shape(&closed), [("chat", "Chat", 4, Some(16))]);
    let flags = Overrides { requests: Some(9), ..rate(&[1.0]) };
    let open = suite("concurrency = 4\nramp = true", &flags);
    assert_eq!((open.cases[0].concurrency(), open.cases[0].stop.requests), (None, Some(9)));
}

#[test]
fn requests_and_duration_replace_the_stop_rule() {
    let by_time = Overrides { duration: Some(Duration::from_secs(30)), ..Overrides::default() };
    let stop = suite("requests = 9", &by_time).cases[0].stop;
    assert_eq!(stop, StopRule { requests: None, duration: Some(Duration::from_secs(30)) });
    let by_count = Overrides { requests: Some(3), ..Overrides::default() };
    let stop = suite("duration = \"1m\"", &by_count).cases[0].stop;
    assert_eq!(stop, StopRule { requests: Some(3), duration: None });
}

#[test]
fn single_settings_apply_to_every_case() {
    let second = Duration::from_secs(1);
    let flags = Overrides {
        max_tokens: Some(5),
        repetitions: Some(2),
        length: Some(Length::Natural),
        slo: Some(Slo { ttft: Some(second), ..Slo::default() }),
        connect_timeout: Some(second),
        first_token_timeout: Some(second),
        chunk_timeout: Some(second),
        request_timeout: Some(second),
        ..Overrides::default()
    };
    let timeouts =
        Timeouts { connect: second, first_token: second, chunk: second, request: second };
    for name in builtin() {
        for case in crate::suite::load(name.name, &flags).unwrap().cases {
            assert_eq!((case.min_max_tokens, case.max_tokens, case.repetitions), (5, 5, 2));
            assert_eq!((case.length, case.timeouts), (Length::Natural, timeouts));
            assert_eq!(case.slo.ttft, Some(second));
        }
    }
}

#[test]
fn prompt_lengths_override_only_prompt_lengths() {
    let prompts = |flags: &[u32]| {
        let flags = Overrides { prompt_tokens: Some(flags.to_vec()), ..Overrides::default() };
        text("depth = 100", &flags)
            .cases
            .into_iter()
            .map(|c| (c.id.to_string(), c.prompt))
            .collect()
    };
    let cut = |id: &str, tokens: u32| {
        (id.to_owned(), Prompt::Text(TextPrompt { tokens: tokens + 100, shared: 100 }))
    };
    let (one, two): (Vec<_>, Vec<_>) = (prompts(&[64]), prompts(&[64, 256]));
    assert_eq!(one, [cut("chat", 64)]);
    assert_eq!(two, [cut("chat.p64", 64), cut("chat.p256", 256)]);
    let flags = Overrides { prompt_tokens: Some(vec![64]), ..Overrides::default() };
    assert!(refused("", &flags).starts_with("--prompt-tokens: requires a generated prompt"));
}

#[test]
fn invalid_flags_are_reported_together_and_once() {
    let default = Overrides::default;
    assert_eq!(
        refused("", &Overrides { max_tokens: Some(0), repetitions: Some(0), ..default() }),
        "--max-tokens: must be from 1 to 1,000,000, not 0\n\
         --repetitions: must be from 1 to 1,000, not 0"
    );
    assert_eq!(refused("", &concurrency(&[1, 0])), "--concurrency: must be from 1 to 4,096, not 0");
    assert_eq!(refused("", &concurrency(&[])), "--concurrency: empty list");
    assert_eq!(refused("", &concurrency(&[2, 2])), "--concurrency: level 2 is listed twice");
    assert_eq!(
        refused("", &Overrides { requests: Some(3), ..concurrency(&[4]) }),
        "--requests: 3 requests are too few for 4 streams. Set at least 4, or omit it"
    );
    for bad in [0.0, -1.0, 10_001.0, f64::NAN, f64::INFINITY] {
        let seen = refused("requests = 5", &rate(&[bad]));
        assert_eq!(seen, format!("--rate: must be from 0.001 to 10000, not {bad}"));
    }
    assert!(refused("", &rate(&[1.0])).starts_with("--rate: requires an end. Add requests or"));
    let spread = Overrides { arrivals: Some(Arrivals::Poisson), ..default() };
    assert!(refused("", &spread).starts_with("--arrivals: requires rate"));
    let ten = crate::suite::load("complex", &rate(&[1.0])).unwrap_err().to_string();
    assert_eq!(ten.lines().count(), 1, "not once for every case: {ten}");
    let long = format!("id = \"{}\"", "x".repeat(60));
    assert!(refused(&long, &concurrency(&[1, 16])).contains("is not a valid case id"));
}

#[test]
fn flag_values_are_parsed() {
    assert_eq!(arrivals("gamma:0.5"), Ok(Arrivals::Gamma { shape: 0.5 }));
    assert_eq!(
        (arrivals("poisson"), arrivals("constant")),
        (Ok(Arrivals::Poisson), Ok(Arrivals::Constant))
    );
    for bad in ["gamma", "gamma:", "gamma:0", "gamma:nan", "uniform", ""] {
        assert!(arrivals(bad).is_err(), "{bad}");
    }
    let seconds = |n| Some(Duration::from_secs(n));
    let wanted = Slo { ttft: seconds(2), tpot: Some(Duration::from_millis(100)), e2e: None };
    assert_eq!(slo("ttft=2s,tpot=100ms"), Ok(wanted));
    let millis = |ms| Some(Duration::from_millis(ms));
    for (preset, ttft, tpot) in [
        ("mlperf:llama2-70b", 2_000, 200),
        ("mlperf:llama3.1-8b-interactive", 500, 30),
        ("mlperf:deepseek-r1-interactive", 1_500, 15),
        ("mlperf:gpt-oss-120b", 3_000, 80),
    ] {
        let wanted = Slo { ttft: millis(ttft), tpot: millis(tpot), e2e: None };
        assert_eq!(slo(preset), Ok(wanted), "{preset}");
    }
    assert!(slo("mlperf:gpt-2").unwrap_err().contains("deepseek-r1"), "the known ones are named");
    assert_eq!(slo("e2e=30s"), Ok(Slo { e2e: seconds(30), ..Slo::default() }));
    for bad in ["", "ttft", "ttft=2", "itl=2s", "ttft=2s,ttft=3s", "ttft=2s,"] {
        assert!(slo(bad).is_err(), "{bad}");
    }
    assert!(length("fixed").is_ok() && length("Fixed").is_err());
}
