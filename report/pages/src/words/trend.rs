//! What one host did run by run, as lines of a terminal and for programs.

use regatta_figures::history::TrendRow;
use regatta_types::clean;
use regatta_types::ids::RunId;
use regatta_types::metric::Metric;
use serde::Serialize;

use super::numbers::{level, range, signed_percent};
use super::reason::reason;
use super::verdict::verdict_word;

/// A run of a host as `--json` prints it.
#[derive(Serialize)]
struct Written<'a> {
    run: &'a RunId,
    created: &'a str,
    decode_tps: Option<f64>,
    decode_ci95: Option<String>,
    ttft_s: Option<f64>,
    change: Option<WrittenChange<'a>>,
    not_comparable: Option<String>,
}

#[derive(Serialize)]
struct WrittenChange<'a> {
    from: &'a RunId,
    percent: f64,
    verdict: &'static str,
}

fn ci95(row: &TrendRow) -> Option<String> {
    row.decode_ci95.map(|(low, high)| range(Metric::DecodeTps, (low.ln(), high.ln())))
}

/// One object on one line.
#[must_use]
pub fn trend_json(row: &TrendRow) -> String {
    let written = Written {
        run: &row.run,
        created: &row.created,
        decode_tps: row.decode_tps,
        decode_ci95: ci95(row),
        ttft_s: row.ttft_s,
        change: row.change.as_ref().map(|c| WrittenChange {
            from: &c.from,
            percent: c.percent,
            verdict: verdict_word(Metric::DecodeTps, c.verdict),
        }),
        not_comparable: row.not_comparable.as_ref().map(reason),
    };
    // String keys only, and a number that is not finite becomes null: this cannot fail.
    serde_json::to_string(&written).unwrap_or_default()
}

/// A line for a terminal.
#[must_use]
pub fn trend_line(row: &TrendRow) -> String {
    let log = |value: Option<f64>| value.map(f64::ln);
    let speed = level(Metric::DecodeTps, log(row.decode_tps));
    let ci = ci95(row).unwrap_or_else(|| "-".to_owned());
    let ttft = level(Metric::Ttft, log(row.ttft_s));
    let change = match (&row.change, &row.not_comparable) {
        (Some(change), _) => {
            let percent = signed_percent((change.percent / 100.0).ln_1p());
            let verdict = verdict_word(Metric::DecodeTps, change.verdict);
            format!("{percent} % {verdict} (from {})", change.from)
        }
        (None, Some(why)) => format!("not comparable: {}", clean::line(&reason(why))),
        (None, None) => "the first".to_owned(),
    };
    let (run, created) = (&row.run, &row.created);
    format!("{run:<32} {created}  {speed:>8} tok/s ({ci})  TTFT {ttft:>7} ms  {change}")
}
