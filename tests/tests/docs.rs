//! What the docs say is what the program does.

use std::fs;

use clap::Parser as _;
use regatta_coordinator::suite;
use regatta_tests::repository;
use regatta_types::event::MissingReason;
use regatta_types::exit::Exit;
use regatta_types::failure::FailureKind;

/// Every page, by path from the top of the repository.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for folder in ["", "docs/", "docs/adr/", "deploy/"] {
        for entry in fs::read_dir(repository().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{folder}{name}"));
            }
        }
    }
    assert!(pages.len() > 10, "the pages were found");
    pages
}

fn doc(name: &str) -> String {
    let path = repository().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The fenced blocks of a language.
fn blocks<'d>(doc: &'d str, language: &str) -> Vec<&'d str> {
    doc.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[test]
fn every_failure_kind_is_explained() {
    let doc = doc("docs/failures.md");
    for kind in FailureKind::ALL {
        assert!(
            doc.contains(&format!("| `{kind}` | ")),
            "docs/failures.md does not explain {kind}"
        );
    }
}

#[test]
fn every_exit_code_is_explained_in_the_programs_own_words() {
    let doc = doc("docs/exit-codes.md");
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(doc.contains(&row), "docs/exit-codes.md lacks {row}");
    }
}

#[test]
fn every_reason_for_a_missing_cell_is_explained() {
    let doc = doc("docs/failures.md");
    let dots = || "...".to_owned();
    for reason in [
        MissingReason::NeverJoined,
        MissingReason::Refused { why: dots() },
        MissingReason::AgentLost { progress: dots() },
        MissingReason::AttemptFailed { why: dots() },
        MissingReason::Cancelled,
    ] {
        assert!(doc.contains(&format!("| `{reason}` | ")), "docs/failures.md lacks {reason}");
    }
}

#[test]
fn the_example_suite_makes_the_cases_it_is_said_to_make() {
    let doc = doc("docs/suites.md");
    let suite = suite::parse(blocks(&doc, "toml")[0], "docs/suites.md").expect("a good suite");
    let ids: Vec<_> = suite.cases.iter().map(|case| format!("`{}`", case.id)).collect();
    let (last, first) = ids.split_last().expect("cases");
    let sentence = format!("four cases: {} and {last}.", first.join(", "));
    assert!(doc.contains(&sentence), "docs/suites.md does not say {sentence}");
}

#[test]
fn every_key_of_a_suite_is_explained() {
    let doc = doc("docs/suites.md");
    let probe = "zzz = 1\n[defaults]\nzzz = 1\n[[case]]\nzzz = 1\n";
    let problems = suite::parse(probe, "probe").expect_err("unknown keys");
    let known = problems.0.iter().filter_map(|p| p.hint.as_deref()?.strip_prefix("known here: "));
    let mut keys = 0;
    for key in known.flat_map(|list| list.split(", ")) {
        let row = [format!("| `{key}` | "), format!("| `[{key}]` | "), format!("| `[[{key}]]` | ")];
        assert!(row.iter().any(|row| doc.contains(row)), "docs/suites.md does not explain {key}");
        keys += 1;
    }
    assert!(keys > 20, "the three tables of a suite were asked: {keys}");
}

#[test]
fn the_bad_example_gives_the_problems_it_is_printed_with() {
    let doc = doc("docs/suites.md");
    let bad = blocks(&doc, "text bad-suite.toml")[0];
    let problems = suite::parse(bad, "bad-suite.toml").expect_err("a bad suite").to_string();
    assert!(doc.contains(&problems), "docs/suites.md does not show:\n{problems}");
}

#[test]
fn every_built_in_suite_is_named() {
    let doc = doc("docs/suites.md");
    for builtin in suite::builtin() {
        assert!(doc.contains(&format!("| `{}` | ", builtin.name)), "{}", builtin.name);
    }
}

#[test]
fn links_lead_to_files() {
    let top = repository();
    for page in pages() {
        let text = doc(&page);
        let folder = top.join(&page).parent().expect("a page lies in a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{page} links to {file}");
            }
        }
    }
}

#[test]
fn every_page_of_the_docs_is_in_the_index() {
    let index = doc("docs/README.md");
    for page in pages() {
        if let Some(name) = page.strip_prefix("docs/").filter(|name| *name != "README.md") {
            assert!(index.contains(&format!("]({name})")), "docs/README.md does not list {name}");
        }
    }
}

/// The commands in a page's fenced blocks: lines that begin with one of the programs, up to the
/// two spaces that set a remark apart.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = page.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::trim);
    lines
        .filter(|line| line.starts_with("regatta ") || line.starts_with("regatta-agent "))
        .map(|line| line.split("  ").next().unwrap_or(line))
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_in_the_docs_is_one() {
    let mut seen = 0;
    for page in pages() {
        for words in commands(&doc(&page)) {
            let parsed = match words[0].as_str() {
                "regatta-agent" => regatta_agent::cli::Cli::try_parse_from(&words).map(drop),
                _ => regatta_coordinator::cli::Cli::try_parse_from(&words).map(drop),
            };
            if let Err(error) = parsed {
                panic!("{page}: {}: {error}", words.join(" "));
            }
            seen += 1;
        }
    }
    assert!(seen >= 12, "the commands were found: {seen}");
}
