//! Numbers in cells of a table.

use regatta_figures::compare::Judged;
use regatta_figures::metrics::{Goodput, Percentile, TokenSum};
use regatta_types::metric::Metric;
use regatta_types::units::{Bytes, grouped};

use super::inline::Inline;
use crate::words::numbers::{self, NONE};

/// A number or words of ours, or `-`.
pub(crate) fn known(value: Option<impl ToString>) -> Inline {
    value.map_or(NONE.into(), |value| Inline::own(value.to_string()))
}

/// A number with fixed digits, or `-`.
pub(crate) fn fixed(value: Option<f64>, digits: usize) -> Inline {
    Inline::own(numbers::digits(value, digits))
}

/// A share in percent.
pub(crate) fn share(value: Option<f64>, digits: usize) -> Inline {
    fixed(value.map(|share| share * 100.0), digits)
}

/// Tokens per second.
pub(crate) fn tps(value: Option<f64>) -> Inline {
    fixed(value, 2)
}

/// Seconds as milliseconds.
pub(crate) fn millis(seconds: Option<f64>) -> Inline {
    fixed(seconds.map(|s| s * 1e3), 1)
}

/// Seconds.
pub(crate) fn seconds(value: Option<f64>) -> Inline {
    fixed(value, 3)
}

/// A count, with commas.
pub(crate) fn count(value: impl TryInto<u64>) -> Inline {
    Inline::own(grouped(value.try_into().unwrap_or(u64::MAX)))
}

/// A count that may be unknown.
pub(crate) fn known_count(value: Option<impl TryInto<u64>>) -> Inline {
    value.map_or(NONE.into(), count)
}

/// A sum of tokens; a lower bound if only some requests reported theirs.
pub(crate) fn token_sum(tokens: TokenSum) -> Inline {
    Inline::own(match tokens.known() {
        Some(sum) => grouped(sum),
        None if tokens.reported == 0 => NONE.to_owned(),
        None => format!(
            "at least {} (reported by {} of {} requests)",
            grouped(tokens.sum),
            tokens.reported,
            tokens.of
        ),
    })
}

/// Requests that meet the SLO, in percent of those offered.
pub(crate) fn good(goodput: Option<Goodput>) -> Inline {
    share(goodput.and_then(Goodput::share), 1)
}

/// Mebibytes.
pub(crate) fn mib(value: Option<Bytes>) -> Inline {
    known_count(value.map(|b| (b.0 + Bytes::MIB / 2) / Bytes::MIB))
}

/// A percentile in milliseconds; none where there are too few values for its interval.
pub(crate) fn percentile_ms(percentile: Option<Percentile>) -> Inline {
    millis(percentile.map(|percentile| percentile.value))
}

/// The 95 % interval of a percentile in milliseconds.
pub(crate) fn interval_ms(percentile: Option<Percentile>) -> Inline {
    percentile.map_or(NONE.into(), |Percentile { low, high, .. }| {
        Inline::own(format!("{}–{}", millis(Some(low)), millis(Some(high))))
    })
}

/// A host's own mean on the scale of the metric.
pub(crate) fn level(metric: Metric, log: Option<f64>) -> Inline {
    Inline::own(numbers::level(metric, log))
}

/// The mean of a compared host.
pub(crate) fn mean(metric: Metric, judged: Option<&Judged>) -> Inline {
    level(metric, judged.and_then(|judged| judged.mean))
}

/// The 95 % interval of that mean.
pub(crate) fn interval(metric: Metric, judged: Option<&Judged>) -> Inline {
    let spread = judged.and_then(|judged| judged.level);
    known(spread.map(|spread| numbers::level_range(metric, spread)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_number_is_a_dash_and_never_zero() {
        assert_eq!(tps(None).as_str(), "-");
        assert_eq!(known_count(None::<u64>).as_str(), "-");
        assert_eq!(mib(Some(Bytes(97_887 << 20))).as_str(), "97,887");
        let some = TokenSum { sum: 1_270, reported: 3, of: 5 };
        assert_eq!(token_sum(some).as_str(), "at least 1,270 (reported by 3 of 5 requests)");
        assert_eq!(token_sum(TokenSum { reported: 0, ..some }).as_str(), "-");
        let long = Some(Percentile { value: 2.58, low: 0.9, high: 12.0 });
        assert_eq!(percentile_ms(long).as_str(), "2,580.0");
        assert_eq!(interval_ms(long).as_str(), "900.0–12,000.0");
        assert_eq!(interval_ms(None).as_str(), "-");
    }
}
