//! Numbers as text, with a fixed number of digits for each kind.

use itertools::Itertools as _;
use regatta_figures::compare::Effect;
use regatta_types::margin::{Margins, percent};
use regatta_types::metric::Metric;
use regatta_types::units::grouped_real;
pub(crate) use regatta_types::units::quantity;

/// In place of a missing number; the reason is in the notes.
pub(crate) const NONE: &str = "-";

/// A number with fixed digits, or `-`.
pub(crate) fn digits(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |v| grouped_real(v, digits))
}

/// A difference of logarithms as a signed change in per cent: `-20.1`.
pub(crate) fn signed_percent(log_difference: f64) -> String {
    signed(log_difference.exp_m1() * 100.0, 1)
}

/// A number with its sign, never `-0.0`.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    let is_zero = text.chars().all(|c| matches!(c, '-' | '+' | '0' | '.'));
    if is_zero { text.replace('-', "+") } else { text }
}

/// The 95 % interval of an effect as signed changes in per cent: `-20.4 to -19.8`.
pub(crate) fn signed_interval(effect: Effect) -> String {
    signed_range(effect.interval(0.95))
}

/// Ends on the scale of logarithms as signed changes in per cent.
pub(crate) fn signed_range((low, high): (f64, f64)) -> String {
    format!("{} to {}", signed_percent(low), signed_percent(high))
}

/// A difference of logarithms with its interval: `-20.1 %, 95 % CI -20.4 to -19.8`.
pub(crate) fn signed_estimate(log_difference: f64, ci95_log: (f64, f64)) -> String {
    format!("{} %, 95 % CI {}", signed_percent(log_difference), signed_range(ci95_log))
}

/// A host's own mean on the scale of the metric.
pub(crate) fn level(metric: Metric, log: Option<f64>) -> String {
    let value = log.map(f64::exp);
    match metric {
        Metric::DecodeTps | Metric::OutputTps => digits(value, 2),
        Metric::Ttft | Metric::FirstAnswer => digits(value.map(|s| s * 1e3), 1),
        Metric::E2e | Metric::Energy => digits(value, 3),
    }
}

/// The 95 % interval of a host's own mean, on the scale of the metric: `41.52–41.84`.
pub(crate) fn level_range(metric: Metric, spread: Effect) -> String {
    let (low, high) = spread.interval(0.95);
    format!("{}–{}", level(metric, Some(low)), level(metric, Some(high)))
}

/// A host's own mean with its unit, for a sentence.
pub(crate) fn with_unit(metric: Metric, log: f64) -> String {
    format!("{} {}", level(metric, Some(log)), metric.unit())
}

/// The margin of each metric: `decode speed 2 %, TTFT 5 %`.
pub(crate) fn margins(margins: &Margins) -> String {
    let margin =
        |metric: Metric| format!("{} {} %", metric.label(), percent(metric.margin(margins)));
    Metric::ALL.into_iter().map(margin).join(", ")
}

/// Text about a number, unless it is 0.
pub(crate) fn if_any<N: Copy + Default + PartialEq>(n: N, say: impl Fn(N) -> String) -> String {
    if n == N::default() { String::new() } else { say(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_signed_and_never_minus_zero() {
        assert_eq!(signed_percent(0.8_f64.ln()), "-20.0");
        assert_eq!(signed_percent(1.25_f64.ln()), "+25.0");
        assert_eq!(signed_percent(-0.000_1), "+0.0");
    }
}
