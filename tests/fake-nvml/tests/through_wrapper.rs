//! The agent's sampler against the fake library, through the real nvml-wrapper.

#![expect(clippy::unwrap_used, reason = "test helpers: a failure is the test's")]

use std::path::PathBuf;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use regatta_agent::gpu::{GpuHandle, GpuSource, Sampler, SamplerOptions, WindowPlan};
use regatta_types::gpu::{ClockReasons, GpuBoard, GpuFacts, GpuInventory, GpuSample, GpuSeries};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;
use tempfile::TempDir;

/// One RTX PRO 6000 whose memory in use rises, peaks for 0.6 s and falls; `more` is added to it.
fn script(more: &str) -> String {
    let own = format!(
        r#"uuid = "GPU-11111111-2222-3333-4444-555555555555"
        pci_bus_id = "00000000:C1:00.0"
        power_limit_w = 480
        memory_used_mib = [[0, 512], [1.0, 90000], [1.6, 83968]]
        power_w = [[0, 39.5], [1.0, 412.25]]
        temperature_c = 41
        utilization_pct = [[0, 0], [1.0, 97]]
        persistence = true
        compute_mode = 0
        ecc = true
        ecc_corrected = 3
        ecc_uncorrected = 0
        pcie_gen = [[0, 1], [1.0, 5]]
        pcie_width = 16
        pcie_gen_max = 5
        pcie_width_max = 16
        memory_bus_bits = 512
        memory_clock_max_mhz = 14001
        clock_sm_mhz = [[0, 210], [1.0, 2610]]
        clock_memory_mhz = [[0, 405], [1.0, 14001]]
        reasons = [[0, 1], [1.0, 4]]
        performance_state = [[0, 8], [1.0, 1]]
        {more}"#
    );
    regatta_fake_nvml::script(&[regatta_fake_nvml::gpu(0, &own)])
}

/// A sampler on its own copy of the library.
fn start(script: &str) -> (TempDir, GpuHandle) {
    let folder = tempfile::tempdir().unwrap();
    let library = Some(regatta_fake_nvml::install(folder.path(), script).unwrap());
    (folder, Sampler::start(GpuSource::Nvml { library }, SamplerOptions::default()))
}

/// Names the script of a library that was installed with another one.
const SCRIPT: &str = "REGATTA_FAKE_NVML_SCRIPT";

fn mib(n: u64) -> Option<Bytes> {
    Some(Bytes(n << 20))
}

