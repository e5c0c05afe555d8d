//! What a run without the witness says of the one before it, and whether it can say anything.
//!
//! Owns that comparison of verdicts and histories, pure. Knows nothing of how runs are made.

use crate::history::{Ending, Event, HeldLock, Line};
use crate::invariant::{Finding, Judgement, Verdict};
use crate::name::InvariantName;
use crate::run::is_plain;
use crate::timeline::{Happening, Timeline};

/// What a second run without the witness showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// There was nothing to confirm.
    NotNeeded,
    /// The run itself was without the witness, or in free pacing, where no run repeats another.
    NotPossible(String),
    /// These were violated again.
    Confirmed(Vec<InvariantName>),
    /// These were not, so they are inconclusive.
    Refuted(Vec<InvariantName>),
    /// These were not, and count all the same: the lines of the run that was judged show them.
    SeenOnce(Vec<InvariantName>),
}

/// Weighs a verdict by that on the same schedule without the witness: what holds there was the
/// witness's doing, and is inconclusive. (Some writes cannot be seen without the witness; an
/// invariant that is inconclusive there refutes nothing.)
pub fn weigh(verdict: &mut Verdict, bare: &Verdict) -> Confirmation {
    // A run that took another course refutes nothing.
    if let Some(guard) = bare.guards.iter().find(|guard| !guard.met) {
        return Confirmation::NotPossible(format!(
            "without the witness guard {} was not met: {}",
            guard.name, guard.why
        ));
    }
    let (mut confirmed, mut refuted, mut once) = (Vec::new(), Vec::new(), Vec::new());
    for one in &mut verdict.invariants {
        if one.judgement != Judgement::Violated {
            continue;
        }
        let Some(bare) = bare.of(one.name) else {
            continue;
        };
        // Where the texts name no write of the table, the run without the witness looked at none.
        let looked = |finding: &Finding| {
            let table = finding.table.as_ref();
            let shows = !finding.witness_only;
            shows && (!by_table(one.name) || table.is_none_or(|table| bare.tables.contains(table)))
        };
        match bare.judgement {
            Judgement::Holds if is_in_own_lines(one.name) => once.push(one.name),
            Judgement::Holds if one.findings.iter().all(looked) => {
                one.judgement = Judgement::Inconclusive;
                one.why = format!("seen only with the witness in the database: {}", one.why);
                refuted.push(one.name);
            }
            Judgement::Violated => confirmed.push(one.name),
            _ => {}
        }
    }
    if verdict.judgement == Judgement::Violated && verdict.violated().next().is_none() {
        verdict.judgement = Judgement::Inconclusive;
    }
    match (refuted.is_empty(), once.is_empty()) {
        (false, _) => Confirmation::Refuted(refuted),
        (true, false) => Confirmation::SeenOnce(once),
        (true, true) => Confirmation::Confirmed(confirmed),
    }
}

/// Whether the lines of one run prove a violation of this invariant, however the next one goes: an unlock that
/// was answered false, two holders in one snapshot, a write without the lock.
pub(super) fn is_in_own_lines(name: InvariantName) -> bool {
    matches!(
        name,
        InvariantName::SameSession | InvariantName::WorkUnderLock | InvariantName::MutualExclusion
    )
}

/// Whether an invariant's findings are each of the writes of one table.
fn by_table(name: InvariantName) -> bool {
    matches!(
        name,
        InvariantName::WorkUnderLock | InvariantName::MutualExclusion
    )
}

/// Whether no boundary after a plain statement shows other advisory locks than the one before.
pub(super) fn plain_keeps_locks(lines: &[Line]) -> bool {
    let timeline = Timeline::of(lines);
    let mut before: Option<&[&HeldLock]> = None;
    let mut plain = false;
    for (_, happening) in timeline.happenings() {
        match happening {
            Happening::Ended(step, end) => {
                plain = end.ending == Ending::Done && is_plain(step.request, end.answer);
            }
            Happening::Other(Event::SessionGone { .. }) => plain = false,
            Happening::Locks(snapshot) => {
                if plain && before.is_some_and(|before| before != snapshot.locks) {
                    return false;
                }
                before = Some(&snapshot.locks);
            }
            _ => {}
        }
    }
    true
}

/// Whether the text of each step names what the witness saw it write: only then can a run without the witness
/// tell whose work was done.
pub(super) fn text_tells(lines: &[Line]) -> bool {
    let timeline = Timeline::of(lines);
    lines.iter().all(|line| match &line.event {
        Event::Write(write) if write.connection.is_some() => {
            let step = write.step.and_then(|step| timeline.steps.get(&step));
            let table = write.table.rsplit('.').next();
            let named = |name: &String| name.rsplit('.').next() == table;
            step.is_some_and(|step| step.request.writes.iter().any(named))
        }
        _ => true,
    })
}
