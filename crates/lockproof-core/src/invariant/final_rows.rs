//! The final rows beside those that serial runs left.
//!
//! Owns which serial runs count, what of the rows they leave open, and how a difference is told in a sentence.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::facts::{Facts, count, list};
use super::limit::Limit;
use crate::history::{Event, SerialRun};
use crate::name::PodName;
use crate::state::{Comparison, Difference, Differs, Ids, LeftOut, Reason, Snapshot};

/// What came of a comparison.
pub(super) struct Compared<'a> {
    pub comparison: Comparison,
    /// The serial runs that count.
    candidates: Vec<&'a SerialRun>,
    left: LeftOut,
}

/// Compares the final rows with the serial runs of so many pods; `None` where the history does not have them.
pub(super) fn compare<'a>(
    facts: &Facts<'a>,
    counts: &RangeInclusive<usize>,
) -> Option<Compared<'a>> {
    let found = facts
        .lines
        .iter()
        .rev()
        .find_map(|line| match &line.event {
            Event::FinalRows(rows) => Some(rows),
            _ => None,
        })?;
    let runs: Vec<&SerialRun> = serial_runs(facts);
    let candidates: Vec<&SerialRun> = runs
        .iter()
        .filter(|run| counts.contains(&run.pods.len()))
        .copied()
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let left = left_open(facts, &runs);
    let states: Vec<&Snapshot> = candidates.iter().map(|run| &run.state).collect();
    // Ids that serial runs agree on are compared as they are; only if they differ, by what they stand for.
    let mut comparison = Comparison::of(&states, found, &left, Ids::Literal);
    if comparison.equal.is_none() {
        comparison = Comparison::of(&states, found, &left, Ids::Renamed);
    }
    Some(Compared {
        comparison,
        candidates,
        left,
    })
}

fn serial_runs<'a>(facts: &Facts<'a>) -> Vec<&'a SerialRun> {
    let events = facts.lines.iter().filter_map(|line| match &line.event {
        Event::SerialRuns { runs } => Some(runs),
        _ => None,
    });
    events.flatten().collect()
}

/// What serial runs leave open.
fn left_open(facts: &Facts<'_>, runs: &[&SerialRun]) -> LeftOut {
    let states: Vec<&Snapshot> = runs.iter().map(|run| &run.state).collect();
    // Names of what there is not have been refused when the serial runs were made.
    let mut left = LeftOut::ignoring(&facts.run.rules.ignore, &states).unwrap_or_default();
    let mut kinds: BTreeMap<&[PodName], Vec<&Snapshot>> = BTreeMap::new();
    for run in runs {
        kinds.entry(&run.pods).or_default().push(&run.state);
    }
    for same in kinds.values() {
        left.find(same, Reason::Volatile);
    }
    let alone = |index| {
        let pod = [PodName::of_index(index)];
        kinds.get(&pod[..]).and_then(|runs| runs.first())
    };
    if let (Some(a), Some(b)) = (alone(0), alone(1)) {
        left.find(&[a, b], Reason::Doer);
    }
    left
}

impl Compared<'_> {
    /// Whether the rows are those of a serial run.
    pub fn equal(&self) -> bool {
        self.comparison.equal.is_some()
    }

    /// The serial run that is equal or nearest, for people.
    pub fn serial(&self) -> String {
        let run = self
            .comparison
            .nearest
            .and_then(|place| self.candidates.get(place));
        let Some(run) = run else {
            return "a serial run".to_owned();
        };
        let by_name = run.pods.iter().enumerate();
        let by_name = by_name
            .into_iter()
            .all(|(index, pod)| *pod == PodName::of_index(index));
        let pods = count(run.pods.len(), "pod");
        if by_name {
            return format!("a serial run of {pods}");
        }
        let order: Vec<String> = run.pods.iter().map(ToString::to_string).collect();
        format!("a serial run of {pods} ({})", order.join(", then "))
    }

    /// What was not compared, or not wholly.
    pub fn limits(&self) -> Vec<Limit> {
        let told = &self.comparison;
        let mut limits = columns_left_out(&told.left_out);
        limits.extend(tables_left_out(&self.left));
        let strings = |columns: &std::collections::BTreeSet<String>| {
            let columns: Vec<String> = columns.iter().cloned().collect();
            (!columns.is_empty()).then_some(columns)
        };
        limits.extend(strings(&told.alone).map(|columns| Limit::ComparedAlone { columns }));
        limits.extend(strings(&told.renamed).map(|columns| Limit::IdsRenamed { columns }));
        limits.extend(strings(&told.counted).map(|tables| Limit::OnlyCounted { tables }));
        limits.extend(strings(&told.by_column).map(|tables| Limit::ByColumn { tables }));
        let loose = self.left.references.iter();
        let loose: Vec<String> = loose
            .map(|one| format!("{}.{}", one.child, one.child_columns.join("+")))
            .collect();
        if !loose.is_empty() {
            limits.push(Limit::ReferencesNotFollowed { columns: loose });
        }
        limits
    }
}

