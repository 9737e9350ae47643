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

use regatta_figures::source::{Cause, Error, Run, attempts_of, each_host};
use regatta_types::ids::{CaseId, HostId};
use regatta_types::record::{AttemptRecord, RunRecord};

use self::known::Known;
use self::scan::{Kind, Scan};
use self::visit::{Part, visit, visit_attempt};

/// Originals by kind.
type Names = BTreeMap<Kind, BTreeSet<String>>;

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
    visit(&mut record, &mut |part| found.take(part));
    found.hosts.extend(run.hosts().into_iter().cloned());
    let each = |host: &&HostId| {
        let mut found = Found::new(scan.clone());
        for attempt in &mut attempts_of(&run, host)? {
            visit_attempt(attempt, &mut |part| found.take(part));
        }
        Ok(found)
    };
    each_host(&run.hosts(), each, |more| {
        found.hosts.extend(more.hosts);
        for (kind, originals) in more.names {
            found.names.entry(kind).or_default().extend(originals);
        }
        Ok::<(), Error>(())
    })?;
    let mut names = found.names;
    let mut tokens = names.split_off(&Kind::Url);
    let (hosts, known) = known_names(&record, found.hosts, names);
    tokens.values_mut().for_each(|tokens| tokens.retain(|token| known.get(token).is_none()));
    let tokens = numbered(tokens).collect();
    let mut replace = Replace { hosts, cases: BTreeMap::new(), known, scan, tokens };
    replace.cases = replace.case_ids(&record);
    let command = command(&record, &replace);
    visit(&mut record, &mut |part| replace.put(part));
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
        for attempt in &mut attempts {
            visit_attempt(attempt, &mut |part| self.replace.put(part));
        }
        Ok(attempts)
    }
}

/// The substitutes of hosts, and of all names that the record itself calls names.
fn known_names(
    record: &RunRecord,
    ids: BTreeSet<HostId>,
    mut names: Names,
) -> (BTreeMap<HostId, HostId>, Known) {
    let width = ids.len().to_string().len();
    let hosts: BTreeMap<HostId, HostId> = ids
        .into_iter()
        .zip(1_usize..)
        .filter_map(|(id, n)| Some((id, HostId::new(format!("host-{n:0width$}")).ok()?)))
        .collect();
    let mut known: Vec<_> =
        hosts.iter().map(|(id, new)| (id.to_string(), new.to_string())).collect();
    let mut machines: Vec<_> = record.hosts.iter().collect();
    machines.sort_by(|a, b| a.host.cmp(&b.host));
    let mut domains = BTreeSet::new();
    for host in machines {
        let (Some(facts), Some(substitute)) = (&host.facts, hosts.get(&host.host)) else {
            continue;
        };
        known.push((facts.hostname.clone(), substitute.to_string()));
        if let Some((short, domain)) = facts.hostname.split_once('.') {
            known.push((short.to_owned(), substitute.to_string()));
            domains.insert(domain.to_owned());
        }
    }
    domains.extend(hosts.keys().filter_map(|id| Some(id.as_str().split_once('.')?.1.to_owned())));
    domains.retain(|domain| domain.parse::<f64>().is_err() && !GENERIC.contains(&&**domain));
    names.insert(Kind::Domain, domains);
    known.extend(numbered(names));
    (hosts, Known::new(known))
}

/// Endings of names that name nobody, and words of other texts.
const GENERIC: [&str; 6] = ["local", "lan", "home", "internal", "localdomain", "test"];

/// Collects the names, and what in the texts is an address.
struct Found {
    hosts: BTreeSet<HostId>,
    names: Names,
    scan: Scan,
}

impl Found {
    fn new(scan: Scan) -> Self {
        Self { hosts: BTreeSet::new(), names: BTreeMap::new(), scan }
    }

    fn take(&mut self, part: Part<'_>) {
        match part {
            Part::Host(host) if !self.hosts.contains(host) => {
                self.hosts.insert(host.clone());
            }
            Part::Host(_) | Part::Case(_) => {}
            Part::Name(kind, name) => {
                let names = self.names.entry(kind).or_default();
                if !name.is_empty() && !names.contains(name) {
                    names.insert(name.clone());
                }
            }
            Part::Text(text) => {
                for (range, kind) in self.scan.find(text) {
                    self.names.entry(kind).or_default().insert(text[range].to_owned());
                }
            }
        }
    }
}

/// Each original with its substitute.
fn numbered(names: Names) -> impl Iterator<Item = (String, String)> {
    names.into_iter().flat_map(|(kind, originals)| {
        let (name, width) = (kind.name(), originals.len().to_string().len());
        originals.into_iter().zip(1_usize..).map(move |(o, n)| (o, format!("{name}-{n:0width$}")))
    })
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

    fn put(&self, part: Part<'_>) {
        match part {
            Part::Host(host) => {
                if let Some(substitute) = self.hosts.get(host) {
                    host.clone_from(substitute);
                }
            }
            Part::Case(case) => {
                if let Some(substitute) = self.cases.get(case) {
                    case.clone_from(substitute);
                }
            }
            Part::Name(_, name) => *name = self.known.get(name).unwrap_or_default().to_owned(),
            Part::Text(text) => *text = self.covered(text),
        }
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
    let words = record.header.command.split_whitespace().enumerate();
    let words = words.map(|(index, word)| match word.split_once('=') {
        Some((flag, rest)) if flag.starts_with("--") => format!("{flag}={}", value(rest, false)),
        _ if word.starts_with('-') => replace.covered(word),
        _ => value(word, index < 2),
    });
    words.collect::<Vec<_>>().join(" ")
}
