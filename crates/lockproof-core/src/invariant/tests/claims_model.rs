//! Claims against a second model: what two pods do with two keys one after the other, each write looked at with all
//! claims that there ever were.

use proptest::prelude::*;

use super::claims::claims;
use super::lease_tale::*;
use super::*;
use crate::name::InvariantName::*;

/// What happens next: who, and to which key.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A pod inserts the key; where it is there, it is told so.
    Claim(usize, usize),
    /// A pod inserts it though another's is there: nothing keeps it unique.
    Second(usize, usize),
    /// A pod deletes the key, its own row of two.
    Delete(usize, usize),
    /// A pod notes something in the row.
    Touch(usize, usize),
    /// A pod writes a protected table: on the connection of its claims, or on another.
    Work(usize, bool),
    /// A pod begins a transaction on the connection of its claims, or commits it.
    Begin(usize),
    Commit,
}

fn next() -> impl Strategy<Value = Next> {
    let both = || (0..2_usize, 0..2_usize);
    prop_oneof![
        4 => both().prop_map(|(pod, key)| Next::Claim(pod, key)),
        1 => both().prop_map(|(pod, key)| Next::Second(pod, key)),
        2 => both().prop_map(|(pod, key)| Next::Delete(pod, key)),
        1 => both().prop_map(|(pod, key)| Next::Touch(pod, key)),
        4 => (0..2_usize, any::<bool>()).prop_map(|(pod, own)| Next::Work(pod, own)),
        2 => (0..2_usize).prop_map(Next::Begin),
        2 => Just(Next::Commit),
    ]
}

/// When something was done, and in which transaction; that is committed at `commits[transaction]`.
#[derive(Debug, Clone, Copy)]
struct Done {
    at: usize,
    transaction: usize,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    pod: usize,
    key: usize,
    made: Done,
    /// By whom it was deleted.
    gone: Option<(usize, Done)>,
}

#[derive(Default)]
struct Model {
    claims: Vec<Claim>,
    works: Vec<(usize, Done)>,
    /// When each transaction was committed.
    commits: Vec<usize>,
    open: Option<(usize, usize)>,
    owner: bool,
    exclusion: bool,
}

impl Model {
    fn done(&mut self, pod: usize, claims: bool, at: usize) -> Done {
        match self.open {
            Some((of, transaction)) if of == pod && claims => Done { at, transaction },
            _ => {
                self.commits.push(at);
                Done {
                    at,
                    transaction: self.commits.len() - 1,
                }
            }
        }
    }

    fn there(&self, key: usize) -> Vec<usize> {
        let is =
            |place: &usize| self.claims[*place].key == key && self.claims[*place].gone.is_none();
        (0..self.claims.len()).filter(is).collect()
    }

    /// Whether the claim is its pod's when what was done is committed.
    fn covers(&self, claim: &Claim, work: Done) -> bool {
        let commit = |done: Done| self.commits[done.transaction];
        if claim.made.transaction == work.transaction {
            return true;
        }
        let begun = commit(claim.made) < commit(work);
        let Some((by, gone)) = claim.gone else {
            return begun;
        };
        let end = match by == claim.pod {
            true => Some(gone),
            // Only once another has it.
            false => {
                let mut after = self
                    .claims
                    .iter()
                    .filter(|one| one.key == claim.key && one.made.at > gone.at);
                after
                    .next()
                    .filter(|one| one.pod != claim.pod)
                    .map(|one| one.made)
            }
        };
        begun
            && end
                .is_none_or(|end| commit(end) > commit(work) || end.transaction == work.transaction)
    }

    fn violated(&self) -> Vec<InvariantName> {
        let bare = |(pod, work): &(usize, Done)| {
            let mut own = self.claims.iter().filter(|one| one.pod == *pod);
            !own.any(|claim| self.covers(claim, *work))
        };
        let found = [
            (SameSession, self.owner),
            (WorkUnderLock, self.works.iter().any(bare)),
            (MutualExclusion, self.exclusion),
        ];
        let violated = found.into_iter().filter(|(_, is)| *is);
        violated.map(|(name, _)| name).collect()
    }
}

/// Tells it, and what it violates.
fn told(all: &[Next]) -> (Vec<Line>, Vec<InvariantName>) {
    let mut tale = Tale::of(claims());
    let mut model = Model::default();
    for (at, one) in all.iter().enumerate() {
        let on = |pod: usize, connection| format!("{}.{connection}", ["a", "b"][pod]);
        let key = |key: usize| ["'1'", "'2'"][key];
        // Who has written a row, and not yet committed, keeps others waiting.
        let waits = |pod: usize, model: &Model| model.open.is_some_and(|(of, _)| of != pod);
        match *one {
            Next::Claim(pod, of) | Next::Second(pod, of) => {
                let there = model.there(of);
                let second = matches!(one, Next::Second(..));
                let others = there.iter().all(|claim| model.claims[*claim].pod != pod);
                if waits(pod, &model) || second && (there.len() != 1 || !others) {
                    continue;
                }
                tale.row(key(of));
                if !there.is_empty() && !second {
                    tale.is_late(&on(pod, 0));
                    continue;
                }
                model.exclusion |= second;
                let made = model.done(pod, true, at);
                model.claims.push(Claim {
                    pod,
                    key: of,
                    made,
                    gone: None,
                });
                tale.row = None;
                tale.takes(&on(pod, 0), 1);
            }
            Next::Delete(pod, of) => {
                let there = model.there(of);
                let own = there.iter().find(|claim| model.claims[**claim].pod == pod);
                let Some(claim) = own
                    .or(there.first())
                    .copied()
                    .filter(|_| !waits(pod, &model))
                else {
                    continue;
                };
                model.owner |= model.claims[claim].pod != pod;
                let gone = model.done(pod, true, at);
                model.claims[claim].gone = Some((pod, gone));
                let stays = tale.row(key(of)).row.clone().filter(|_| there.len() > 1);
                tale.sets(&on(pod, 0), None).row = stays;
            }
            Next::Touch(pod, of) => {
                let there = model.there(of);
                if there.len() == 1 && !waits(pod, &model) {
                    model.done(pod, true, at);
                    tale.row(key(of)).takes(&on(pod, 0), 1);
                }
            }
            Next::Work(pod, own) => {
                let work = model.done(pod, own, at);
                model.works.push((pod, work));
                tale.works(&on(pod, usize::from(!own)));
            }
            Next::Begin(pod) if model.open.is_none() => {
                model.commits.push(usize::MAX);
                model.open = Some((pod, model.commits.len() - 1));
                tale.begins(&on(pod, 0));
            }
            Next::Commit => {
                if let Some((pod, transaction)) = model.open.take() {
                    model.commits[transaction] = at;
                    tale.commits(&on(pod, 0));
                }
            }
            Next::Begin(_) => {}
        }
    }
    if let Some((pod, transaction)) = model.open.take() {
        model.commits[transaction] = all.len();
        tale.commits(&format!("{}.0", ["a", "b"][pod]));
    }
    (tale.over(), model.violated())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_books_and_a_look_at_all_claims_agree(all in proptest::collection::vec(next(), 1..20)) {
        let (lines, expected) = told(&all);
        let verdict = verdict(&lines);
        let violated: Vec<_> = verdict.violated().collect();
        prop_assert_eq!(violated, expected, "{}", words(&verdict));
    }
}
