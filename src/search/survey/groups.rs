//! Violations that are alike.
//!
//! Owns what they must have in common: the invariants, the SQLSTATEs, the fault, the kind of step that
//! it came at, and who went on first.

use std::collections::BTreeMap;

use super::course::StepKind;
use crate::invariant::{Judgement, Verdict};
use crate::name::InvariantName;
use crate::schedule::Point;
use crate::search::strategy::{Onward, Swept};

/// A violated schedule.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The fault; its point counts for nothing here.
    pub fault: &'a Swept,
    /// The step of the first pod at which it came, from 1.
    pub step: u32,
    /// What that step does.
    pub at: StepKind,
    /// The point of the step.
    pub point: Point,
    /// Which way on.
    pub onward: &'a Onward,
    /// Its verdict.
    pub verdict: &'a Verdict,
}

/// Violated schedules that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The invariants that are violated, in their order.
    pub invariants: Vec<InvariantName>,
    /// The SQLSTATEs of unexplained errors.
    pub sqlstates: Vec<String>,
    /// The fault.
    pub fault: Swept,
    /// What the steps do at which it came.
    pub at: StepKind,
    /// Which way on.
    pub onward: Onward,
    /// How often at each point.
    pub points: BTreeMap<String, u64>,
    /// At which steps, in order, each once.
    pub steps: Vec<u32>,
    /// Which of the cases they are, in order; never empty.
    pub members: Vec<usize>,
}

/// Puts those together that are alike, the largest group first.
#[must_use]
pub fn group(cases: &[Case<'_>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let invariants: Vec<InvariantName> = case.verdict.violated().collect();
        let sqlstates = sqlstates(case.verdict);
        let alike = |group: &&mut Group| {
            group.invariants == invariants
                && group.sqlstates == sqlstates
                && group.fault.is_same_as(case.fault)
                && group.at == case.at
                && group.onward == *case.onward
        };
        let group = match groups.iter_mut().find(alike) {
            Some(group) => group,
            None => {
                groups.push(Group {
                    invariants,
                    sqlstates,
                    fault: case.fault.clone(),
                    at: case.at,
                    onward: case.onward.clone(),
                    points: BTreeMap::new(),
                    steps: Vec::new(),
                    members: Vec::new(),
                });
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        *group.points.entry(case.point.to_string()).or_default() += 1;
        if !group.steps.contains(&case.step) {
            group.steps.push(case.step);
        }
        group.members.push(index);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    groups
}

/// The SQLSTATEs of the errors that no-errors found, each once.
fn sqlstates(verdict: &Verdict) -> Vec<String> {
    let mut found: Vec<String> = verdict
        .of(InvariantName::NoErrors)
        .filter(|one| one.judgement == Judgement::Violated)
        .into_iter()
        .flat_map(|one| &one.findings)
        .filter_map(|finding| finding.sqlstate.clone())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::{Finding, InvariantVerdict};
    use crate::schedule::{Draw, FaultKind, STEP_POINTS, Stop};

    fn verdict(violated: &[InvariantName], sqlstate: Option<&str>) -> Verdict {
        let of = |name: &InvariantName| InvariantVerdict {
            name: *name,
            judgement: if violated.contains(name) {
                Judgement::Violated
            } else {
                Judgement::Holds
            },
            why: String::new(),
            findings: vec![Finding {
                sqlstate: sqlstate.map(str::to_owned),
                ..Finding::default()
            }],
            tables: Vec::new(),
        };
        Verdict::saying(
            Judgement::Violated,
            InvariantName::ALL.iter().map(of).collect(),
        )
    }

    #[test]
    fn what_differs_in_one_thing_is_another_group() {
        use InvariantName::{MutualExclusion, NoErrors, WorkUnderLock};
        let lock = verdict(&[WorkUnderLock], Some("23505"));
        let both = verdict(&[WorkUnderLock, MutualExclusion], None);
        let error = verdict(&[NoErrors], Some("23505"));
        let other = verdict(&[NoErrors], Some("23503"));
        let swept = |kind| Swept::drawn(&Draw::at(&STEP_POINTS, kind));
        let (kill, reset) = (swept(|| FaultKind::Kill), swept(|| FaultKind::Reset));
        let (a_first, b_first) = (Onward::FirstPod, Onward::SecondPod(Stop::End));
        // Its points make no other fault.
        let kill_after = Swept {
            points: vec![Point::After],
            ..kill.clone()
        };
        let case = |verdict, step| Case {
            fault: &kill,
            step,
            at: StepKind::Write,
            point: Point::Before,
            onward: &a_first,
            verdict,
        };
        let cases = [
            case(&lock, 2),
            case(&both, 2),
            case(&error, 2),
            case(&other, 2),
            Case {
                fault: &reset,
                ..case(&lock, 2)
            },
            Case {
                at: StepKind::Lock,
                ..case(&lock, 2)
            },
            Case {
                onward: &b_first,
                ..case(&lock, 2)
            },
            Case {
                point: Point::After,
                fault: &kill_after,
                ..case(&lock, 2)
            },
            case(&lock, 5),
        ];
        let groups = group(&cases);
        assert_eq!(groups.len(), 7);
        assert_eq!(groups[0].members, [0, 7, 8]);
        assert_eq!(groups[0].steps, [2, 5]);
        assert_eq!(groups[0].points["before"], 2);
        assert_eq!(groups[0].points["after"], 1);
        // The SQLSTATE of a finding of another invariant is no error's.
        assert!(groups[0].sqlstates.is_empty());
    }
}
