//! What a run without the witness says of the one before it.
//!
//! Owns the tests of that rule, on verdicts made by hand.

use super::weighing::{Confirmation, weigh};
use crate::invariant::{Finding, InvariantVerdict, Judgement, Verdict};
use crate::name::InvariantName;

/// A verdict by which only this is violated.
fn verdict(violated: Option<InvariantName>) -> Verdict {
    let of = |name: &InvariantName| InvariantVerdict {
        name: *name,
        judgement: match violated {
            Some(violated) if violated == *name => Judgement::Violated,
            _ => Judgement::Holds,
        },
        why: String::new(),
        findings: vec![Finding::default(); usize::from(violated == Some(*name))],
        tables: Vec::new(),
    };
    Verdict::saying(
        match violated {
            Some(_) => Judgement::Violated,
            None => Judgement::Holds,
        },
        InvariantName::ALL.iter().map(of).collect(),
    )
}

#[test]
fn what_the_lines_of_one_run_prove_is_not_refuted_by_the_next() {
    for name in [
        InvariantName::SameSession,
        InvariantName::WorkUnderLock,
        InvariantName::MutualExclusion,
    ] {
        let mut judged = verdict(Some(name));
        let confirmation = weigh(&mut judged, &verdict(None));
        assert_eq!(confirmation, Confirmation::SeenOnce(vec![name]));
        assert_eq!(judged.judgement, Judgement::Violated);
    }
}

#[test]
fn what_does_not_come_without_the_witness_is_inconclusive_and_what_comes_is_confirmed() {
    let name = InvariantName::CleanState;
    let mut judged = verdict(Some(name));
    let confirmation = weigh(&mut judged, &verdict(None));
    assert_eq!(confirmation, Confirmation::Refuted(vec![name]));
    assert_eq!(judged.judgement, Judgement::Inconclusive);
    let mut judged = verdict(Some(name));
    let confirmation = weigh(&mut judged, &verdict(Some(name)));
    assert_eq!(confirmation, Confirmation::Confirmed(vec![name]));
    assert_eq!(judged.judgement, Judgement::Violated);
}
