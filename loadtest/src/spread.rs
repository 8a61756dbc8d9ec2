//! How long answers took: the middle, the ninety-ninth percentile, the longest.

use std::fmt;

use serde::Serialize;

/// Over a number of answers, milliseconds; zeros over none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Half of them took no longer.
    pub p50_ms: i64,
    /// 99 of 100 took no longer; of fewer than a hundred it is the longest.
    pub p99_ms: i64,
    /// The longest.
    pub max_ms: i64,
}

impl Spread {
    /// Of these times, in any order, milliseconds.
    #[must_use]
    pub fn of(mut took: Vec<i64>) -> Self {
        took.sort_unstable();
        // The nearest rank: the smallest that so many of a hundred do not exceed.
        let rank = |share: usize| (took.len() * share).div_ceil(100).saturating_sub(1);
        let at = |share| took.get(rank(share)).copied().unwrap_or(0);
        Self { count: took.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50_ms, p99_ms, max_ms } = self;
        write!(f, "{count}: p50 {p50_ms} ms, p99 {p99_ms} ms, longest {max_ms} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest_ones() {
        let of = |times: std::ops::RangeInclusive<i64>| Spread::of(times.rev().collect());
        assert_eq!(of(1..=200), Spread { count: 200, p50_ms: 100, p99_ms: 198, max_ms: 200 });
        assert_eq!(of(1..=99), Spread { count: 99, p50_ms: 50, p99_ms: 99, max_ms: 99 });
        assert_eq!(of(7..=7), Spread { count: 1, p50_ms: 7, p99_ms: 7, max_ms: 7 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
