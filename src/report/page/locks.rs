//! Lock lanes: what the server says a pod held, and what the pod was told that it has.
//!
//! Owns which lanes there are: one for each pod and lock. What was held is the ledger's, what was told is `told`'s; of a
//! lock that is a row both are `lock_row`'s.

use serde::Serialize;

use super::at::At;
use super::lock_row::RowBook;
use super::shown::shown;
use super::steps::Lanes;
use super::told::{Told, told};
use crate::ledger::{Grant, How, Ledger};
use crate::name::{LockKey, PodName};
use crate::timeline::{Moment, Timeline};

/// A lock of a pod.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LockLane {
    /// The place of its pod.
    pub pod: usize,
    /// `advisory lock 7`.
    pub name: String,
    /// Whether it is a row of a table.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub row: bool,
}

/// What the server says was held.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HeldData {
    /// The place of its lock lane.
    pub lock: usize,
    /// The place of the connection that held it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<usize>,
    pub from: At,
    /// Until when; absent: until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    pub mode: String,
    /// When its time had passed: from then on it keeps nobody out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<At>,
    /// How it ended, in words.
    pub end: String,
    /// `exclusive`, or shared by several.
    pub guards: bool,
}

/// What a pod was told.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ToldData {
    /// The place of its lock lane.
    pub lock: usize,
    /// The place of the connection on which it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<usize>,
    pub from: At,
    /// Until when; absent: until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    pub mode: String,
    /// What told it otherwise, in words.
    pub end: &'static str,
}

/// How a grant ended, in words.
fn ended(how: How) -> &'static str {
    match how {
        How::Unlocked => "given back by an unlock",
        How::Unanswered => "an unlock was sent, and never answered",
        How::Discarded => "given back by DISCARD ALL",
        How::Transaction => "ended with its transaction",
        How::Session => "ended with its session",
        How::Returned => "taken back by the pooler",
    }
}

/// A change of a lock row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ChangeData {
    /// The place of the lock lane of whoever made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<usize>,
    /// The lock lane of the pod that had the lock until then, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    pub at: At,
    /// The line that tells it.
    pub seq: u64,
    /// `grant`, `take-over`, `renewal`, `release`, `foreign`, `aged`, `other`.
    pub kind: &'static str,
    /// A sentence.
    pub words: String,
}

/// All that is known of locks.
pub(super) struct Locks {
    pub lanes: Vec<LockLane>,
    pub held: Vec<HeldData>,
    pub told: Vec<ToldData>,
    pub changes: Vec<ChangeData>,
}

struct LockLanes<'l, 'a> {
    lanes: &'l Lanes<'a>,
    /// The lock of each; none: the row.
    all: Vec<(&'l PodName, Option<LockKey>)>,
}

impl<'l, 'a> LockLanes<'l, 'a> {
    /// The lane of this lock; a table may be spelled in two ways.
    fn place(&mut self, pod: &'l PodName, key: LockKey) -> usize {
        let key = LockKey { database: 0, ..key };
        let same = |one: &LockKey| match (one.table(), key.table()) {
            (Some(one), Some(key)) => key.may_mean(one) || one.may_mean(key),
            _ => *one == key,
        };
        let known = self
            .all
            .iter()
            .position(|(of, one)| *of == pod && one.as_ref().is_some_and(same));
        known.unwrap_or_else(|| {
            self.all.push((pod, Some(key)));
            self.all.len() - 1
        })
    }

    /// The lane of the lock row.
    fn row(&mut self, pod: &'l PodName) -> usize {
        let known = self.all.iter().position(|one| *one == (pod, None));
        known.unwrap_or_else(|| {
            self.all.push((pod, None));
            self.all.len() - 1
        })
    }

