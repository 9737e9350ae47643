//! Scripted faults: each is a reason, a note or a gap, and moves nothing else.

#![expect(clippy::unwrap_used, reason = "test helpers: a failure is the test's")]

use std::net::TcpListener;
use std::time::Duration;

use regatta_agent::gpu::{GpuHandle, GpuSelector, GpuSource, Sampler, SamplerOptions, WindowPlan};
use regatta_fake_nvml::{gpu, script};
use regatta_types::gpu::{Attribution, GpuSeries, GpuWindow, ProcessOwner};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;
use tempfile::TempDir;

const USES: &str = "memory_used_mib = 80000\n";

fn start_with(script: &str, without: &[&str], gpus: &[&str]) -> (TempDir, GpuHandle) {
    let folder = tempfile::tempdir().unwrap();
    let library = regatta_fake_nvml::install_without(folder.path(), script, without).unwrap();
    let gpus = gpus.iter().map(|name| name.parse::<GpuSelector>().unwrap()).collect();
    let options = SamplerOptions { gpus, ..SamplerOptions::default() };
    (folder, Sampler::start(GpuSource::Nvml { library: Some(library) }, options))
}

fn start(script: &str) -> (TempDir, GpuHandle) {
    start_with(script, &[], &[])
}

/// The newest sample of any GPU.
fn newest(handle: &GpuHandle) -> Option<MonoNs> {
    handle.latest().into_iter().map(|(_, sample)| sample.at).max()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(tokio::time::Instant::now() < limit, "never {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a sample of this instant or a later one.
async fn sampled_at(handle: &GpuHandle, instant: MonoNs) {
    until("sampled", || newest(handle) >= Some(instant)).await;
}

/// A window with samples over so long, from the sampler's first answer on.
async fn window(handle: &GpuHandle, time: Duration, plan: WindowPlan) -> GpuWindow {
    assert!(handle.inventory().await.known().is_some());
    let (window, end) = (handle.begin_window(plan), MonoNs::now().after(time));
    sampled_at(handle, end).await;
    handle.end_window(window).await
}

async fn series(handle: &GpuHandle, time: Duration) -> Vec<GpuSeries> {
    window(handle, time, WindowPlan::default()).await.series.known().unwrap().clone()
}

const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_peak_of_200_ms_is_found() {
    let steps = "memory_used_mib = [[0, 80000], [1.0, 90000], [1.2, 80000]]";
    let (_folder, handle) = start(&script(&[gpu(1, steps)]));
    let series = series(&handle, Duration::from_secs(2)).await;
    let peak = series[0].samples.iter().filter_map(|s| s.memory_used).max();
    assert_eq!(peak, Some(Bytes(90_000 << 20)));
    handle.stop().await;
}

#[tokio::test]
async fn a_blocked_call_is_a_gap_and_the_end_of_the_window_does_not_wait_for_it() {
    let blocks = format!("{USES}blocks = [{{ call = \"memory\", from_s = 0.8, ms = 3000 }}]");
    let (_folder, handle) = start(&script(&[gpu(1, &blocks)]));
    assert!(handle.inventory().await.known().is_some());
    let open = handle.begin_window(WindowPlan::default());
    let is_hanging = |at: MonoNs| MonoNs::now().since(at) > Duration::from_millis(1_000);
    until("blocked", || newest(&handle).is_some_and(is_hanging)).await;
    let before = MonoNs::now();
    let while_blocked = handle.end_window(open).await;
    assert!(MonoNs::now().since(before) < Duration::from_millis(600));
    let gap = while_blocked.gaps.last().expect("the call has not answered");
    assert!(gap.reason.starts_with("no answer from a driver call (memory) for "), "{}", gap.reason);
    let series = &while_blocked.series.known().unwrap()[0];
    assert!(!series.samples.is_empty() && series.samples.last().unwrap().at < gap.until);

    // Afterwards it goes on, and the gap stands between.
    let after = window(&handle, Duration::from_millis(4_500), WindowPlan::default()).await;
    let gap = &after.gaps[0];
    let took = gap.until.since(gap.from);
    assert!(took > Duration::from_secs(1), "{gap:?}");
    assert!(!after.series.known().unwrap()[0].samples.is_empty());
    handle.stop().await;
}

#[tokio::test]
async fn rounds_that_take_too_long_are_made_less_often() {
    let blocks = format!("{USES}blocks = [{{ call = \"temperature\", ms = 30, until_s = 3600 }}]");
    let (_folder, handle) = start(&script(&[gpu(1, &blocks)]));
    let window = window(&handle, Duration::from_secs(3), WindowPlan::default()).await;
    // 30 ms of each second: five rounds of ten are skipped after it.
    assert!(window.rounds_left_out >= 5, "{}", window.rounds_left_out);
    let cost = window.series.known().unwrap()[0].costs["temperature"];
    assert!(cost.calls >= 2 && cost.max_ns >= 30_000_000, "{cost:?}");
    handle.stop().await;
}

#[tokio::test]
async fn a_lost_gpu_ends_its_own_telemetry_only() {
    let script = script(&[gpu(1, &format!("{USES}lost_from_s = 1.0")), gpu(2, USES)]);
    let (_folder, handle) = start(&script);
    let first = series(&handle, Duration::from_millis(1_500)).await;
    let end = first[0].ended.as_ref().expect("it is lost");
    assert_eq!(end.reason, "GPU lost");
    assert!(!first[0].samples.is_empty() && first[0].samples.last().unwrap().at <= end.at);
    assert_eq!(first[1].ended, None);
    let second = series(&handle, SHORT).await;
    assert_eq!(second[0].ended.as_ref(), Some(end), "known from before");
    assert_eq!((second[0].samples.len(), second[0].costs.len()), (0, 0), "it is not asked again");
    assert!(second[1].samples.len() >= 3);
    handle.stop().await;
}

#[tokio::test]
async fn a_gpu_that_cannot_be_opened_keeps_its_place() {
    let script = script(&[gpu(1, &format!("{USES}lost_from_s = 0")), gpu(2, USES)]);
    let (_folder, handle) = start(&script);
    let inventory = handle.inventory().await;
    let gpus = &inventory.known().unwrap().gpus;
    assert_eq!((gpus[0].uuid.as_str(), gpus[1].uuid.as_str()), ("unknown-0", "GPU-2"));
    assert_eq!(gpus[0].name.reason(), Some("GPU lost"));
    let series = series(&handle, SHORT).await;
    assert_eq!(series[0].ended.as_ref().map(|end| end.reason.as_str()), Some("GPU lost"));
    handle.stop().await;
}

#[tokio::test]
async fn an_older_library_lacks_some_readings_and_has_the_others() {
    let symbols = ["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetMemoryInfo_v2"];
    let (_folder, handle) = start_with(&script(&[gpu(1, USES)]), &symbols, &[]);
    let series = series(&handle, SHORT).await;
    let missing = &series[0].unavailable;
    assert_eq!(missing["energy"], "symbol missing: nvmlDeviceGetTotalEnergyConsumption");
    assert_eq!(missing["memory"], "symbol missing: nvmlDeviceGetMemoryInfo_v2");
    assert_eq!(missing["SM clock"], "not supported", "the script has none");
    assert!(series[0].samples.iter().all(|s| s.power_w == Some(420.0)));
    assert!(!series[0].costs.contains_key("energy"), "asked when the sampler began, and not again");
    handle.stop().await;
}

#[tokio::test]
async fn a_counter_that_falls_is_told_as_it_was_read() {
    let resets = format!("{USES}energy_resets_s = [0.8]");
    let (_folder, handle) = start(&script(&[gpu(1, &resets)]));
    let series = series(&handle, Duration::from_millis(1_200)).await;
    let readings = &series[0].energy;
    let (first, last) = (readings.first().unwrap(), readings.last().unwrap());
    assert!(last.millijoules < first.millijoules, "{readings:?}");
    handle.stop().await;
}

#[tokio::test]
async fn the_counters_are_read_just_before_the_start_and_after_the_end() {
    let (_folder, handle) = start(&script(&[gpu(1, USES)]));
    assert!(handle.inventory().await.known().is_some());
    let start = MonoNs::now().after(Duration::from_millis(350));
    let open = handle.begin_window(WindowPlan { port: None, start: Some(start) });
    sampled_at(&handle, start.after(Duration::from_millis(650))).await;
    let finished = MonoNs::now();
    let series = handle.end_window(open).await.series.known().unwrap()[0].clone();
    let near = |edge: MonoNs| {
        series.energy.iter().map(|r| r.at.since(edge).max(edge.since(r.at))).min().unwrap()
    };
    assert!(near(start) < Duration::from_millis(100), "{:?}", near(start));
    assert!(near(finished) < Duration::from_millis(100), "{:?}", near(finished));
    assert!(series.quiet.iter().all(|sample| sample.at < start) && series.quiet.len() >= 3);
    handle.stop().await;
}

/// A child that stands for somebody else's program, and its number. It is not a descendant of the
/// listener, which lives in its own child.
fn foreign() -> std::process::Child {
    std::process::Command::new("sleep").arg("60").spawn().unwrap()
}

#[tokio::test]
async fn two_gpus_are_told_apart_by_the_owner_of_the_port() {
    // This process listens, as an engine would; process 1 is no descendant of it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let engine = std::process::id();
    let mut worker = foreign();
    let script = script(&[
        gpu(1, &format!("{USES}processes = [{{ pid = 1, memory_mib = 20000 }}]")),
        gpu(
            2,
            &format!(
                "{USES}processes = [{{ pid = {}, memory_mib = 70000 }}, {{ pid = 1, memory_mib = [[0, 100], [0.9, 4000]] }}]",
                worker.id()
            ),
        ),
        gpu(
            3,
            &format!("{USES}processes = [{{ pid = {engine}, memory_mib = 300, graphics = true }}]"),
        ),
    ]);
    let (_folder, handle) = start(&script);
    let plan = WindowPlan { port: Some(port), start: None };
    let window = window(&handle, Duration::from_millis(1_300), plan).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(window.attribution, Some(Attribution::PortOwner));
    let series = window.series.known().unwrap();
    assert_eq!(series.iter().map(|s| s.serves).collect::<Vec<_>>(), [false, true, true]);
    let owner = |s: &GpuSeries, pid| s.processes.iter().find(|p| p.pid == pid).unwrap().owner;
    assert_eq!(owner(&series[0], 1), ProcessOwner::Foreign);
    assert_eq!(owner(&series[1], worker.id()), ProcessOwner::Engine, "a child of the listener");
    assert_eq!(owner(&series[2], engine), ProcessOwner::Engine);
    let grown = series[1].processes.iter().find(|p| p.pid == 1).unwrap();
    let steps: Vec<u64> = grown.memory.iter().filter_map(|m| Some(m.used?.0 >> 20)).collect();
    assert_eq!(steps, [100, 4000], "a foreign process took memory");
    handle.stop().await;
}

#[tokio::test]
async fn named_gpus_and_the_only_process_and_nothing_at_all() {
    let process = format!("{USES}processes = [{{ pid = 1, memory_mib = 20000 }}]");
    let two = script(&[gpu(1, USES), gpu(2, &process)]);
    let none = script(&[gpu(1, USES), gpu(2, USES)]);
    for (script, named, expected, serves) in [
        (&two, vec!["GPU-1"], Attribution::Named, [true, false]),
        (&two, vec!["1"], Attribution::Named, [false, true]),
        (&two, vec![], Attribution::OnlyProcess, [false, true]),
        (
            &none,
            vec![],
            Attribution::Unattributed { reason: "no process on any GPU".into() },
            [true, true],
        ),
    ] {
        let (_folder, handle) = start_with(script, &[], &named);
        let window = window(&handle, SHORT, WindowPlan::default()).await;
        assert_eq!(window.attribution, Some(expected));
        let series = window.series.known().unwrap();
        assert_eq!(series.iter().map(|s| s.serves).collect::<Vec<_>>(), serves);
        handle.stop().await;
    }
}

#[tokio::test]
async fn unified_memory_is_the_sum_over_the_processes() {
    let spark = gpu(
        1,
        r#"memory_used_mib = 0
        unsupported = ["memory", "power_limit"]
        processes = [{ pid = 1, memory_mib = 3000 }, { pid = 2, memory_mib = 500 }]"#,
    );
    let spark = spark.replace("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA GB10");
    let (_folder, handle) = start(&script(&[spark]));
    let inventory = handle.inventory().await;
    let facts = &inventory.known().unwrap().gpus[0];
    assert!(facts.board.as_ref().unwrap().unified);
    assert!(facts.memory_total.known().is_some_and(|total| total.0 > 1 << 30), "{facts:?}");
    let series = series(&handle, Duration::from_millis(1_200)).await;
    let sample = series[0].samples.iter().find(|s| s.memory_used.is_some()).unwrap();
    assert_eq!(sample.memory_used, Some(Bytes(3_500 << 20)));
    assert!(sample.host_memory_available.is_some());
    assert!(series[0].costs["memory"].calls <= 4, "too dear for every round");
    handle.stop().await;
}

#[tokio::test]
async fn eight_gpus_are_sampled_and_none_are_a_reason() {
    let gpus: Vec<String> = (0..8).map(|number| gpu(number, USES)).collect();
    let (_folder, handle) = start(&script(&gpus));
    let eight = series(&handle, SHORT).await;
    assert_eq!(eight.len(), 8);
    assert!(eight.iter().all(|s| s.samples.len() >= 2 && s.energy.len() >= 2));
    handle.stop().await;
    let (_folder, handle) = start(&script(&[]));
    assert!(handle.inventory().await.known().is_some_and(|inventory| inventory.gpus.is_empty()));
    let none = handle.end_window(handle.begin_window(WindowPlan::default())).await;
    assert_eq!(none.series.reason(), Some("the driver lists no GPU"));
    handle.stop().await;
}

#[tokio::test]
async fn every_scripted_failure_is_its_reason_and_leaves_the_rest() {
    for (call, name) in [
        ("power", "power"),
        ("clock", "SM clock"),
        ("reasons", "clock reasons"),
        ("performance_state", "performance state"),
        ("pcie", "PCIe width"),
        ("ecc", "ECC corrected"),
        ("violation", "time under power limit"),
        ("energy", "energy"),
        ("processes", "processes"),
    ] {
        let fails = format!("{USES}fails = [{{ call = \"{call}\", code = 999 }}]");
        let (_folder, handle) = start(&script(&[gpu(1, &fails)]));
        let series = series(&handle, SHORT).await;
        assert_eq!(series[0].unavailable[name], "unknown NVML error", "{call}");
        assert!(series[0].samples.iter().all(|s| s.memory_used.is_some()), "{call}");
        handle.stop().await;
    }
}

#[tokio::test]
async fn switched_off_there_is_a_reason() {
    let reason = "disabled (--gpu-rate 0)";
    let source = GpuSource::None { reason: reason.into() };
    let handle = Sampler::start(source, SamplerOptions::default());
    let window = handle.begin_window(WindowPlan::default());
    assert_eq!(handle.end_window(window).await.series, Reading::missing(reason));
    handle.stop().await;
}
