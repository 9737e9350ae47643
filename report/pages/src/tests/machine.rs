//! GPU telemetry, possible causes, capacity, events and memory bandwidth.

use regatta_figures::bandwidth::Bandwidth;
use regatta_figures::hosts::{Happened, RestartSign};
use regatta_types::gpu::{ClockReasons, GpuSample};

use super::*;
use crate::report::Report;
use crate::words::causes_of;

fn samples(record: &mut WholeRun, host: &str, change: impl Fn(&mut GpuSample)) {
    let series = attempts_of(record, host).flat_map(series);
    series.flat_map(|one| &mut one.samples).for_each(change);
}

fn causes(record: &WholeRun, host: &str) -> Vec<String> {
    causes_of(&Report::new(record, None).unwrap(), &HostId::new(host).unwrap())
}

fn cause_lines(record: &WholeRun) -> Vec<String> {
    let is_cause = |l: &String| l.starts_with("Possible causes ") || l.starts_with("No recorded ");
    lines(record).into_iter().filter(is_cause).collect()
}

#[test]
fn gpu_telemetry_of_a_slow_host_is_a_possible_cause_with_faults_first() {
    let mut record = three_hosts();
    samples(&mut record, "gpu-03", |sample| {
        sample.clock_sm_mhz = Some(2_000);
        sample.reasons = Some(ClockReasons(0x8 | 0x4));
        sample.temperature_c = Some(91);
        sample.pcie_width = Some(8);
        sample.utilization_pct = Some(60);
    });
    cap_power(&mut record);
    assert_eq!(
        causes(&record, "gpu-03"),
        [
            "throttled by hardware slowdown in 100 % of the samples (median of the others 0 %)",
            "GPU power limit 450 W (most others 600 W)",
            "PCIe link with 8 lanes (median of the others 16)",
            "throttled by power limit in 100 % of the samples (median of the others 75 %)",
            "SM clock 2,000 MHz, 22.8 % below the median of the others (2,590 MHz)",
            "GPU temperature 91 °C (median of the others 63 °C)",
            "GPU utilization 60 % (median of the others 97 %)",
        ]
    );
    for host in ["gpu-01", "gpu-02"] {
        assert_eq!(causes(&record, host), Vec::<String>::new(), "{host} is unchanged");
    }
    let said = line(&record, "Possible causes on gpu-03 (worse in decode speed, end-to-end time)");
    has(&said, ", not seen on most others: throttled by hardware slowdown");
}

/// A host that was slow only in time to first token used to have no causes.
#[test]
fn a_host_slower_in_any_metric_has_possible_causes() {
    let late = TestHost { ttft_ms: 270.0, ..TestHost::new("gpu-03") };
    let mut record = RunBuilder::new(&["Backend system"], 5).fleet(2).host(late).build();
    samples(&mut record, "gpu-03", |sample| sample.pcie_width = Some(4));
    let cause = "Possible causes on gpu-03 (worse in time to first token, end-to-end time), not seen on \
                 most others: PCIe link with 4 lanes (median of the others 16). Evidence, not proof.";
    assert_eq!(cause_lines(&record), [cause]);
}

#[test]
fn a_slow_host_without_evidence_has_a_next_step() {
    let said = "No recorded fact explains why gpu-03 is worse in decode speed, end-to-end time. Check \
                CPU contention, engine flags and other processes.";
    let record = three_hosts();
    for host in ["gpu-01", "gpu-02", "gpu-03"] {
        assert_eq!(causes(&record, host), Vec::<String>::new(), "the GPUs are equal: {host}");
    }
    assert_eq!(cause_lines(&record), [said]);
    has(&page(&record, "hosts/gpu-03.md"), said);
    lacks(&page(&record, "hosts/gpu-01.md"), "No recorded fact");
}

