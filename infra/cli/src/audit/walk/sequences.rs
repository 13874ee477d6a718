//! The numbers of an aggregate's events. Rows may be read in any order.

use events::Timestamp;

/// Numbers without a gap between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    /// The highest number whose row could be read, and when that row was committed.
    committed: Option<(u64, Timestamp)>,
}

/// The numbers seen, as runs in ascending order. If no number is missing, one run holds them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    runs: Vec<Run>,
}

/// Missing numbers, between others or before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The first missing number.
    pub(super) first: u64,
    /// The last missing number.
    pub(super) last: u64,
    /// When the nearest readable row before them was committed.
    pub(super) after: Option<Timestamp>,
}

impl Sequences {
    /// Adds a number. `committed_at` is set if the row could be read. Zero is ignored: numbers begin with 1.
    pub(super) fn see(&mut self, number: u64, committed_at: Option<Timestamp>) {
        if number == 0 {
            return;
        }
        let committed = committed_at.map(|at| (number, at));
        let next = self.runs.partition_point(|run| run.first <= number);
        let mut joined = Run {
            first: number,
            last: number,
            committed,
        };
        let mut replaced = next..next;
        if let Some(before) = next.checked_sub(1)
            && let Some(run) = self.runs.get(before)
            && run.last.saturating_add(1) >= number
        {
            joined = joined.with(*run);
            replaced.start = before;
        }
        if let Some(run) = self.runs.get(next)
            && joined.last.saturating_add(1) >= run.first
        {
            joined = joined.with(*run);
            replaced.end += 1;
        }
        self.runs.splice(replaced, [joined]);
    }

    /// The highest number. 0 if none was seen.
    pub(super) fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.last)
    }

    /// Whether all numbers from 1 to the highest were seen.
    pub(super) fn is_whole(&self) -> bool {
        self.gaps().next().is_none()
    }

    /// The gaps, in ascending order.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap> + '_ {
        let mut before = (0, None);
        self.runs.iter().filter_map(move |run| {
            let (last, after) = before;
            let committed = run.committed.map(|(_, at)| at);
            before = (run.last, committed.or(after));
            (run.first > last + 1).then_some(Gap {
                first: last + 1,
                last: run.first - 1,
                after,
            })
        })
    }
}

impl Run {
    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            committed: self.committed.max(other.committed),
        }
    }
}

impl Gap {
    /// How many numbers are missing.
    pub(super) fn missing(&self) -> u64 {
        self.last - self.first + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(number: u64) -> Timestamp {
        let millis = i64::try_from(number).expect("small") * 1_000;
        Timestamp::from_unix_millis(millis).expect("a moment")
    }

    fn seen(numbers: &[u64]) -> Sequences {
        let mut sequences = Sequences::default();
        for number in numbers {
            sequences.see(*number, Some(moment(*number)));
        }
        sequences
    }

    #[test]
    fn rows_in_the_order_of_their_numbers_as_text_have_no_gap() {
        let mut numbers: Vec<u64> = (1..=30).collect();
        numbers.sort_by_key(u64::to_string);
        assert_eq!(numbers[..3], [1, 10, 11]);
        let sequences = seen(&numbers);
        assert!(sequences.is_whole());
        assert_eq!(sequences.last(), 30);
        // A reader that relies on the order would have reported the numbers 2 to 9.
        let jumps = numbers.windows(2).filter(|pair| pair[1] > pair[0] + 1);
        assert!(jumps.count() > 0);
    }

    #[test]
    fn what_is_missing_is_named_with_when_the_row_before_it_was_committed() {
        let mut sequences = seen(&[7, 1, 2, 9]);
        // An unreadable row exists, but its time of commit is unknown.
        sequences.see(8, None);
        sequences.see(3, None);
        sequences.see(0, None);
        let gaps: Vec<Gap> = sequences.gaps().collect();
        let gap = Gap {
            first: 4,
            last: 6,
            after: Some(moment(2)),
        };
        assert_eq!((gaps.as_slice(), gap.missing()), (&[gap][..], 3));
        let later: Vec<Gap> = seen(&[5]).gaps().collect();
        assert_eq!(later.len(), 1);
        assert_eq!(
            (later[0].first, later[0].last, later[0].after),
            (1, 4, None)
        );
    }

    proptest! {
        #[test]
        fn every_order_of_the_same_rows_comes_to_the_same(
            mut numbers in prop::collection::vec(1_u64..40, 0..60),
            seed in any::<u64>(),
        ) {
            let shuffled = seen(&numbers);
            numbers.sort_by_key(|number| number.wrapping_mul(seed | 1));
            prop_assert_eq!(&shuffled, &seen(&numbers));
            numbers.sort_unstable();
            prop_assert_eq!(&shuffled, &seen(&numbers));
            numbers.dedup();
            let missing: u64 = shuffled.gaps().map(|gap| gap.missing()).sum();
            let count = u64::try_from(numbers.len()).expect("few");
            prop_assert_eq!(missing + count, shuffled.last());
        }
    }
}
