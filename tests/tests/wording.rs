//! People read plain technical English: no page, help text, message, comment or golden report uses a
//! phrase that has a better word.
//!
//! Code spans, code blocks, names with an underscore and literals without a space are schema, not
//! prose. When this test fails, rewrite the sentence; do not only replace the phrase.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory as _;
use proc_macro2::{TokenStream, TokenTree};
use regatta_tests::{repository, rust_files};

/// This file, which has to name the phrases.
const HERE: &str = "tests/tests/wording.rs";

/// A phrase in lower case and what to write instead. `|` marks the edge of a word.
const PHRASES: &[(&str, &str)] = &[
    // Verdicts.
    ("not settled", "inconclusive"),
    ("settl", "decided, significant; engine warm-up"),
    ("of no account", "treated as equivalent"),
    ("differences up to this", "smaller differences are treated as equivalent"),
    ("|on place", "rank"),
    ("twin of", "solo counterpart"),
    ("solo twin", "solo counterpart"),
    // Who takes part.
    ("left out", "excluded"),
    ("|leave out|", "exclude"),
    ("leaves out", "excludes"),
    ("stays out", "is excluded"),
    ("stay out", "be excluded"),
    ("stayed out", "were excluded"),
    ("looked at", "checked"),
    ("looks at", "checks"),
    ("given up", "timed out, declared lost"),
    ("gives up", "times out, declares lost"),
    ("let go", "released"),
    ("lets go", "releases"),
    ("|not there|", "missing"),
    ("of another version", "runs a different version"),
    ("|remark", "finding"),
    // GPUs and engines.
    ("held by the power limit", "power-capped"),
    ("held by heat", "thermally throttled"),
    ("clocks held", "throttle reason"),
    ("|not tell|", "not reported by"),
    ("client floor", "client overhead"),
    ("at one stream", "single-stream"),
    ("request is good", "request meets the SLO"),
    ("good requests", "requests that meet the SLO"),
    ("the word of", "the error, the message"),
    ("its word|", "its error message"),
    ("runs over time", "history"),
    ("word by word", "incrementally"),
    ("bit by bit", "incrementally"),
    // Headings.
    ("answer first", "Summary"),
    ("what could not be judged", "Caveats"),
    ("## comparability classes", "Comparison groups"),
    ("facts that differ", "Configuration differences"),
    ("start and clocks", "Start synchronization and clocks"),
    ("each host by itself", "Per-host reports"),
    ("## against a baseline", "Change since baseline"),
    ("## reproduce", "How to reproduce"),
    // Sentences.
    ("that was recorded differs", "No recorded fact explains why ..."),
    ("with the scatter seen", "Minimum detectable difference"),
    ("not shown:", "X omitted: ..."),
    ("a dash in", "\"-\" in X means ..."),
    ("something from each other", "slow each other down"),
    ("take from each other", "slow each other down"),
    ("come what may", "regardless"),
    ("whatever becomes of", "regardless"),
    ("until there is no more", "until saturation"),
    ("how much it gives", "throughput"),
    ("without a question", "non-interactively"),
    ("those who prefer", "if you prefer"),
    ("own storage failed", "local storage failure"),
    ("silence after which", "declared lost after this long without contact"),
    ("|under way|", "in flight, running"),
    ("one due beyond is not sent", "excess requests are dropped and counted"),
    ("streams kept busy", "concurrent streams"),
    ("times each case is run", "repetitions of each case"),
    ("|be an agent", "Run as an agent"),
    ("seen to before", "fixed before"),
    ("has no more or", "drops or changes"),
    ("sends otherwise", "drops or changes"),
    ("that of most hosts", "differs from most hosts"),
    ("so long as", "while, if"),
    ("nor could", "and cannot"),
    ("be it ", "whether"),
    // Spelling.
    ("quantis", "quantiz"),
    ("initialis", "initializ"),
    ("optimis", "optimiz"),
    ("finalis", "finaliz"),
    ("utilis", "utiliz"),
    ("synchronis", "synchroniz"),
    ("serialis", "serializ"),
    ("recognis", "recogniz"),
    ("summaris", "summariz"),
    ("normalis", "normaliz"),
    ("behaviour", "behavior"),
    ("colour", "color"),
    ("neighbour", "neighbor"),
    ("favour", "favor"),
    ("|grey|", "gray"),
    ("licence", "license"),
    ("|analyse", "analyze"),
    ("|centre", "center"),
];