#[test]
fn of_a_pair_only_the_slower_host_is_explained() {
    let slow = TestHost::new("gpu-02").slower_by(0.25);
    let mut record = RunBuilder::new(&["Backend system"], 5).fleet(1).host(slow).build();
    gpus(&mut record, "gpu-02").gpus[0].power_limit_w = Reading::Known(450.0);
    let cause = "Possible causes on gpu-02 (worse in decode speed, end-to-end time), not seen on the \
                 other host: GPU power limit 450 W (the other host 600 W). Evidence, not proof.";
    assert_eq!(cause_lines(&record), [cause]);
    lacks(&page(&record, "hosts/gpu-01.md"), "Differences from the other hosts of its class");
    has(&page(&record, "hosts/gpu-02.md"), "Differences from the other hosts of its class");
}

#[test]
fn a_minor_fact_comes_after_telemetry() {
    let mut record = three_hosts();
    host(&mut record, "gpu-03").facts.as_mut().unwrap().kernel = Reading::Known("6.1.0".to_owned());
    samples(&mut record, "gpu-03", |sample| sample.clock_sm_mhz = Some(2_000));
    let own = causes(&record, "gpu-03");
    assert!(own[0].starts_with("SM clock 2,000 MHz"), "{own:?}");
    assert_eq!(own[1..], ["kernel 6.1.0 (most others 6.12.9-amd64)"]);
}

#[test]
fn the_machines_section_has_the_readings_of_each_host() {
    let mut record = three_hosts();
    samples(&mut record, "gpu-03", |sample| {
        sample.clock_sm_mhz = Some(2_000);
        sample.reasons = Some(ClockReasons(0x20 | 0x4));
        sample.pcie_width = Some(8);
    });
    cap_power(&mut record);
    let unknown = Reading::missing("not supported by this board");
    gpus(&mut record, "gpu-02").gpus[0].power_limit_w = unknown;
    let page = page(&record, "report.md");
    let machines = from(&page, "## Machines");
    assert_eq!(
        row(machines, "| Host   | GPU memory")[3..9],
        [
            "GPU power limit",
            "GPU temperature, max (°C)",
            "SM clock, mean (MHz)",
            "Power-capped (%)",
            "Thermally throttled (%)",
            "PCIe lanes"
        ]
    );
    assert_eq!(row(machines, "| gpu-01 ")[3..9], ["600 W", "63", "2,590", "75", "0", "16"]);
    assert_eq!(row(machines, "| gpu-03 ")[3..9], ["450 W", "63", "2,000", "100", "100", "8"]);
    assert_eq!(row(machines, "| gpu-02 ")[3], "not available: not supported by this board");
}

#[test]
fn energy_is_shown_with_power_limit_idle_power_and_prompt_share() {
    let mut record = two_cases(5).requests(8).fleet(2).build();
    let own = record.attempts.iter_mut().filter(|a| a.report.key.cell.host.as_str() == "gpu-02");
    own.flat_map(series).for_each(|one| one.quiet.clear());
    let page = page(&record, "report.md");
    let table = from(&page, "### Energy per output token");
    let first = row(table, "| gpu-01 ");
    // 96 prompt tokens for 120 and 160 output tokens.
    assert_eq!((first[2], first[3], first[7]), ("600 W", "60.0", "0.69"));
    let [total, above]: [f64; 2] = [4, 6].map(|cell: usize| first[cell].parse().unwrap());
    assert!(above < total && above > total * 0.75, "minus 60 of about 320 W: {first:?}");
    assert_eq!(first[9], "equivalent");
    let second = row(table, "| gpu-02 ");
    let why = "not available: the engine was never idle for 0.5 s";
    assert_eq!((second[3], second[6]), (why, "-"));
}

