//! A claim, a key that only one can insert: each invariant on a good history and on a bad one that differs in one event.

use super::lease_tale::*;
use super::*;
use crate::history::*;
use crate::ledger::likely_claims;
use crate::name::InvariantName::*;
use crate::timeline::Timeline;

/// Claims by a key of two columns.
pub(super) fn claims() -> LockRow {
    let columns = ["job", "day"].map(str::to_owned);
    LockRow::of_claims(rule().table, columns.into())
}

fn tale() -> Tale {
    let mut tale = Tale::of(claims());
    tale.row("'report', '1'");
    tale
}

#[test]
fn whoever_did_not_get_the_claim_and_works_violates_work_under_lock() {
    let late = |works: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1).is_late("b.0").works("a.0");
        if works {
            tale.works("b.0");
        }
        tale.over()
    };
    assert_violated(&late(false), &[]);
    let bad = late(true);
    assert_violated(&bad, &[WorkUnderLock]);
    let said = said(&bad, WorkUnderLock);
    for words in [
        "had never got a claim in lease",
        "told it that the key is taken",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
}

#[test]
fn a_claim_counts_from_its_commit_or_in_its_own_transaction_whichever_comes_first_there() {
    // How the claim stands to the work: on one connection or another, before it or behind.
    let told = |claim: &str, first: bool, commits: bool| {
        let mut tale = tale();
        tale.begins("a.0");
        if first {
            tale.takes(claim, 1);
            if commits {
                tale.commits("a.0");
            }
        }
        tale.works("a.0");
        if !first {
            tale.takes(claim, 1);
        }
        if !(first && commits) {
            tale.commits("a.0");
        }
        tale.over()
    };
    for (claim, first, commits) in [
        ("a.0", true, false),
        ("a.0", false, false),
        ("a.0", true, true),
        // The work waits for its commit until the claim is there.
        ("a.1", false, false),
        ("a.1", true, false),
    ] {
        assert_violated(&told(claim, first, commits), &[]);
    }
}

#[test]
fn a_claim_that_is_committed_after_the_work_on_another_connection_violates_work_under_lock() {
    let told = |on: &str| {
        let mut tale = tale();
        tale.begins("a.0").takes("a.0", 1).works(on).commits("a.0");
        tale.over()
    };
    assert_violated(&told("a.0"), &[]);
    let bad = told("a.1");
    assert_violated(&bad, &[WorkUnderLock]);
    let said = said(&bad, WorkUnderLock);
    assert!(
        said.why
            .contains("was committed before the claim was (pod a took it"),
        "{}",
        said.why
    );
}

#[test]
fn a_claim_that_was_rolled_back_covers_nothing() {
    let mut tale = tale();
    tale.takes("a.0", 1).works("a.1");
    let good = tale.over();
    assert_violated(&good, &[]);
    let bad = change(good, 0, |event| match event {
        Event::LockRow(change) => {
            change.fate = Some(Fate::RolledBack);
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[WorkUnderLock]);
    let said = said(&bad, WorkUnderLock);
    assert!(said.why.contains("was rolled back"), "{}", said.why);
}

#[test]
fn a_key_that_two_have_claimed_violates_mutual_exclusion() {
    let told = |key: &str| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.0").row(key).row = None;
        tale.takes("b.0", 1).works("b.0").over()
    };
    assert_violated(&told("'report', '2'"), &[]);
    let bad = told("'report', '1'");
    assert_violated(&bad, &[MutualExclusion]);
    let said = said(&bad, MutualExclusion);
    for words in [
        "two pods have the claim (job, day) = ('report', '1') in lease",
        "a unique index on exactly (job, day)",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
}

#[test]
fn a_second_claim_is_one_too_many_when_the_first_has_done_its_work_and_not_when_it_died() {
    let told = |dies: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1);
        match dies {
            true => {
                tale.story.killed("a", 2);
            }
            false => {
                tale.works("a.0").ends("a");
            }
        }
        tale.row = None;
        tale.takes("b.0", 1).works("b.0").ends("b").story.end()
    };
    assert_violated(&told(true), &[]);
    assert_violated(&told(false), &[MutualExclusion]);
}

