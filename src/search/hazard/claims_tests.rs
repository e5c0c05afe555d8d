//! Hazards of a key that only one can insert.

use super::tests::{of, pods, turns};
use super::*;
use crate::history::{LockRow, LockRule};
use crate::search::tale::{Tale, catalog};

/// The hazards of a job that claims in public.parent and works in public.child.
fn hazards(tale: &mut Tale) -> Vec<Hazard> {
    let mut rules = super::tests::rules();
    rules.protect = vec!["public.child".to_owned()];
    let claims = LockRow::of_claims("public.parent".to_owned(), vec!["id".to_owned()]);
    rules.lock = LockRule::Row(Box::new(claims));
    let lines = tale.lines();
    let runs: Vec<&[_]> = vec![&lines];
    mine(runs.as_slice(), &catalog(), &rules, &pods())
}

const CLAIM: &str = "insert into parent (id) values (1) on conflict do nothing";
const WORK: &str = "insert into child (id) values (1)";

#[test]
fn the_winner_dies_between_a_claim_that_is_committed_and_its_work() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", CLAIM);
    tale.step("a.0", WORK);
    let found = hazards(&mut tale);
    let dies = of(&found, HazardKind::DeadOwner);
    assert!(
        dies.title.contains("a dies with the claim in hand"),
        "{}",
        dies.title
    );
    let turns = turns(dies);
    assert!(
        turns.iter().any(|one| one.starts_with("kill a")),
        "{turns:?}"
    );
}

#[test]
fn no_winner_dies_with_a_claim_of_the_works_own_transaction() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin");
    tale.in_transaction("a.0", CLAIM);
    tale.in_transaction("a.0", WORK);
    tale.step("a.0", "commit");
    let found = hazards(&mut tale);
    let kinds: Vec<_> = found.iter().map(|one| one.kind).collect();
    assert!(!kinds.contains(&HazardKind::DeadOwner), "{kinds:?}");
}
