//! Spans of time in the order in which they begin: which of them cover a moment.
//!
//! Owns the way there without a look at each: a span that ended before another did is passed over with it. Knows nothing
//! of locks.

/// Spans, by the order of their beginnings.
#[derive(Debug, Default)]
pub(super) struct Spans {
    ends: Vec<i64>,
    /// For each the last one before it that ends later.
    longer: Vec<Option<usize>>,
}

impl Spans {
    /// Spans that end so.
    pub(super) fn of(ends: impl IntoIterator<Item = i64>) -> Self {
        let mut spans = Self::default();
        for end in ends {
            let mut longer = spans.ends.len().checked_sub(1);
            while let Some(before) = longer.filter(|before| spans.ends[*before] <= end) {
                longer = spans.longer[before];
            }
            spans.ends.push(end);
            spans.longer.push(longer);
        }
        spans
    }

    /// Places of those before this one that end at this moment or later, the last one first.
    pub(super) fn covering(&self, before: usize, moment: i64) -> impl Iterator<Item = usize> {
        let mut next = before.checked_sub(1);
        std::iter::from_fn(move || {
            let mut place = next?;
            while self.ends[place] < moment {
                next = self.longer[place];
                place = next?;
            }
            next = place.checked_sub(1);
            Some(place)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn those_are_found_that_a_look_at_each_finds(
            ends in prop::collection::vec(0_i64..20, 0..20), before in 0_usize..20, moment in 0_i64..22,
        ) {
            let before = before.min(ends.len());
            let each: Vec<usize> = (0..before).rev().filter(|place| ends[*place] >= moment).collect();
            let found: Vec<usize> = Spans::of(ends.clone()).covering(before, moment).collect();
            prop_assert_eq!(found, each);
        }
    }

    /// A look at each would take the square of their number.
    #[test]
    fn one_span_that_never_ends_before_many_short_ones_is_found_at_once() {
        const MANY: usize = 200_000;
        let ends = (0..MANY).map(|at| if at == 0 { i64::MAX } else { at as i64 });
        let spans = Spans::of(ends);
        for before in 1..=MANY {
            assert_eq!(spans.covering(before, MANY as i64).next(), Some(0));
        }
    }
}
