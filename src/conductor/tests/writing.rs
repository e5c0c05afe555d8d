//! The order in which things are written down.

use super::*;
use crate::conductor::Orders;
use crate::conductor::simulated::Op::{Add, Check, Lock, Read, Unlock};

/// All lines, a word for each.
fn all(programs: &[Vec<Act>], moves: &[Move], orders: Orders) -> Vec<String> {
    let schedule = Schedule::Controlled(moves.to_vec());
    let lines = run_with(Model::new(programs), &schedule, orders).lines;
    let mut steps = BTreeMap::new();
    let word = |line: &Line| match (&line.event, word(&line.event, &mut steps)) {
        (_, Some(word)) => Some(word),
        (Event::StepHeld { connection, .. }, _) => Some(format!("{connection} asks")),
        (Event::ConnectionOpened { connection }, _) => Some(format!("{connection} opens")),
        (Event::SessionStarted { connection, .. }, _) => Some(format!("{connection} starts")),
        (Event::ConnectionClosed { connection, .. }, _) => Some(format!("{connection} closes")),
        (Event::SessionGone { connection, .. }, _) => Some(format!("{connection} gone")),
        (Event::PodStarted { pod, .. }, _) => Some(format!("{pod} starts")),
        (Event::Locks { locks, .. }, _) => Some(format!("{} locks", locks.len())),
        _ => None,
    };
    lines.iter().filter_map(word).collect()
}

fn place(words: &[String], word: &str) -> usize {
    let found = words.iter().position(|one| one == word);
    found.unwrap_or_else(|| panic!("no {word} in {words:?}"))
}

/// Checks that these words come in this order.
fn in_order(words: &[String], wanted: &[&str]) {
    let places: Vec<usize> = wanted.iter().map(|word| place(words, word)).collect();
    assert!(places.is_sorted(), "{wanted:?} in {words:?}");
}

#[test]
fn a_run_of_one_step_is_written_so() {
    let words = all(&[p([Add(0)])], &[end("a")], orders());
    assert_eq!(
        words.join(", "),
        "a starts, a.0 opens, a.0 starts, a.0 asks, a>add0, a=add0, a.0 closes, a.exit, a.0 gone, 0 locks, \
         a.end, [reached]"
    );
}

#[test]
fn what_a_pod_asks_after_an_answer_is_written_after_the_answers_ending() {
    let words = all(&[p([Add(0), Add(1)])], &[end("a")], orders());
    let asks: Vec<usize> = (0..words.len())
        .filter(|at| words[*at] == "a.0 asks")
        .collect();
    assert!(place(&words, "a=add0") < asks[1], "{words:?}");
    assert!(asks[1] < place(&words, "a>add1"), "{words:?}");
}

#[test]
fn a_pod_exits_in_the_history_after_its_last_answer() {
    let words = all(&[p([Add(0)])], &[end("a")], orders());
    in_order(
        &words,
        &["a=add0", "a.0 closes", "a.exit", "a.0 gone", "a.end"],
    );
}

#[test]
fn a_pod_that_fails_exits_after_the_answer_that_told_it_so() {
    let words = all(&[p([Check(0, 1)])], &[end("a")], orders());
    in_order(
        &words,
        &["a=check0-1", "a.0 closes", "a.exit", "a.0 gone", "a.end"],
    );
}

#[test]
fn who_was_served_and_left_at_once_is_written_after_the_step_that_freed_it() {
    let programs = [p([Lock(0), Unlock(0), Add(0)]), p([Lock(0)])];
    let words = all(
        &programs,
        &[steps("a", 1), blocked("b"), steps("a", 1)],
        orders(),
    );
    in_order(
        &words,
        &[
            "a>unlock0",
            "a=unlock0",
            "b=lock0",
            "b.0 closes",
            "b.exit",
            "b.0 gone",
        ],
    );
}

