//! Twins and start modes.

use super::*;
use crate::testing::{self, suite};

fn case(id: &str) -> Case {
    Case { repetitions: 3, ..testing::case(id) }
}

#[test]
fn a_twin_is_the_same_work_under_its_own_id() {
    let of = CaseId::new("load").unwrap();
    let level = Case { sweep: Some(Sweep { of, level: 0 }), ..case("load.c1") };
    let before = suite(vec![case("chat"), level]);
    let twins = before.clone().with_solo_twins().unwrap();
    let ids: Vec<&str> = twins.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["chat.solo", "chat", "load.c1.solo", "load.c1"]);
    for pair in twins.cases.chunks(2) {
        assert_eq!(pair[0].work_hash(), pair[1].work_hash());
        assert_eq!(pair[0].drawn_as(), pair[1].drawn_as());
        assert_eq!(pair[0].solo_of.as_ref(), Some(&pair[1].id));
    }
    assert_eq!(twins.cases[2].sweep.as_ref().unwrap().of.as_str(), "load.solo");
    assert!(twins.compared_cases().eq(before.cases.iter()));
    assert_ne!(twins.hash(), before.hash());
}

#[test]
fn a_twin_whose_id_is_taken_or_too_long_is_refused_in_one_sentence() {
    let refused = |cases| suite(cases).with_solo_twins().unwrap_err().to_string();
    assert_eq!(
        refused(vec![case("chat"), case("chat.solo")]),
        "`--start both` adds `chat.solo` for case `chat`, but the suite already uses this id. Rename it"
    );
    let long = "x".repeat(60);
    assert_eq!(
        refused(vec![case(&long)]),
        format!(
            "`--start both` adds `{long}.solo` for case `{long}`, but this id is too long. Shorten `{long}` to 58 characters"
        )
    );
}

#[test]
fn a_case_without_a_twin_has_the_hash_it_always_had() {
    let json = serde_json::to_value(case("chat")).unwrap();
    assert!(json.get("solo_of").is_none(), "{json}");
}

#[test]
fn modes_are_read_as_they_are_written() {
    for mode in StartMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert!("alone".parse::<StartMode>().is_err());
}
