//! Table of checks by host, followed by a message for each check that is not ok.

use std::fmt::Write as _;

use regatta_types::check::{Check, CheckOutcome, Mark};
use regatta_types::units::quantity;
use textwrap::{Options, fill};

use super::{Examined, State};

/// Terminal width in columns.
pub(super) const WIDTH: usize = 100;

/// The complete output.
pub(super) fn render(hosts: &[Examined]) -> String {
    let checked: Vec<(&str, &[CheckOutcome])> = hosts
        .iter()
        .filter(|host| host.state == State::Checked)
        .map(|host| (name(host), host.checks.as_slice()))
        .collect();
    let mut text = String::new();
    if !checked.is_empty() {
        text.push_str(&matrix(&checked));
        text.push('\n');
        text.push_str(&sentences(&checked));
    }
    text.push_str(&verdict(hosts));
    text
}

fn name(host: &Examined) -> &str {
    host.host.as_ref().map_or("", |host| host.as_str())
}

fn cell(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "ok",
        Mark::Unknown => "?",
        Mark::Warning => "warn",
        Mark::Failed => "FAIL",
    }
}

/// One row per check if all hosts fit side by side, else one row per host.
fn matrix(hosts: &[(&str, &[CheckOutcome])]) -> String {
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(hosts.iter().map(|(name, _)| (*name).to_owned()));
    for (i, check) in Check::ALL.into_iter().enumerate() {
        let mut row = vec![check.name().to_owned()];
        row.extend(hosts.iter().map(|(_, checks)| mark(checks, i)));
        rows.push(row);
    }
    let by_check = grid(&rows, "  ");
    if by_check.lines().all(|line| line.len() <= WIDTH) {
        return by_check;
    }
    let heads = Check::ALL.map(heading);
    let mut rows: Vec<Vec<String>> = vec![vec![String::new()], vec!["host".to_owned()]];
    rows[0].extend(heads.iter().map(|(top, _)| (*top).to_owned()));
    rows[1].extend(heads.iter().map(|(_, bottom)| (*bottom).to_owned()));
    for (name, checks) in hosts {
        let mut row = vec![(*name).to_owned()];
        row.extend((0..Check::ALL.len()).map(|i| mark(checks, i)));
        rows.push(row);
    }
    grid(&rows, " ")
}

fn mark(checks: &[CheckOutcome], i: usize) -> String {
    checks.get(i).map_or_else(String::new, |outcome| cell(outcome.mark).to_owned())
}

/// The name of a check on two lines.
fn heading(check: Check) -> (&'static str, &'static str) {
    match check {
        Check::Endpoint => ("end-", "point"),
        Check::Model => ("", "model"),
        Check::Streaming => ("stream-", "ing"),
        Check::Usage => ("", "usage"),
        Check::Reasoning => ("reason-", "ing"),
        Check::FixedLength => ("fixed", "len."),
        Check::Context => ("con-", "text"),
        Check::EngineLoad => ("", "load"),
        Check::GpuReadings => ("GPU", "read"),
        Check::GpuChoice => ("GPU", "choice"),
        Check::GpuProcesses => ("GPU", "procs"),
        Check::Persistence => ("persi-", "stence"),
        Check::Governor => ("gover-", "nor"),
        Check::Disk => ("", "disk"),
        Check::Clock => ("", "clock"),
    }
}

/// Columns as wide as their widest cell.
pub(super) fn grid(rows: &[Vec<String>], apart: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join(apart).trim_end());
        text.push('\n');
    }
    text
}

/// The messages: common to all hosts first, then per host.
fn sentences(hosts: &[(&str, &[CheckOutcome])]) -> String {
    let is_common = |outcome: &CheckOutcome| {
        hosts.len() > 1 && hosts.iter().all(|(_, checks)| checks.contains(outcome))
    };
    let mut text = String::new();
    if let Some((_, first)) = hosts.first() {
        text.push_str(&section("all hosts", first.iter().filter(|outcome| is_common(outcome))));
    }
    for (name, checks) in hosts {
        text.push_str(&section(name, checks.iter().filter(|outcome| !is_common(outcome))));
    }
    text
}