/// What digests leave out.
pub(super) fn limits_of(facts: &Facts<'_>) -> Vec<Limit> {
    let Some(baseline) = &facts.run.baseline else {
        return Vec::new();
    };
    let columns = baseline
        .left_out
        .columns
        .iter()
        .flat_map(|(table, columns)| {
            let columns = columns.iter();
            columns.map(move |(column, reason)| (format!("{table}.{column}"), *reason))
        });
    let mut limits = columns_left_out(&columns.collect());
    limits.extend(tables_left_out(&baseline.left_out));
    let alone = baseline.left_out.alone.iter().flat_map(|(table, columns)| {
        columns
            .iter()
            .map(move |column| format!("{table}.{column}"))
    });
    let columns: Vec<String> = alone.collect();
    if !columns.is_empty() {
        limits.push(Limit::ComparedAlone { columns });
    }
    if !baseline.only_counted.is_empty() {
        let tables = baseline.only_counted.iter().cloned().collect();
        limits.push(Limit::OnlyCounted { tables });
    }
    limits
}

fn columns_left_out(left: &BTreeMap<String, Reason>) -> Vec<Limit> {
    by_reason(left.iter())
        .into_iter()
        .map(|(reason, columns)| Limit::ColumnsNotCompared { columns, reason })
        .collect()
}

fn tables_left_out(left: &LeftOut) -> Vec<Limit> {
    by_reason(left.tables.iter())
        .into_iter()
        .map(|(reason, tables)| Limit::TablesNotCompared { tables, reason })
        .collect()
}

fn by_reason<'l>(
    left: impl Iterator<Item = (&'l String, &'l Reason)>,
) -> BTreeMap<Reason, Vec<String>> {
    let mut by_reason: BTreeMap<Reason, Vec<String>> = BTreeMap::new();
    for (name, reason) in left {
        by_reason.entry(*reason).or_default().push(name.clone());
    }
    by_reason
}

/// What differs of a table, behind its name.
pub(super) fn words(difference: &Difference) -> String {
    match &difference.what {
        Differs::Gone => "is gone".to_owned(),
        Differs::NotExpected => "was not expected".to_owned(),
        Differs::Rows {
            expected, found, ..
        } if expected != found => {
            format!("has {}, expected {expected}", rows(*found))
        }
        Differs::Rows {
            found, first, more, ..
        } => match first.len() + more {
            differ if differ == 0 || differ as u64 == *found => {
                format!("has {} as expected, but with other contents", rows(*found))
            }
            differ => format!(
                "has {} as expected, but {differ} of them {} other contents",
                rows(*found),
                if differ == 1 { "has" } else { "have" }
            ),
        },
        Differs::Columns { columns } => format!("has other values in {}", list(columns)),
        Differs::InvalidIndexes { expected, found } => {
            let names = |names: &[String]| match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            format!(
                "has other INVALID indexes: {}, expected {}",
                names(found),
                names(expected)
            )
        }
    }
}

fn rows(number: u64) -> String {
    if number == 1 {
        "1 row".to_owned()
    } else {
        format!("{number} rows")
    }
}
