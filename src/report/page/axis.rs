//! The logical axis: a column for each step and each mark, in the order of the history. Held time is the harness's
//! and takes no room.
//!
//! Owns which column is whose, in one run and in two under each other. Two runs are aligned by what their pods' steps
//! do, the first `insert into staff` of a with the first: of all ways to put equal ones into one column, one with the
//! most such columns is taken (the longest increasing subsequence: each comes once in each run).

use std::collections::HashMap;

use serde::Serialize;

use super::data::RunData;

/// Columns of one run.
pub(super) struct Axis;

/// Where two runs part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Parting {
    /// The column.
    pub col: usize,
    /// What each does there.
    pub words: [String; 2],
}

/// What has a column: a step or a mark, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Step(usize),
    Mark(usize),
}

impl Axis {
    /// Gives each step and mark of a run its column; how many there are.
    pub(super) fn alone(run: &mut RunData) -> usize {
        let items = items(run);
        let columns: Vec<usize> = (0..items.len()).collect();
        place(run, &items, &columns);
        items.len()
    }
}

/// The line at which something has its column, with what it is; in order.
fn items(run: &RunData) -> Vec<(u64, Item)> {
    let steps = run.steps.iter().enumerate().map(|(place, step)| {
        let at = step.sent.or(step.end).unwrap_or(step.held);
        (at.0, Item::Step(place))
    });
    let marks = run.marks.iter().enumerate();
    let marks = marks.map(|(place, mark)| (mark.at.0, Item::Mark(place)));
    let mut all: Vec<(u64, Item)> = steps.chain(marks).collect();
    all.sort_by_key(|(seq, _)| *seq);
    all
}

fn place(run: &mut RunData, items: &[(u64, Item)], columns: &[usize]) {
    run.ticks.clear();
    for ((seq, item), col) in items.iter().zip(columns) {
        match item {
            Item::Step(step) => run.steps[*step].col = *col,
            Item::Mark(mark) => run.marks[*mark].col = *col,
        }
        run.ticks.push((*seq, *col));
    }
}

/// Gives the steps and marks of two runs their columns; how many there are, and where they part.
pub(super) fn together(one: &mut RunData, other: &mut RunData) -> (usize, Option<Parting>) {
    let (left, right) = (items(one), items(other));
    let mut seen: HashMap<String, u32> = HashMap::new();
    let left_keys: Vec<String> = left
        .iter()
        .map(|(_, item)| key(one, *item, &mut seen))
        .collect();
    seen.clear();
    let right_keys: Vec<String> = right
        .iter()
        .map(|(_, item)| key(other, *item, &mut seen))
        .collect();
    let places: HashMap<&str, usize> = right_keys
        .iter()
        .enumerate()
        .map(|(place, key)| (key.as_str(), place))
        .collect();
    let matched: Vec<(usize, usize)> = left_keys
        .iter()
        .enumerate()
        .filter_map(|(place, key)| Some((place, *places.get(key.as_str())?)))
        .collect();
    let mut pairs = increasing(&matched);
    pairs.push((left.len(), right.len()));
    let (mut left_columns, mut right_columns) = (Vec::new(), Vec::new());
    let mut columns = 0;
    for (in_left, in_right) in pairs {
        while left_columns.len() < in_left {
            left_columns.push(columns);
            columns += 1;
        }
        while right_columns.len() < in_right {
            right_columns.push(columns);
            columns += 1;
        }
        if in_left < left.len() && in_right < right.len() {
            left_columns.push(columns);
            right_columns.push(columns);
            columns += 1;
        }
    }
    place(one, &left, &left_columns);
    place(other, &right, &right_columns);
    let parting = parting(one, other);
    (columns, parting)
}

/// What makes an item of two runs the same: the pod of a step and what it does, the words of a mark, and how often that
/// came. Not a step's number: a lock call more in one run moves all that follow.
fn key(run: &RunData, item: Item, seen: &mut HashMap<String, u32>) -> String {
    let key = match item {
        Item::Step(place) => {
            let step = &run.steps[place];
            let pod = &run.pods[run.lanes[step.lane].pod].name;
            let sort = if step.n.is_some() { "" } else { "look-up " };
            format!("{pod} {sort}{}", step.label)
        }
        Item::Mark(place) => format!("mark {}", run.marks[place].label),
    };
    let times = seen.entry(key.clone()).or_default();
    *times += 1;
    format!("{key} #{times}")
}

/// The longest part of these pairs that rises on both sides; the left sides rise already.
fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // The end of the best part of each length so far, and whom each pair follows.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (place, (_, right)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *right);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut found = Vec::new();
    let mut next = ends.last().copied();
    while let Some(place) = next {
        found.push(pairs[place]);
        next = before[place];
    }
    found.reverse();
    found
}

/// The first column in which only one does something, or both do not come to the same.
fn parting(one: &RunData, other: &RunData) -> Option<Parting> {
    let [left, right] = [one, other].map(|run| {
        let steps = run.steps.iter().filter(|step| step.n.is_some());
        steps
            .map(|step| (step.col, step))
            .collect::<HashMap<_, _>>()
    });
    let mut columns: Vec<usize> = left.keys().chain(right.keys()).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    columns.into_iter().find_map(|col| {
        let (in_left, in_right) = (left.get(&col), right.get(&col));
        if let (Some(a), Some(b)) = (in_left, in_right)
            && a.how == b.how
            && a.blocked.is_some() == b.blocked.is_some()
            && a.answer == b.answer
        {
            return None;
        }
        let words = |run: &RunData| {
            let step = run
                .steps
                .iter()
                .find(|step| step.n.is_some() && step.col >= col);
            let Some(step) = step else {
                return "nothing more comes".to_owned();
            };
            let pod = &run.pods[run.lanes[step.lane].pod].name;
            let waits = if step.blocked.is_some() {
                format!("waits for {}, then ", step.waits)
            } else {
                String::new()
            };
            format!("{pod}: {} → {waits}{}", step.label, step.answer)
        };
        Some(Parting {
            col,
            words: [words(one), words(other)],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_part_that_rises_on_both_sides_is_found() {
        let pairs = [(0, 3), (1, 0), (2, 1), (3, 5), (4, 2), (5, 4)];
        assert_eq!(increasing(&pairs), [(1, 0), (2, 1), (4, 2), (5, 4)]);
        assert_eq!(increasing(&[]), []);
    }
}
