//! The machine beside the number: what its GPUs did, and how near it comes to its memory.

use regatta_types::event::{EventKind, MissingReason, RunEvent};
use regatta_types::gpu::{ClockReasons, GpuSample, GpuSeries};
use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::time::UnixNs;
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, Validity};

use super::{attempts_of, page, three_hosts};
use crate::report::Report;
use crate::testing::summary;
use crate::testing::{RunBuilder, TestHost, WholeRun, lose};
use crate::words::absent::why;
use crate::words::causes_of;
use regatta_figures::analysis::Analysis;
use regatta_figures::bandwidth::Bandwidth;
use regatta_figures::capacity::Capacity;

/// Changes every series of a host.
fn change(record: &mut WholeRun, host: &str, change: impl Fn(&mut GpuSeries)) {
    for attempt in attempts_of(record, host) {
        if let Reading::Known(series) = &mut attempt.report.gpu.series {
            series.iter_mut().for_each(&change);
        }
    }
}

fn samples(record: &mut WholeRun, host: &str, sample: impl Fn(&mut GpuSample)) {
    change(record, host, |series| series.samples.iter_mut().for_each(&sample));
}

fn causes(record: &WholeRun, host: &str) -> Vec<String> {
    causes_of(&Report::new(record, None).unwrap(), &HostId::new(host).unwrap())
}

#[test]
fn equal_gpus_explain_nothing() {
    let record = three_hosts();
    for host in ["gpu-01", "gpu-02", "gpu-03"] {
        assert_eq!(causes(&record, host), Vec::<String>::new(), "{host}");
    }
}

#[test]
fn what_the_gpus_of_a_host_did_stands_beside_its_verdict_faults_first() {
    let mut record = three_hosts();
    samples(&mut record, "gpu-03", |sample| {
        sample.clock_sm_mhz = Some(2_000);
        sample.reasons = Some(ClockReasons(0x8 | 0x4));
        sample.temperature_c = Some(91);
        sample.pcie_width = Some(8);
        sample.utilization_pct = Some(60);
    });
    if let Reading::Known(inventory) = &mut record.hosts[2].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
    }
    let own = causes(&record, "gpu-03");
    assert_eq!(
        own,
        [
            "clocks held by hardware slowdown in 100 % of the samples (median of the others 0 %)",
            "GPU power limit 450 W (most others 600 W)",
            "PCIe link with 8 lanes (median of the others 16)",
            "clocks held by power limit in 100 % of the samples (median of the others 75 %)",
            "SM clock 2,000 MHz, 22.8 % below the median of the others (2,590 MHz)",
            "GPU at 91 °C (median of the others 63 °C)",
            "GPU busy 60 % of the time (median of the others 97 %)",
        ]
    );
    for host in ["gpu-01", "gpu-02"] {
        assert_eq!(causes(&record, host), Vec::<String>::new(), "{host} was not touched");
    }
    let lines = summary(&record).verdict_lines;
    let told = "On gpu-03 (worse in decode speed, end-to-end time) and not on most others: clocks";
    assert!(lines.iter().any(|line| line.starts_with(told)), "{lines:?}");
}

fn cause_lines(record: &WholeRun) -> Vec<String> {
    let analysis = Report::new(record, None).unwrap();
    let lines = crate::words::answer(&analysis).into_iter();
    lines.filter(|line| line.starts_with("On ") || line.starts_with("Nothing ")).collect()
}