/// The messages of one host, worst first. Checks with the same message share a line.
fn section<'a>(title: &str, outcomes: impl Iterator<Item = &'a CheckOutcome>) -> String {
    let mut lines: Vec<(Mark, &str, Vec<&str>)> = Vec::new();
    for outcome in outcomes.filter(|outcome| outcome.mark != Mark::Ok) {
        let same = lines.iter_mut().find(|line| (line.0, line.1) == (outcome.mark, &outcome.text));
        match same {
            Some((_, _, checks)) => checks.push(outcome.check.name()),
            None => lines.push((outcome.mark, &outcome.text, vec![outcome.check.name()])),
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.0));
    let mut text = format!("{title}\n");
    for (mark, sentence, checks) in lines {
        let first = format!("  {mark:<8} ");
        let hang = " ".repeat(first.len());
        let options = Options::new(WIDTH).initial_indent(&first).subsequent_indent(&hang);
        let line = fill(&format!("{}: {sentence}", checks.join(", ")), options);
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The last lines: which hosts can take part in a run.
fn verdict(hosts: &[Examined]) -> String {
    let list = |is: &dyn Fn(&Examined) -> bool| -> Vec<&str> {
        hosts.iter().filter(|host| host.host.is_some() && is(host)).map(name).collect()
    };
    let has = |host: &Examined, mark: Mark| host.checks.iter().any(|o| o.mark == mark);
    let refused = list(&|host| has(host, Mark::Failed));
    let silent = list(&|host| host.state == State::NoAnswer);
    let away = |host: &&Examined| host.state == State::NeverJoined && host.host.is_some();
    let away: Vec<String> = hosts
        .iter()
        .filter(away)
        .map(|host| match &host.why {
            Some(why) => format!("{} ({why})", name(host)),
            None => name(host).to_owned(),
        })
        .collect();
    let nameless = hosts.iter().filter(|host| host.host.is_none()).count();
    let warned = hosts.iter().filter(|h| has(h, Mark::Warning) && !has(h, Mark::Failed)).count();
    let mut lines = Vec::new();
    if !refused.is_empty() {
        lines.push(format!("A run would refuse {}.", refused.join(", ")));
    }
    if !silent.is_empty() {
        lines.push(format!("No answer before the timeout: {}.", silent.join(", ")));
    }
    if !away.is_empty() {
        lines.push(format!("Never joined: {}.", away.join(", ")));
    }
    if nameless > 0 {
        lines.push(format!("{} never joined.", quantity(nameless, "expected host")));
    }
    if lines.is_empty() {
        lines.push(match (hosts.len(), warned) {
            (1, 0) => "This host can take part in a run.".to_owned(),
            (1, _) => "This host can take part in a run, with warnings.".to_owned(),
            (n, 0) => format!("All {n} hosts can take part in a run."),
            (n, _) => format!("All {n} hosts can take part in a run, {warned} with warnings."),
        });
    }
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", fill(&line, WIDTH));
    }
    text
}

#[cfg(test)]
mod tests {
    use regatta_types::ids::HostId;

    use super::*;

    fn host(name: &str, change: &[CheckOutcome]) -> Examined {
        let outcome = |check: Check| {
            let changed = change.iter().find(|outcome| outcome.check == check);
            changed.cloned().unwrap_or_else(|| check.ok("all is well"))
        };
        let host = Some(HostId::new(name).expect("a slug"));
        Examined { host, state: State::Checked, why: None, checks: Check::ALL.map(outcome).into() }
    }

    fn fleet(n: usize) -> Vec<Examined> {
        let governor = Check::Governor.warning(
            "powersave, which may slow down the engine and the agent. Set performance (cpupower \
             frequency-set -g performance)",
        );
        let mut hosts: Vec<Examined> = (1..=n)
            .map(|i| host(&format!("gpu-{i:02}"), std::slice::from_ref(&governor)))
            .collect();
        let down = Check::Endpoint.failed(
            "no answer from http://127.0.0.1:8000/v1/models (connection refused). Is the engine \
             running?",
        );
        let unasked =
            [Check::Streaming, Check::Usage].map(|check| check.unknown("not checked: no engine"));
        let [streaming, usage] = unasked;
        hosts[1] = host("gpu-02", &[governor, down, streaming, usage]);
        hosts
    }

    #[test]
    fn a_few_hosts_are_side_by_side() {
        insta::assert_snapshot!(render(&fleet(4)));
    }

    #[test]
    fn many_hosts_are_rows_that_fit_the_terminal() {
        let text = render(&fleet(12));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn missing_hosts_are_named_if_the_name_is_known() {
        let away = Examined {
            host: Some(HostId::new("gpu-05").expect("a slug")),
            state: State::NeverJoined,
            why: None,
            checks: Vec::new(),
        };
        let nobody = Examined { host: None, ..away.clone() };
        let mut hosts = vec![host("gpu-01", &[]), away];
        hosts.extend([nobody.clone(), nobody]);
        let text = render(&hosts);
        let end = "\nNever joined: gpu-05.\n2 expected hosts never joined.\n";
        assert!(text.ends_with(end), "{text}");
        let text = render(&[host("gpu-01", &[])]);
        assert!(text.ends_with("\nThis host can take part in a run.\n"), "{text}");
    }
}
