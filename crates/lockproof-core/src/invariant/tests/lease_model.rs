//! Lock rows against a second model: what two pods do one after the other, judged by a few flags.

use proptest::prelude::*;

use super::lease_tale::*;
use super::*;
use crate::name::InvariantName::*;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A pod takes the row, whoever has it.
    Take(usize),
    /// A pod gives it back, whoever has it.
    GiveBack(usize),
    /// A pod writes a protected table.
    Work(usize),
    /// A pod's renewal touches no row.
    Nothing(usize),
    /// Time passes.
    Expire,
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        3 => (0..2_usize).prop_map(Next::Take),
        3 => (0..2_usize).prop_map(Next::GiveBack),
        3 => (0..2_usize).prop_map(Next::Work),
        1 => (0..2_usize).prop_map(Next::Nothing),
        2 => Just(Next::Expire),
    ]
}

/// What is known of a pod.
#[derive(Debug, Clone, Copy, Default)]
struct Pod {
    /// It has got the lock, and has not given it back since.
    granted: bool,
    ever: bool,
    /// It was told that it has it no longer.
    told: bool,
}

/// The invariants that this violates, no-leak aside.
fn slowly(all: &[Next]) -> Vec<InvariantName> {
    let (mut holder, mut keeps_out, mut last) = (None::<usize>, false, None::<usize>);
    let mut pods = [Pod::default(); 2];
    let (mut owner, mut work, mut exclusion) = (false, false, false);
    for one in all {
        match *one {
            Next::Take(pod) => {
                exclusion |= holder.is_some_and(|other| other != pod) && keeps_out;
                // One that has it renews it. When its time has passed it gets it anew.
                if holder != Some(pod) || !keeps_out {
                    pods[pod].told = false;
                    last = Some(pod);
                }
                (holder, keeps_out) = (Some(pod), true);
                (pods[pod].granted, pods[pod].ever) = (true, true);
            }
            Next::GiveBack(pod) => match holder {
                Some(own) if own == pod => (holder, pods[pod].granted) = (None, false),
                Some(_) => {
                    owner |= keeps_out;
                    holder = None;
                }
                None => {}
            },
            Next::Expire => keeps_out = false,
            Next::Nothing(pod) => {
                let has = holder == Some(pod) && keeps_out;
                pods[pod].told |= pods[pod].ever && !has;
            }
            Next::Work(pod) => {
                work |= !pods[pod].granted || last != Some(pod);
                owner |= pods[pod].told;
            }
        }
    }
    let found = [
        (SameSession, owner),
        (WorkUnderLock, work),
        (MutualExclusion, exclusion),
    ];
    let violated = found.into_iter().filter(|(_, is)| *is);
    violated.map(|(name, _)| name).collect()
}

fn told(all: &[Next]) -> Vec<Line> {
    let mut tale = Tale::of(rule());
    for one in all {
        let on = |pod: usize, connection| format!("{}.{connection}", ["a", "b"][pod]);
        match *one {
            Next::Take(pod) => tale.takes(&on(pod, 0), 1),
            Next::GiveBack(pod) if tale.row.is_some() => tale.gives_back(&on(pod, 0)),
            Next::Work(pod) => tale.works(&on(pod, 1)),
            Next::Nothing(pod) => tale.touches_nothing(&on(pod, 0)),
            Next::Expire if tale.row.is_some() => tale.expires(),
            Next::GiveBack(_) | Next::Expire => &mut tale,
        };
    }
    tale.over()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_book_and_the_flags_agree(all in proptest::collection::vec(next(), 1..14)) {
        let verdict = verdict(&told(&all));
        let violated: Vec<_> = verdict.violated().filter(|name| *name != NoLeak).collect();
        prop_assert_eq!(violated, slowly(&all), "{}", words(&verdict));
    }
}
