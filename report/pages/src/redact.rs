//! Names that must not be published, replaced in a record and in the attempts, as these are read,
//! before anything is made of them.
//!
//! The entry is [`redact`]. [`visit`] knows where a record holds text, [`scan`] what in a text is
//! an address; here each original gets its substitute. The same original has the same substitute
//! everywhere, and substitutes are numbered in the order of the originals, so that hosts keep
//! their order.

mod known;
mod scan;
#[cfg(test)]
mod tests;
mod visit;

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::ids::{CaseId, HostId};
use regatta_types::record::{AttemptRecord, RunRecord};

use self::known::Known;
use self::scan::{Kind, Scan};
use self::visit::{Visitor, visit, visit_attempt};
use regatta_figures::source::{Cause, Error, Run, attempts_of, each_host};

/// A run with the names in it replaced.
#[derive(Debug)]
pub struct Redacted<R> {
    run: R,
    record: RunRecord,
    replace: Replace,
}

/// Replaces hosts' names, GPU UUIDs, addresses, URLs, home paths, and what names a machine, in all
/// texts of a run; of the command line all values that say more than a number. Reads all attempts
/// once.
///
/// # Errors
/// When attempts cannot be read.
pub fn redact<R: Run>(run: R) -> Result<Redacted<R>, Error> {
    let mut record = run.record().clone();
    let scan = Scan::new();
    let mut found = Found::new(scan.clone());
    visit(&mut record, &mut found);
    found.hosts.extend(run.hosts().into_iter().cloned());
    let each = |host: &&HostId| {
        let mut found = Found::new(scan.clone());
        attempts_of(&run, host)?.iter_mut().for_each(|attempt| visit_attempt(attempt, &mut found));
        Ok(found)
    };
    each_host(&run.hosts(), each, |more| {
        found.add(more);
        Ok::<(), Error>(())
    })?;
    let (hosts, known) = names(&record, found.hosts, found.of_kind);
    let mut tokens = found.tokens;
    for tokens in tokens.values_mut() {
        tokens.retain(|token| known.get(token).is_none());
    }
    let mut replace =
        Replace { hosts, cases: BTreeMap::new(), known, scan, tokens: numbered(tokens) };
    replace.cases = replace.case_ids(&record);
    let command = command(&record, &replace);
    visit(&mut record, &mut &replace);
    record.header.command = command;
    record.redacted = true;
    Ok(Redacted { run, record, replace })
}

impl<R: Run> Run for Redacted<R> {
    fn record(&self) -> &RunRecord {
        &self.record
    }

    fn hosts(&self) -> Vec<&HostId> {
        self.run.hosts().into_iter().filter_map(|host| self.replace.hosts.get(host)).collect()
    }

    fn attempts(&self, host: &HostId) -> Result<Vec<AttemptRecord>, Cause> {
        let original = self.replace.hosts.iter().find(|(_, substitute)| *substitute == host);
        let Some((original, _)) = original else { return Ok(Vec::new()) };
        let mut attempts = self.run.attempts(original)?;
        attempts.iter_mut().for_each(|attempt| visit_attempt(attempt, &mut &self.replace));
        Ok(attempts)
    }
}

/// The substitutes of hosts, and of all names that the record itself calls names.
fn names(
    record: &RunRecord,
    ids: BTreeSet<HostId>,
    mut of_kind: BTreeMap<&'static str, BTreeSet<String>>,
) -> (BTreeMap<HostId, HostId>, Known) {
    let width = ids.len().to_string().len();
    let hosts: BTreeMap<HostId, HostId> = ids
        .into_iter()
        .zip(1_usize..)
        .filter_map(|(id, n)| Some((id, HostId::new(format!("host-{n:0width$}")).ok()?)))
        .collect();
    let mut known = Known::default();
    for (id, substitute) in &hosts {
        known.add(id.as_str(), substitute.as_str());
    }
    let mut machines: Vec<_> = record.hosts.iter().collect();
    machines.sort_by(|a, b| a.host.cmp(&b.host));
    let mut domains = BTreeSet::new();
    for host in machines {
        let (Some(facts), Some(substitute)) = (&host.facts, hosts.get(&host.host)) else {
            continue;
        };
        known.add(&facts.hostname, substitute.as_str());
        if let Some((short, domain)) = facts.hostname.split_once('.') {
            known.add(short, substitute.as_str());
            domains.insert(domain.to_owned());
        }
    }
    domains.extend(hosts.keys().filter_map(|id| Some(id.as_str().split_once('.')?.1.to_owned())));
    domains.retain(|domain| domain.parse::<f64>().is_err() && !GENERIC.contains(&&**domain));
    of_kind.insert("domain", domains);
    for (kind, originals) in of_kind {
        let width = originals.len().to_string().len();
        for (original, n) in originals.iter().zip(1_usize..) {
            known.add(original, &format!("{kind}-{n:0width$}"));
        }
    }
    known.finish();
    (hosts, known)
}

/// Endings of names that name nobody, and words of other texts.
const GENERIC: [&str; 6] = ["local", "lan", "home", "internal", "localdomain", "test"];

/// Collects the names of their own kind, and what in the texts is an address.
struct Found {
    hosts: BTreeSet<HostId>,
    of_kind: BTreeMap<&'static str, BTreeSet<String>>,
    scan: Scan,
    tokens: BTreeMap<Kind, BTreeSet<String>>,
}

