//! What the docs say is what the program does.

use std::fs;

use clap::{Arg, Command, CommandFactory as _, Parser as _};
use regatta_coordinator::suite;
use regatta_sim::Fault;
use regatta_tests::repository;
use regatta_types::check::Check;
use regatta_types::comparability::Code;
use regatta_types::event::{EventKind, MissingReason};
use regatta_types::exit::Exit;
use regatta_types::failure::FailureKind;
use regatta_types::metric::{Better, Metric};
use regatta_types::validity::FindingCode;

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
fn every_finding_and_comparability_code_is_explained() {
    let doc = doc("docs/reports.md");
    let findings = FindingCode::ALL.map(|code| format!("| `{code}` | "));
    let codes = Code::ALL.map(|code| format!("| {code} | "));
    for row in findings.iter().chain(&codes) {
        assert!(doc.contains(row.as_str()), "docs/reports.md has no row {row}");
    }
    let glossary = self::doc("docs/glossary.md");
    for code in Code::ALL {
        let row = format!("[{code}][who] | {} |", code.meaning());
        assert!(glossary.contains(&row), "docs/glossary.md has no row {row}");
    }
}

#[test]
fn every_compared_metric_is_defined_by_its_formula() {
    let doc = doc("docs/metrics.md");
    for metric in Metric::ALL {
        let info = metric.info();
        let better = if info.better == Better::Higher { "higher" } else { "lower" };
        let (name, formula) = (info.name, info.formula);
        let row = doc.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
        let defines = row.is_some_and(|row| row.contains(&format!("| {better} | `{formula}` | ")));
        assert!(defines, "docs/metrics.md: {name} is `{formula}`, {better} is better: {row:?}");
    }
}

#[test]
fn every_fault_of_the_simulator_has_its_outcome() {
    let doc = doc("docs/failures.md");
    for fault in Fault::ALL {
        let kind = fault.outcome().map_or("ok".to_owned(), |kind| format!("`{kind}`"));
        let row = format!("| `{fault}` | {} | {kind} |", fault.what());
        assert!(doc.contains(&row), "docs/failures.md lacks {row}");
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
        MissingReason::AgentLeft { why: dots() },
        MissingReason::AttemptFailed { why: dots() },
        MissingReason::Cancelled,
    ] {
        assert!(doc.contains(&format!("| `{reason}` | ")), "docs/failures.md lacks {reason}");
    }
}

#[test]
fn every_check_is_explained() {
    let doc = doc("docs/failures.md");
    for check in Check::ALL {
        assert!(doc.contains(&format!("| `{check}` | ")), "docs/failures.md lacks {check}");
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
    let known = problems.0.iter().filter_map(|p| p.hint.as_deref()?.strip_prefix("Known keys: "));
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

#[test]
fn the_tables_of_the_readme_are_those_of_a_report() {
    let golden = "a_slow_host_among_three_is_named_with_its_difference";
    let report = doc(&format!(
        "report/pages/src/tests/snapshots/regatta_report__tests__golden__{golden}.snap"
    ));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let report: Vec<_> = report.lines().map(words).collect();
    let readme = doc("README.md");
    let heads = readme
        .lines()
        .filter_map(|line| line.strip_prefix("> | "))
        .filter(|line| ["Host ", "Pair "].iter().any(|first| line.starts_with(first)));
    let heads: Vec<_> = heads.map(|line| format!("| {}", words(line))).collect();
    assert!(heads.len() >= 2, "README.md shows tables of a report");
    for head in heads {
        assert!(report.contains(&head), "no report has this table of README.md:\n{head}");
    }
}

/// The commands in a page's fenced blocks: lines that begin with one of the programs, in any folder,
/// without the comment or redirection after them.
fn commands(page: &str) -> Vec<String> {
    let lines = page.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::trim);
    lines
        .map(|line| line.strip_prefix("target/release/").unwrap_or(line))
        .map(|line| line.strip_prefix("./").unwrap_or(line))
        .filter(|line| line.starts_with("regatta ") || line.starts_with("regatta-agent "))
        .map(|line| line.split(['#', '>']).next().unwrap_or(line).to_owned())
        .collect()
}

fn assert_parses(command: &str, place: &str) {
    let words = command.split_whitespace();
    let parsed = match command.split(' ').next() {
        Some("regatta-agent") => regatta_agent::cli::Cli::try_parse_from(words).map(drop),
        _ => regatta_coordinator::cli::Cli::try_parse_from(words).map(drop),
    };
    if let Err(error) = parsed {
        panic!("{place}: {command}: {error}");
    }
}

#[test]
fn every_command_in_the_docs_is_one() {
    let mut seen = 0;
    for page in pages() {
        for words in commands(&doc(&page)) {
            assert_parses(&words, &page);
            seen += 1;
        }
    }
    assert!(seen >= 10, "few commands were found: {seen}");
}

/// The row of docs/commands.md for a flag or argument.
fn row(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(ToString::to_string);
    let typed = match (arg.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long} {value}"),
        (Some(long), None) => format!("--{long}"),
        (None, value) => value.unwrap_or_default(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, in_help) = match help.split_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help, None),
    };
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let env = arg.get_env().map(|name| format!("`${}`", name.to_string_lossy()));
    let default = in_help.or_else(|| (!defaults.is_empty()).then(|| defaults.join(", ")));
    let default = [env, default].into_iter().flatten().collect::<Vec<_>>().join(", else ");
    let cells = [format!("`{typed}`"), help, default].map(|cell| cell.replace('|', "\\|"));
    format!("| {} |", cells.join(" | ")).replace("|  |", "| |")
}

