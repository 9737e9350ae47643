//! How long the gaps between chunks are, as shares of all gaps.

use super::index;

/// Bins of a factor of ten, and the shortest gap that is resolved, seconds.
const BINS: f64 = 40.0;
const SHORTEST: f64 = 1e-6;
/// Up to 1,000 s.
const DECADES: usize = 9;

/// A histogram of gaps, with bins 6 % apart: there are as many gaps as tokens.
#[derive(Debug, Default)]
pub struct GapHistogram {
    bins: Vec<u64>,
}

impl GapHistogram {
    /// Of gaps in seconds.
    pub fn of(gaps: impl IntoIterator<Item = f64>) -> Self {
        let mut bins = vec![0; DECADES * 40];
        let last = bins.len() - 1;
        for gap in gaps {
            let decades = (gap / SHORTEST).max(1.0).log10();
            bins[index(decades * BINS).min(last)] += 1;
        }
        Self { bins }
    }

    /// For rising times in seconds the share of the gaps that is not longer; none without any gap.
    pub fn shares(&self) -> Vec<(f64, f64)> {
        let all: u64 = self.bins.iter().sum();
        let edge = |bin: u32| SHORTEST * 10_f64.powf(f64::from(bin) / BINS);
        let mut below = 0;
        let mut points = Vec::new();
        for (&n, bin) in self.bins.iter().zip(0_u32..) {
            if n > 0 {
                if points.is_empty() {
                    points.push((edge(bin), 0.0));
                }
                below += n;
                points.push((edge(bin + 1), below as f64 / all as f64));
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_rise_to_one_at_the_longest_gap() {
        assert_eq!(index(3.0 * BINS), 120);
        let points = GapHistogram::of([0.010_1, 0.010_1, 0.010_1, 0.5]).shares();
        let shares: Vec<f64> = points.iter().map(|(_, share)| *share).collect();
        assert_eq!(shares, [0.0, 0.75, 1.0]);
        let near = |at: f64, gap: f64| at >= gap && at < gap * 1.07;
        assert!(near(points[1].0, 0.010_1) && near(points[2].0, 0.5), "{points:?}");
        assert_eq!(GapHistogram::of([]).shares(), []);
    }

    #[test]
    fn the_outermost_bins_take_what_is_beyond() {
        let points = GapHistogram::of([0.0, 1e9]).shares();
        assert!((points[0].0 - 1e-6).abs() < 1e-12 && points[2].0 < 1_001.0, "{points:?}");
    }
}
