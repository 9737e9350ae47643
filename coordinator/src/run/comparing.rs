//! Preflight checks that compare hosts, and the warnings after the wait for hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::check::{Check, CheckOutcome, Mark};
use regatta_types::event::EventKind;
use regatta_types::ids::HostId;
use regatta_types::time::ClockOffset;

use super::host::Readiness;
use super::input::Effect;
use super::state::RunState;

/// Maximum difference of wall clocks without a warning.
const APART: Duration = Duration::from_secs(1);
/// Maximum number of hosts named in a warning.
const NAMED: usize = 3;

impl RunState {
    /// Compares the hosts, adds the results to their checks, and emits each warning once.
    pub(super) fn compare_hosts(&mut self, effects: &mut Vec<Effect>) {
        let engines = self.hosts.values().filter_map(|host| host.record.engine.known());
        let models: Vec<String> = engines.map(|engine| engine.model.clone()).collect();
        for host in self.hosts.values_mut() {
            if host.readiness == Readiness::Preparing {
                continue;
            }
            let record = &mut host.record;
            let other = record.engine.known().and_then(|own| model(&own.model, &models));
            for outcome in [other, Some(clock(record.clocks.last()))].into_iter().flatten() {
                put(&mut record.checks, outcome);
            }
            effects.push(Effect::StoreHost(Box::new(record.clone())));
        }
        // `doctor` prints all checks itself.
        if !self.preparation.check_only {
            self.warn_of_checks(effects);
        }
    }

    fn warn_of_checks(&self, effects: &mut Vec<Effect>) {
        let mut warnings: BTreeMap<(Check, &str), Vec<&HostId>> = BTreeMap::new();
        let ready = self.hosts.iter().filter(|(_, host)| host.readiness == Readiness::Ready);
        let count = ready.clone().count();
        for (name, host) in ready {
            for outcome in host.record.checks.iter().filter(|o| o.mark == Mark::Warning) {
                warnings.entry((outcome.check, &outcome.text)).or_default().push(name);
            }
        }
        for ((check, text), hosts) in warnings {
            let text = format!("{}: {check}: {text}", named(&hosts, count));
            effects.push(Effect::Event(EventKind::Warning { text }));
        }
    }
}

