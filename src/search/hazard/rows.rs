//! Hazards that show in the rows, or in the tables themselves: what was inserted is gone, what is written is
//! defined anew.
//!
//! Owns these two kinds.

use std::collections::{BTreeMap, BTreeSet};

use super::anchor::{after, before, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{among, bare, list, part, window};
use super::trace::{Ground, Trace, adds, defines, takes_away};

/// a inserts rows; b takes them away; a inserts more. One hazard for each statement that takes away.
pub(super) fn wiped_rows(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let mut wipers: BTreeMap<usize, (BTreeSet<String>, usize, usize)> = BTreeMap::new();
    for table in x.written() {
        let inserts = x.did(&table, adds);
        let Some(wiper) = y.did(&table, takes_away).first().copied() else {
            continue;
        };
        let (Some(first), Some(last)) = (inserts.first(), inserts.last()) else {
            continue;
        };
        if first == last || x.one_transaction(*first, *last) {
            continue;
        }
        let (tables, from, until) = wipers
            .entry(wiper)
            .or_insert((BTreeSet::new(), *first, *last));
        tables.insert(table);
        *from = (*from).min(*first);
        *until = (*until).max(*last);
    }
    for (wiper, (tables, first, last)) in wipers {
        let (a, b) = (ground.a, ground.b);
        let names: Vec<&str> = tables.iter().map(|table| bare(table)).collect();
        let moves = || {
            Some(vec![
                before(a, x, last, 0)?,
                after(b, y, y.visible(wiper), 0)?,
                end(a),
            ])
        };
        let title = format!(
            "{a} inserts into {} and later inserts more; {b} does {} in between",
            list(&names),
            words(&y.steps[wiper])
        );
        let depths = tables.iter().map(|table| ground.catalog.depth(table));
        let depth = depths.max().unwrap_or(0);
        found.extend(moves().map(|moves| Hazard {
            kind: HazardKind::WipedRows,
            title,
            tables,
            about: None,
            steps: vec![
                part(a, Role::Opens, &x.steps[first]),
                part(a, Role::Closes, &x.steps[last]),
                part(b, Role::Intrudes, &y.steps[wiper]),
            ],
            expected: Expected {
                words: "rows that are missing, or rows of both pods together".to_owned(),
                ..Expected::default()
            },
            window: window(first, last),
            depth,
            moves,
        }));
    }
}

/// b changes the definition of a table that a is at work on.
pub(super) fn definition_changed(
    ground: &Ground<'_>,
    x: &Trace,
    y: &Trace,
    found: &mut Vec<Hazard>,
) {
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for table in y.written() {
        let Some(change) = y.did(&table, defines).first().copied() else {
            continue;
        };
        // a is at work when it has written and will touch the table once more.
        let own = x.places(|step| step.own.is_ddl()).last().copied();
        let work: Vec<usize> = x
            .work(ground.rules)
            .into_iter()
            .filter(|place| own.is_none_or(|own| *place > own))
            .collect();
        let touches = x.places(|step| {
            !step.own.is_ddl()
                && (step.own.writes.contains_key(&table) || step.own.reads.contains(&table))
        });
        let Some(first) = work.first().copied() else {
            continue;
        };
        let Some(touch) = touches.iter().rev().find(|place| **place > first).copied() else {
            continue;
        };
        if !seen.insert(change) {
            continue;
        }
        let (a, b) = (ground.a, ground.b);
        let moves = || {
            Some(vec![
                before(a, x, touch, 0)?,
                after(b, y, y.visible(change), 0)?,
                end(a),
            ])
        };
        found.extend(moves().map(|moves| Hazard {
            kind: HazardKind::DefinitionChanged,
            title: format!(
                "{a} is at work on {}; {b} changes its definition ({})",
                bare(&table),
                words(&y.steps[change])
            ),
            tables: among([&table]),
            about: None,
            steps: vec![
                part(a, Role::Opens, &x.steps[first]),
                part(a, Role::Closes, &x.steps[touch]),
                part(b, Role::Intrudes, &y.steps[change]),
            ],
            expected: Expected {
                words: "42P01 or 40P01, or rows that are gone".to_owned(),
                ..Expected::default()
            },
            window: window(first, touch),
            depth: ground.catalog.depth(&table),
            moves,
        }));
    }
}