/// A host that was late with first tokens alone had no line at all, whatever was on it.
#[test]
fn a_host_that_is_slower_in_any_metric_has_its_evidence() {
    let mut late = TestHost::new("gpu-03");
    late.ttft_ms *= 1.5;
    let mut record = RunBuilder::new(&["Backend system"], 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02"))
        .host(late)
        .build();
    samples(&mut record, "gpu-03", |sample| sample.pcie_width = Some(4));
    let told = "On gpu-03 (worse in time to first token, end-to-end time) and not on most others: \
                PCIe link with 4 lanes (median of the others 16). Evidence, not proof.";
    assert_eq!(cause_lines(&record), [told]);
}

#[test]
fn a_slower_host_without_evidence_is_told_with_what_to_look_at() {
    let told = "Nothing that was recorded differs on gpu-03 (worse in decode speed, end-to-end time): \
                look at the CPU, at engine flags that no process shows, and at other processes.";
    assert_eq!(cause_lines(&three_hosts()), [told]);
    assert!(page(&three_hosts(), "hosts/gpu-03.md").contains(told));
    assert!(!page(&three_hosts(), "hosts/gpu-01.md").contains("Nothing that was recorded"));
}

#[test]
fn of_a_pair_only_the_slower_host_is_explained() {
    let mut record = RunBuilder::new(&["Backend system"], 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02").slower_by(0.25))
        .build();
    if let Reading::Known(inventory) = &mut record.hosts[1].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
    }
    let told = "On gpu-02 (worse in decode speed, end-to-end time) and not on the other host: GPU \
                power limit 450 W (the other host 600 W). Evidence, not proof.";
    assert_eq!(cause_lines(&record), [told]);
    assert!(!page(&record, "hosts/gpu-01.md").contains("What differs on it"), "untouched");
    assert!(page(&record, "hosts/gpu-02.md").contains("What differs on it"));
}

#[test]
fn a_minor_fact_stands_behind_what_was_measured() {
    let mut record = three_hosts();
    record.hosts[2].facts.as_mut().unwrap().kernel = Reading::Known("6.1.0".to_owned());
    samples(&mut record, "gpu-03", |sample| sample.clock_sm_mhz = Some(2_000));
    let own = causes(&record, "gpu-03");
    assert!(own[0].starts_with("SM clock 2,000 MHz"), "{own:?}");
    assert_eq!(own[1..], ["kernel 6.1.0 (most others 6.12.9-amd64)"]);
}

/// The cells of the row that begins like this.
fn row(page: &str, begin: &str) -> Vec<String> {
    let line = page.lines().find(|line| line.starts_with(begin)).expect("the row is there");
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn what_explains_a_difference_stands_side_by_side() {
    let mut record = three_hosts();
    samples(&mut record, "gpu-03", |sample| {
        sample.clock_sm_mhz = Some(2_000);
        sample.reasons = Some(ClockReasons(0x20 | 0x4));
        sample.pcie_width = Some(8);
    });
    if let Reading::Known(inventory) = &mut record.hosts[2].gpus {
        inventory.gpus[0].power_limit_w = Reading::Known(450.0);
    }
    if let Reading::Known(inventory) = &mut record.hosts[1].gpus {
        inventory.gpus[0].power_limit_w = Reading::missing("not supported by this board");
    }
    let page = page(&record, "report.md");
    let machines = &page[page.find("### Machines and requests").unwrap()..];
    assert_eq!(
        row(machines, "| Host   | GPU memory")[3..9],
        [
            "GPU power limit",
            "GPU temperature, max (°C)",
            "SM clock, mean (MHz)",
            "Held by the power limit (%)",
            "Held by heat (%)",
            "PCIe lanes"
        ]
    );
    assert_eq!(row(machines, "| gpu-01 ")[3..9], ["600 W", "63", "2,590", "75", "0", "16"]);
    assert_eq!(row(machines, "| gpu-03 ")[3..9], ["450 W", "63", "2,000", "100", "100", "8"]);
    assert_eq!(row(machines, "| gpu-02 ")[3], "not available: not supported by this board");
}

#[test]
fn energy_stands_beside_its_limit_what_is_drawn_at_rest_and_the_share_of_prompts() {
    let mut record = RunBuilder::new(&["Backend system", "Debug task"], 5)
        .requests(8)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02"))
        .build();
    for attempt in &mut record.attempts {
        let is_second = attempt.report.key.cell.host.as_str() == "gpu-02";
        if let (true, Reading::Known(series)) = (is_second, &mut attempt.report.gpu.series) {
            series.iter_mut().for_each(|one| one.quiet.clear());
        }
    }
    let page = page(&record, "report.md");
    let table = &page[page.find("### Energy per output token").unwrap()..];
    let first = row(table, "| gpu-01 ");
    // 96 prompt tokens for 120 and for 160 output tokens.
    assert_eq!((&first[2][..], &first[3][..], &first[7][..]), ("600 W", "60.0", "0.69"));
    let [total, above]: [f64; 2] = [4, 6].map(|cell: usize| first[cell].parse().unwrap());
    assert!(above < total && above > total * 0.75, "60 of some 320 W less: {first:?}");
    assert_eq!(first[9], "equivalent");
    let second = row(table, "| gpu-02 ");
    let why = "not available: the engine was never seen at rest for half a second";
    assert_eq!((&second[3][..], &second[6][..]), (why, "-"));
}

#[test]
fn errors_strangers_and_a_busy_cpu_are_told_only_of_the_host_that_has_them() {
    let mut record = three_hosts();
    change(&mut record, "gpu-02", |series| {
        if let Some(last) = series.samples.last_mut() {
            last.ecc_uncorrected = Some(2);
        }
    });
    for (host, code, evidence) in [
        ("gpu-01", "gpu_shared", "process 7 (blender), which is not the engine's, has 9 GiB"),
        ("gpu-02", "client_stall", "stalled for 80 ms"),
    ] {
        let finding = Finding {
            code: code.into(),
            validity: Validity::Degraded,
            evidence: evidence.to_owned(),
            advice: String::new(),
        };
        attempts_of(&mut record, host).for_each(|a| a.report.findings.push(finding.clone()));
    }
    let first = causes(&record, "gpu-01");
    assert!(first.iter().any(|cause| cause.contains("blender")), "{first:?}");
    let second = causes(&record, "gpu-02");
    assert!(second[0].contains("uncorrected memory errors (the others 0)"), "{second:?}");
    assert!(second[1].starts_with("its agent was short of CPU in"), "{second:?}");
    assert_eq!(causes(&record, "gpu-03"), Vec::<String>::new());
}

/// 25.8 tok/s with 3 GB read for each token, on a board that reads 1,792 GB/s.
#[test]
fn a_host_at_a_small_part_of_its_memory_bandwidth_says_so_in_its_verdict() {
    let mut host = TestHost::new("gpu-01");
    host.token_ms = 1_000.0 / 25.8;
    let mut builder = RunBuilder::new(&["Explain Code", "Write Essay"], 3).host(host);
    let without = builder.build();
    assert!(!page(&without, "hosts/gpu-01.md").contains("bandwidth ceiling"));
    assert!(page(&without, "hosts/gpu-01.md").contains("--active-weights"), "says why not");
    builder.active_weights = Some(Bytes(3_000_000_000));
    let mut record = builder.build();
    let own = page(&record, "hosts/gpu-01.md");
    assert!(own.contains("Decoding runs at **4 % of the bandwidth ceiling** ("), "{own}");
    assert!(own.contains("x 3.00 GB a token, of 1,792 GB/s)"), "{own}");
    assert!(own.contains("usually means"), "{own}");
    let lines = summary(&record).verdict_lines;
    assert!(lines.iter().any(|l| l.starts_with("gpu-01 decodes at 4 % of the")), "{lines:?}");

    let bandwidth = |record: &WholeRun| {
        let analysis = Analysis::new(record).unwrap();
        Bandwidth::of(&analysis, &analysis.hosts[0])
    };
    let known = bandwidth(&record).unwrap();
    assert!((known.share - 25.8 * 3.0 / 1792.128).abs() < 0.001, "{known:?}");
    if let Reading::Known(inventory) = &mut record.hosts[0].gpus {
        inventory.gpus[0].board.as_mut().unwrap().memory_bus_bits =
            Reading::missing("not supported by this board");
    }
    let reason = bandwidth(&record).err().map(|absent| why(&absent));
    assert_eq!(
        reason.as_deref(),
        Some("the GPU's bus and clock are not known: not supported by this board")
    );
}

fn capacity_of(record: &WholeRun) -> Capacity {
    let analysis = Analysis::new(record).unwrap();
    Capacity::of(&analysis).expect("a capacity")
}

/// One dead host, one of another class or one that never came: and the line was gone, without a word.
#[test]
fn the_capacity_of_the_other_hosts_stays_where_some_are_left_out_by_name() {
    let mut record = (1..=5)
        .fold(RunBuilder::new(&["Explain Code"], 5).requests(8), |run, n| {
            run.host(TestHost::new(&format!("gpu-0{n}")))
        })
        .build();
    record.header.tariff = Some(0.36);
    record.absent = 1;
    if let Reading::Known(engine) = &mut record.hosts[3].engine {
        engine.version = Reading::Known("0.14.0".to_owned());
    }
    lose(&mut record, &MissingReason::Cancelled, |cell| cell.host.as_str() == "gpu-05");
    for attempt in attempts_of(&mut record, "gpu-02") {
        attempt.report.gpu.series = Reading::missing("no NVML here");
    }
    let said = summary(&record).verdict_lines;
    let said = said.into_iter().find(|line| line.starts_with("Capacity")).unwrap();
    let told = "Capacity of 3 of 6 hosts, without gpu-04 (another class); gpu-05 (nothing usable); \
                host #6 (never joined): 125 tok/s at one stream on each host";
    assert!(said.starts_with(told), "{said}");
    let lacks = "; not available: power of the GPU boards (none of gpu-02); not available: \
                 electricity (none of gpu-02).";
    assert!(said.ends_with(lacks), "{said}");
    let page = page(&record, "report.md");
    assert!(page.contains("| 3 of 6 hosts together"), "{page}");
    assert!(page.contains("Not among them: gpu-04 (another class);"), "{page}");
    let alone = RunBuilder::new(&["Explain Code"], 5).host(TestHost::new("gpu-01")).build();
    assert!(!summary(&alone).verdict_lines.join(" ").contains("Capacity"));
    let mut apart = three_hosts();
    lose(&mut apart, &MissingReason::Cancelled, |cell| cell.host.as_str() > "gpu-01");
    let lines = summary(&apart).verdict_lines;
    let why = "Capacity of the hosts together: not available, fewer than two hosts of one class have \
               figures of whole repetitions.";
    assert!(lines.iter().any(|line| line == why), "{lines:#?}");
}

#[test]
fn what_happened_to_a_host_is_told_with_its_time() {
    let mut record = three_hosts();
    let event = |seq: u64, kind| RunEvent {
        seq,
        at: UnixNs(1_795_521_700_000_000_000 + i64::try_from(seq).unwrap() * 1_000_000_000),
        elapsed: std::time::Duration::from_secs(100 + seq),
        kind,
    };
    let host = |name: &str| HostId::new(name).unwrap();
    record.events = vec![
        event(
            0,
            EventKind::AgentDisconnected { host: host("gpu-02"), reason: "silent".to_owned() },
        ),
        event(1, EventKind::AgentJoined { host: host("gpu-02"), again: true }),
        event(2, EventKind::AgentJoined { host: host("gpu-01"), again: false }),
    ];
    let report = &mut attempts_of(&mut record, "gpu-02").nth(3).unwrap().report;
    let late = std::time::Duration::from_millis(2_500);
    report.traces[0].chunks.iter_mut().skip(40).for_each(|c| c.at = c.at.after(late));
    let Reading::Known(samples) = &mut report.engine.metrics.samples else { unreachable!() };
    samples[1].prefix_queries = Some(12.0);
    let text = page(&record, "hosts/gpu-02.md");
    let table = &text[text.find("| Time (UTC)").unwrap()..];
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 4, "{table}");
    let told = rows.join("\n");
    for (time, what) in [
        ("2026-11-24 12:01:40 UTC", "the agent was disconnected (silent)"),
        ("2026-11-24 12:01:41 UTC", "the agent joined again"),
        ("2026-11-24 12:0", "a token came after 2.52 s without one ("),
        ("2026-11-24 12:0", "the engine was restarted: one of its counters ran backwards"),
    ] {
        let row = rows.iter().find(|row| row.contains(what));
        assert!(row.is_some_and(|row| row.contains(time)), "{what}: {told}");
    }
    assert!(rows.is_sorted_by_key(|row| &row[..25]), "in order of time: {told}");
    let slow = text.lines().skip_while(|line| !line.starts_with("| Slowest requests")).nth(2);
    let slow = slow.unwrap();
    assert!(slow.contains("| power limit, during it "), "{slow}");
    let ratio = slow.split('|').map(str::trim).nth(4).unwrap().parse::<f64>().unwrap();
    assert!((1.5..2.0).contains(&ratio), "{slow}");
    let quiet = page(&record, "hosts/gpu-01.md");
    assert!(quiet.contains("No answer stood still for over 1 s, and no lost connection,"));
}

/// Three hosts over twelve repetitions; the last one's time a token is longer by `share` in those
/// from `from` on, its clock lower and its GPU hotter.
fn throttled(share: f64, from: u32) -> WholeRun {
    let run = RunBuilder::new(&["Explain Code", "Debug task"], 12);
    let hosts = ["gpu-01", "gpu-02", "gpu-03"].map(TestHost::new);
    let mut record = hosts.into_iter().fold(run, RunBuilder::host).build();
    for attempt in attempts_of(&mut record, "gpu-03") {
        let report = &mut attempt.report;
        if report.key.cell.repetition.0 < from {
            continue;
        }
        for trace in &mut report.traces {
            let first = trace.chunks[0].at;
            for chunk in &mut trace.chunks {
                chunk.at = first.after(chunk.at.since(first).mul_f64(1.0 + share));
            }
            trace.done = trace.chunks.last().map(|chunk| chunk.at);
        }
        let Reading::Known(series) = &mut report.gpu.series else { unreachable!() };
        for sample in series.iter_mut().flat_map(|series| &mut series.samples) {
            (sample.clock_sm_mhz, sample.temperature_c) = (Some(2_310), Some(86));
        }
    }
    record
}

#[test]
fn a_host_that_is_slower_only_in_the_last_quarter_is_a_matter_of_cooling() {
    let record = throttled(0.06, 10);
    let said = causes(&record, "gpu-03").concat();
    let wanted = "slower in the last quarter of its repetitions and not in the first, SM clock 2,5";
    assert!(said.contains(wanted) && said.contains("86 °C: look at its cooling"), "{said}");
    assert!(!causes(&record, "gpu-01").concat().contains("quarter"));
    let lines = summary(&record).verdict_lines.join("\n");
    assert!(lines.contains("and not on most others: decode 5."), "{lines}");
    let host = page(&record, "hosts/gpu-03.md");
    let row = host.lines().find(|line| line.starts_with("| last ")).unwrap();
    assert!(row.contains(" 10–12 |") && row.contains("2,310") && row.contains("86.0"), "{row}");
    assert!(host.contains("**It is slower only in the last quarter: look at its cooling.**"));
}

#[test]
fn a_host_that_is_slow_throughout_and_a_fleet_that_slows_together_do_not_fade() {
    for steady in [throttled(0.06, 1), throttled(0.0, 10)] {
        assert!(!causes(&steady, "gpu-03").concat().contains("quarter"));
    }
    let slow = throttled(0.06, 10);
    let mut all = throttled(0.0, 13);
    for name in ["gpu-01", "gpu-02", "gpu-03"] {
        let traces = slow.attempts.iter().filter(|a| a.report.key.cell.host.as_str() == "gpu-03");
        let own = all.attempts.iter_mut().filter(|a| a.report.key.cell.host.as_str() == name);
        for (attempt, as_slow) in own.zip(traces) {
            attempt.report.traces.clone_from(&as_slow.report.traces);
        }
    }
    let found = Analysis::new(&all).unwrap();
    assert_eq!(found.classes[0].quarters.len(), 3);
    assert!(found.classes[0].quarters.iter().all(|quarters| !quarters.is_fading));
}

#[test]
fn too_few_repetitions_say_that_no_quarter_is_judged() {
    let run = RunBuilder::new(&["Explain Code"], 7);
    let record = run.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build();
    let said = "First against last quarter of the run: not judged, as it needs 8 complete repetitions with";
    assert!(page(&record, "hosts/gpu-01.md").contains(said));
}

#[test]
fn a_host_alone_that_fades_is_told_beside_its_own_mean() {
    let mut record = throttled(0.06, 10);
    record.hosts.retain(|host| host.host.as_str() == "gpu-03");
    record.attempts.retain(|a| a.report.key.cell.host.as_str() == "gpu-03");
    let host = page(&record, "hosts/gpu-03.md");
    assert!(host.contains("Decode speed against its own mean (%)"), "{host}");
    assert!(host.contains("**It became slower over the run: look at its cooling.**"), "{host}");
}

#[test]
fn what_the_hosts_give_together_is_told_with_the_slowest_the_spread_and_the_price() {
    let mut record = RunBuilder::new(&["Explain Code"], 5)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02").slower_by(0.25))
        .build();
    let said = |record: &WholeRun| {
        let lines = summary(record).verdict_lines;
        lines.into_iter().find(|line| line.starts_with("Capacity")).unwrap()
    };
    let plain = said(&record);
    assert!(
        plain.starts_with("Capacity of the 2 hosts: 75 tok/s at one stream on each"),
        "{plain}"
    );
    assert!(plain.contains("(slowest gpu-02 with 33.3, fastest 24.8"), "{plain}");
    assert!(plain.contains("644 W of GPU boards"), "{plain}");
    assert!(!plain.contains("million"), "{plain}");
    // An attempt of under 5 s has no energy: these answers are longer.
    record = RunBuilder::new(&["Explain Code"], 5)
        .requests(8)
        .host(TestHost::new("gpu-01"))
        .host(TestHost::new("gpu-02"))
        .build();
    record.header.tariff = Some(0.36);
    let analysis = Analysis::new(&record).unwrap();
    let capacity = capacity_of(&record);
    let energy = analysis.hosts[0].cases[0].energy.as_ref().unwrap().j_per_out_tok.unwrap();
    let price = capacity.price_per_million.unwrap();
    let told =
        format!("electricity: {price:.3} per million output tokens (in the tariff's currency");
    assert!(said(&record).contains(&told), "{}", said(&record));
    assert!(
        (price - energy * 0.1).abs() < 0.02 * price,
        "a tenth of a price for each joule: {price}"
    );
    let users = RunBuilder::new(&["x"], 3).levels(&[1, 2, 4]).requests(40);
    let mut record = users.host(TestHost::new("gpu-01")).host(TestHost::new("gpu-02")).build();
    for case in &mut record.header.suite.cases {
        case.slo.ttft = Some(std::time::Duration::from_secs(2));
    }
    let users = capacity_of(&record).users.unwrap();
    assert_eq!((users.streams, users.at_least), (8, true), "four on each host, or more");
}
