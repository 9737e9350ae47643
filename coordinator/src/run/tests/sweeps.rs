//! Sweeps that end where a host is saturated.

use regatta_types::suite::Sweep;
use regatta_types::testing::{Timing, trace};
use regatta_types::trace::{Phase, RequestTrace};
use regatta_types::validity::{Finding, FindingCode, Validity};

use super::*;

/// Levels of 1, 2, 4 and 8 streams and a case that is of no sweep.
pub(super) fn cases() -> Vec<Case> {
    let level = |level: u32| {
        let streams = 1 << level;
        let of = CaseId::new("load").unwrap();
        let load = Load::Closed { streams, ramp: Ramp::None };
        Case { load, sweep: Some(Sweep { of, level }), ..case(&format!("load.c{streams}")) }
    };
    (0..4).map(level).chain([case("other")]).collect()
}

/// The requests of a level whose streams together make this many tokens a second.
pub(super) fn requests(streams: u32, output: f64) -> Vec<RequestTrace> {
    let token_ms = f64::from(streams) * 1e3 / output;
    let pace = Timing { ttft_ms: token_ms, token_ms, tokens: 50 };
    let length = Duration::from_secs_f64(50.0 * token_ms / 1e3);
    (0..streams * 6)
        .map(|seq| {
            let begin = MonoNs(1_000_000_000).after(length * (seq / streams));
            RequestTrace { stream: seq % streams, ..trace(seq, Phase::Measured, begin, pace) }
        })
        .collect()
}

struct Sweeping {
    bench: Bench,
    /// Output of each level, tokens a second, by host.
    outputs: Vec<(&'static str, [f64; 4])>,
    /// Whether the agent spoilt its second level.
    spoilt: bool,
}

impl Sweeping {
    fn new(outputs: Vec<(&'static str, [f64; 4])>) -> Self {
        let expected = ExpectedHosts::Count(u32::try_from(outputs.len()).unwrap());
        let mut bench = Bench::of(cases(), expected, RunPolicy::default());
        for (session, (name, _)) in (1..).zip(&outputs) {
            bench.ready(session, name);
        }
        Self { bench, outputs, spoilt: false }
    }

    /// Works through everything that is leased; the cases in the order of each host.
    fn run(&mut self) -> Vec<Vec<String>> {
        let mut seen = vec![Vec::new(); self.outputs.len()];
        while !self.bench.state.is_finished() {
            let mut moved = false;
            for (index, (name, outputs)) in self.outputs.clone().into_iter().enumerate() {
                let session = u64::try_from(index + 1).unwrap();
                let Some((key, epoch, _)) = self.bench.lease(name) else { continue };
                let cell = format!("{}/{}", key.cell.case, key.cell.repetition);
                if seen[index].last() == Some(&cell) {
                    continue;
                }
                moved = true;
                seen[index].push(cell);
                let case = self.bench.state.header.suite.case(&key.cell.case).unwrap().clone();
                let mut report =
                    self.bench.report_of(session, (key, epoch), AttemptOutcome::Completed);
                if let Some(sweep) = &case.sweep {
                    let output = outputs[sweep.level as usize];
                    report.traces = requests(case.in_flight_max(), output);
                    if self.spoilt && sweep.level == 1 {
                        report.findings.push(Finding {
                            code: FindingCode::ClientLimited,
                            validity: Validity::Invalid,
                            evidence: String::new(),
                            advice: String::new(),
                        });
                    }
                }
                self.bench.hand_over(session, report);
                self.bench.clock(session);
            }
            assert!(moved || self.bench.state.is_finished(), "nobody has anything to do");
        }
        seen
    }

    fn skipped(&self) -> Vec<String> {
        let skipped = |effect: &Effect| match effect {
            Effect::Event(EventKind::CellSkipped { cell, .. }) => Some(cell.to_string()),
            _ => None,
        };
        self.bench.log.iter().filter_map(skipped).collect()
    }
}

#[test]
fn a_saturated_host_skips_the_higher_levels_in_every_repetition() {
    // 4 streams bring 2 % more than 2.
    let mut sweeping = Sweeping::new(vec![("one", [100.0, 190.0, 194.0, 400.0])]);
    let seen = sweeping.run().remove(0);
    assert!(seen.iter().all(|cell| !cell.starts_with("load.c8")), "{seen:?}");
    assert_eq!(seen.len(), 8, "three levels and the other case, twice: {seen:?}");
    assert_eq!(sweeping.skipped(), ["one/load.c8/r1", "one/load.c8/r2"]);
    assert_eq!(sweeping.bench.end(), Some((8, 0)), "skipped is not missing");
}

#[test]
fn each_host_decides_for_itself_and_holds_nobody_up() {
    let mut sweeping = Sweeping::new(vec![
        ("flat", [100.0, 101.0, 400.0, 400.0]),
        ("steep", [100.0, 200.0, 400.0, 800.0]),
    ]);
    let seen = sweeping.run();
    assert_eq!((seen[0].len(), seen[1].len()), (6, 10));
    assert_eq!(sweeping.skipped().len(), 4);
    assert_eq!(sweeping.bench.end(), Some((16, 0)));
}

#[test]
fn an_invalid_level_decides_nothing() {
    let mut sweeping = Sweeping::new(vec![("one", [100.0, 101.0, 400.0, 800.0])]);
    sweeping.spoilt = true;
    assert_eq!(sweeping.run().remove(0).len(), 10);
    assert_eq!(sweeping.skipped(), Vec::<String>::new());
}