/// Waits until the first GPU's newest sample is as wished.
async fn until(handle: &GpuHandle, what: &str, wished: impl Fn(&GpuSample) -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(15);
    while !handle.latest().first().is_some_and(|(_, sample)| wished(sample)) {
        assert!(tokio::time::Instant::now() < limit, "never {what}: {:?}", handle.latest());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The one GPU's series from the script's start to the end of its peak.
async fn whole_script(handle: &GpuHandle) -> GpuSeries {
    until(handle, "sampled", |_| true).await;
    let window = handle.begin_window(WindowPlan::default());
    until(handle, "past the last step", |s| {
        s.memory_used == mib(83_968) || s.power_w == Some(412.25) && s.memory_used.is_none()
    })
    .await;
    handle.end_window(window).await.series.known().unwrap()[0].clone()
}

fn peak(series: &GpuSeries) -> Option<Bytes> {
    series.samples.iter().filter_map(|s| s.memory_used).max()
}

#[tokio::test]
async fn facts_baseline_and_peak_are_those_of_the_script() {
    let (_folder, handle) = start(&script(""));
    let uuid = "GPU-11111111-2222-3333-4444-555555555555";
    let gpu = GpuFacts {
        index: 0,
        uuid: uuid.into(),
        name: Reading::Known("NVIDIA RTX PRO 6000 Blackwell Workstation Edition".into()),
        pci_bus_id: Reading::Known("00000000:C1:00.0".into()),
        memory_total: Reading::Known(Bytes(97_887 << 20)),
        power_limit_w: Reading::Known(480.0),
        power_limit_default_w: Reading::Known(600.0),
        board: Some(GpuBoard {
            unified: false,
            memory_reserved: Reading::Known(Bytes(637 << 20)),
            persistence: Reading::Known(true),
            compute_mode: Reading::Known("default".into()),
            ecc: Reading::Known(true),
            pcie_gen_max: Reading::Known(5),
            pcie_width_max: Reading::Known(16),
            memory_bus_bits: Reading::Known(512),
            memory_clock_max_mhz: Reading::Known(14_001),
        }),
    };
    let expected = GpuInventory {
        driver: Reading::Known("580.126.09".into()),
        cuda_driver: Reading::Known("13.0".into()),
        gpus: vec![gpu],
    };
    assert_eq!(handle.inventory().await, Reading::Known(expected));

    let series = whole_script(&handle).await;
    assert_eq!(series.uuid, uuid);
    let baseline = series.baseline.unwrap();
    assert_eq!((baseline.memory_used, baseline.power_w), (mib(512), Some(39.5)));
    assert_eq!((baseline.temperature_c, baseline.utilization_pct), (Some(41), Some(0)));
    assert_eq!(peak(&series), mib(90_000));
    assert!(series.samples.iter().any(|s| s.utilization_pct == Some(97)));
    assert_eq!(series.unavailable.len(), 0, "{:?}", series.unavailable);
    handle.stop().await;
}

#[tokio::test]
async fn clocks_reasons_links_errors_and_energy_are_those_of_the_script() {
    let (_folder, handle) = start(&script(""));
    let series = whole_script(&handle).await;
    let last = |of: fn(&GpuSample) -> Option<u64>| series.samples.iter().rev().find_map(of);
    assert_eq!(last(|s| s.clock_sm_mhz.map(u64::from)), Some(2_610));
    assert_eq!(last(|s| s.clock_memory_mhz.map(u64::from)), Some(14_001));
    assert_eq!(last(|s| s.reasons.map(|ClockReasons(bits)| bits)), Some(4));
    assert_eq!(last(|s| s.pcie_width.map(u64::from)), Some(16));
    assert_eq!(last(|s| s.performance_state.map(u64::from)), Some(1));
    assert_eq!((last(|s| s.ecc_corrected), last(|s| s.ecc_uncorrected)), (Some(3), Some(0)));
    assert!(last(|s| s.power_violation_ns).is_some());
    assert_eq!(last(|s| s.thermal_violation_ns), Some(0));
    // 1,000 J at second 0, then more.
    assert!(series.energy.len() >= 2 && series.energy[0].millijoules >= 1_000_000);
    assert!(series.energy.is_sorted_by_key(|reading| reading.millijoules));
    let names: Vec<&str> = series.costs.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 17, "{names:?}");
    assert!(series.costs["memory"].calls >= 10, "{:?}", series.costs);
    handle.stop().await;
}

#[tokio::test]
async fn an_unsupported_call_is_a_reason_and_the_others_stay() {
    let (_folder, handle) = start(&script(r#"unsupported = ["power", "power_limit"]"#));
    let inventory = handle.inventory().await;
    let gpu = &inventory.known().unwrap().gpus[0];
    assert_eq!(gpu.power_limit_w.to_string(), "not available: not supported");
    assert_eq!(gpu.memory_total.known(), Some(&Bytes(97_887 << 20)));
    let series = whole_script(&handle).await;
    assert_eq!(
        series.unavailable.into_iter().collect::<Vec<_>>(),
        ["mean power", "power"].map(|name| (name.to_owned(), "not supported".to_owned()))
    );
    assert!(series.samples.iter().all(|s| s.power_w.is_none() && s.memory_used.is_some()));
    handle.stop().await;
}

fn powers(series: &GpuSeries) -> Vec<f64> {
    series.samples.iter().filter_map(|s| s.power_w).collect()
}

#[tokio::test]
async fn power_is_that_of_the_moment_where_the_driver_has_it() {
    let (_folder, handle) = start(&script(""));
    let series = whole_script(&handle).await;
    let powers = powers(&series);
    assert!(powers.iter().all(|watts| [39.5, 412.25].contains(watts)), "{powers:?}");
    handle.stop().await;
}

#[tokio::test]
async fn without_it_power_is_the_mean_of_a_second() {
    let (_folder, handle) = start(&script(r#"unsupported = ["power_instant"]"#));
    let series = whole_script(&handle).await;
    let powers = powers(&series);
    assert!(powers.iter().any(|watts| *watts > 60.0 && *watts < 400.0), "{powers:?}");
    assert_eq!(series.unavailable.len(), 0, "{:?}", series.unavailable);
    handle.stop().await;
}

#[tokio::test]
async fn calls_that_begin_to_fail_leave_the_samples_that_were_there() {
    let fails = r#"fails = [
        { call = "memory", from_s = 1.3, code = 999 },
        { call = "temperature", code = 28 },
        { call = "utilization", code = 4 },
    ]"#;
    let (_folder, handle) = start(&script(&fails.replace('\n', " ")));
    let series = whole_script(&handle).await;
    assert_eq!(peak(&series), mib(90_000));
    let lost = &series.unavailable["memory"];
    assert!(lost.starts_with("unknown NVML error in ") && lost.ends_with(" readings"), "{lost}");
    assert_eq!(series.unavailable["temperature"], "unexpected NVML code 28");
    assert_eq!(series.unavailable["utilization"], "no permission");
    assert_eq!(series.samples.last().unwrap().memory_used, None);
    handle.stop().await;
}

/// What inventory and window say when there is no NVML to speak of.
async fn reason(library: PathBuf) -> String {
    let handle =
        Sampler::start(GpuSource::Nvml { library: Some(library) }, SamplerOptions::default());
    let inventory = handle.inventory().await;
    let window = handle.begin_window(WindowPlan::default());
    let window = handle.end_window(window).await;
    assert_eq!(window.series.reason(), inventory.reason());
    handle.stop().await;
    inventory.reason().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_usable_library_the_reason_stands_in_inventory_and_windows() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libnvidia-ml.so.1");
    assert_eq!(reason(library.clone()).await, "NVML library not found");

    std::fs::write(&library, "not a library").unwrap();
    let text = reason(library.clone()).await;
    assert!(text.starts_with("NVML library cannot be loaded: "), "{text}");

    let library = regatta_fake_nvml::install(folder.path(), "driver = 1").unwrap();
    assert_eq!(reason(library).await, "unknown NVML error");
}

#[tokio::test]
async fn a_driver_that_comes_up_later_is_found_by_a_window_ten_seconds_on() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libnvidia-ml.so.1");
    let started = MonoNs::now();
    let handle =
        Sampler::start(GpuSource::Nvml { library: Some(library) }, SamplerOptions::default());
    assert_eq!(handle.inventory().await.reason(), Some("NVML library not found"));
    regatta_fake_nvml::install(folder.path(), &script("")).unwrap();

    let limit = Duration::from_secs(30);
    let series = loop {
        let window = handle.begin_window(WindowPlan::default());
        // The length of an attempt: only a window looks for the driver, and the one that finds it
        // has samples.
        tokio::time::sleep(Duration::from_millis(500)).await;
        match handle.end_window(window).await.series {
            Reading::Known(series) => break series,
            Reading::NotAvailable { not_available } => {
                assert_eq!(not_available, "NVML library not found");
            }
        }
        assert!(MonoNs::now().since(started) < limit, "never found");
    };
    assert!(MonoNs::now().since(started) >= Duration::from_secs(10), "asked for too often");
    assert!(!series[0].samples.is_empty(), "{series:?}");
    assert!(handle.inventory().await.known().is_some());
    handle.stop().await;
}

#[tokio::test]
async fn a_driver_without_gpus_is_known_and_its_windows_say_so() {
    let (_folder, handle) = start("driver = \"580.126.09\"\ncuda = \"13.0\"");
    let inventory = handle.inventory().await;
    assert_eq!(inventory.known().map(|i| i.gpus.len()), Some(0));
    let window = handle.begin_window(WindowPlan::default());
    assert_eq!(handle.end_window(window).await.series.reason(), Some("the driver lists no GPU"));
    handle.stop().await;
}

/// In its own process, because the environment belongs to the process: this test again, which
/// then finds the environment set.
#[test]
fn the_environment_names_script_and_second_zero() {
    if std::env::var_os(SCRIPT).is_some() {
        return print_memory_in_use();
    }
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("named.toml");
    let steps = script("").replace("[[0, 512], [1.0, 90000], [1.6, 83968]]", "[[0, 1], [5, 2]]");
    std::fs::write(&named, steps).unwrap();
    let ten_seconds_ago = MonoNs::now().0.saturating_sub(10_000_000_000);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_environment_names_script_and_second_zero", "--nocapture"])
        .env(SCRIPT, &named)
        .env("REGATTA_FAKE_NVML_ORIGIN_MONO_NS", ten_seconds_ago.to_string())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains("in use: 2 MiB\n"), "{output}");
}

#[expect(clippy::print_stdout, reason = "for the test that started this process")]
fn print_memory_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let library = regatta_fake_nvml::install(folder.path(), &script("")).unwrap();
    let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
    let memory = nvml.device_by_index(0).unwrap().memory_info().unwrap();
    println!("in use: {}", Bytes(memory.used));
}

#[test]
#[expect(unsafe_code, reason = "what a careless C caller does cannot be done through the wrapper")]
fn bad_pointers_lengths_and_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = regatta_fake_nvml::install(folder.path(), &script("")).unwrap();
    let nvml = Nvml::builder().lib_path(library.as_os_str()).init().unwrap();
    assert_eq!(nvml.sys_nvml_version().unwrap(), "13.580.126.09");
    assert!(matches!(nvml.device_by_index(1), Err(NvmlError::InvalidArg)));
    assert!(matches!(nvml.device_by_uuid("GPU-none"), Err(NvmlError::NotFound)));
    let device = nvml.device_by_uuid("GPU-11111111-2222-3333-4444-555555555555").unwrap();
    assert_eq!(device.index().unwrap(), 0);
    assert_eq!(device.running_compute_processes().unwrap(), []);
    assert_eq!(device.pci_info().unwrap().bus, 0xc1);
    let memory = device.memory_info().unwrap();
    assert_eq!(memory.total, memory.used + memory.free + memory.reserved);
    // SAFETY: the handle is the library's own and lives as long as `nvml`.
    let handle = unsafe { device.handle() };
    let lib = nvml.lib();
    let mut buffer = [1; 96];
    // "580.126.09" and its NUL are 11 bytes.
    let version = lib.nvmlSystemGetDriverVersion.as_ref().unwrap();
    // SAFETY: the buffer is longer than every length given, or null, which the callee checks.
    unsafe {
        assert_eq!(version(buffer.as_mut_ptr(), 10), 7);
        assert_eq!(buffer, [1; 96], "nothing is written into a short buffer");
        assert_eq!(version(buffer.as_mut_ptr(), 11), 0);
        assert_eq!(version(std::ptr::null_mut(), 96), 2);
    }
    let memory = lib.nvmlDeviceGetMemoryInfo_v2.as_ref().unwrap();
    // SAFETY: zero is a valid value of every field, and a wrong version; a null or unknown handle
    // is only compared.
    unsafe {
        let mut info = std::mem::zeroed();
        assert_eq!(memory(handle, &mut info), 25);
        info.version = 0x0200_0028;
        assert_eq!(memory(handle, &mut info), 0);
        assert_eq!(memory(handle, std::ptr::null_mut()), 2);
        assert_eq!(memory(std::ptr::null_mut(), &mut info), 2);
    }
}