#[test]
fn a_claim_that_another_deletes_while_its_pod_lives_violates_same_owner() {
    let told = |by: &str, ended: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.0");
        if ended {
            tale.ends("a");
        }
        tale.sets(by, None);
        if !ended {
            tale.ends("a");
        }
        tale.ends("b").story.end()
    };
    assert_violated(&told("a.0", false), &[]);
    // What is cleared away when its pod is gone was not in hand.
    assert_violated(&told("b.0", true), &[]);
    let bad = told("b.0", false);
    assert_violated(&bad, &[SameSession]);
    let said = said(&bad, SameSession);
    assert!(said.why.contains("pod b deleted it"), "{}", said.why);
}

#[test]
fn a_note_in_the_claim_of_another_gives_it_to_nobody_else() {
    let told = |ended: bool, works: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.1");
        if ended {
            tale.ends("a");
        }
        tale.takes("b.0", 1);
        if works {
            tale.works("b.0");
        }
        if !ended {
            tale.ends("a");
        }
        tale.ends("b").story.end()
    };
    for ended in [false, true] {
        assert_violated(&told(ended, false), &[]);
        assert_violated(&told(ended, true), &[WorkUnderLock]);
    }
}

#[test]
fn the_claim_of_a_dead_pod_can_be_taken_over() {
    let mut tale = tale();
    tale.takes("a.0", 1);
    tale.story.killed("a", 2);
    tale.takes("b.0", 1).works("b.1");
    assert_violated(&tale.ends("b").story.end(), &[]);
}

#[test]
fn a_claim_that_was_given_back_covers_nothing_after_that() {
    let told = |again: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.1").sets("a.0", None);
        if again {
            tale.takes("a.0", 1);
        }
        tale.works("a.1").over()
    };
    assert_violated(&told(true), &[]);
    assert_violated(&told(false), &[WorkUnderLock]);
}

/// a claims and dies; c comes after that, and is late; what is left at the end.
fn dies(looks: bool, left: u64) -> Vec<Line> {
    let mut tale = Tale::with(claims(), &["a", "b", "c"]);
    tale.row("'report', '1'").takes("a.0", 1);
    tale.ends("b").story.killed("a", 2).start("c", 2);
    match looks {
        true => tale.is_late("c.0"),
        false => tale.row("'report', '2'").takes("c.0", 1).works("c.0"),
    };
    let lines = tale.ends("c").story.end();
    change(lines, 0, |event| match event {
        Event::FinalState(state) => {
            *state = rows(left);
            true
        }
        _ => false,
    })
}

#[test]
fn work_that_is_lost_with_the_pod_that_claimed_it_violates_exactly_once() {
    let whole = verdict(&dies(true, 24));
    assert_eq!(whole.violated().count(), 0, "{}", words(&whole));
    let bad = dies(true, 23);
    assert_violated(&bad, &[ExactlyOnce, CleanState]);
    let said = said(&bad, ExactlyOnce);
    for words in [
        "the work of the claim (job, day) = ('report', '1') in lease was lost: pod a took it",
        "pod c came after that, was told that the key is taken",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
    // Rows that differ where nobody was late have another cause.
    let other = verdict(&dies(false, 23));
    let violated: Vec<_> = other.violated().collect();
    assert_eq!(violated, [CleanState], "{}", words(&other));
}

#[test]
fn a_claim_that_stays_is_no_leak() {
    let mut tale = tale();
    tale.takes("a.0", 1).works("a.0");
    let lines = tale.over();
    assert_eq!(said(&lines, NoLeak).judgement, Judgement::Holds);
}

#[test]
fn a_unique_violation_of_the_claims_is_their_answer_and_one_of_other_rows_is_none() {
    let told = |table: &str| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.0");
        let error = ServerError {
            severity: "ERROR".to_owned(),
            sqlstate: "23505".to_owned(),
            message: "duplicate key value violates unique constraint".to_owned(),
            table: Some(table.to_owned()),
            constraint: None,
        };
        // The statement writes both, so that its text tells nothing.
        let request = Request {
            sql: vec!["insert into lease …; insert into invoices …".to_owned()],
            writes: vec!["lease".to_owned(), INVOICES.to_owned()],
            ..Request::default()
        };
        let step = tale.story.held("b.0", request);
        let answer = Answer {
            error: Some(error),
            transaction: Some('I'),
            ..Answer::default()
        };
        tale.story
            .release("b.0", step)
            .ended(step, Ending::Done, answer);
        tale.over()
    };
    assert_violated(&told("public.lease"), &[]);
    let bad = verdict(&told(INVOICES));
    assert!(
        bad.violated().any(|name| name == NoErrors),
        "{}",
        words(&bad)
    );
}

