//! History of one host, as lines for a terminal and for programs.

use regatta_figures::compare::Effect;
use regatta_figures::history::TrendRow;
use regatta_types::clean;
use regatta_types::ids::RunId;
use regatta_types::metric::Metric;
use serde::Serialize;

use super::numbers::{NONE, level, level_range, signed_percent};
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

/// One object on one line.
#[must_use]
pub fn trend_json(row: &TrendRow) -> String {
    let value = |effect: Option<Effect>| effect.map(|effect| effect.mean.exp());
    let written = Written {
        run: &row.run,
        created: &row.created,
        decode_tps: value(row.decode),
        decode_ci95: row.decode.map(|speed| level_range(Metric::DecodeTps, speed)),
        ttft_s: value(row.ttft),
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
    let mean = |metric, effect: Option<Effect>| level(metric, effect.map(|effect| effect.mean));
    let (speed, ttft) = (mean(Metric::DecodeTps, row.decode), mean(Metric::Ttft, row.ttft));
    let ci = row.decode.map_or(NONE.to_owned(), |speed| level_range(Metric::DecodeTps, speed));
    let change = match (&row.change, &row.not_comparable) {
        (Some(change), _) => {
            let percent = signed_percent((change.percent / 100.0).ln_1p());
            let verdict = verdict_word(Metric::DecodeTps, change.verdict);
            format!("{percent} % {verdict} (from {})", change.from)
        }
        (None, Some(why)) => format!("not comparable: {}", clean::line(&reason(why))),
        (None, None) => "first run".to_owned(),
    };
    let (run, created) = (&row.run, &row.created);
    format!("{run:<32} {created}  {speed:>8} tok/s ({ci})  TTFT {ttft:>7} ms  {change}")
}
