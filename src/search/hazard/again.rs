//! Hazards of a pod that has to begin again: what it reads then is no longer so when it writes, once more.
//!
//! Owns this kind. A loop that tries again too seldom, or looks only once more, is found so; one that goes on until
//! it has succeeded holds.

use super::anchor::{after, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{among, bare, part, window};
use super::trace::{Ground, Trace};

/// a reads, b commits a write of the same table, a fails or finds nothing to do and reads again, and b commits
/// its next write.
pub(super) fn stale_again(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    for table in x.written() {
        found.extend(again(ground, x, y, &table));
    }
}

fn again(ground: &Ground<'_>, x: &Trace, y: &Trace, table: &String) -> Option<Hazard> {
    let (a, b) = (ground.a, ground.b);
    let reads = x.places(|step| step.own.reads.contains(table) && step.own.writes.is_empty());
    let (first, second) = reads.iter().find_map(|first| {
        let failed = |second: usize| {
            let mut between = x.steps[*first..second].iter();
            between.any(|step| step.error.is_some())
                || after(a, x, second, 0).is_some_and(|turn| !ground.reached_alone(&turn))
        };
        let mut later = reads.iter().filter(|place| *place > first);
        let same = later.find(|place| x.steps[**place].form() == x.steps[*first].form())?;
        failed(*same).then_some((*first, *same))
    })?;
    // What the other pod still has to write when its first write can be seen.
    let writes = y.did(table, |_| true);
    let seen = y.visible(*writes.first()?);
    let next = writes.into_iter().find(|place| *place > seen)?;
    Some(Hazard {
        kind: HazardKind::StaleRead,
        title: format!(
            "{a} reads {}, has to begin again and reads it once more; {b} writes {} in between both times ({})",
            bare(table),
            bare(table),
            words(&y.steps[next])
        ),
        tables: among([table]),
        about: Some("again".to_owned()),
        steps: vec![
            part(a, Role::Opens, &x.steps[first]),
            part(a, Role::Closes, &x.steps[second]),
            part(b, Role::Intrudes, &y.steps[next]),
        ],
        expected: Expected {
            words: "work that is given up, or rests on what is no longer so".to_owned(),
            ..Expected::default()
        },
        window: window(first, second),
        depth: ground.catalog.depth(table),
        moves: vec![
            after(a, x, first, 0)?,
            after(b, y, seen, 0)?,
            after(a, x, second, first + 1)?,
            end(b),
            end(a),
        ],
    })
}