/// A line of `requests.jsonl`.
const REQUEST_LINE: &str = "report/pages/src/tests/snapshots/regatta_report__tests__golden__a_request_line_has_every_field_in_order.snap";

/// Hits that stay: what is searched, the phrase, and why.
const EXEMPT: &[(&str, &str, &str)] = &[
    ("proto/types/src/comparability.rs", "synchronis", "a fact's name in stored runs"),
    ("report/figures/src/history/baseline.rs", "synchronis", "a fact's name in older baselines"),
    ("report/figures/src/history/baseline.rs", "quantis", "a fact's name in older baselines"),
    ("coordinator/src/suite/parse/tests.rs", "settl", "a reserved id"),
    (REQUEST_LINE, "settl", "a reserved id"),
    ("proto/wire/tests/golden.rs", "|not tell|", "bytes of an earlier version"),
];

/// The prose of one source, one space between words, in lower case.
#[derive(Default)]
struct Prose {
    text: String,
    /// Where each word begins in `text`, with its line in the source.
    words: Vec<(usize, usize)>,
}

impl Prose {
    /// The text outside the code of Markdown. `first` is the number of its first line.
    fn of(markdown: &str, first: usize) -> Self {
        let (mut prose, mut in_block, mut in_span) = (Self::default(), false, false);
        for (number, line) in (first..).zip(markdown.lines()) {
            let is_fence = line.trim_start().starts_with("```");
            in_block ^= is_fence;
            if line.trim().is_empty() || is_fence || in_block {
                // A phrase and a code span end with their paragraph at the latest.
                in_span = false;
                prose.push("¶", number);
                continue;
            }
            for (index, part) in line.split('`').enumerate() {
                in_span ^= index > 0;
                let shown = if in_span { "code" } else { part };
                // A name with an underscore is schema.
                let words = shown.split_whitespace().filter(|word| !word.contains('_'));
                words.for_each(|word| prose.push(word, number));
            }
        }
        prose
    }

    fn push(&mut self, word: &str, line: usize) {
        self.words.push((self.text.len(), line));
        self.text.push_str(&word.to_lowercase());
        self.text.push(' ');
    }

    /// The lines on which a phrase starts.
    fn find(&self, phrase: &str) -> BTreeSet<usize> {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let bare = phrase.trim_matches('|');
        let is_hit = |at: &usize| {
            let (before, after) = (&self.text[..*at], &self.text[at + bare.len()..]);
            (!phrase.starts_with('|') || is_edge(before.chars().next_back()))
                && (!phrase.ends_with('|') || is_edge(after.chars().next()))
        };
        let line = |at: usize| {
            let after = self.words.partition_point(|(start, _)| *start <= at);
            self.words[after - 1].1
        };
        let hits = self.text.match_indices(bare).map(|(at, _)| at).filter(is_hit);
        hits.map(line).collect()
    }
}

/// The text of the comments that have lines of their own, each on its line.
fn comments(source: &str) -> String {
    let comment = |line: &str| {
        let line = line.trim_start().strip_prefix("//");
        line.map_or("", |text| text.trim_start_matches(['/', '!'])).to_owned()
    };
    source.lines().map(comment).collect::<Vec<_>>().join("\n")
}

/// Everything that is searched, by the name to print for it.
#[derive(Default)]
struct Searched(Vec<(String, Prose)>);