/// The section of a flag: flags with a heading are shared, and have their own section.
fn section(command: &str, arg: &Arg) -> String {
    match arg.get_help_heading() {
        _ if ["verbose", "log_json"].contains(&arg.get_id().as_str()) => "Everywhere".to_owned(),
        Some(heading) => heading.to_owned(),
        None => command.to_owned(),
    }
}

/// The wanted rows of a command and those below it, each with its section.
fn rows(path: &str, command: &Command, out: &mut Vec<(String, String)>) {
    for arg in command.get_arguments() {
        out.push((section(path, arg), row(arg)));
    }
    for below in command.get_subcommands() {
        let agent = below.get_name() == "agent";
        let path =
            if agent { "regatta-agent".to_owned() } else { format!("{path} {}", below.get_name()) };
        rows(&path, below, out);
    }
}

#[test]
fn every_flag_is_explained_as_the_programs_explain_it() {
    let doc = doc("docs/commands.md");
    let mut wanted = Vec::new();
    rows("regatta", &regatta_coordinator::cli::Cli::command(), &mut wanted);
    rows("regatta-agent", &regatta_agent::cli::Cli::command(), &mut wanted);
    assert!(wanted.len() > 50, "the flags were found: {}", wanted.len());
    let sections: Vec<(&str, &str)> =
        doc.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    let stands = |(section, row): &(String, String)| {
        let named = |title: &str| title.trim_matches('`') == section;
        sections.iter().any(|(title, text)| named(title) && text.contains(row))
    };
    let missing: Vec<_> = wanted.iter().filter(|wanted| !stands(wanted)).collect();
    let missing: Vec<_> = missing.iter().map(|(to, row)| format!("{to}: {row}")).collect();
    assert!(missing.is_empty(), "docs/commands.md lacks\n{}", missing.join("\n"));
    let flags = doc.lines().filter(|line| line.starts_with("| `--"));
    for line in flags {
        assert!(wanted.iter().any(|(_, row)| row == line), "no such flag: {line}");
    }
}

#[test]
fn the_examples_of_the_help_are_commands() {
    fn ends(command: &Command, out: &mut Vec<String>) {
        out.extend(command.get_after_help().map(ToString::to_string));
        command.get_subcommands().for_each(|below| ends(below, out));
    }
    let mut texts = Vec::new();
    ends(&regatta_coordinator::cli::Cli::command(), &mut texts);
    assert!(texts.len() > 6, "the help has examples: {}", texts.len());
    for text in texts {
        assert!(text.lines().all(|line| line.chars().count() <= 100), "too wide:\n{text}");
        let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with("regatta"));
        for line in lines {
            let command = line.split("  ").next().unwrap_or(line);
            assert_parses(command.split('>').next().unwrap_or(command), "--help");
        }
    }
}

#[test]
fn every_event_is_explained() {
    let doc = doc("docs/commands.md");
    // serde lists what it would have read.
    let unknown = |what: serde_json::Error| {
        let text = what.to_string();
        let list = text.split_once("expected one of ").expect("a list").1.to_owned();
        let names: Vec<_> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names
    };
    let event = serde_json::from_str::<EventKind>("{\"event\": \"zzz\"}").expect_err("no event");
    let reason = serde_json::from_str::<MissingReason>("{\"code\": \"zzz\"}").expect_err("no code");
    let (events, reasons) = (unknown(event), unknown(reason));
    assert!(events.len() > 10 && reasons.len() > 4, "{events:?} {reasons:?}");
    for name in events {
        assert!(doc.contains(&format!("| `{name}` | ")), "docs/commands.md lacks {name}");
    }
    for name in reasons {
        assert!(doc.contains(&format!("`{name}`")), "docs/commands.md lacks {name}");
    }
}
