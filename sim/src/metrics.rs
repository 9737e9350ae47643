//! What a simulated host says of itself at `/metrics`, under vLLM's names.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tokens that its KV cache is said to hold.
const KV_TOKENS: u64 = 1 << 20;

/// Counters that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    running: AtomicU64,
    waiting: AtomicU64,
    /// Of the requests that are worked on.
    tokens: AtomicU64,
    prefix_queries: AtomicU64,
    prefix_hits: AtomicU64,
    queued: AtomicU64,
    queued_ns: AtomicU64,
}

/// A request that waits for its turn, until dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Metrics>);

/// A request that is worked on, until dropped.
#[derive(Debug)]
pub(crate) struct Working {
    metrics: Arc<Metrics>,
    tokens: u64,
}

impl Metrics {
    /// A request has come.
    pub(crate) fn waits(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(Arc::clone(self))
    }

    /// A prompt was looked up in the prefix cache.
    pub(crate) fn looked_up(&self, tokens: u32, found: u32) {
        self.prefix_queries.fetch_add(tokens.into(), Ordering::Relaxed);
        self.prefix_hits.fetch_add(found.into(), Ordering::Relaxed);
    }

    /// The page.
    pub(crate) fn page(&self, model: &str, prefix_cache: bool) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let model = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels = format!("engine=\"0\",model_name=\"{model}\"");
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        let queued_s = Duration::from_nanos(of(&self.queued_ns)).as_secs_f64();
        let mut page = String::new();
        for (name, kind, suffix, value) in [
            ("num_requests_running", "gauge", "", of(&self.running) as f64),
            ("num_requests_waiting", "gauge", "", of(&self.waiting) as f64),
            ("kv_cache_usage_perc", "gauge", "", share(of(&self.tokens), KV_TOKENS)),
            ("prefix_cache_queries", "counter", "_total", of(&self.prefix_queries) as f64),
            ("prefix_cache_hits", "counter", "_total", of(&self.prefix_hits) as f64),
            ("num_preemptions", "counter", "_total", 0.0),
            ("request_queue_time_seconds", "summary", "_sum", queued_s),
            ("request_queue_time_seconds", "", "_count", of(&self.queued) as f64),
        ] {
            if !kind.is_empty() {
                writeln!(page, "# HELP vllm:{name} As reported by vLLM.").ok();
                writeln!(page, "# TYPE vllm:{name} {kind}").ok();
            }
            writeln!(page, "vllm:{name}{suffix}{{{labels}}} {value:?}").ok();
        }
        let cache = if prefix_cache { "True" } else { "False" };
        page.push_str("# HELP vllm:cache_config_info As reported by vLLM.\n");
        page.push_str("# TYPE vllm:cache_config_info gauge\n");
        writeln!(
            page,
            "vllm:cache_config_info{{cache_dtype=\"auto\",enable_prefix_caching=\"{cache}\",engine=\"0\"}} 1.0"
        )
        .ok();
        page
    }
}

impl Waiting {
    /// Its turn has come after `waited`: this many tokens are kept for it.
    pub(crate) fn works(self, tokens: u32, waited: Duration) -> Working {
        let metrics = Arc::clone(&self.0);
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        metrics.queued.fetch_add(1, Ordering::Relaxed);
        metrics.queued_ns.fetch_add(waited, Ordering::Relaxed);
        metrics.running.fetch_add(1, Ordering::Relaxed);
        metrics.tokens.fetch_add(tokens.into(), Ordering::Relaxed);
        Working { metrics, tokens: tokens.into() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.metrics.running.fetch_sub(1, Ordering::Relaxed);
        self.metrics.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(page: &str, name: &str) -> f64 {
        let line = page.lines().find(|line| line.starts_with(&format!("vllm:{name}{{"))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[test]
    fn requests_are_counted_where_they_are() {
        let metrics = Arc::new(Metrics::default());
        let first = metrics.waits();
        let second = metrics.waits();
        metrics.looked_up(40, 16);
        let working = first.works(1 << 18, Duration::from_millis(250));
        let page = metrics.page("a \"model\"", true);
        for (name, expected) in [
            ("num_requests_running", 1.0),
            ("num_requests_waiting", 1.0),
            ("kv_cache_usage_perc", 0.25),
            ("prefix_cache_queries_total", 40.0),
            ("prefix_cache_hits_total", 16.0),
            ("request_queue_time_seconds_sum", 0.25),
            ("request_queue_time_seconds_count", 1.0),
        ] {
            assert!((value(&page, name) - expected).abs() < 1e-9, "{name} in\n{page}");
        }
        assert!(page.contains("enable_prefix_caching=\"True\""));
        drop((second, working));
        let page = metrics.page("m", false);
        let left = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"];
        assert!(left.iter().all(|name| value(&page, name).abs() < 1e-9), "{page}");
    }
}