#[test]
fn a_change_that_nobody_logged_leaves_all_unclear() {
    let told = |by_hand: bool| {
        let mut tale = tale();
        tale.takes("a.0", 1).works("a.1");
        if let Some(row) = tale.row.as_mut().filter(|_| by_hand) {
            row.made_by += 1_000;
        }
        tale.takes("a.0", 1).over()
    };
    assert_violated(&told(false), &[]);
    let lines = told(true);
    for name in [SameSession, WorkUnderLock, MutualExclusion, ExactlyOnce] {
        let said = said(&lines, name);
        assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
        assert!(
            said.why.contains("no line tells that change"),
            "{}",
            said.why
        );
    }
}

/// A run in which pods insert into lease and invoices: whose statement it is, its text, how many rows it made.
fn inserts(statements: &[(&str, &str, u64)]) -> Vec<Line> {
    let mut tale = Tale::of(claims());
    for (connection, sql, rows) in statements {
        let table = match sql.contains("lease") {
            true => "public.lease",
            false => INVOICES,
        };
        let request = Request {
            sql: vec![(*sql).to_owned()],
            normal: vec![(*sql).to_owned()],
            writes: vec![table.to_owned()],
            ..Request::default()
        };
        let step = tale.story.held(connection, request);
        tale.story.release(connection, step);
        if *rows > 0 {
            let operation = Operation::Insert;
            tale.story.witness(connection, table, Some(step), operation);
        }
        let answer = Answer {
            tags: vec![format!("INSERT 0 {rows}")],
            transaction: Some('I'),
            ..Answer::default()
        };
        tale.story.ended(step, Ending::Done, answer);
    }
    tale.over()
}

#[test]
fn a_row_that_is_inserted_once_before_the_work_elsewhere_looks_like_a_claim() {
    const PLAIN: &str = "insert into lease (job, day) values (?, ?)";
    const TOLERATES: &str = "insert into lease (job, day) values (?, ?) on conflict do nothing";
    const WORK: &str = "insert into invoices (id) values (?)";
    let key = |name: &str, columns: &[&str]| UniqueKey {
        name: name.to_owned(),
        table: "public.lease".to_owned(),
        columns: columns.iter().map(|one| (*one).to_owned()).collect(),
    };
    let catalog = Catalog {
        // The serial id is none of what the statement names.
        keys: vec![
            key("lease_pkey", &["id"]),
            key("lease_key", &["job", "day"]),
        ],
        ..Catalog::default()
    };
    let suggested = |clean: &[(&str, &str, u64)], later: &[(&str, &str, u64)]| {
        let qualified = |name: &str| format!("public.{name}");
        let (clean, later) = (inserts(clean), inserts(later));
        let mut all = likely_claims(&Timeline::of(&clean), qualified);
        all.iter_mut()
            .for_each(|one| one.take(&Timeline::of(&later)));
        let rule = all.iter().find_map(|one| one.rule(&catalog));
        rule.map(|rule| (rule.table, rule.claim.unwrap().columns))
    };
    let wanted = (
        "public.lease".to_owned(),
        vec!["job".to_owned(), "day".to_owned()],
    );
    let alone = [("a.0", TOLERATES, 1), ("a.0", WORK, 1)];
    assert_eq!(suggested(&alone, &[]), Some(wanted.clone()));
    // The text does not tell it, a later pod that leaves the work does.
    let plain = [("a.0", PLAIN, 1), ("a.0", WORK, 1)];
    assert_eq!(suggested(&plain, &[]), None);
    let last = [("a.0", WORK, 1), ("a.0", TOLERATES, 1)];
    let late = [last[0], last[1], ("b.0", TOLERATES, 0)];
    assert_eq!(suggested(&last, &[]), None);
    assert_eq!(suggested(&last, &late), Some(wanted));
    let works = [last[0], last[1], ("b.0", TOLERATES, 0), ("b.0", WORK, 1)];
    assert_eq!(suggested(&last, &works), None);
    // Rows of a table that is filled are none, and neither is one where nothing else is done.
    let filled = [
        ("a.0", TOLERATES, 1),
        ("a.0", TOLERATES, 1),
        ("a.0", WORK, 1),
    ];
    assert_eq!(suggested(&filled, &[]), None);
    assert_eq!(
        suggested(&[("a.0", TOLERATES, 2), ("a.0", WORK, 1)], &[]),
        None
    );
    assert_eq!(suggested(&[("a.0", TOLERATES, 1)], &[]), None);
}
