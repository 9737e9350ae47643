//! Exclusions from the comparison, by code, and how the report describes them.

use regatta_figures::capacity::NoCapacity;
use regatta_figures::metrics::{FindingEvidence, SharedBy};
use regatta_figures::testing::whole;
use regatta_types::facts::{EndpointLocation, SocketId};
use regatta_types::gpu::Attribution;
use regatta_types::trace::ChunkCounts;

use super::compared::verdict;
use super::*;

/// Every case is excluded, so no host has enough repetitions.
const NONE: Option<Judgement> = Some(Judgement::NotJudged(Reason::TooFewRepetitions));

#[test]
fn hosts_with_another_token_source_are_excluded_from_speeds_only() {
    let mut record = three_hosts();
    for trace in traces_of(&mut record, "gpu-02") {
        trace.chunk_counts = Some(ChunkCounts::TokenIds);
        trace.chunks.iter_mut().for_each(|chunk| chunk.tokens = Some(1));
    }
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), None);
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-02"), EQUIVALENT);
    has(&answer(&record), "C9");
    let why = "| not comparable: token counts from &#96;token_ids&#96;, most hosts: &#96;usage&#96; (C9) |";
    let page = page(&record, "report.md");
    let cells = page.matches(why).count();
    assert_eq!(cells, 3, "of the host, and of each of the two cases: {page}");
}

#[test]
fn answers_of_different_length_are_compared_in_speed_but_not_end_to_end() {
    let mut record = three_hosts();
    traces_of(&mut record, "gpu-02").for_each(|t| t.finish_reason = Some(FinishReason::Stop));
    let why = "not comparable: answers differ in length or in how they end (C6)";
    assert_eq!(line(&record, "End-to-end time"), format!("End-to-end time is {why}."));
    let page = page(&record, "report.md");
    let rows = page.matches(&format!("| {why} |")).count();
    assert_eq!(rows, 3 + 2 * 2, "of each host, and of each case: {page}");
    let excluded = "Excluded from the comparison of end-to-end time: 2 cases (backend-system, debug-task). Reason: answers differ in length or in how they end (C6).";
    line(&record, excluded);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), EQUIVALENT);
}

/// One answer of forty is one token shorter on one host: too little for C6, but the natural lengths
/// of the others are unknown.
#[test]
fn truncated_answers_of_natural_length_are_compared_end_to_end_only_if_equally_long() {
    let mut record = RunBuilder::new(&["Debug task"], 5).requests(40).fleet(2).build();
    record.header.suite.cases[0].length = Length::Natural;
    let why = "End-to-end time is not comparable: answers of natural length were truncated and differ \
               in length (C7).";
    lacks(&answer(&record), why);
    has(&page(&record, "hosts/gpu-01.md"), "**24,000**");
    for attempt in attempts_of(&mut record, "gpu-02") {
        let trace = &mut attempt.report.traces[0];
        trace.finish_reason = Some(FinishReason::Stop);
        trace.usage.as_mut().unwrap().completion = 119;
        trace.chunks.truncate(119);
    }
    has(&answer(&record), why);
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-02"), EQUIVALENT);
    record.header.suite.cases[0].length = Length::Fixed;
    lacks(&answer(&record), why);
}

#[test]
fn a_verdict_from_incomplete_repetitions_has_a_badge() {
    let mut record = three_hosts();
    lose_of(&mut record, "gpu-02", 5..);
    let badge = "equivalent (indicative; 4 of 5 repetitions, C11)";
    assert_eq!(summary(&record).hosts[1].verdict, badge);
    let report = page(&record, "report.md");
    has(&report, "| gpu-02 |      4 of 5 |");
    has(&report, "| gpu-01 |           5 |");
}

#[test]
fn two_hosts_are_checked_by_their_difference_from_each_other() {
    // The mean of 100 and 118 tokens is 8 % from both, so the pair used to pass a limit of 10 %.
    let compared = |tokens: u64, cached: u64| {
        let mut record = RunBuilder::new(&["Debug task"], 5).tokens(100).fleet(2).build();
        for trace in traces_of(&mut record, "gpu-02") {
            let usage = trace.usage.as_mut().unwrap();
            usage.completion = tokens;
            (usage.prompt, usage.cached) = (1_000, Some(cached));
        }
        [Metric::E2e, Metric::Ttft].map(|metric| verdict(&record, metric, "gpu-02") != NONE)
    };
    assert_eq!(compared(109, 9), [true, true]);
    assert_eq!(compared(118, 9), [false, true], "C6");
    assert_eq!(compared(109, 18), [true, false], "C8");
}

#[test]
fn cached_prompts_are_not_compared_in_the_time_to_first_token() {
    let mut record = three_hosts();
    traces_of(&mut record, "gpu-02").for_each(|t| t.usage.as_mut().unwrap().cached = Some(64));
    assert_eq!(verdict(&record, Metric::Ttft, "gpu-01"), NONE);
    let why = "cached prompt tokens differ by more than 1 % of the prompt (C8).";
    has(&answer(&record), &format!("Time to first token is not comparable: {why}"));
    assert_eq!(verdict(&record, Metric::DecodeTps, "gpu-01"), EQUIVALENT);
}

