//! How an engine is set up, out of what it says and the flags it was started with.

use regatta_types::clean::excerpt;
use regatta_types::facts::EngineSettings;
use regatta_types::reading::Reading;
use serde_json::Value;

use super::{Engine, ServerInfo};

/// What SGLang tells of itself that decides how fast it is.
const SGLANG: [&str; 14] = [
    "attention_backend",
    "chunked_prefill_size",
    "disable_cuda_graph",
    "dp_size",
    "dtype",
    "enable_torch_compile",
    "kv_cache_dtype",
    "max_running_requests",
    "max_total_tokens",
    "mem_fraction_static",
    "sampling_backend",
    "schedule_policy",
    "speculative_algorithm",
    "tp_size",
];
const VLLM_CACHE: &str = "vllm:cache_config_info";
const UNTOLD: &str = "not reported by the engine";

pub(super) fn of(engine: &Engine) -> EngineSettings {
    EngineSettings {
        kv_dtype: known(kv_dtype(engine)),
        prefix_cache: match prefix_cache(engine) {
            Some(on) => Reading::Known(on),
            None => Reading::missing(UNTOLD),
        },
        speculative: known(speculative(engine)),
        flags: flags(engine),
        slots: match slots(engine) {
            Some(slots) => Reading::Known(slots),
            None => Reading::missing(UNTOLD),
        },
    }
}

fn known(text: Option<String>) -> Reading<String> {
    match text {
        Some(text) => Reading::Known(excerpt(&text, 120)),
        None => Reading::missing(UNTOLD),
    }
}

/// The value of the first of these flags that was given.
pub(super) fn flag<'a>(flags: &'a Reading<Vec<String>>, names: &[&str]) -> Option<&'a str> {
    let parts = flags.known()?.iter().filter_map(|flag| flag.split_once(' '));
    parts.filter(|(name, _)| names.contains(name)).map(|(_, value)| value).next()
}

fn is_vllm(engine: &Engine) -> bool {
    engine.name.known().is_some_and(|name| name == "vllm")
}

fn kv_dtype(engine: &Engine) -> Option<String> {
    let from_metrics =
        engine.metrics.as_ref().ok().and_then(|text| text.label(VLLM_CACHE, "cache_dtype"));
    let given = || flag(&engine.flags, &["--kv-cache-dtype", "--cache-type-k", "-ctk"]);
    let text = from_metrics.or_else(given).map(str::to_owned);
    text.or_else(|| engine.info.as_ref().and_then(|info| info.text("kv_cache_dtype")))
}

fn prefix_cache(engine: &Engine) -> Option<bool> {
    let text = engine.metrics.as_ref().ok();
    match text.and_then(|text| text.label(VLLM_CACHE, "enable_prefix_caching")) {
        Some("True") => Some(true),
        Some("False") => Some(false),
        Some(_) | None => {
            let off = engine.info.as_ref()?.flags.get("disable_radix_cache")?.as_bool()?;
            Some(!off)
        }
    }
}

fn speculative(engine: &Engine) -> Option<String> {
    if let Some(kind) = engine.props.as_ref().and_then(|props| props.speculative()) {
        return Some(kind.to_owned());
    }
    if let Some(info) = &engine.info {
        let algorithm = info.flags.get("speculative_algorithm")?;
        return Some(algorithm.as_str().unwrap_or("none").to_owned());
    }
    if let Some(given) =
        flag(&engine.flags, &["--speculative-config", "--speculative-model", "-sc"])
    {
        return Some(given.to_owned());
    }
    let drafts = engine.metrics.as_ref().ok()?.has("vllm:spec_decode_num_draft_tokens_total");
    match (is_vllm(engine), drafts, engine.flags.known().is_some()) {
        (true, true, _) => Some("on, method not reported".to_owned()),
        (true, false, true) => Some("none".to_owned()),
        _ => None,
    }
}

/// Most requests at once: llama.cpp and SGLang say it, vLLM has it on its command line.
fn slots(engine: &Engine) -> Option<u32> {
    let told = engine.props.as_ref().and_then(|props| props.total_slots);
    let info = || engine.info.as_ref()?.text("max_running_requests")?.parse().ok();
    let names = ["--max-num-seqs", "--parallel", "-np", "--n-parallel", "--max-running-requests"];
    let given = || flag(&engine.flags, &names)?.parse().ok();
    told.or_else(info).or_else(given).filter(|&slots| slots > 0)
}

/// Its command line; where that cannot be read, what the engine itself repeats of it.
fn flags(engine: &Engine) -> Reading<Vec<String>> {
    if engine.flags.known().is_some() {
        return engine.flags.clone();
    }
    let told: Vec<String> = match (&engine.info, &engine.props) {
        (Some(info), _) => {
            let one = |name: &&str| Some(format!("{name} {}", info.text(name)?));
            SGLANG.iter().filter_map(one).collect()
        }
        (None, Some(props)) => {
            props.total_slots.map(|n| format!("total_slots {n}")).into_iter().collect()
        }
        (None, None) => Vec::new(),
    };
    if told.is_empty() { engine.flags.clone() } else { Reading::Known(told) }
}

impl ServerInfo {
    /// A flag that is set, as text.
    fn text(&self, name: &str) -> Option<String> {
        match self.flags.get(name)? {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            Value::String(text) => Some(excerpt(text, 80)),
            other @ (Value::Bool(_) | Value::Number(_)) => Some(other.to_string()),
        }
    }
}