#[test]
fn of_two_that_are_served_at_once_the_first_by_name_is_written_first_whoever_was_first() {
    // c waits for one lock, b for the other; a gives both back by its end.
    let programs = [p([Lock(0), Lock(1), Add(0)]), p([Lock(1)]), p([Lock(0)])];
    let moves = [steps("a", 2), blocked("c"), blocked("b"), end("a")];
    let words = all(&programs, &moves, orders());
    in_order(
        &words,
        &[
            "c~lock0", "b~lock1", "a>add0", "a=add0", "b=lock1", "c=lock0",
        ],
    );
}

#[test]
fn a_look_up_is_written_as_asked_released_and_done() {
    let words = all(
        &[p([Read(0).on(0).looked_up(), Add(0).into()])],
        &[end("a")],
        orders(),
    );
    in_order(
        &words,
        &["a.0 asks", "a>read0", "a=read0", "a>add0", "a=add0"],
    );
}

#[test]
fn locks_are_written_after_each_step_whether_they_have_changed_or_not() {
    let words = all(
        &[p([Add(0), Add(1), Lock(0), Add(2)])],
        &[end("a")],
        orders(),
    );
    let locks: Vec<&String> = words
        .iter()
        .filter(|word| word.ends_with("locks"))
        .collect();
    assert_eq!(locks, ["0 locks", "0 locks", "1 locks", "0 locks"]);
}

#[test]
fn sparse_locks_are_read_only_where_they_can_have_changed() {
    let sparse = Orders {
        sparse_locks: true,
        ..orders()
    };
    let words = all(&[p([Add(0), Add(1)])], &[steps("a", 1)], sparse);
    // What the simulated pods say is no SQL, so that each of their steps counts as one that can.
    assert!(words.iter().any(|word| word == "0 locks"), "{words:?}");
}

#[test]
fn behind_an_error_that_no_clean_run_shows_locks_are_read_after_each_step() {
    let sparse = Orders {
        sparse_locks: true,
        ..orders()
    };
    // A preparation changes no lock, so that none is looked for after it.
    let prepares = || {
        p([
            Add(1).on(0).prepared(),
            Add(1).on(0).prepared(),
            Add(1).into(),
        ])
    };
    let looks = |first: crate::conductor::simulated::Op| {
        let words = all(
            &[p([first]), prepares()],
            &[end("a"), end("b")],
            sparse.clone(),
        );
        let begins = words.iter().position(|word| word.starts_with("b>"));
        let of_b = words.iter().skip(begins.unwrap_or(words.len()));
        of_b.filter(|word| word.ends_with("locks")).count()
    };
    let usual = looks(Add(0));
    assert_eq!(looks(Check(0, 1)), usual + 2);
}

#[test]
fn a_probe_stops_at_its_first_error_and_lets_nothing_more_go() {
    let stop = Orders {
        stop_at_error: true,
        ..orders()
    };
    let words = all(
        &[p([Check(0, 1)]), p([Add(0)])],
        &[end("a"), end("b")],
        stop,
    );
    assert_eq!(words.last().map(String::as_str), Some("[limit]"));
    in_order(&words, &["a=check0-1", "stopped", "[limit]"]);
    assert!(
        !words.iter().any(|word| word.starts_with("b>")),
        "{words:?}"
    );
}

#[test]
fn lines_are_numbered_from_one_without_a_gap_and_never_go_back_in_time() {
    let ran = play(
        &[p([Lock(0), Unlock(0)]), p([Lock(0)])],
        &[steps("a", 1), end("b")],
    );
    for (number, line) in (1..).zip(&ran.lines) {
        assert_eq!(line.seq, number);
    }
    assert!(ran.lines.is_sorted_by_key(|line| line.at_us));
}

#[test]
fn steps_are_numbered_in_each_pod_and_look_ups_and_preparations_have_no_number() {
    let program = p([
        Read(0).on(0).looked_up(),
        Add(0).on(0).prepared(),
        Add(0).into(),
        Add(1).into(),
    ]);
    let ran = play(&[program.clone(), program], &[]);
    let numbers: Vec<Option<u32>> = ran
        .lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::StepReleased { number, .. } => Some(*number),
            _ => None,
        })
        .collect();
    let each = [None, None, Some(1), Some(2)];
    assert_eq!(numbers, [each, each].concat());
}
