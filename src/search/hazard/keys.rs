//! Hazards that a constraint names: foreign keys whose parents go, unique keys that come twice.
//!
//! Owns these two kinds.

use super::anchor::{after, before, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{among, bare, part, window};
use super::trace::{Ground, Trace, adds, takes_away};
use crate::history::{ForeignKey, Operation};
use crate::sql::inserted;

/// a inserts parents, then children that refer to them; b takes the parents away in between.
pub(super) fn parent_gone(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    for key in &ground.catalog.foreign_keys {
        if key.child == key.parent {
            continue;
        }
        let children = x.did(&key.child, |done| {
            matches!(done, Operation::Insert | Operation::Update)
        });
        let parents = x.did(&key.parent, adds);
        let Some(gone) = y.did(&key.parent, takes_away).first().copied() else {
            continue;
        };
        // The first child whose parents another could see, and so take away.
        let pair = children.iter().find_map(|child| {
            let opens = parents
                .iter()
                .rev()
                .find(|parent| **parent < *child && !x.one_transaction(**parent, *child))?;
            Some((*opens, *child))
        });
        if let Some((opens, closes)) = pair {
            found.extend(gone_between(ground, x, y, key, (opens, closes, gone)));
        }
    }
}

fn gone_between(
    ground: &Ground<'_>,
    x: &Trace,
    y: &Trace,
    key: &ForeignKey,
    (opens, closes, gone): (usize, usize, usize),
) -> Option<Hazard> {
    let intruder = &y.steps[gone];
    let (a, b) = (ground.a, ground.b);
    Some(Hazard {
        kind: HazardKind::ParentGone,
        title: format!(
            "{a} inserts into {}, then into {} that references it; {b} does {} in between",
            bare(&key.parent),
            bare(&key.child),
            words(intruder)
        ),
        tables: [key.parent.clone(), key.child.clone()].into(),
        about: Some(key.name.clone()),
        steps: vec![
            part(a, Role::Opens, &x.steps[opens]),
            part(a, Role::Closes, &x.steps[closes]),
            part(b, Role::Intrudes, intruder),
        ],
        expected: Expected {
            sqlstate: Some("23503".to_owned()),
            constraint: Some(key.name.clone()),
            words: format!("23503 on constraint {}", key.name),
        },
        window: window(opens, closes),
        depth: ground.catalog.depth(&key.child),
        moves: vec![
            before(a, x, closes, 0)?,
            after(b, y, y.visible(gone), 0)?,
            end(a),
        ],
    })
}

/// Both pods insert rows of the same keys into a table with a unique key.
pub(super) fn equal_keys(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    for table in x.written() {
        let mine = x.did(&table, adds);
        let theirs = y.did(&table, adds);
        let pair = mine.iter().find_map(|mine| {
            let form = x.steps[*mine].form();
            let plain = inserted(&form).filter(|insert| !insert.tolerates_equal_keys)?;
            if !ground.catalog.resolve(&plain.table).contains(&table) || ground.texts_differ(&form)
            {
                return None;
            }
            let other = theirs
                .iter()
                .find(|other| y.steps[**other].form() == form)?;
            let key = ground.catalog.keys.iter().find(|key| {
                // A key whose columns are left to their defaults is a new one each time.
                let named = |column: &String| {
                    plain.columns.is_empty() || plain.columns.contains(&column.to_lowercase())
                };
                key.table == table && key.columns.iter().all(named)
            })?;
            Some((*mine, *other, key))
        });
        let Some((mine, other, key)) = pair else {
            continue;
        };
        found.extend(twice(ground, x, y, (mine, other), (&table, &key.name)));
    }
}

fn twice(
    ground: &Ground<'_>,
    x: &Trace,
    y: &Trace,
    (mine, other): (usize, usize),
    (table, key): (&String, &String),
) -> Option<Hazard> {
    let (a, b) = (ground.a, ground.b);
    Some(Hazard {
        kind: HazardKind::EqualKeys,
        title: format!(
            "{a} and {b} insert the same rows into {}: {b} before {a} has",
            bare(table)
        ),
        tables: among([table]),
        about: Some(key.clone()),
        steps: vec![
            part(a, Role::Closes, &x.steps[mine]),
            part(b, Role::Intrudes, &y.steps[other]),
        ],
        expected: Expected {
            sqlstate: Some("23505".to_owned()),
            constraint: Some(key.clone()),
            words: format!("23505 on constraint {key}"),
        },
        window: window(0, mine),
        depth: ground.catalog.depth(table),
        moves: vec![
            before(a, x, mine, 0)?,
            after(b, y, y.visible(other), 0)?,
            end(a),
        ],
    })
}
