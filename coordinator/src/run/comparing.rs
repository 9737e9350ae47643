//! The checks that only a comparison of hosts can make, and what is said of all of them when the
//! wait for hosts is over.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::check::{Check, CheckOutcome, Mark};
use regatta_types::event::EventKind;
use regatta_types::ids::HostId;
use regatta_types::time::ClockOffset;

use super::host::Readiness;
use super::input::Effect;
use super::state::RunState;

/// Wall clocks further apart than this are remarked.
const APART: Duration = Duration::from_secs(1);
/// Hosts that a warning names.
const NAMED: usize = 3;

impl RunState {
    /// Compares the hosts, adds what comes of it to their checks, and warns of what should be seen to,
    /// each thing once.
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
        // Whoever asked for the checks alone is shown all of them.
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

/// Replaces a check that was well; what its own host remarked stands.
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

/// A remark on a host that serves another model than most; `None`: it does not.
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
            "it serves `{own}`, {most} of the {} hosts serve `{usual}`: a run compares it apart; load \
             `{usual}` on it, or choose the model with --model",
            all.len()
        ))),
        None => {
            let others: Vec<String> = counts
                .keys()
                .filter(|model| **model != own)
                .map(|model| format!("`{model}`"))
                .collect();
            Some(Check::Model.warning(format!(
                "it serves `{own}`, other hosts serve {}: a run compares them apart; load one model \
                 on all, or choose it with --model",
                others.join(", ")
            )))
        }
    }
}

/// How far an agent's wall clock is from the coordinator's.
fn clock(offset: Option<&ClockOffset>) -> CheckOutcome {
    let Some(offset) = offset else {
        return Check::Clock.unknown("it could not be compared with the coordinator's");
    };
    let apart = Duration::from_nanos(offset.wall_offset_ns.unsigned_abs());
    let doubt = Duration::from_nanos(offset.bound_ns);
    if apart.saturating_sub(doubt) > APART {
        let way = if offset.wall_offset_ns > 0 { "ahead of" } else { "behind" };
        return Check::Clock.warning(format!(
            "its wall clock is {:.1} s {way} the coordinator's; set up time synchronisation (NTP) on \
             both: no figure depends on it, but the times of day do",
            apart.as_secs_f64()
        ));
    }
    let within = (apart + doubt).as_nanos().div_ceil(1_000_000);
    Check::Clock.ok(format!("within {within} ms of the coordinator's"))
}

#[cfg(test)]
mod tests {
    use regatta_types::time::MonoNs;

    use super::*;

    fn models(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_host_with_another_model_than_most_is_named_with_both() {
        let all = models(&["coder", "coder", "chat", "coder"]);
        assert_eq!(model("coder", &all), None);
        let text = model("chat", &all).expect("a remark").text;
        assert!(text.starts_with("it serves `chat`, 3 of the 4 hosts serve `coder`"), "{text}");
        assert_eq!(model("chat", &models(&["chat"])), None);
    }

    #[test]
    fn without_a_usual_model_every_host_is_told_of_the_others() {
        let all = models(&["a", "b", "b", "a", "c"]);
        let text = model("a", &all).expect("a remark").text;
        assert!(text.starts_with("it serves `a`, other hosts serve `b`, `c`: "), "{text}");
    }

    #[test]
    fn clocks_more_than_a_second_apart_beyond_all_doubt_are_remarked() {
        let at = |wall_offset_ns: i64, bound_ns: u64| {
            let (offset_ns, pings, at) = (0, 8, MonoNs(0));
            clock(Some(&ClockOffset { offset_ns, bound_ns, wall_offset_ns, pings, at }))
        };
        assert_eq!(at(-900_000_000, 200_000).text, "within 901 ms of the coordinator's");
        assert_eq!(at(1_100_000_000, 200_000_000).mark, Mark::Ok, "the ping itself may be late");
        let behind = at(-3_210_000_000, 200_000);
        assert_eq!(behind.mark, Mark::Warning);
        assert!(behind.text.starts_with("its wall clock is 3.2 s behind the coord"), "{behind:?}");
        assert_eq!(clock(None).mark, Mark::Unknown);
    }

    #[test]
    fn what_a_host_remarked_itself_stands() {
        let mut checks = vec![Check::Model.failed("not served"), Check::Disk.ok("room")];
        put(&mut checks, Check::Model.warning("another one"));
        put(&mut checks, Check::Clock.ok("within 1 ms"));
        put(&mut checks, Check::Disk.warning("less room"));
        let texts: Vec<&str> = checks.iter().map(|outcome| outcome.text.as_str()).collect();
        assert_eq!(texts, ["not served", "less room", "within 1 ms"]);
    }

    #[test]
    fn a_few_hosts_are_named_and_all_are_called_so() {
        let names: Vec<HostId> =
            (1..=5).map(|i| HostId::new(format!("gpu-0{i}")).expect("a slug")).collect();
        let names: Vec<&HostId> = names.iter().collect();
        assert_eq!(named(&names, 5), "all 5 hosts");
        assert_eq!(named(&names, 9), "gpu-01, gpu-02, gpu-03 and 2 more");
        assert_eq!(named(&names[..1], 1), "gpu-01");
    }
}
