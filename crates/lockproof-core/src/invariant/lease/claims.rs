//! Claims: a key that only one can insert. Which writes of protected tables their pods' claims cover, and keys that two
//! have claimed.
//!
//! A write is covered if the claim is committed when the write is, or is of the write's own transaction, in whichever
//! order: if the claim fails, so does the write. Which claim a write is about nobody knows: any that its pod has covers
//! it. A claim stays when its work is done, so that most of them never end.

use std::collections::HashMap;

use super::super::facts::{Facts, PodWrite};
use super::super::ruling::Found;
use super::super::verdict::Finding;
use super::order::{Order, committed, order};
use super::standing::{Standing, Stands, next_grants, of_section};
use super::story::change_words;
use crate::history::Claim;
use crate::ledger::{Deed, LeaseSection, Leases, RowBooks, SectionEnd};
use crate::name::{PodName, Session};

/// A claim of a pod.
struct Own<'f, 'a> {
    section: &'f LeaseSection<'a>,
    /// The key's place among all.
    row: usize,
    taken_us: i64,
    /// Of those that ended: by which line the last of them up to this one was the pod's no longer.
    last_end: u64,
}

/// The claims of a pod.
#[derive(Default)]
struct OfPod<'f, 'a> {
    /// All, in the order in which they were made.
    all: Vec<Own<'f, 'a>>,
    /// Those that ended.
    ended: Vec<Own<'f, 'a>>,
    /// Those of each transaction that made some: the last.
    by_transaction: HashMap<(Session, u64), (usize, &'f LeaseSection<'a>)>,
    /// Of those that did not end the one that was committed first, and by which line.
    open: Option<(u64, usize, &'f LeaseSection<'a>)>,
}

/// All writes of protected tables with how they stand to their pods' claims, and those of pods that never had one.
pub(super) fn claim_standings<'f, 'a>(
    facts: &'f Facts<'a>,
    books: &'f RowBooks<'a>,
) -> (Vec<Stands<'f, 'a>>, Vec<&'f PodWrite<'a>>) {
    let next: Vec<_> = books.rows.iter().map(next_grants).collect();
    let by_pod = by_pod(facts, books, &next);
    let (mut found, mut without) = (Vec::new(), Vec::new());
    let own = |write: &&PodWrite<'_>| write.table == books.rule.table;
    for write in facts.writes.iter().filter(|write| !own(write)) {
        let Some(claims) = by_pod.get(write.pod()) else {
            without.push(write);
            continue;
        };
        let (row, how) = stands(facts, books, &next, write, claims);
        let row = &books.rows[row];
        found.push(Stands { write, row, how });
    }
    (found, without)
}

fn by_pod<'f, 'a>(
    facts: &Facts<'a>,
    books: &'f RowBooks<'a>,
    next: &[Vec<Option<usize>>],
) -> HashMap<&'f PodName, OfPod<'f, 'a>> {
    let mut by_pod: HashMap<&PodName, OfPod<'f, 'a>> = HashMap::new();
    for (row, leases) in books.rows.iter().enumerate() {
        for section in &leases.sections {
            let taken = &leases.changes[section.taken];
            let claims = by_pod.entry(section.pod()).or_default();
            if let Some(transaction) = taken.transaction {
                claims
                    .by_transaction
                    .insert((taken.session, transaction), (row, section));
            }
            let own = |last_end| Own {
                section,
                row,
                taken_us: taken.server_us,
                last_end,
            };
            claims.all.push(own(u64::MAX));
            match section.end {
                Some(end) => {
                    let end = gone_by(facts, leases, &next[row], section, end);
                    claims.ended.push(own(end));
                }
                None => {
                    let at = committed(facts, taken.step).map(|at| at.to);
                    let sooner = claims.open.map_or(u64::MAX, |(to, ..)| to);
                    if let Some(to) = at.filter(|to| *to < sooner) {
                        claims.open = Some((to, row, section));
                    }
                }
            }
        }
    }
    for claims in by_pod.values_mut() {
        claims.all.sort_by_key(|one| one.taken_us);
        claims.ended.sort_by_key(|one| one.taken_us);
        let mut last = 0;
        for one in &mut claims.ended {
            last = last.max(one.last_end);
            one.last_end = last;
        }
    }
    by_pod
}

