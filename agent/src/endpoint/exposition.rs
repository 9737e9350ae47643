//! What an engine says of itself in Prometheus' text format, under each engine's own names.

use std::collections::BTreeMap;
use std::time::Duration;

use nom_openmetrics::parser::prometheus;
use regatta_types::engine::EngineSample;
use regatta_types::facts::EngineProcess;
use regatta_types::time::{MonoNs, UnixNs};
use regatta_types::units::Bytes;

/// How the metrics of each engine begin.
const ENGINES: [(&str, &str); 4] =
    [("vllm:", "vllm"), ("sglang:", "sglang"), ("llamacpp:", "llama.cpp"), ("tgi_", "tgi")];
/// Labels of the ranks of one model replica: each of them may report the same requests.
const REPLICA_RANKS: [&str; 6] =
    ["tp_rank", "pp_rank", "cp_rank", "ep_rank", "moe_ep_rank", "attn_tp_rank"];
/// Most lines that are kept.
const LINES: usize = 10_000;

/// What Prometheus' own clients report of the process that serves the page.
const PROCESS: [&str; 2] = ["process_start_time_seconds", "process_resident_memory_bytes"];

/// The lines of known engines, without histogram buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Exposition {
    lines: Vec<Line>,
    process: EngineProcess,
}

