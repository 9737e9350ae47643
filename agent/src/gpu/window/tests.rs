use regatta_types::units::Bytes;

use super::*;

fn round(at: u64, memory: u64) -> GpuRound {
    let sample =
        GpuSample { at: MonoNs(at), memory_used: Some(Bytes(memory)), ..Default::default() };
    let mut results: PerMetric<MetricResult> = Default::default();
    results[0] = MetricResult::Read(Duration::from_micros(at + 1));
    GpuRound { sample, results, ..GpuRound::default() }
}

fn open(began: u64, latest: Option<GpuSample>, limit: usize) -> WindowBuffer {
    let opening = Opening { began: MonoNs(began), latest: vec![latest], ..Opening::default() };
    WindowBuffer::new(opening, limit)
}

fn push(window: &mut WindowBuffer, round: &GpuRound) {
    window.push(round.sample.at, std::slice::from_ref(round), &[Some(round.sample)]);
}

fn finish(window: WindowBuffer) -> (GpuSeries, usize) {
    let mut finished = window.finish(&["GPU-a".into()]);
    (finished.series.remove(0), finished.stride)
}

#[test]
fn the_baseline_is_the_last_sample_before_the_window() {
    let mut window = open(100, Some(round(50, 7).sample), LIMIT);
    push(&mut window, &round(99, 8));
    push(&mut window, &round(100, 9));
    let (series, stride) = finish(window);
    assert_eq!(series.baseline, Some(round(99, 8).sample));
    assert_eq!(series.samples, [round(100, 9).sample]);
    assert_eq!((series.unavailable.len(), stride), (0, 1));
}

#[test]
fn a_window_without_rounds_has_its_baseline_and_says_how_long_nothing_came() {
    let before = round(50, 7).sample;
    let mut window = open(100, Some(before), LIMIT);
    window.note_gap(MonoNs(3_240_000_100), Duration::from_millis(500), "a call hangs");
    let finished = window.finish(&["GPU-a".into()]);
    let series = &finished.series[0];
    assert_eq!((series.baseline, series.samples.len()), (Some(before), 0));
    assert_eq!(series.unavailable["power"], "no answer from the driver for 3.2 s");
    let gap = TelemetryGap {
        from: MonoNs(100),
        until: MonoNs(3_240_000_100),
        reason: "a call hangs".into(),
    };
    assert_eq!(finished.gaps, [gap]);
}

#[test]
fn long_windows_are_thinned_evenly_and_keep_the_memory_peak() {
    for peak_at in 0..40 {
        let mut window = open(0, None, 8);
        for i in 0..40 {
            push(&mut window, &round(i, if i == peak_at { 1000 } else { 10 }));
        }
        let (series, stride) = finish(window);
        let peak = series.samples.iter().filter_map(|s| s.memory_used).max();
        assert_eq!(peak, Some(Bytes(1000)), "peak at {peak_at}");
        assert!(series.samples.is_sorted_by_key(|s| s.at));
        assert_eq!((stride, series.samples.len()), (8, 5));
    }
}

#[test]
fn merged_samples_take_missing_readings_from_their_neighbor() {
    let mut warm = round(1, 5).sample;
    warm.temperature_c = Some(60);
    let merged = merge(warm, round(2, 9).sample);
    assert_eq!((merged.at, merged.temperature_c), (MonoNs(2), Some(60)));
}

#[test]
fn reasons_tell_a_call_that_never_worked_from_one_that_failed_at_times() {
    let mut window = open(0, None, LIMIT);
    for i in 0..4 {
        let mut round = round(i, 5);
        round.results[1] = match i {
            0 => MetricResult::Failed(GpuError::NotSupported, Duration::from_micros(1)),
            _ => MetricResult::GivenUp(GpuError::NotSupported),
        };
        if i == 3 {
            round.results[0] = MetricResult::Failed(GpuError::Lost, Duration::from_micros(1));
        }
        push(&mut window, &round);
    }
    let (series, _) = finish(window);
    assert_eq!(series.unavailable["power"], "not supported");
    assert_eq!(series.unavailable["memory"], "GPU lost in 1 of 4 readings");
    assert_eq!(series.costs["power"].calls, 1, "a disabled metric is not called");
}

#[test]
fn what_calls_cost_is_added_up() {
    let mut window = open(0, None, LIMIT);
    for i in [0, 4, 2] {
        push(&mut window, &round(i, 5));
    }
    let (series, _) = finish(window);
    let cost = CallCost { calls: 3, total_ns: 9_000, max_ns: 5_000 };
    assert_eq!(series.costs, BTreeMap::from([("memory".to_owned(), cost)]));
}

#[test]
fn a_lost_gpu_has_samples_until_then_and_its_end() {
    let mut window = open(0, None, LIMIT);
    let end = TelemetryEnd { at: MonoNs(2), reason: "GPU lost".into() };
    push(&mut window, &round(1, 5));
    for at in 2..6 {
        let mut lost = GpuRound { ended: Some(end.clone()), ..round(at, 0) };
        lost.sample = GpuSample { at: MonoNs(at), ..GpuSample::default() };
        lost.results = std::array::from_fn(|_| MetricResult::GivenUp(GpuError::Lost));
        push(&mut window, &lost);
    }
    let (series, _) = finish(window);
    assert_eq!((series.samples.len(), series.ended), (1, Some(end)));
}

#[test]
fn quiet_samples_are_those_before_the_start() {
    let ring = VecDeque::from([round(80, 1).sample]);
    let mut window = WindowBuffer::new(
        Opening {
            began: MonoNs(100),
            quiet_until: MonoNs(120),
            latest: vec![None],
            quiet: vec![ring],
        },
        LIMIT,
    );
    for at in [100, 110, 120] {
        push(&mut window, &round(at, 1));
    }
    let (series, _) = finish(window);
    let at: Vec<u64> = series.quiet.iter().map(|s| s.at.0).collect();
    assert_eq!(at, [80, 100, 110]);
}
