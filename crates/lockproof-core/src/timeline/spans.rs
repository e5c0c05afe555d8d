//! Intervals of lines, kept so that those around a line are found without looking at all.
//!
//! Owns that search. Knows nothing of what the intervals are.

use std::ops::Range;

/// Intervals in the order of their beginnings.
#[derive(Debug, Default)]
pub struct Spans {
    begins: Vec<u64>,
    /// The latest end up to each of them.
    ends: Vec<u64>,
}

impl Spans {
    /// Adds one that begins no earlier than those before.
    pub fn push(&mut self, begin: u64, end: u64) {
        debug_assert!(self.begins.last().is_none_or(|last| *last <= begin));
        let latest = self.ends.last().map_or(end, |last| end.max(*last));
        self.begins.push(begin);
        self.ends.push(latest);
    }

    /// The places among which are all that end after `since` and begin before `until`. Others may be
    /// among them.
    pub fn around(&self, since: u64, until: u64) -> Range<usize> {
        let first = self.ends.partition_point(|end| *end <= since);
        let last = self.begins.partition_point(|begin| *begin < until);
        first..last.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_a_line_is_found_and_little_else() {
        let all = [(1, 4), (2, 3), (5, 9), (6, 6), (10, u64::MAX), (12, 13)];
        let mut spans = Spans::default();
        for (begin, end) in all {
            spans.push(begin, end);
        }
        for at in 0..15 {
            let range = spans.around(at, at);
            for (i, (begin, end)) in all.into_iter().enumerate() {
                if begin < at && at < end {
                    assert!(range.contains(&i), "{at}: {range:?}");
                }
            }
        }
        assert_eq!(spans.around(4, 5), 2..2);
        assert_eq!(spans.around(8, 8), 2..4);
    }
}
