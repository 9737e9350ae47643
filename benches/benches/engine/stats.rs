//! Medians and percentiles.

/// The `share` quantile (0 to 1), between the two values nearest to it; NaN of nothing.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let below = values.iter().enumerate().rfind(|(i, _)| *i as f64 <= at);
    let (i, low) = below.map_or((0, values[0]), |(i, low)| (i, *low));
    let high = values[(i + 1).min(last)];
    low + (high - low) * (at - i as f64)
}

/// The median.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(&mut values.to_vec(), 0.5)
}
