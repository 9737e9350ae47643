//! What hosts are asked before a run.

use regatta_types::assignment::{ContextNeed, Wants};
use regatta_types::suite::TextPrompt;

use super::*;
use crate::suite::{self, Overrides};

#[test]
fn hosts_are_told_what_the_suite_wants_to_know_of_their_engines() {
    let wants = |name: &str, flags: &Overrides| {
        let cases = suite::load(name, flags).unwrap().cases;
        let mut bench = Bench::of(cases, ExpectedHosts::Count(1), RunPolicy::default());
        bench.join(1, "one");
        let prepared = bench.log.into_iter().find_map(|effect| match effect {
            Effect::Prepare { preparation, .. } => Some(preparation.wants),
            _ => None,
        });
        prepared.expect("a host is asked to prepare")
    };
    let none = Overrides::default();
    let text = |tokens, shared| TextPrompt { tokens, shared };
    let context = wants("quick", &none).context;
    let quick = Wants { texts: Vec::new(), fixed_length: true, floor_streams: 1, context };
    assert_eq!(wants("quick", &none), quick);
    let context = Some(ContextNeed { least: 672, most: 672 });
    let load = Wants { texts: vec![text(512, 0)], fixed_length: true, floor_streams: 64, context };
    assert_eq!(wants("load", &none), load, "each text once");
    let grid = vec![text(512, 0), text(4_608, 4_096), text(2_048, 0), text(6_144, 4_096)];
    assert_eq!(wants("grid", &none).texts, grid);
    let natural = Some(Length::Natural);
    let open = |max_in_flight| Overrides {
        rate: Some(vec![1.0]),
        max_in_flight,
        length: natural,
        ..Overrides::default()
    };
    assert!(!wants("text", &open(None)).fixed_length);
    assert_eq!(wants("text", &open(None)).floor_streams, 64, "nobody knows how many it takes");
    assert_eq!(wants("text", &open(Some(8))).floor_streams, 8);
}