/// By which line a claim that ended was its pod's no longer. One that was taken away and that nobody else has claimed
/// since is its pod's still.
fn gone_by(
    facts: &Facts<'_>,
    leases: &Leases<'_>,
    next: &[Option<usize>],
    section: &LeaseSection<'_>,
    (end, how): (usize, SectionEnd),
) -> u64 {
    let by = match how {
        SectionEnd::Released => Some(&leases.changes[end]),
        SectionEnd::TakenOver | SectionEnd::TakenAway => {
            let grant = next[end].map(|place| &leases.changes[place]);
            grant.filter(|grant| grant.pod() != Some(section.pod()))
        }
    };
    let at = by.and_then(|by| committed(facts, by.step));
    at.map_or(u64::MAX, |at| at.to)
}

/// How a write stands to its pod's claims, and to which key.
fn stands<'f, 'a>(
    facts: &'f Facts<'a>,
    books: &'f RowBooks<'a>,
    next: &[Vec<Option<usize>>],
    write: &'f PodWrite<'a>,
    claims: &OfPod<'f, 'a>,
) -> (usize, Standing<'f, 'a>) {
    let transaction = write.extent.transaction;
    let together = transaction
        .and_then(|transaction| claims.by_transaction.get(&(write.session, transaction)));
    if let Some((row, section)) = together {
        return (*row, Standing::Under(section));
    }
    let commit = committed(facts, write.step);
    if let Some((to, row, section)) = claims.open
        && commit.is_some_and(|commit| to < commit.from)
    {
        return (row, Standing::Under(section));
    }
    let of = |own: &Own<'f, 'a>| {
        let row = &books.rows[own.row];
        let how = of_claim(facts, row, &next[own.row], write, own.section);
        (own.row, how)
    };
    let from = commit.map_or(u64::MAX, |commit| commit.from);
    let ended = claims.ended.iter().rev();
    let ended = ended.take_while(|one| one.last_end >= from);
    let before = claims
        .all
        .partition_point(|one| one.taken_us <= write.server_us);
    let newest = &claims.all[before.saturating_sub(1)];
    let next = claims.all.get(before);
    // What is said of it where none is for sure the pod's: rather that it cannot be told.
    let mut said = of(newest);
    for one in ended.chain(next).map(of) {
        if rank(&one.1) > rank(&said.1) {
            said = one;
        }
        if matches!(said.1, Standing::Under(_)) {
            break;
        }
    }
    said
}

fn rank(standing: &Standing<'_, '_>) -> u8 {
    match standing {
        Standing::Under(_) => 3,
        Standing::InFlight(..) => 2,
        Standing::Unclear(_) => 1,
        Standing::GivenBack(_) | Standing::Late(..) | Standing::Early(_) => 0,
    }
}

/// How a write stands to one claim of its pod, which is of another transaction.
fn of_claim<'f, 'a>(
    facts: &'f Facts<'a>,
    leases: &'f Leases<'a>,
    next: &[Option<usize>],
    write: &PodWrite<'a>,
    section: &'f LeaseSection<'a>,
) -> Standing<'f, 'a> {
    let taken = &leases.changes[section.taken];
    let first = taken.server_us < write.server_us;
    match order(facts, write, taken) {
        Order::After => of_section(facts, leases, next, write, section),
        Order::Before => Standing::Early(taken),
        // Of one session the server's clock tells, and where nothing else does.
        Order::Unknown if taken.session == write.session || write.step.is_none() => match first {
            true => of_section(facts, leases, next, write, section),
            false => Standing::Early(taken),
        },
        Order::Unknown => Standing::Unclear(taken),
    }
}

/// A key that a pod claimed while the claim of another stood, which lived then or had done its work.
pub(super) fn claimed_twice(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Found) {
    for change in &leases.changes {
        let Deed::SecondRow { of } = change.deed else {
            continue;
        };
        let first = &leases.sections[of];
        let taken = &leases.changes[first.taken];
        let step = change.step.and_then(|step| facts.steps.get(&step));
        let at = step.and_then(|step| step.released);
        let at = at.map_or(change.seq, |at| at.seq);
        let pod = facts.pods.get(first.pod());
        // Whoever claims again what a dead pod has left does its work.
        if !pod.is_none_or(|pod| pod.lived_at(at) || pod.succeeded()) {
            continue;
        }
        let claim = leases.rule.claim.as_ref();
        let columns = claim.map_or(String::new(), |claim| claim.columns.join(", "));
        let loose = claim.and_then(Claim::loose_words);
        let loose = loose.map_or(String::new(), |why| format!(" ({why})"));
        found.violation(Finding {
            why: format!(
                "two pods have the {}: {}, and {}. Only a unique index on exactly ({columns}), not partial, over columns \
                 that are NOT NULL, lets one insert it{loose}",
                leases.name,
                change_words(facts, taken),
                change_words(facts, change)
            ),
            seqs: vec![taken.seq, change.seq],
            pod: change.pod().cloned(),
            witness_only: true,
            ..Finding::default()
        });
    }
}
