use regatta_types::gpu::{Attribution, TelemetryEnd};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use super::*;
use crate::metrics::TokenSum;
use regatta_types::testing::RunBuilder;

const BEGAN: u64 = 1_000;

fn at(ms: u64) -> MonoNs {
    MonoNs((BEGAN * 1_000 + ms) * 1_000_000)
}

/// A series of an attempt of 10 s at this many watts, whose counter gains this many joules.
fn series(uuid: &str, watts: f64, joules: u64) -> GpuSeries {
    let sample = |ms| GpuSample {
        at: at(ms),
        power_w: Some(watts),
        memory_used: Some(Bytes(1_000)),
        ..GpuSample::default()
    };
    let reading = |ms, millijoules| EnergyReading { at: at(ms), millijoules };
    GpuSeries {
        uuid: uuid.to_owned(),
        serves: true,
        baseline: Some(sample(0)),
        samples: (0..100).map(|i| sample(i * 100)).collect(),
        energy: vec![reading(0, 7_000), reading(10_000, 7_000 + joules * 1_000)],
        ..GpuSeries::default()
    }
}

fn report(all: Vec<GpuSeries>) -> AttemptReport {
    let mut run = RunBuilder::new(&["Case"], 1).fleet(1).build();
    let mut report = run.attempts.remove(0).report;
    (report.began, report.finished) = (at(0), at(10_000));
    report.gpu.series = Reading::Known(all);
    report.gpu.period_ms = 100;
    report.gpu.attribution = Some(Attribution::PortOwner);
    report
}

/// One GPU of 300 W whose counter and samples agree.
fn good() -> GpuSeries {
    series("GPU-a", 300.0, 3_000)
}

fn withheld(report: &AttemptReport) -> Absent {
    Energy::of(report).unwrap_err()
}

#[test]
fn energy_is_the_counters_difference_over_the_endpoints_gpus() {
    let mut other = series("GPU-other", 500.0, 5_000);
    other.serves = false;
    let report = report(vec![good(), series("GPU-b", 204.0, 2_000), other]);
    let energy = Energy::of(&report).unwrap();
    assert_eq!((energy.joules, energy.seconds), (5_000.0, 10.0));
    let residual = energy.residual.unwrap();
    assert!((residual - 0.02).abs() < 1e-9, "{residual}");
}

#[test]
fn energy_is_withheld_where_counter_and_samples_differ_by_a_tenth() {
    assert!(Energy::of(&report(vec![series("GPU-a", 300.0, 2_750)])).is_ok());
    let Absent::CounterDisagrees { residual } =
        withheld(&report(vec![series("GPU-a", 300.0, 2_500)]))
    else {
        panic!("they differ")
    };
    assert!((residual - 0.2).abs() < 1e-9, "{residual}");
}

/// It was 0 J at 350 W.
#[test]
fn a_counter_that_does_not_move_leaves_no_energy() {
    let mut blind = series("GPU-a", 350.0, 0);
    assert_eq!(withheld(&report(vec![blind.clone()])), Absent::CounterStandsStill);
    blind.samples.clear();
    assert_eq!(withheld(&report(vec![blind])), Absent::CounterStandsStill);
}

#[test]
fn a_counter_that_fell_leaves_no_energy() {
    let mut fell = good();
    fell.energy[1].millijoules = 1;
    assert_eq!(withheld(&report(vec![fell.clone()])), Absent::CounterRanBackwards);
    // It may be above its first reading again when the attempt ends.
    let reset = EnergyReading { at: at(5_000), millijoules: 0 };
    fell.energy = vec![fell.energy[0], reset, EnergyReading { at: at(10_000), millijoules: 9_000 }];
    assert_eq!(withheld(&report(vec![fell])), Absent::CounterRanBackwards);
}

#[test]
fn energy_needs_five_seconds_both_edges_and_a_gpu_that_stays() {
    let short = AttemptReport { finished: at(4_999), ..report(vec![good()]) };
    assert_eq!(withheld(&short), Absent::ShortAttempt);
    let mut late = good();
    late.energy[0].at = at(501);
    assert_eq!(withheld(&report(vec![late])), Absent::CounterNotReadAtBegin);
    let mut lost = good();
    lost.ended = Some(TelemetryEnd { at: at(9_000), reason: "GPU lost".to_owned() });
    assert_eq!(withheld(&report(vec![lost])), Absent::Told("GPU lost".to_owned()));
    let mut without = good();
    without.energy.clear();
    without.unavailable.insert("energy".to_owned(), "not supported".to_owned());
    assert_eq!(withheld(&report(vec![without])), Absent::Told("not supported".to_owned()));
}

#[test]
fn a_hole_in_the_samples_leaves_energy_without_its_check() {
    let mut hole = good();
    hole.samples.retain(|s| s.at < at(4_000) || s.at > at(6_000));
    let energy = Energy::of(&report(vec![hole])).unwrap();
    assert_eq!((energy.joules, energy.residual), (3_000.0, None));
}

#[test]
fn joules_per_token_stand_in_total_and_above_idle() {
    let mut quiet = good();
    let sample = |watts, memory| GpuSample {
        power_w: Some(watts),
        memory_used: Some(Bytes(memory)),
        ..GpuSample::default()
    };
    // The last is from before the model was loaded.
    quiet.quiet = vec![sample(50.0, 1_000); 10];
    quiet.quiet.push(sample(10.0, 5));
    let report = report(vec![quiet]);
    let idle = Idle::of(&[&report]);
    assert_eq!(idle, Ok(Idle { watts: 50.0, seconds: 1.0 }));
    let told = |sum| TokenSum { sum, reported: 2, of: 2 };
    let tokens = Tokens { completion: told(1_000), prompt: told(4_000), ..Tokens::default() };
    let figures = EnergyFigures::of(&[(&report, &tokens)], idle.as_ref().ok()).unwrap();
    assert_eq!(figures.j_per_out_tok, Some(3.0));
    assert_eq!(figures.j_per_out_tok_above_idle, Some(2.5));
    assert_eq!(figures.prompt_per_out_tok, Some(4.0));
    // More idle power than the attempt took: no figure, and never a negative one.
    let hot = Some(&Idle { watts: 400.0, seconds: 1.0 });
    let figures = EnergyFigures::of(&[(&report, &tokens)], hot);
    assert_eq!(figures.unwrap().j_per_out_tok_above_idle, None);
}