#[test]
fn errors_foreign_processes_and_a_busy_cpu_are_causes_on_the_affected_host_only() {
    let mut record = three_hosts();
    for one in attempts_of(&mut record, "gpu-02").flat_map(series) {
        one.samples.last_mut().unwrap().ecc_uncorrected = Some(2);
    }
    for (host, code, evidence) in [
        ("gpu-01", "gpu_shared", "process 7 (blender), not part of the engine, uses 9 GiB"),
        ("gpu-02", "client_stall", "stalled for 80 ms"),
    ] {
        let evidence = evidence.to_owned();
        let finding = Finding { evidence, ..finding(code, Validity::Degraded) };
        attempts_of(&mut record, host).for_each(|a| a.report.findings.push(finding.clone()));
    }
    let first = causes(&record, "gpu-01");
    assert!(first.iter().any(|cause| cause.contains("blender")), "{first:?}");
    let second = causes(&record, "gpu-02");
    assert!(second[0].contains("uncorrected memory errors (others: 0)"), "{second:?}");
    assert_eq!(second[1], "its agent lacked CPU time in 10 of 10 attempts (others: none)");
    assert_eq!(causes(&record, "gpu-03"), Vec::<String>::new());
}

/// 25.8 tok/s at 3 GB per token, with a memory bandwidth of 1,792 GB/s.
#[test]
fn a_small_share_of_the_memory_bandwidth_is_in_the_summary() {
    let host = TestHost { token_ms: 1_000.0 / 25.8, ..TestHost::new("gpu-01") };
    let mut builder = RunBuilder::new(&["Explain Code", "Write Essay"], 3).host(host);
    let without = page(&builder.build(), "hosts/gpu-01.md");
    lacks(&without, "theoretical memory bandwidth");
    has(&without, "--active-weights");
    builder.active_weights = Some(Bytes(3_000_000_000));
    let mut record = builder.build();
    let own = page(&record, "hosts/gpu-01.md");
    has(&own, "Decoding uses **4 % of the theoretical memory bandwidth** (");
    has(&own, " tok/s single-stream x 3.00 GB per token, of 1,792 GB/s).");
    has(&own, "Usually something other than memory limits the engine");
    line(&record, "gpu-01 uses 4 % of the theoretical memory bandwidth when decoding (");

    let bandwidth = |record: &WholeRun| {
        let analysis = Analysis::new(record).unwrap();
        Bandwidth::of(&analysis, &analysis.hosts[0])
    };
    let Ok(known) = bandwidth(&record) else { panic!("it is available") };
    assert!((known.share - 25.8 * 3.0 / 1792.128).abs() < 0.001, "{known:?}");
    let board = gpus(&mut record, "gpu-01").gpus[0].board.as_mut().unwrap();
    board.memory_bus_bits = Reading::missing("not supported by this board");
    let why = "GPU memory bus and clock unknown: not supported by this board";
    let absent = bandwidth(&record).map_err(|absent| crate::words::absent::why(&absent));
    assert_eq!(absent, Err(why.to_owned()));
}

fn capacity_of(record: &WholeRun) -> Capacity {
    let analysis = Analysis::new(record).unwrap();
    Capacity::of(&analysis).expect("a capacity")
}

/// One excluded host used to remove the line.
#[test]
fn the_capacity_names_excluded_hosts() {
    let mut record = RunBuilder::new(&["Explain Code"], 5).requests(8).fleet(5).build();
    record.header.tariff = Some(0.36);
    record.absent = 1;
    engine(&mut record, "gpu-04").version = Reading::Known("0.14.0".to_owned());
    keep(&mut record, "gpu-05", 0);
    for attempt in attempts_of(&mut record, "gpu-02") {
        attempt.report.gpu.series = Reading::missing("no NVML here");
    }
    let said = line(&record, "Capacity of 3 of 6 hosts: 125 tok/s with one stream per host");
    let excluded = "gpu-04 (another class); gpu-05 (no usable results); host #6 (never joined)";
    let without = "; not available: GPU board power (none from gpu-02); not available: electricity \
                   (none from gpu-02); excluded: ";
    assert!(said.ends_with(&format!("{without}{excluded}.")), "{said}");
    let page = page(&record, "report.md");
    has(&page, "| 3 of 6 hosts ");
    has(&page, &format!("Excluded: {excluded}."));
    let alone = RunBuilder::new(&["Explain Code"], 5).fleet(1).build();
    lacks(&answer(&alone), "apacity");
    let mut apart = three_hosts();
    ["gpu-02", "gpu-03"].iter().for_each(|host| keep(&mut apart, host, 0));
    let why = "Total capacity is not available: fewer than two hosts of one class have complete \
               repetitions.";
    assert_eq!(line(&apart, "Total capacity"), why);
}

