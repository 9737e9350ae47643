//! Names in a sentence, as many as one can read.

use std::collections::BTreeMap;
use std::fmt::Display;

use itertools::Itertools as _;
use regatta_figures::compare::Reason;

use super::reason::reason;

/// Most hosts or cases named in a sentence.
pub(crate) const NAMED: usize = 5;

/// `a, b, c, d, e and 3 more`.
pub(crate) fn some_names<T: Display>(names: &[T]) -> String {
    first_names(NAMED, names)
}

/// The same with another most.
pub(crate) fn first_names<T: Display>(most: usize, names: &[T]) -> String {
    let named = names.iter().take(most).join(", ");
    let more = names.len().saturating_sub(most);
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// The first few of many sentences, and one about how many more there are.
pub(super) fn first_few(mut said: Vec<String>, rest: impl Fn(usize) -> String) -> Vec<String> {
    let more = said.len().saturating_sub(NAMED);
    said.truncate(NAMED);
    said.extend((more > 0).then(|| rest(more)));
    said
}

/// Hosts grouped by what is said about them, in order of the first.
pub(crate) fn together(said: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (host, what) in said {
        match groups.iter_mut().find(|(same, _)| *same == what) {
            Some((_, hosts)) => hosts.push(host),
            None => groups.push((what, vec![host])),
        }
    }
    groups.into_iter().map(|(what, hosts)| (some_names(&hosts), what)).collect()
}

/// Exclusions grouped by reason and names, with those that exclude the same for the same reason.
pub(crate) fn excluded<'a, T: Ord, W: Clone>(
    by: impl IntoIterator<Item = (W, &'a Vec<(T, Reason)>)>,
) -> BTreeMap<(String, Vec<&'a T>), Vec<W>> {
    let mut out: BTreeMap<(String, Vec<&T>), Vec<W>> = BTreeMap::new();
    for (who, left_out) in by {
        let mut reasons: BTreeMap<String, Vec<&T>> = BTreeMap::new();
        for (name, why) in left_out {
            reasons.entry(reason(why)).or_default().push(name);
        }
        for key in reasons {
            out.entry(key).or_default().push(who.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_names_are_listed_and_more_are_counted() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(some_names(&names[..5]), "a, b, c, d, e");
        assert_eq!(some_names(&names), "a, b, c, d, e and 2 more");
    }
}
