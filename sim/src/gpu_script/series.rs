//! Values over time.

use std::time::Duration;

/// A step function of time: `(since start, value)`, ascending, the first at zero.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series(pub(super) Vec<(Duration, f64)>);

impl Series {
    /// The same value for ever.
    pub(super) fn constant(value: f64) -> Self {
        Self(vec![(Duration::ZERO, value)])
    }

    /// The value of the last step at or before `elapsed`.
    pub(super) fn at(&self, elapsed: Duration) -> f64 {
        let passed = self.0.partition_point(|(from, _)| *from <= elapsed);
        self.0[passed.max(1) - 1].1
    }

    /// The mean over the second before `elapsed`, or since the start.
    pub(super) fn mean_of_second(&self, elapsed: Duration) -> f64 {
        let begin = elapsed.saturating_sub(Duration::from_secs(1));
        let span = (elapsed - begin).as_secs_f64();
        if span > 0.0 { self.integral(begin, elapsed) / span } else { self.at(elapsed) }
    }

    /// Value times seconds from `begin` to `end`.
    pub(super) fn integral(&self, begin: Duration, end: Duration) -> f64 {
        self.sum_of(begin, end, |value| value)
    }

    /// How long the value was as wished from `begin` to `end`.
    pub(super) fn time_while(
        &self,
        begin: Duration,
        end: Duration,
        wished: impl Fn(f64) -> bool,
    ) -> Duration {
        let seconds = self.sum_of(begin, end, |value| if wished(value) { 1.0 } else { 0.0 });
        Duration::from_secs_f64(seconds)
    }

    fn sum_of(&self, begin: Duration, end: Duration, weight: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut from) = (0.0, begin);
        let steps = self.0.iter().map(|(at, _)| *at).filter(|at| (begin..end).contains(at));
        for to in steps.chain([end]) {
            sum += weight(self.at(from)) * to.saturating_sub(from).as_secs_f64();
            from = to;
        }
        sum
    }
}
