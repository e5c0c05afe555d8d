//! Queues against a second model: what two pods do with two rows one after the other, judged by a few flags.

use proptest::prelude::*;

use super::lease_tale::*;
use super::queue::jobs;
use super::*;
use crate::name::InvariantName::*;

/// What happens next: who, and to which row.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A pod claims the row, whoever has it, done or not.
    Claim(usize, usize),
    /// A pod ends the row, whoever has it.
    End(usize, usize),
    /// A pod makes it free.
    Free(usize, usize),
    /// A pod writes a protected table.
    Work(usize),
    /// Time passes.
    Expire(usize),
}

fn next() -> impl Strategy<Value = Next> {
    let both = || (0..2_usize, 0..2_usize);
    prop_oneof![
        4 => both().prop_map(|(pod, row)| Next::Claim(pod, row)),
        3 => both().prop_map(|(pod, row)| Next::End(pod, row)),
        1 => both().prop_map(|(pod, row)| Next::Free(pod, row)),
        3 => (0..2_usize).prop_map(Next::Work),
        1 => (0..2_usize).prop_map(Next::Expire),
    ]
}

/// How a pod stands to a row that it claimed once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Claim {
    Has,
    Left,
    /// Another made it free, or ended it.
    Away,
    /// And claimed it, or has after that.
    Over,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    holder: Option<usize>,
    keeps_out: bool,
    done: bool,
    /// Whether it was done since it was last free.
    once: bool,
    /// Who has claimed it and not ended it since.
    at_work: [bool; 2],
}

/// The invariants that this violates, no-leak aside.
fn slowly(all: &[Next]) -> Vec<InvariantName> {
    let mut rows = [Row::default(); 2];
    // The claims of each pod, the last one behind all others.
    let mut claims: [Vec<(usize, Claim)>; 2] = Default::default();
    let (mut owner, mut work, mut exclusion, mut once) = (false, false, false, false);
    for one in all {
        match *one {
            Next::Claim(pod, at) => {
                let (row, other) = (&mut rows[at], 1 - pod);
                if row.holder != Some(pod) {
                    exclusion |= row.holder == Some(other) && row.keeps_out;
                    for (of, claim) in &mut claims[other] {
                        if *of == at && matches!(claim, Claim::Has | Claim::Away) {
                            *claim = Claim::Over;
                        }
                    }
                    // What was taken from it and is its own again was not another's.
                    for (of, claim) in &mut claims[pod] {
                        if *of == at && *claim == Claim::Away {
                            *claim = Claim::Left;
                        }
                    }
                    claims[pod].push((at, Claim::Has));
                    row.at_work[pod] = true;
                }
                (row.holder, row.keeps_out, row.done) = (Some(pod), true, false);
            }
            Next::End(pod, at) | Next::Free(pod, at) => {
                let ends = matches!(one, Next::End(..));
                let (row, other) = (&mut rows[at], 1 - pod);
                let last = claims[pod].iter().rev().find(|(of, _)| *of == at);
                let lost =
                    last.is_some_and(|(_, claim)| matches!(claim, Claim::Over | Claim::Away));
                if row.holder == Some(other) {
                    owner |= row.keeps_out;
                    // Whoever frees a row whose time has passed tidies up.
                    exclusion |= lost && (ends || row.keeps_out);
                }
                for (who, of_pod) in claims.iter_mut().enumerate() {
                    for (of, claim) in of_pod {
                        if *of == at && *claim == Claim::Has && row.holder == Some(who) {
                            *claim = if who == pod { Claim::Left } else { Claim::Away };
                        }
                    }
                }
                if ends && (!row.done || row.at_work[pod]) {
                    once |= row.once;
                    row.once = true;
                    row.at_work[pod] = false;
                }
                if !ends {
                    (row.once, row.at_work) = (false, [false; 2]);
                }
                (row.holder, row.done) = (None, ends);
            }
            Next::Work(pod) => {
                let own = &claims[pod];
                let has = own.iter().any(|(_, claim)| *claim == Claim::Has);
                match own.last() {
                    _ if has => {}
                    None | Some((_, Claim::Left)) => work = true,
                    Some((_, Claim::Over)) => (work, exclusion) = (true, true),
                    Some((_, Claim::Away | Claim::Has)) => {}
                }
            }
            Next::Expire(at) => rows[at].keeps_out = false,
        }
    }
    let found = [
        (SameSession, owner),
        (WorkUnderLock, work),
        (MutualExclusion, exclusion),
        (ExactlyOnce, once),
    ];
    let violated = found.into_iter().filter(|(_, is)| *is);
    violated.map(|(name, _)| name).collect()
}

fn told(all: &[Next]) -> Vec<Line> {
    let mut tale = Tale::of(jobs());
    for one in all {
        let on = |pod: usize, connection| format!("{}.{connection}", ["a", "b"][pod]);
        let row = |row: usize| ["1", "2"][row];
        match *one {
            Next::Claim(pod, at) => tale.row(row(at)).takes(&on(pod, 0), 1),
            Next::End(pod, at) => tale.row(row(at)).leaves_it(&on(pod, 0), true),
            Next::Free(pod, at) => tale.row(row(at)).leaves_it(&on(pod, 0), false),
            Next::Work(pod) => tale.works(&on(pod, 1)),
            Next::Expire(at) if tale.row(row(at)).row.is_some() => tale.expires(),
            Next::Expire(_) => &mut tale,
        };
    }
    tale.over()
}

#[test]
fn freeing_a_row_whose_time_has_passed_again_is_no_work_on_it() {
    let all = [
        Next::Claim(0, 0),
        Next::Expire(0),
        Next::Claim(1, 0),
        Next::Expire(0),
        Next::Free(0, 0),
    ];
    let verdict = verdict(&told(&all));
    let violated: Vec<_> = verdict.violated().filter(|name| *name != NoLeak).collect();
    assert_eq!(violated, slowly(&all), "{}", words(&verdict));
}

proptest! {
    #![proptest_config(draws(300))]
    #[test]
    fn the_books_and_the_flags_agree(all in proptest::collection::vec(next(), 1..16)) {
        let verdict = verdict(&told(&all));
        let violated: Vec<_> = verdict.violated().filter(|name| *name != NoLeak).collect();
        prop_assert_eq!(violated, slowly(&all), "{}", words(&verdict));
    }
}