/// `all 4 hosts`, or the first few names.
fn named(hosts: &[&HostId], of: usize) -> String {
    if hosts.len() > 1 && hosts.len() == of {
        return format!("all {of} hosts");
    }
    let first: Vec<&str> = hosts.iter().take(NAMED).map(|host| host.as_str()).collect();
    let more = hosts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// Replaces a check that passed; warnings and failures of the host itself stay.
fn put(checks: &mut Vec<CheckOutcome>, outcome: CheckOutcome) {
    match checks.iter_mut().find(|own| own.check == outcome.check) {
        Some(own) if own.mark == Mark::Ok => *own = outcome,
        Some(_) => {}
        None => {
            checks.push(outcome);
            checks.sort_by_key(|outcome| outcome.check);
        }
    }
}

/// A warning for a host that serves a different model than most; `None`: same model.
fn model(own: &str, all: &[String]) -> Option<CheckOutcome> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for model in all {
        *counts.entry(model).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    let mut first = counts.iter().filter(|(_, n)| **n == most).map(|(model, _)| *model);
    let usual = first.next().filter(|_| first.next().is_none());
    match usual {
        Some(usual) if usual == own => None,
        Some(usual) => Some(Check::Model.warning(format!(
            "serves `{own}`, but {most} of {} hosts serve `{usual}`, so this host is compared \
             separately. Load `{usual}` on it or choose a model with --model",
            all.len()
        ))),
        None => {
            let others: Vec<String> = counts
                .keys()
                .filter(|model| **model != own)
                .map(|model| format!("`{model}`"))
                .collect();
            Some(Check::Model.warning(format!(
                "serves `{own}`, but other hosts serve {}, so they are compared separately. Load \
                 the same model on all hosts or choose one with --model",
                others.join(", ")
            )))
        }
    }
}

/// Checks the offset of an agent's wall clock from the coordinator's.
fn clock(offset: Option<&ClockOffset>) -> CheckOutcome {
    let Some(offset) = offset else {
        return Check::Clock.unknown("offset from the coordinator's clock not measured");
    };
    let apart = Duration::from_nanos(offset.wall_offset_ns.unsigned_abs());
    let doubt = Duration::from_nanos(offset.bound_ns);
    if apart.saturating_sub(doubt) > APART {
        let way = if offset.wall_offset_ns > 0 { "ahead of" } else { "behind" };
        return Check::Clock.warning(format!(
            "wall clock is {:.1} s {way} the coordinator's clock, so times of day do not match \
             (measurements are unaffected). Set up time synchronization (NTP) on both",
            apart.as_secs_f64()
        ));
    }
    let within = (apart + doubt).as_nanos().div_ceil(1_000_000);
    Check::Clock.ok(format!("within {within} ms of the coordinator's clock"))
}

#[cfg(test)]
mod tests {
    use regatta_types::time::MonoNs;

    use super::*;

    fn models(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_warning_of_a_different_model_names_both_models() {
        let all = models(&["coder", "coder", "chat", "coder"]);
        assert_eq!(model("coder", &all), None);
        let text = model("chat", &all).expect("a warning").text;
        assert!(text.starts_with("serves `chat`, but 3 of 4 hosts serve `coder`"), "{text}");
        assert_eq!(model("chat", &models(&["chat"])), None);
    }

    #[test]
    fn without_a_majority_model_every_host_gets_a_warning() {
        let all = models(&["a", "b", "b", "a", "c"]);
        let text = model("a", &all).expect("a warning").text;
        assert!(text.starts_with("serves `a`, but other hosts serve `b`, `c`, "), "{text}");
    }

    #[test]
    fn clocks_certainly_more_than_a_second_apart_are_a_warning() {
        let at = |wall_offset_ns: i64, bound_ns: u64| {
            let (offset_ns, pings, at) = (0, 8, MonoNs(0));
            clock(Some(&ClockOffset { offset_ns, bound_ns, wall_offset_ns, pings, at }))
        };
        assert_eq!(at(-900_000_000, 200_000).text, "within 901 ms of the coordinator's clock");
        assert_eq!(at(1_100_000_000, 200_000_000).mark, Mark::Ok, "the ping itself may be late");
        let behind = at(-3_210_000_000, 200_000);
        assert_eq!(behind.mark, Mark::Warning);
        assert!(behind.text.starts_with("wall clock is 3.2 s behind the coord"), "{behind:?}");
        assert_eq!(clock(None).mark, Mark::Unknown);
    }

    #[test]
    fn the_comparison_does_not_override_failures_of_the_host() {
        let mut checks = vec![Check::Model.failed("not served"), Check::Disk.ok("room")];
        put(&mut checks, Check::Model.warning("another one"));
        put(&mut checks, Check::Clock.ok("within 1 ms"));
        put(&mut checks, Check::Disk.warning("less room"));
        let texts: Vec<&str> = checks.iter().map(|outcome| outcome.text.as_str()).collect();
        assert_eq!(texts, ["not served", "less room", "within 1 ms"]);
    }

    #[test]
    fn a_few_hosts_are_named_and_all_are_counted() {
        let names: Vec<HostId> =
            (1..=5).map(|i| HostId::new(format!("gpu-0{i}")).expect("a slug")).collect();
        let names: Vec<&HostId> = names.iter().collect();
        assert_eq!(named(&names, 5), "all 5 hosts");
        assert_eq!(named(&names, 9), "gpu-01, gpu-02, gpu-03 and 2 more");
        assert_eq!(named(&names[..1], 1), "gpu-01");
    }
}