#[test]
fn events_of_a_host_have_their_time() {
    let mut record = three_hosts();
    let event = |seq: u64, kind| RunEvent {
        seq,
        at: UnixNs(1_795_521_700_000_000_000 + i64::try_from(seq).unwrap() * 1_000_000_000),
        elapsed: Duration::from_secs(100 + seq),
        kind,
    };
    let [one, host] = ["gpu-01", "gpu-02"].map(|name| HostId::new(name).unwrap());
    let left = EventKind::AgentDisconnected { host: host.clone(), reason: "silent".to_owned() };
    record.events = vec![
        event(0, left),
        event(1, EventKind::AgentJoined { host, again: true }),
        event(2, EventKind::AgentJoined { host: one, again: false }),
    ];
    let report = &mut attempts_of(&mut record, "gpu-02").nth(3).unwrap().report;
    let late = Duration::from_millis(2_500);
    report.traces[0].chunks.iter_mut().skip(40).for_each(|c| c.at = c.at.after(late));
    known(&mut report.engine.metrics.samples)[1].prefix_queries = Some(12.0);
    let text = page(&record, "hosts/gpu-02.md");
    let table = from(&text, "| Time (UTC)");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 4, "{table}");
    for (time, what) in [
        ("2026-11-24 12:01:40 UTC", "the agent disconnected (silent)"),
        ("2026-11-24 12:01:41 UTC", "the agent rejoined"),
        ("2026-11-24 12:0", "no token for 2.52 s ("),
        ("2026-11-24 12:0", "the engine restarted: one of its counters went backwards"),
    ] {
        let row = rows.iter().find(|row| row.contains(what));
        assert!(row.is_some_and(|row| row.contains(time)), "{what}: {rows:#?}");
    }
    assert!(rows.is_sorted_by_key(|row| &row[..25]), "in chronological order: {rows:#?}");
    let slow = text.lines().skip_while(|line| !line.starts_with("| Slowest requests")).nth(2);
    let slow = slow.unwrap();
    assert!(slow.contains("| power limit, during "), "{slow}");
    let ratio = slow.split('|').map(str::trim).nth(4).unwrap().parse::<f64>().unwrap();
    assert!((1.5..2.0).contains(&ratio), "{slow}");
    let quiet = "No stall over 1 s, lost connection, engine restart or lost GPU.";
    has(&page(&record, "hosts/gpu-01.md"), quiet);
    for attempt in attempts_of(&mut record, "gpu-01") {
        attempt.report.engine.metrics.samples = Reading::missing("/metrics: status 404");
    }
    has(&page(&record, "hosts/gpu-01.md"), "An engine restart would not be seen: ");
}