    fn data(&self, row: Option<&RowBook<'_>>) -> Vec<LockLane> {
        let row = row.map_or("", |row| &row.name);
        let of = |(pod, key): &(&PodName, Option<LockKey>)| LockLane {
            pod: self.lanes.pod(pod).unwrap_or_default(),
            name: shown(&key.map_or_else(|| row.to_owned(), |key| key.in_full())),
            row: key.is_none(),
        };
        self.all.iter().map(of).collect()
    }
}

/// The lock of a grant. A call on the wire does not say on which server it was made; its session does.
fn on_its_server(grant: &Grant<'_>, timeline: &Timeline<'_>) -> LockKey {
    let server = timeline.sessions.of(grant.session);
    LockKey {
        server: server.map_or(grant.key.server, |session| session.server),
        ..grant.key
    }
}

/// The lock lanes, what was held on each, and what was told.
pub(super) fn lock_lanes<'l>(
    timeline: &'l Timeline<'_>,
    ledger: &'l Ledger<'_>,
    lanes: &'l Lanes<'_>,
    row: Option<&'l RowBook<'_>>,
) -> Locks {
    let told: Vec<Told<'_>> = told(timeline);
    let mut all = LockLanes {
        lanes,
        all: Vec::new(),
    };
    let at = |seq: u64| {
        let place = timeline.lines.partition_point(|line| line.seq < seq);
        let line = timeline.lines.get(place).or(timeline.lines.last());
        At::from(line.map_or(Moment { seq, at_us: 0 }, Moment::of))
    };
    let held = ledger.grants.iter().map(|grant: &Grant<'_>| HeldData {
        lock: all.place(grant.pod(), on_its_server(grant, timeline)),
        lane: lanes.place(grant.connection),
        from: at(grant.from),
        to: grant.end.map(|(seq, _)| at(seq)),
        mode: grant.mode.to_string(),
        passed: None,
        end: grant
            .end
            .map_or("held to the end of the run", |(_, how)| ended(how))
            .to_owned(),
        guards: grant.guards(),
    });
    let mut held: Vec<HeldData> = held.collect();
    let told = told.iter().map(|one| {
        // A pod does not know on which server its connection is: the lane is that of what was granted to it.
        let server = ledger
            .grants
            .iter()
            .find(|grant| grant.connection == one.connection && grant.key.same_key(&one.key));
        let key = LockKey {
            server: server.map_or(0, |grant| on_its_server(grant, timeline).server),
            ..one.key
        };
        ToldData {
            lock: all.place(&one.connection.pod, key),
            lane: lanes.place(one.connection),
            from: one.from.into(),
            to: one.end.map(|(at, _)| at.into()),
            mode: one.mode.to_string(),
            end: one.end.map_or("nothing told it otherwise", |(_, why)| why),
        }
    });
    let mut told: Vec<ToldData> = told.collect();
    let mut changes = Vec::new();
    if let Some(row) = row {
        held.extend(row.held.iter().map(|one| HeldData {
            lock: all.row(&one.connection.pod),
            lane: lanes.place(one.connection),
            from: one.from,
            to: one.to,
            mode: row.mode.to_owned(),
            passed: one.passed,
            end: shown(&one.end),
            guards: true,
        }));
        told.extend(row.told.iter().map(|one| ToldData {
            lock: all.row(&one.connection.pod),
            lane: lanes.place(one.connection),
            from: one.from,
            to: one.to,
            mode: row.mode.to_owned(),
            end: one.end,
        }));
        changes.extend(row.changes.iter().map(|one| ChangeData {
            lock: one.connection.map(|connection| all.row(&connection.pod)),
            of: one.of.map(|pod| all.row(pod)),
            at: one.at,
            seq: one.seq,
            kind: one.kind,
            words: shown(&format!("Line {}: {}.", one.at.0, one.what)),
        }));
    }
    Locks {
        lanes: all.data(row),
        held,
        told,
        changes,
    }
}

/// Where what a pod was told and what the server says part, while somebody was let go.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PartedData {
    /// The place of its lock lane.
    pub lock: usize,
    pub kind: PartedKind,
    pub from: At,
    /// Until when; absent: until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
}

/// In which way the two part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PartedKind {
    /// The pod believes that it has the lock, and has not.
    Told,
    /// The pod has the lock, and was not told.
    Held,
}

/// All such spans. Between the server's doing and the answer there is always a moment: a span counts if a step was
/// let go in it.
pub(super) fn parted(
    timeline: &Timeline<'_>,
    lanes: usize,
    held: &[HeldData],
    told: &[ToldData],
) -> Vec<PartedData> {
    let mut released: Vec<u64> = timeline
        .steps
        .values()
        .filter_map(|step| step.released)
        .map(|at| at.seq)
        .collect();
    released.sort_unstable();
    let ended: Vec<At> = timeline
        .lines
        .last()
        .map(|line| Moment::of(line).into())
        .into_iter()
        .collect();
    let matters = |from: At, to: At| {
        let next = released.partition_point(|seq| *seq <= from.0);
        released.get(next).is_some_and(|seq| *seq < to.0)
    };
    let mut all = Vec::new();
    for lock in 0..lanes {
        let of_server: Vec<(At, Option<At>)> = held
            .iter()
            .filter(|one| one.lock == lock)
            .map(|one| (one.from, one.to))
            .collect();
        let of_pod: Vec<(At, Option<At>)> = told
            .iter()
            .filter(|one| one.lock == lock)
            .map(|one| (one.from, one.to))
            .collect();
        for (kind, these, those) in [
            (PartedKind::Told, &of_pod, &of_server),
            (PartedKind::Held, &of_server, &of_pod),
        ] {
            for (from, to) in without(these, those) {
                let end = to.or(ended.first().copied()).unwrap_or(from);
                if matters(from, end) {
                    all.push(PartedData {
                        lock,
                        kind,
                        from,
                        to,
                    });
                }
            }
        }
    }
    all.sort_by_key(|one| one.from.0);
    all
}

/// These spans without those.
fn without(these: &[(At, Option<At>)], those: &[(At, Option<At>)]) -> Vec<(At, Option<At>)> {
    let mut left = Vec::new();
    let later = |one: Option<At>, than: At| one.is_none_or(|one| one.0 > than.0);
    for (from, to) in these {
        let mut from = *from;
        let mut those: Vec<_> = those.iter().filter(|(_, end)| later(*end, from)).collect();
        those.sort_by_key(|(start, _)| start.0);
        let mut over = false;
        for (start, end) in those {
            if !later(*to, *start) {
                break;
            }
            if start.0 > from.0 {
                left.push((from, Some(*start)));
            }
            match end {
                Some(end) if end.0 > from.0 => from = *end,
                Some(_) => {}
                None => {
                    over = true;
                    break;
                }
            }
        }
        if !over && later(*to, from) {
            left.push((from, *to));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> (At, Option<At>) {
        (At(from, from), (to > 0).then_some(At(to, to)))
    }

    #[test]
    fn what_is_left_of_spans_is_what_no_other_covers() {
        assert_eq!(
            without(
                &[span(1, 10), span(20, 0)],
                &[span(3, 5), span(8, 12), span(30, 40)]
            ),
            [span(1, 3), span(5, 8), span(20, 30), span(40, 0)]
        );
        assert_eq!(without(&[span(1, 10)], &[span(1, 0)]), []);
        assert_eq!(without(&[span(1, 0)], &[]), [span(1, 0)]);
    }
}
