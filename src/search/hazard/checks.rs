//! Hazards of what a pod has looked at before it writes: it is no longer so, or both pods have looked before
//! either has written.
//!
//! Owns these two kinds. Lost update, write skew, look and insert, check and set, a list that is read before
//! the lock, a row that is picked up twice and a number that is drawn twice are all of them.

use std::collections::BTreeSet;

use super::anchor::{after, before, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{among, bare, kept_apart, list, part, window};
use super::trace::{Ground, Trace};
use crate::search::footprint::Step;

/// The most places of a table's checks at which a pod is stopped.
const MOST: usize = 4;

/// a looks at something and later writes; b does all its work in between.
///
/// The statement is the unit: a single UPDATE that reads and writes is atomic enough. What is read FOR
/// UPDATE and written in the same transaction is guarded by its row locks. a stops right after it has looked:
/// later it may hold what b needs, and b would only wait.
pub(super) fn stale_read(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let tables: BTreeSet<&String> = x.steps.iter().flat_map(|step| &step.own.reads).collect();
    for table in tables {
        let Some(intruder) = y.did(table, |_| true).first().copied() else {
            continue;
        };
        for (read, write) in checks(x, table) {
            let written = x.steps[write].own.writes.contains_key(table);
            let told = Told {
                reads: format!("reads {}", bare(table)),
                intrudes: format!(
                    "writes {} in between ({})",
                    bare(table),
                    words(&y.steps[intruder])
                ),
                tables: among([table]),
                depth: ground.catalog.depth(table) + usize::from(written),
            };
            found.extend(stale(ground, (x, y), (read, write, intruder), told));
        }
    }
    unnamed(ground, x, y, found);
}

/// Reads of a table, each with a write that may rest on it: the first of each form, and the last one before the
/// table itself is written.
fn checks(x: &Trace, table: &String) -> Vec<(usize, usize)> {
    let reads = x.places(|step| step.own.reads.contains(table));
    let writes = x.places(|step| !step.own.writes.is_empty());
    let guarded = |read: usize, write: usize| {
        x.one_transaction(read, write) && x.steps[read].own.locked.contains(table)
    };
    let sets = |write: usize| x.steps[write].own.writes.contains_key(table);
    let pair = |read: usize| {
        let mut later = writes.iter().copied();
        let rests = |write: &usize| *write > read && !guarded(read, *write);
        let own = later.clone().find(|write| rests(write) && sets(*write));
        Some((read, own.or_else(|| later.find(rests))?))
    };
    let last = writes
        .iter()
        .copied()
        .filter(|write| sets(*write))
        .find_map(|write| {
            let mut before = reads.iter().rev();
            let read = before.find(|read| **read < write && !guarded(**read, write))?;
            Some((*read, write))
        });
    let mut forms = BTreeSet::new();
    let mut found: Vec<(usize, usize)> = last.into_iter().collect();
    for read in &reads {
        if found.len() < MOST && forms.insert(x.steps[*read].form()) {
            found.extend(pair(*read).filter(|pair| !found.contains(pair)));
        }
    }
    found
}

/// What is looked at without the name of a table: the catalog, or what a function hides.
fn unnamed(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let defines = |step: &Step| {
        let form = step.form();
        let words = ["create ", "alter ", "drop "];
        step.own.is_ddl() || words.iter().any(|word| form.starts_with(word))
    };
    let writes = |step: &Step| !step.own.writes.is_empty();
    let hides = |step: &Step| {
        step.own.everything.is_some()
            && step.own.locks.is_empty()
            && !writes(step)
            && !defines(step)
            && !looks_at_nothing(step)
    };
    type Is<'i> = &'i dyn Fn(&Step) -> bool;
    let catalog: (Is<'_>, Is<'_>) = (&|step| step.own.reads_catalog, &defines);
    let hidden: (Is<'_>, Is<'_>) = (&hides, &writes);
    for (index, (looks, acts)) in [catalog, hidden].into_iter().enumerate() {
        let Some(intruder) = y.places(acts).first().copied() else {
            continue;
        };
        let acts = x.places(acts);
        let looked = x.places(looks);
        let first = acts.iter().find_map(|act| {
            let before = looked.iter().rev().find(|look| *look < act)?;
            Some((*before, *act))
        });
        let mut forms = BTreeSet::new();
        let each = looked
            .iter()
            .filter(|look| forms.insert(x.steps[**look].form()));
        let each = each.filter_map(|look| Some((*look, *acts.iter().find(|act| *act > look)?)));
        let pairs: Vec<(usize, usize)> = first.into_iter().chain(each).take(MOST).collect();
        for (read, write) in pairs {
            let read_words = words(&x.steps[read]);
            let told = Told {
                reads: if index == 0 {
                    format!("looks into the catalog ({read_words})")
                } else {
                    format!("does {read_words}, which hides what it reads,")
                },
                intrudes: format!("comes in between ({})", words(&y.steps[intruder])),
                tables: BTreeSet::new(),
                depth: 0,
            };
            found.extend(stale(ground, (x, y), (read, write, intruder), told));
        }
    }
}

/// Whether a step begins a transaction, sets something for it, or goes back: it has no snapshot yet, or what it
/// saw is undone. (A COMMIT runs what was deferred.)
fn looks_at_nothing(step: &Step) -> bool {
    let none = [
        "begin",
        "start",
        "set",
        "savepoint",
        "release",
        "rollback",
        "abort",
    ];
    step.normal.iter().all(|form| {
        let word = form.split([' ', ';']).next().unwrap_or_default();
        none.contains(&word)
    })
}

/// What a hazard of this kind says of itself.
struct Told {
    reads: String,
    intrudes: String,
    tables: BTreeSet<String>,
    depth: usize,
}

fn stale(
    ground: &Ground<'_>,
    (x, y): (&Trace, &Trace),
    (read, write, intruder): (usize, usize, usize),
    told: Told,
) -> Option<Hazard> {
    let (a, b) = (ground.a, ground.b);
    let written: BTreeSet<&String> = x.steps[write].own.writes.keys().collect();
    let targets: Vec<&str> = written.iter().map(|table| bare(table)).collect();
    let writes = match targets.as_slice() {
        [] => format!("does {}", words(&x.steps[write])),
        _ => format!("writes {}", list(&targets)),
    };
    Some(Hazard {
        kind: HazardKind::StaleRead,
        title: format!(
            "{a} {} and then {writes}; {b} {}",
            told.reads, told.intrudes
        ),
        tables: told
            .tables
            .into_iter()
            .chain(written.iter().map(|table| (*table).clone()))
            .collect(),
        about: None,
        steps: vec![
            part(a, Role::Opens, &x.steps[read]),
            part(a, Role::Closes, &x.steps[write]),
            part(b, Role::Intrudes, &y.steps[intruder]),
        ],
        expected: Expected {
            words:
                "final rows that no serial order gives: a write that rests on what is no longer \
                    so"
                .to_owned(),
            ..Expected::default()
        },
        window: window(read, write),
        depth: told.depth,
        // All of b's work falls into the window: what it writes, and what it reads of a's.
        moves: vec![after(a, x, read, 0)?, end(b), end(a)],
    })
}

/// Both pods look at a table before either sets it, as in a lock that is made of a row or a flag. Once b has
/// set it, or in the middle of what it does then, a goes on from its own look.
pub(super) fn check_then_set(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let tables: BTreeSet<&String> = x.steps.iter().flat_map(|step| &step.own.reads).collect();
    for table in tables {
        let sets = |trace: &Trace| {
            let own =
                |(_, write): &(usize, usize)| trace.steps[*write].own.writes.contains_key(table);
            checks(trace, table).into_iter().filter(own).min()
        };
        let (Some((read, write)), Some((look, set))) = (sets(x), sets(y)) else {
            continue;
        };
        if kept_apart(&x.steps[read], &y.steps[look]) {
            continue;
        }
        let (a, b) = (ground.a, ground.b);
        let shown = y.visible(set);
        let work = y.work(ground.rules);
        let elsewhere = |place: &usize| {
            let mut written = y.steps[*place].own.writes.keys();
            *place > shown && written.any(|other| other != table)
        };
        let goes_on = y.places(|step| !step.own.writes.is_empty() || !step.own.reads.is_empty());
        let goes_on = goes_on.iter().any(|place| *place > shown);
        let middle = work.into_iter().rfind(elsewhere);
        let stops = [
            middle.map(|middle| (before(b, y, middle, 0), middle, "in the middle of its work")),
            goes_on.then(|| (after(b, y, shown, 0), set, "when it has set it")),
        ];
        for (stop, place, when) in stops.into_iter().flatten() {
            let moves = || Some(vec![after(a, x, read, 0)?, stop?, end(a), end(b)]);
            found.extend(moves().map(|moves| Hazard {
                kind: HazardKind::CheckThenSet,
                title: format!(
                    "{a} and {b} both look at {} before either writes it; {b} stops {when}, {}, and {a} goes \
                     on",
                    bare(table),
                    words(&y.steps[place])
                ),
                tables: among([table]),
                about: Some(when.to_owned()),
                steps: vec![
                    part(a, Role::Opens, &x.steps[read]),
                    part(a, Role::Closes, &x.steps[write]),
                    part(b, Role::Intrudes, &y.steps[place]),
                ],
                expected: Expected {
                    words: "the work of both pods at once, though each had looked first".to_owned(),
                    ..Expected::default()
                },
                window: window(read, write),
                depth: ground.catalog.depth(table),
                moves,
            }));
        }
    }
}