/// Only counters within one attempt were compared: a restart between two was denied.
#[test]
fn a_restart_between_two_attempts_is_an_event_and_a_possible_cause() {
    let events = |record: &WholeRun| -> Vec<(UnixNs, Happened)> {
        let events = Analysis::new(record).unwrap().hosts.remove(2).events.events;
        events.into_iter().map(|event| (event.at, event.what)).collect()
    };
    let slow = || {
        let slow = TestHost::new("gpu-03").slower_by(0.1);
        RunBuilder::new(&["Explain Code"], 6).fleet(2).host(slow).build()
    };
    assert_eq!(events(&slow()), []);
    let mut counters = slow();
    for attempt in attempts_of(&mut counters, "gpu-03").skip(4) {
        let samples = known(&mut attempt.report.engine.metrics.samples);
        samples.iter_mut().for_each(|s| s.queued = s.queued.map(|queued| queued - 100.0));
    }
    let found = events(&counters);
    let fourth = attempts_of(&mut counters, "gpu-03").nth(4).unwrap().report.clone();
    let at = fourth.anchor.to_unix(known(&mut fourth.engine.metrics.samples.clone())[0].at);
    assert_eq!(found, [(at, Happened::EngineRestarted(RestartSign::Counter))]);

    let mut process = slow();
    let (first, second) = (UnixNs(1_795_500_000_000_000_000), UnixNs(1_795_521_700_000_000_000));
    for (n, attempt) in attempts_of(&mut process, "gpu-03").enumerate() {
        let mut facts = engine(&mut counters, "gpu-03").clone();
        facts.process.started = Some(if n < 4 { first } else { second });
        attempt.report.engine.before = Reading::Known(facts);
    }
    assert_eq!(events(&process), [(second, Happened::EngineRestarted(RestartSign::Process))]);
    has(&causes(&process, "gpu-03").concat(), "its engine restarted during the run");

    let mut away = slow();
    for attempt in attempts_of(&mut away, "gpu-03").skip(2).take(2) {
        let refused = Failure::new(FailureKind::Unreachable, "connection refused");
        attempt.report.traces.iter_mut().for_each(|t| t.outcome = Outcome::Failed(refused.clone()));
    }
    let traces: usize =
        attempts_of(&mut away, "gpu-03").skip(2).take(2).map(|a| a.report.traces.len()).sum();
    let found = events(&away);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, Happened::EngineAway { requests: traces });
}

/// A host was 58 % slower since another client used its engine: no cause was named.
#[test]
fn other_clients_of_the_engine_are_the_first_possible_cause() {
    let slow = TestHost::new("gpu-03").slower_by(0.6);
    let mut record = RunBuilder::new(&["Explain Code"], 5).fleet(2).host(slow).build();
    cap_power(&mut record);
    for attempt in attempts_of(&mut record, "gpu-03") {
        let samples = known(&mut attempt.report.engine.metrics.samples);
        samples.iter_mut().for_each(|s| s.running = Some(4.0));
    }
    let said = causes(&record, "gpu-03");
    let first =
        "other clients had 4 requests (median) in its engine in 5 of 5 attempts (others: none)";
    assert_eq!(said.first().map(String::as_str), Some(first), "{said:?}");
    engine(&mut record, "gpu-03").process.resident = Some(Bytes(9 << 30));
    for name in ["gpu-01", "gpu-02"] {
        engine(&mut record, name).process.resident = Some(Bytes(3 << 30));
    }
    let memory = "resident memory of the engine 9.0 GiB (median of the others 3.0 GiB)";
    assert!(causes(&record, "gpu-03").iter().any(|cause| cause == memory), "{said:?}");
}

/// Three hosts with twelve repetitions; from repetition `from` on the last host is slower by `share`,
/// with a lower clock and a hotter GPU.
fn throttled(share: f64, from: u32) -> WholeRun {
    let mut record = RunBuilder::new(&["Explain Code", "Debug task"], 12).fleet(3).build();
    let is_late = |a: &&mut AttemptRecord| a.report.key.cell.repetition.0 >= from;
    for attempt in attempts_of(&mut record, "gpu-03").filter(is_late) {
        stretch(attempt, 1.0 + share);
        for sample in series(attempt).iter_mut().flat_map(|series| &mut series.samples) {
            (sample.clock_sm_mhz, sample.temperature_c) = (Some(2_310), Some(86));
        }
    }
    record
}