/// Gives `host` the GPU of another one.
fn share_gpu(record: &mut WholeRun, host: &str, of: &str) {
    let uuid = gpus(record, of).gpus[0].uuid.clone();
    gpus(record, host).gpus[0].uuid.clone_from(&uuid);
    attempts_of(record, host).for_each(|one| series(one)[0].uuid.clone_from(&uuid));
}

/// Hosts that are in no comparison, with the reason; the number of hosts in the capacity; and the
/// findings of each host's first attempt.
fn same(record: &WholeRun) -> (Vec<(HostId, Reason)>, usize, Vec<Vec<FindingEvidence>>) {
    let analysis = Analysis::new(record).unwrap();
    let findings = analysis.hosts.iter().map(|host| {
        let counted = host.cells().find_map(|(_, cell)| cell.counted()).unwrap();
        counted.findings.iter().map(|finding| finding.evidence.clone()).collect()
    });
    let left_out = analysis.classes[0].metric(Metric::Ttft).unwrap().series.hosts_left_out.clone();
    let capacity = Capacity::of(&analysis).map_or(0, |capacity| capacity.hosts);
    (left_out, capacity, findings.collect())
}

/// A copied line of an ssh configuration made one machine two hosts, which were then compared and
/// added up.
#[test]
fn two_names_of_one_machine_are_not_compared_and_count_once() {
    let [first, other] = ["gpu-02", "gpu-03"].map(|name| HostId::new(name).unwrap());
    let by = SharedBy::Gpus;
    let evidence =
        |name: &HostId| vec![FindingEvidence::SameMachine { others: vec![name.clone()], by }];
    let expected = (
        vec![(other.clone(), Reason::SameMachine { first: first.clone(), by })],
        2,
        vec![Vec::new(), evidence(&other), evidence(&first)],
    );
    let mut record = two_cases(5).fleet(3).build();
    assert_eq!(same(&record), (Vec::new(), 3, vec![Vec::new(); 3]));
    share_gpu(&mut record, "gpu-03", "gpu-02");
    assert_eq!(same(&record), expected);
    line(&record, "gpu-03 is the same machine as gpu-02 (equal GPU UUIDs): no verdict");
    has(
        &line(&record, "Capacity of 2 of 3 hosts"),
        "gpu-03 (same machine as gpu-02: equal GPU UUIDs)",
    );
    let cell = &run_json(&record)["hosts"][2]["cases"][0]["cells"][0];
    assert_eq!([&cell["validity"], &cell["findings"][0]["code"]], ["degraded", "same_machine"]);
    // Equality survives redaction.
    let redacted = whole(&crate::redact(record).unwrap());
    line(&redacted, "host-3 is the same machine as host-2 (equal GPU UUIDs)");
    let mut alone = two_cases(5).fleet(2).build();
    share_gpu(&mut alone, "gpu-02", "gpu-01");
    let analysis = Analysis::new(&alone).unwrap();
    assert_eq!(Capacity::of(&analysis), Err(NoCapacity::OneHost));
}

#[test]
fn one_endpoint_of_one_boot_is_one_machine_and_unnamed_gpus_are_not() {
    let mut record = two_cases(5).fleet(3).build();
    let socket = |record: &mut WholeRun, host: &str, socket| {
        engine(record, host).socket = Some(SocketId(socket));
    };
    for (host, number) in [("gpu-01", 7), ("gpu-02", 8), ("gpu-03", 8)] {
        socket(&mut record, host, number);
    }
    let (first, by) = (HostId::new("gpu-02").unwrap(), SharedBy::Endpoint);
    let third = HostId::new("gpu-03").unwrap();
    assert_eq!(same(&record).0, [(third, Reason::SameMachine { first, by })]);
    let mut rebooted = record.clone();
    rebooted.attempts.iter_mut().for_each(|one| {
        one.report.boot.0 = one.report.key.cell.host.to_string();
    });
    assert_eq!(same(&rebooted).1, 3, "sockets of several machines may have one number");
    engine(&mut record, "gpu-03").location = EndpointLocation::Remote;
    assert_eq!(same(&record).0, [], "of another machine nothing is known");
    let mut unnamed = two_cases(5).fleet(2).build();
    for host in ["gpu-01", "gpu-02"] {
        attempts_of(&mut unnamed, host).for_each(|one| series(one)[0].uuid = "unknown-0".into());
    }
    assert_eq!(same(&unnamed).1, 2);
    assert_eq!(same(&whole(&crate::redact(unnamed).unwrap())).1, 2);
}

/// Two engines on a machine with several GPUs, whose agents cannot tell which are theirs.
#[test]
fn several_gpus_that_nothing_attributes_are_no_sign_of_one_machine() {
    let mut record = two_cases(5).fleet(2).build();
    for attempt in counted(&mut record) {
        let reason = "no process on any GPU".to_owned();
        attempt.report.gpu.attribution = Some(Attribution::Unattributed { reason });
        let both = ["GPU-a", "GPU-b"]
            .map(|uuid| GpuSeries { uuid: uuid.to_owned(), ..series(attempt)[0].clone() });
        *series(attempt) = both.into();
    }
    assert_eq!(same(&record).1, 2);
    counted(&mut record).for_each(|attempt| series(attempt).truncate(1));
    assert_eq!(same(&record).1, 0, "the only one is the endpoint's");
}
