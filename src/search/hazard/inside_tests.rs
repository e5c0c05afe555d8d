//! Where steps are stopped in their middle, by hand-written histories.

use super::tests::{pods, rules};
use super::*;
use crate::history::{Answer, Ending, Line, Operation};
use crate::search::tale::{Tale, catalog};

fn stops(lines: &[Line]) -> Vec<String> {
    let pairs = inner_pairs(&[lines][..], &catalog(), &rules(), &pods());
    let stops = pairs.into_iter().flat_map(|pair| pair.stops);
    stops.map(|stop| stop.title).collect()
}

#[test]
fn a_function_is_stopped_at_each_table_that_it_writes_and_behind_its_first_rows() {
    let mut tale = Tale::of(&["a"]);
    let wrote = [
        ("public.parent", Operation::Insert),
        ("public.child", Operation::Insert),
    ];
    tale.wrote("a.0", "select refill()", &wrote);
    let of = |table, where_| {
        format!(
            "a stops inside \"select refill\", {where_} it writes to public.{table}, and b goes to its end"
        )
    };
    let first = "behind the first row that";
    let all = [
        of("child", "before"),
        of("parent", "before"),
        of("child", first),
        of("parent", first),
    ];
    assert_eq!(stops(&tale.lines()), all);
}

#[test]
fn what_is_made_only_in_a_run_is_not_stopped_at() {
    let mut tale = Tale::of(&["a"]);
    tale.wrote(
        "a.0",
        "select refill()",
        &[("public.made_later", Operation::Insert)],
    );
    assert!(stops(&tale.lines()).is_empty());
}

#[test]
fn an_update_of_several_rows_is_stopped_behind_its_first_and_one_of_a_single_row_is_not() {
    let many = |rows: u64| {
        let mut tale = Tale::of(&["a"]);
        let step = tale.released("a.0", Tale::request("update child set note = 1"));
        let answer = Answer {
            tags: vec![format!("UPDATE {rows}")],
            ..Answer::default()
        };
        tale.ended(step, Ending::Done, answer);
        stops(&tale.lines())
    };
    assert!(many(1).is_empty());
    assert_eq!(
        many(2),
        [
            "a stops inside \"update child\", behind the first row that it writes to public.child, and b goes to \
             its end"
        ]
    );
}