#[test]
fn a_host_slower_only_in_the_last_quarter_points_to_its_cooling() {
    let record = throttled(0.06, 10);
    let said = causes(&record, "gpu-03").concat();
    let wanted =
        " % lower in the last quarter of the run but not in the first, SM clock from 2,590 MHz";
    assert!(said.contains(wanted) && said.contains(" to 86 °C; check its cooling"), "{said}");
    lacks(&causes(&record, "gpu-01").concat(), "quarter");
    has(&answer(&record), ", not seen on most others: decode speed 5.");
    let host = page(&record, "hosts/gpu-03.md");
    let last = row(&host, "| last ");
    assert!(["10–12", "2,310", "86.0"].iter().all(|cell| last.contains(cell)), "{last:?}");
    has(&host, "**Slower only in the last quarter: check the cooling.**");
}

#[test]
fn constant_slowness_and_a_common_slowdown_are_not_fading() {
    for steady in [throttled(0.06, 1), throttled(0.0, 10)] {
        lacks(&causes(&steady, "gpu-03").concat(), "quarter");
    }
    let mut all = throttled(0.06, 10);
    let slow = all.attempts.clone();
    let slow = slow.iter().filter(|a| a.report.key.cell.host.as_str() == "gpu-03");
    for name in ["gpu-01", "gpu-02"] {
        let own = all.attempts.iter_mut().filter(|a| a.report.key.cell.host.as_str() == name);
        for (attempt, as_slow) in own.zip(slow.clone()) {
            attempt.report.traces.clone_from(&as_slow.report.traces);
        }
    }
    let found = Analysis::new(&all).unwrap();
    assert_eq!(found.classes[0].quarters.len(), 3);
    assert!(found.classes[0].quarters.iter().all(|quarters| !quarters.is_fading));
}

#[test]
fn quarters_need_eight_complete_repetitions() {
    let record = RunBuilder::new(&["Explain Code"], 7).fleet(2).build();
    let said = "First compared with last quarter of the run: not available, at least 8 complete repetitions";
    has(&page(&record, "hosts/gpu-01.md"), said);
}

#[test]
fn a_single_fading_host_is_compared_with_its_own_mean() {
    let mut record = throttled(0.06, 10);
    record.hosts.retain(|host| host.host.as_str() == "gpu-03");
    record.attempts.retain(|a| a.report.key.cell.host.as_str() == "gpu-03");
    let host = page(&record, "hosts/gpu-03.md");
    has(&host, "Decode speed vs. its own mean (%)");
    has(&host, "**Slower towards the end of the run: check the cooling.**");
}

#[test]
fn the_capacity_has_the_slowest_host_the_spread_and_the_price() {
    let slow = TestHost::new("gpu-02").slower_by(0.25);
    let record = RunBuilder::new(&["Explain Code"], 5).fleet(1).host(slow).build();
    let plain = line(&record, "Capacity of the 2 hosts: 75 tok/s with one stream per host");
    has(&plain, "(slowest gpu-02 at 33.3, fastest 24.8 % faster)");
    has(&plain, "644 W GPU board power");
    lacks(&plain, "million");
    // Attempts shorter than 5 s have no energy: these are longer.
    let mut record = RunBuilder::new(&["Explain Code"], 5).requests(8).fleet(2).build();
    record.header.tariff = Some(0.36);
    let analysis = Analysis::new(&record).unwrap();
    let capacity = capacity_of(&record);
    let energy = analysis.hosts[0].cases[0].energy.as_ref().unwrap().j_per_out_tok.unwrap();
    let price = capacity.price_per_million.unwrap();
    let said =
        format!("electricity {price:.3} per million output tokens (tariff currency, GPU boards");
    has(&line(&record, "Capacity"), &said);
    let tenth = (price - energy * 0.1).abs() < 0.02 * price;
    assert!(tenth, "0.1 per joule and token: {price}");
    let mut record = RunBuilder::new(&["x"], 3).levels(&[1, 2, 4]).requests(40).fleet(2).build();
    for case in &mut record.header.suite.cases {
        case.slo.ttft = Some(Duration::from_secs(2));
    }
    let users = capacity_of(&record).users.unwrap();
    assert_eq!((users.streams, users.at_least), (8, true), "at least four on each host");
}