impl Found {
    fn new(scan: Scan) -> Self {
        Self { hosts: BTreeSet::new(), of_kind: BTreeMap::new(), scan, tokens: BTreeMap::new() }
    }

    fn add(&mut self, more: Self) {
        self.hosts.extend(more.hosts);
        for (kind, names) in more.of_kind {
            self.of_kind.entry(kind).or_default().extend(names);
        }
        for (kind, tokens) in more.tokens {
            self.tokens.entry(kind).or_default().extend(tokens);
        }
    }
}

impl Visitor for Found {
    fn host(&mut self, host: &mut HostId) {
        if !self.hosts.contains(host) {
            self.hosts.insert(host.clone());
        }
    }

    fn case(&mut self, _: &mut CaseId) {}

    fn name(&mut self, kind: &'static str, name: &mut String) {
        let names = self.of_kind.entry(kind).or_default();
        if !name.is_empty() && !names.contains(name) {
            names.insert(name.clone());
        }
    }

    fn text(&mut self, text: &mut String) {
        for (range, kind) in self.scan.find(text) {
            self.tokens.entry(kind).or_default().insert(text[range].to_owned());
        }
    }
}

/// Substitutes by original.
fn numbered(tokens: BTreeMap<Kind, BTreeSet<String>>) -> BTreeMap<String, String> {
    let of_kind = |(kind, originals): (Kind, BTreeSet<String>)| {
        let width = originals.len().to_string().len();
        let name = kind.name();
        originals.into_iter().zip(1_usize..).map(move |(o, n)| (o, format!("{name}-{n:0width$}")))
    };
    tokens.into_iter().flat_map(of_kind).collect()
}

/// Puts the substitutes in.
#[derive(Debug)]
struct Replace {
    hosts: BTreeMap<HostId, HostId>,
    cases: BTreeMap<CaseId, CaseId>,
    known: Known,
    scan: Scan,
    tokens: BTreeMap<String, String>,
}

impl Replace {
    fn covered(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (range, _) in self.scan.find(text) {
            self.known.replace(&text[from..range.start], &mut out);
            let token = &text[range.clone()];
            let substitute = self.known.get(token).or(self.tokens.get(token).map(String::as_str));
            out.push_str(substitute.unwrap_or("removed"));
            from = range.end;
        }
        self.known.replace(&text[from..], &mut out);
        out
    }

    /// Case ids may hold a name, too; no two become the same.
    fn case_ids(&self, record: &RunRecord) -> BTreeMap<CaseId, CaseId> {
        let mut taken: BTreeSet<CaseId> = BTreeSet::new();
        let mut all: BTreeMap<CaseId, CaseId> = BTreeMap::new();
        let cases = &record.header.suite.cases;
        let sweeps = cases.iter().filter_map(|case| case.sweep.as_ref());
        let ids: BTreeSet<&CaseId> =
            cases.iter().map(|case| &case.id).chain(sweeps.map(|sweep| &sweep.of)).collect();
        for (id, n) in ids.into_iter().zip(1_usize..) {
            let covered = CaseId::new(self.covered(id.as_str())).ok();
            let free = covered.filter(|new| !new.is_reserved() && !taken.contains(new));
            let new = free.or_else(|| CaseId::new(format!("renamed-case-{n}")).ok());
            if let Some(new) = new {
                taken.insert(new.clone());
                all.insert(id.clone(), new);
            }
        }
        all
    }
}

impl Visitor for &Replace {
    fn host(&mut self, host: &mut HostId) {
        if let Some(substitute) = self.hosts.get(host) {
            *host = substitute.clone();
        }
    }

    fn case(&mut self, case: &mut CaseId) {
        if let Some(substitute) = self.cases.get(case) {
            *case = substitute.clone();
        }
    }

    fn name(&mut self, _: &'static str, name: &mut String) {
        *name = self.known.get(name).unwrap_or_default().to_owned();
    }

    fn text(&mut self, text: &mut String) {
        *text = self.covered(text);
    }
}

/// The command line with its flags and numbers; other values are names or paths of somebody.
fn command(record: &RunRecord, replace: &Replace) -> String {
    let is_number = |value: &str| {
        value.starts_with(|c: char| c.is_ascii_digit())
            && value.chars().all(|c| c.is_ascii_alphanumeric() || ".,%".contains(c))
            && replace.scan.find(value).is_empty()
    };
    let suite = record.header.suite.name.as_str();
    let value = |value: &str, is_first: bool| {
        let covered = replace.covered(value);
        let is_plain = is_number(value) || value == suite && covered == value;
        let is_hosts = value.split(',').all(|name| replace.known.get(name).is_some());
        if is_first || is_plain || is_hosts { covered } else { "VALUE".to_owned() }
    };
    let words =
        record.header.command.split_whitespace().enumerate().map(|(index, word)| {
            match word.split_once('=') {
                Some((flag, rest)) if flag.starts_with("--") => {
                    format!("{flag}={}", value(rest, false))
                }
                _ if word.starts_with('-') => replace.covered(word),
                _ => value(word, index < 2),
            }
        });
    words.collect::<Vec<_>>().join(" ")
}