impl Searched {
    /// The pages, golden reports, settings and protocol files in a folder.
    fn folder(&mut self, folder: &str) {
        for entry in fs::read_dir(repository().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(repository()).expect("below the top").to_string_lossy();
            let ending = path.extension().unwrap_or_default().to_string_lossy();
            let is_page = ["md", "snap", "toml", "yaml", "service", "env"].contains(&&*ending);
            if is_page || ending == "proto" || path.ends_with("Dockerfile") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let text = if ending == "proto" { comments(&text) } else { text };
                self.0.push((name.into_owned(), Prose::of(&text, 1)));
            }
        }
    }

    /// The help of a command and those below it.
    fn help(&mut self, command: &clap::Command, parent: &str) {
        let name = format!("{parent}{}", command.get_name());
        let help = command.clone().render_long_help().to_string();
        self.0.push((format!("{name} --help"), Prose::of(&help, 1)));
        command.get_subcommands().for_each(|sub| self.help(sub, &format!("{name} ")));
    }

    /// The comments, messages and names of tests in a Rust file.
    fn rust(&mut self, file: &str, source: &str) {
        self.0.push((file.to_owned(), Prose::of(&comments(source), 1)));
        self.tokens(file, &source.parse().expect("Rust"));
    }

    fn tokens(&mut self, file: &str, tokens: &TokenStream) {
        let mut before = [String::new(), String::new()];
        for tree in tokens.clone() {
            let line = tree.span().start().line;
            let [first, second] = &before;
            match &tree {
                TokenTree::Group(group) => self.tokens(file, &group.stream()),
                // The comments of docs are read above.
                TokenTree::Literal(_) if first == "doc" && second == "=" => {}
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal.clone())
                        && text.value().trim().contains(' ')
                    {
                        self.0.push((file.to_owned(), Prose::of(&text.value(), line)));
                    }
                }
                // A name of four words and more is the sentence of a test.
                TokenTree::Ident(name) if second == "fn" => {
                    let words = name.to_string().replace('_', " ");
                    if words.matches(' ').count() > 2 {
                        self.0.push((file.to_owned(), Prose::of(&words, line)));
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
            let [_, second] = before;
            before = [second, tree.to_string()];
        }
    }

    /// What is wrong, one line for each hit.
    fn hits(&self) -> BTreeSet<String> {
        let mut hits = BTreeSet::new();
        for (name, prose) in self.0.iter().filter(|(name, _)| name != HERE) {
            let stays = |phrase| EXEMPT.iter().any(|(file, of, _)| file == name && *of == phrase);
            for (phrase, instead) in PHRASES.iter().filter(|(phrase, _)| !stays(*phrase)) {
                for line in prose.find(phrase) {
                    hits.insert(format!("{name}:{line}: \"{phrase}\": write {instead}"));
                }
            }
        }
        hits
    }
}

#[test]
fn every_text_is_plain_english() {
    let mut searched = Searched::default();
    let pages = ["", "docs", "docs/adr", "deploy", "deploy/debian", "coordinator/suites"];
    let others = ["report/pages/src/tests/snapshots", "proto/regatta/v1", "agent/data"];
    pages.into_iter().chain(others).for_each(|folder| searched.folder(folder));
    searched.help(&regatta_coordinator::cli::Cli::command(), "");
    searched.help(&regatta_agent::cli::Cli::command(), "");
    for file in rust_files() {
        let source = fs::read_to_string(repository().join(&file)).expect("UTF-8");
        searched.rust(&file, &source);
    }
    let hits: Vec<String> = searched.hits().into_iter().collect();
    assert!(hits.is_empty(), "{} phrases\n{}", hits.len(), hits.join("\n"));
}

#[test]
fn a_planted_phrase_is_found_with_its_line_and_code_is_left_alone() {
    let find = |text: &str, phrase: &str| Prose::of(text, 1).find(phrase);
    assert_eq!(find("one\ntwo left\n  Out three", "left out"), [2].into());
    assert_eq!(find("it is unsettled", "|settled|"), [].into());
    assert_eq!(find("`left out`, not_settled\n```toml\nleft out\n```\n", "left out"), [].into());
    assert_eq!(find("a lone ` ends\n\nthe colour", "colour"), [3].into());
    let mut searched = Searched::default();
    let source = "/// Not settled\n/// of a host.\n\
                  fn a_host_is_given_up() { f(\"one\\nto stay out\", \"a_colour\") }";
    searched.rust("a.rs", source);
    let hits: Vec<String> = searched.hits().into_iter().collect();
    let expected = ["1: \"not settled", "1: \"settl\"", "3: \"given up", "4: \"stay out"];
    assert_eq!(hits.len(), expected.len(), "{hits:?}");
    assert!(expected.iter().all(|due| hits.iter().any(|hit| hit.contains(due))), "{hits:?}");
}