#[derive(Debug, Clone)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Exposition {
    /// Reads it line by line, so that one that cannot be read costs itself only.
    pub(super) fn parse(text: &str) -> Self {
        let known = |line: &&str| ENGINES.iter().any(|(start, _)| line.starts_with(start));
        let lines = text.lines().filter(known).filter(|line| !line.contains("_bucket{"));
        let lines = lines.filter_map(Line::parse).take(LINES).collect();
        let own = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(Line::parse).filter(|line| line.name == name).map(|line| line.value)
        };
        let [started, resident] = PROCESS.map(own);
        let nanos = |seconds| Duration::try_from_secs_f64(seconds).ok()?.as_nanos().try_into().ok();
        let process = EngineProcess {
            started: started.and_then(nanos).map(UnixNs),
            resident: resident.filter(|held| *held >= 0.0).map(whole).map(Bytes),
        };
        Self { lines, process }
    }

    /// The process that serves the page.
    pub(super) fn process(&self) -> EngineProcess {
        self.process
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The engine whose names they are.
    pub(super) fn engine(&self) -> Option<&'static str> {
        let first = self.lines.first()?;
        ENGINES.iter().find(|(start, _)| first.name.starts_with(start)).map(|(_, name)| *name)
    }

    /// A label of the first line of this name.
    pub(super) fn label(&self, name: &str, label: &str) -> Option<&str> {
        let line = self.lines.iter().find(|line| line.name == name)?;
        line.labels.iter().find(|(key, _)| key == label).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|line| line.name == name)
    }

    /// The values of the first of these names that is present, one for each model replica behind the
    /// endpoint: of its ranks the highest.
    fn values(&self, names: &[&str]) -> Option<Vec<f64>> {
        let name = names.iter().find(|name| self.has(name))?;
        let mut replicas: BTreeMap<Vec<&(String, String)>, f64> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.name == **name) {
            let own = line.labels.iter().filter(|(key, _)| !REPLICA_RANKS.contains(&key.as_str()));
            let value = replicas.entry(own.collect()).or_insert(line.value);
            *value = value.max(line.value);
        }
        Some(replicas.into_values().collect())
    }

    fn sum(&self, names: &[&str]) -> Option<f64> {
        self.values(names).map(|values| values.iter().sum())
    }

    fn highest(&self, names: &[&str]) -> Option<f64> {
        self.values(names)?.into_iter().reduce(f64::max)
    }

    /// What is known of it; `None` if nothing is.
    pub(super) fn sample(&self, at: MonoNs) -> Option<EngineSample> {
        // llama.cpp counts the two parts of its prompts apart.
        let cached = self.sum(&["llamacpp:prompt_tokens_cached_total"]);
        let prompts = self.sum(&["llamacpp:prompt_tokens_total"]);
        let looked_up = cached.zip(prompts).map(|(cached, rest)| cached + rest);
        let sample = EngineSample {
            at,
            running: self.sum(&[
                "vllm:num_requests_running",
                "sglang:num_running_reqs",
                "llamacpp:requests_processing",
            ]),
            waiting: self.sum(&[
                "vllm:num_requests_waiting",
                "sglang:num_queue_reqs",
                "llamacpp:requests_deferred",
            ]),
            kv_use: self.highest(&[
                "vllm:kv_cache_usage_perc",
                "vllm:gpu_cache_usage_perc",
                "sglang:token_usage",
                "llamacpp:kv_cache_usage_ratio",
            ]),
            prefix_queries: self
                .sum(&[
                    "vllm:prefix_cache_queries_total",
                    "vllm:gpu_prefix_cache_queries_total",
                    "sglang:prompt_tokens_total",
                ])
                .or(looked_up),
            prefix_hits: self
                .sum(&[
                    "vllm:prefix_cache_hits_total",
                    "vllm:gpu_prefix_cache_hits_total",
                    "sglang:cached_tokens_total",
                ])
                .or(cached),
            preemptions: self
                .sum(&["vllm:num_preemptions_total", "sglang:num_retracted_requests_total"]),
            queue_s: self
                .sum(&["vllm:request_queue_time_seconds_sum", "sglang:queue_time_seconds_sum"]),
            queued: self
                .sum(&["vllm:request_queue_time_seconds_count", "sglang:queue_time_seconds_count"]),
            drafted: self.sum(&[
                "vllm:spec_decode_num_draft_tokens_total",
                "llamacpp:spec_decode_num_draft_tokens_total",
            ]),
            accepted: self.sum(&[
                "vllm:spec_decode_num_accepted_tokens_total",
                "llamacpp:spec_decode_num_accepted_tokens_total",
            ]),
        };
        (sample != EngineSample { at, ..EngineSample::default() }).then_some(sample)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a memory in bytes is a whole number from 0 on, and far below 2^53"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        // The grammar wants the end of a line, and knows neither timestamps nor exemplars.
        let labels = labels_end(line);
        let value = line[labels..].split_whitespace().next()?;
        let text = format!("{} {value}\n", &line[..labels]);
        let (_, families) = prometheus(&text).ok()?;
        let sample = families.first()?.samples.first()?;
        let label =
            |label: &nom_openmetrics::Label<'_>| (label.name.to_owned(), label.value.clone());
        let value = Some(sample.number()).filter(|value| value.is_finite())?;
        let labels = sample.labels().iter().map(label).collect();
        Some(Self { name: sample.name().to_owned(), labels, value })
    }
}

