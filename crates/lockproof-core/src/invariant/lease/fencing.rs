//! fencing: after a pod has got the lock row with a higher token, no write of a pod with a lower one takes
//! effect; tokens rise from grant to grant. Where the scenario requires fencing, a write is late, too, that was
//! on its way when another pod got the lock.
//!
//! The token of a write is that of its pod's last grant (Kleppmann, "How to do distributed locking", 2016). Our
//! deviation: the store need not have seen the higher token for the lower one to be late; a pod that has got the
//! lock may have read already.

use std::collections::BTreeSet;

use super::super::facts::{Facts, count, write_words};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::{Finding, InvariantVerdict};
use super::evidence::{UNSEEN, missing, ran_out};
use super::late::standings;
use super::standing::{Standing, Stands};
use super::story::{change_words, section_lines, section_words};
use super::work_under_lock::finding;
use crate::ledger::{Leases, RowBooks};
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::Fencing;

/// `None`: the lock has no token, and no fencing is required.
pub(in super::super) fn judge(facts: &Facts<'_>, books: &RowBooks<'_>) -> Option<InvariantVerdict> {
    let rule = books.rule;
    if rule.token.is_none() && !rule.fencing {
        return None;
    }
    if !facts.run.witness {
        return Some(inconclusive(NAME, UNSEEN));
    }
    let mut found = Found::default();
    for row in &books.rows {
        tokens_rise(facts, row, &mut found);
    }
    let by_clock = ran_out(facts, books);
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let (stands, without) = standings(facts, books);
    let writes = stands.len() + without.len();
    for Stands {
        write,
        row: leases,
        how,
    } in stands
    {
        let (section, by, how) = match how {
            Standing::Late(section, by) if rule.token.is_some() => (section, by, "after"),
            Standing::InFlight(section, by) if rule.fencing => (section, by, "while"),
            _ => continue,
        };
        if !by_clock.is_empty() || !told.insert((write.table, write.pod().as_str())) {
            continue;
        }
        let token = |token: Option<i64>| token.map_or(String::new(), |one| format!(" {one}"));
        let newer = by.after.and_then(|after| after.token);
        let why = format!(
            "{} with token{} {how} another pod got the lock with token{}: {}. A write that compares its token with \
             the row's, and locks the row while it does, is refused then",
            write_words(write, facts.steps),
            token(section.token),
            token(newer),
            section_words(facts, leases, section, by)
        );
        let lines = section_lines(leases, section, by);
        found.violation(finding(facts, write, lines, why));
    }
    for one in by_clock {
        found.unclear.push(one);
    }
    missing(facts, books, &mut found);
    let holds = format!(
        "no write of {} took effect after a pod with a higher token had got the lock",
        count(writes, "write")
    );
    Some(found.ruling(NAME, facts, holds))
}

fn tokens_rise(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Found) {
    let Some(column) = &leases.rule.token else {
        return;
    };
    let mut highest: Option<(i64, &str)> = None;
    for section in &leases.sections {
        let change = &leases.changes[section.taken];
        match (section.token, highest) {
            (None, _) => found.violation(Finding {
                why: format!(
                    "{} without a token: {column} is NULL",
                    change_words(facts, change)
                ),
                seqs: vec![change.seq],
                pod: Some(section.pod().clone()),
                witness_only: true,
                ..Finding::default()
            }),
            (Some(token), Some((before, pod))) if token <= before => found.violation(Finding {
                why: format!(
                    "{} with token {token}, and pod {pod} had had it with token {before}: a token that does not \
                     rise fences nobody off",
                    change_words(facts, change)
                ),
                seqs: vec![change.seq],
                pod: Some(section.pod().clone()),
                witness_only: true,
                ..Finding::default()
            }),
            (Some(token), _) => highest = Some((token, section.pod().as_str())),
        }
    }
}
