//! How what went wrong with a lock row is told.
//!
//! Owns those words. Knows nothing of what is wrong.

use super::super::facts::{Facts, step_words};
use crate::ledger::{Deed, LeaseChange, LeaseSection, Leases};

/// `pod b took it over in step 3 on b.0, "update …"`.
pub(super) fn change_words(facts: &Facts<'_>, change: &LeaseChange<'_>) -> String {
    let Some(connection) = change.connection else {
        return format!("{} changed it", change.session);
    };
    let done = change.after.is_some_and(|after| after.done);
    let did = match change.deed {
        Deed::Release | Deed::Foreign { .. } | Deed::Nothing if done => "marked it as done",
        Deed::Release if change.after.is_none() => "deleted it",
        Deed::Grant => "took it",
        Deed::TakeOver { .. } => "took it over",
        Deed::SecondRow { .. } => "put a second row beside it",
        Deed::Renewal { .. } => "renewed it",
        Deed::Release => "gave it back",
        Deed::Foreign { .. } if change.after.is_none() => "deleted it",
        Deed::Foreign {
            takes_away: true, ..
        } => "gave it back",
        Deed::Foreign { .. } => "renewed it",
        Deed::Aged | Deed::Nothing => "changed it",
    };
    let step = step_words(change.step, facts.steps, connection, None);
    format!("pod {} {did} in {step}", connection.pod)
}

/// `its lease had run out (expire, line 31)`; nothing, where it had not.
pub(super) fn aged_words(leases: &Leases<'_>, section: &LeaseSection<'_>) -> Option<String> {
    let aged = &leases.changes[section.aged?];
    aged.after
        .is_some_and(|after| after.expired)
        .then(|| format!("its lease had run out (`expire`, line {})", aged.seq))
}

/// What became of a section: `pod a took it in …; its lease had run out …; pod b took it over in …`.
pub(super) fn section_words(
    facts: &Facts<'_>,
    leases: &Leases<'_>,
    section: &LeaseSection<'_>,
    by: &LeaseChange<'_>,
) -> String {
    let taken = change_words(facts, &leases.changes[section.taken]);
    let aged = aged_words(leases, section).map_or(String::new(), |words| format!("; {words}"));
    format!("{taken}{aged}; {}", change_words(facts, by))
}

/// The lines that tell the same.
pub(super) fn section_lines(
    leases: &Leases<'_>,
    section: &LeaseSection<'_>,
    by: &LeaseChange<'_>,
) -> Vec<u64> {
    let seq = |place: usize| leases.changes[place].seq;
    let aged = section.aged.map(seq);
    let all = [Some(seq(section.taken)), aged, Some(by.seq)];
    all.into_iter().flatten().collect()
}