/// Where the name of a line and its labels end.
fn labels_end(line: &str) -> usize {
    let name = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (mut in_quotes, mut is_escaped) = (false, false);
    let is_end = |&(_, c): &(usize, char)| {
        let is_end = c == '}' && !in_quotes;
        in_quotes ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    if line[name..].starts_with('{') {
        line[name..].char_indices().find(is_end).map_or(line.len(), |(at, _)| name + at + 1)
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn recorded(engine: &str) -> Exposition {
        let file = format!("../tests/fixtures/wire/{engine}/metrics.http");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        Exposition::parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap()))
    }

    const AT: MonoNs = MonoNs(7);

    #[test]
    fn vllms_own_words_are_understood() {
        let text = recorded("vllm");
        assert_eq!(text.engine(), Some("vllm"));
        assert_eq!(text.label("vllm:cache_config_info", "cache_dtype"), Some("auto"));
        let process = EngineProcess {
            started: Some(UnixNs(1_795_488_123_140_000_105)),
            resident: Some(Bytes(1_052_536_832)),
        };
        assert_eq!(text.process(), process);
        let expected = EngineSample {
            at: AT,
            running: Some(0.0),
            waiting: Some(0.0),
            kv_use: Some(0.0),
            prefix_queries: Some(6364.0),
            prefix_hits: Some(0.0),
            preemptions: Some(0.0),
            queue_s: Some(0.005_823_523_995_331_925),
            queued: Some(171.0),
            drafted: None,
            accepted: None,
        };
        assert_eq!(text.sample(AT), Some(expected));
    }

    #[test]
    fn llama_cpps_own_words_are_understood() {
        let text = recorded("llamacpp");
        assert_eq!(text.engine(), Some("llama.cpp"));
        let expected = EngineSample {
            at: AT,
            running: Some(0.0),
            waiting: Some(0.0),
            prefix_queries: Some(3957.0 + 10481.0),
            prefix_hits: Some(10481.0),
            drafted: Some(0.0),
            accepted: Some(0.0),
            ..EngineSample::default()
        };
        assert_eq!(text.sample(AT), Some(expected));
    }

    /// Eight ranks of one replica said that sixteen requests ran where two did.
    #[test]
    fn ranks_of_a_replica_count_once_and_replicas_are_summed() {
        let rank = |dp: u32, tp: u32, running: f64| {
            format!("sglang:num_running_reqs{{dp_rank=\"{dp}\",tp_rank=\"{tp}\"}} {running}\n")
        };
        let ranks = [rank(0, 0, 2.0), rank(0, 1, 2.0), rank(1, 0, 3.0), rank(1, 1, 2.0)].concat();
        let running = |text: &str| Exposition::parse(text).sample(AT).unwrap().running;
        assert_eq!(running(&ranks), Some(5.0));
        let pipeline = "vllm:num_requests_running{engine=\"0\"} 2\n\
                        vllm:num_requests_running{engine=\"1\"} 2\n";
        assert_eq!(running(pipeline), Some(4.0));
    }

    #[test]
    fn timestamps_and_exemplars_are_ignored() {
        for line in [
            "vllm:num_requests_running{model=\"a } \\\" b\"} 3 1795521700000",
            "vllm:num_requests_running 3 1795521700.5 # {trace_id=\"x\"} 1",
            "vllm:num_requests_running{model=\"a\"}3.0 # {trace_id=\"}\"} 0.5 1795521700",
        ] {
            let sample = Exposition::parse(line).sample(AT);
            assert_eq!(sample.and_then(|sample| sample.running), Some(3.0), "{line}");
        }
    }

    #[test]
    fn several_engines_are_summed_and_unreadable_lines_are_skipped() {
        let text = Exposition::parse(
            "# HELP sglang:num_running_reqs of each rank\n\
             sglang:num_running_reqs{dp_rank=\"0\",model_name=\"a,b}\"} 3\n\
             sglang:num_running_reqs{dp_rank=\"1\"} 4.5e0\r\n\
             sglang:num_queue_reqs{ 3\n\
             sglang:token_usage{dp_rank=\"0\"} 0.25\nsglang:token_usage{dp_rank=\"1\"} 0.75\n\
             sglang:cached_tokens_total NaN\n\
             sglang:queue_time_seconds_bucket{le=\"0.1\"} 3\n\
             process_cpu_seconds_total 3\n",
        );
        assert_eq!(text.engine(), Some("sglang"));
        let expected = EngineSample {
            at: AT,
            running: Some(7.5),
            kv_use: Some(0.75),
            ..EngineSample::default()
        };
        assert_eq!(text.sample(AT), Some(expected));
        let other = Exposition::parse("<html>\nvllm:something_new 1\n");
        assert_eq!((other.engine(), other.sample(AT)), (Some("vllm"), None));
        let none = Exposition::parse("up 1\nprocess_resident_memory_bytes_max 3\n");
        assert_eq!((none.is_empty(), none.process()), (true, EngineProcess::default()));
    }
}
