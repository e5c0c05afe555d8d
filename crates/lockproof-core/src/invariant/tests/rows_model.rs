//! Row locks against a second model: what two pods do, each on two connections, judged by a few flags.

use proptest::prelude::*;

use super::rows_tale::*;
use super::*;
use crate::name::InvariantName::*;

/// The connections of the story.
const ALL: [&str; 4] = ["a.0", "a.1", "b.0", "b.1"];

/// What happens next, on a connection.
#[derive(Debug, Clone, Copy)]
enum Next {
    Begin(usize),
    Commit(usize),
    /// Locks a row; `true`: so that nobody else could.
    Lock(usize, u8, bool),
    /// Goes back to before its locks.
    Back(usize),
    Work(usize),
}

fn next() -> impl Strategy<Value = Next> {
    let who = || 0..ALL.len();
    prop_oneof![
        3 => who().prop_map(Next::Begin),
        2 => who().prop_map(Next::Commit),
        4 => (who(), 1..3_u8, proptest::bool::weighted(0.8)).prop_map(|(who, row, alone)| Next::Lock(who, row, alone)),
        1 => who().prop_map(Next::Back),
        3 => who().prop_map(Next::Work),
    ]
}

/// What a connection has: whether a transaction is open, and the rows that it has locked.
#[derive(Debug, Clone, Default)]
struct Connection {
    open: bool,
    alone: Vec<u8>,
}

/// The invariants that this violates.
fn slowly(all: &[Next]) -> Vec<InvariantName> {
    let mut now = vec![Connection::default(); ALL.len()];
    let (mut session, mut work, mut exclusion) = (false, false, false);
    for one in all {
        match *one {
            Next::Begin(who) => now[who].open = true,
            Next::Commit(who) => now[who] = Connection::default(),
            Next::Back(who) => now[who].alone.clear(),
            Next::Lock(who, row, true) if now[who].open => {
                let other = |place: usize| place / 2 != who / 2;
                let mut others = (0..ALL.len()).filter(|place| other(*place));
                exclusion |= others.any(|place| now[place].alone.contains(&row));
                now[who].alone.push(row);
            }
            Next::Lock(..) => {}
            Next::Work(who) => {
                let own = !now[who].alone.is_empty();
                work |= !own;
                // The other connection of the same pod.
                session |= !own && !now[who ^ 1].alone.is_empty();
            }
        }
    }
    let found = [
        (SameSession, session),
        (WorkUnderLock, work),
        (MutualExclusion, exclusion),
    ];
    let violated = found.into_iter().filter(|(_, is)| *is);
    violated.map(|(name, _)| name).collect()
}

/// The same as a history. What would make a text ambiguous is left out: a row that a transaction locks in both ways.
fn told(all: &[Next]) -> Vec<Line> {
    let mut tale = Tale::new();
    for one in all {
        match *one {
            Next::Begin(who) => tale.begins(ALL[who]),
            Next::Commit(who) => tale.commits(ALL[who]),
            Next::Lock(who, row, true) => tale.locks(ALL[who], &row.to_string(), "for update"),
            Next::Lock(who, row, false) => {
                tale.locks(ALL[who], &format!("shared {row}"), "for share")
            }
            Next::Back(who) => tale.says(ALL[who], "rollback to savepoint s", true),
            Next::Work(who) => tale.works(ALL[who]),
        };
    }
    tale.over()
}

/// Whether each connection begins, commits and goes back only where it can, and takes only one way to lock.
fn makes_sense(all: &[Next]) -> bool {
    let (mut open, mut way) = ([false; 4], [None::<bool>; 4]);
    all.iter().all(|one| match *one {
        Next::Begin(who) => !std::mem::replace(&mut open[who], true),
        Next::Commit(who) => {
            way[who] = None;
            std::mem::replace(&mut open[who], false)
        }
        Next::Back(who) => open[who],
        Next::Lock(who, _, alone) => open[who] && *way[who].get_or_insert(alone) == alone,
        Next::Work(_) => true,
    })
}

/// What can be done of this.
fn sensible(all: Vec<Next>) -> Vec<Next> {
    let mut kept: Vec<Next> = Vec::new();
    for one in all {
        kept.push(one);
        if !makes_sense(&kept) {
            kept.pop();
        }
    }
    kept
}

proptest! {
    #![proptest_config(draws(400))]
    #[test]
    fn the_book_of_rows_and_the_flags_agree(all in proptest::collection::vec(next(), 1..24)) {
        let all = sensible(all);
        let verdict = verdict(&told(&all));
        let lock = |name: &InvariantName| matches!(name, SameSession | WorkUnderLock | MutualExclusion);
        let violated: Vec<_> = verdict.violated().filter(lock).collect();
        prop_assert_eq!(violated, slowly(&all), "{:?}\n{}", all, words(&verdict));
    }
}
