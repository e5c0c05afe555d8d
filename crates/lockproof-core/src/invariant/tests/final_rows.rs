//! Final rows beside those of serial runs.

use super::*;
use crate::history::{Changed, Made, SerialRun, append};
use crate::invariant::serial_orders;
use crate::name::InvariantName::CleanState;
use crate::state::{Column, LeftOut, Snapshot, Table};

/// Invoices with serial ids, by their texts.
fn invoices(ids: &[&str], texts: &[&str]) -> Snapshot {
    let column = |name: &str, numbered| Column {
        name: name.to_owned(),
        numbered,
        key: numbered,
    };
    let rows = ids.iter().zip(texts);
    let rows: Vec<_> = rows
        .map(|(id, text)| vec![Some((*id).to_owned()), Some((*text).to_owned())])
        .collect();
    let table = Table {
        columns: vec![column("id", true), column("text", false)],
        count: rows.len() as u64,
        rows: Some(rows),
        ..Table::default()
    };
    Snapshot {
        tables: [(INVOICES.to_owned(), table)].into(),
        references: Vec::new(),
    }
}

fn serial(pods: &[&str], made: Made, state: Snapshot) -> SerialRun {
    let pods = pods.iter().map(|one| pod(one)).collect();
    SerialRun { pods, made, state }
}

/// Two pods that both did their work and left these rows; what serial runs left.
fn ended(rows: Snapshot, runs: Vec<SerialRun>) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.run.baseline.as_mut().unwrap().serial = vec![super::rows(1), super::rows(2)];
    overlap(&mut story);
    story.event(Event::FinalRows(rows));
    let mut lines = story.end();
    append(None, &mut lines, Event::SerialRuns { runs }).unwrap();
    lines
}

fn usual() -> Vec<SerialRun> {
    vec![
        serial(&["a"], Made::First, invoices(&["1"], &["x"])),
        serial(&["b"], Made::First, invoices(&["1"], &["x"])),
        serial(&["a", "b"], Made::First, invoices(&["1", "2"], &["x", "y"])),
        serial(
            &["a", "b"],
            Made::Elsewhere,
            invoices(&["1010", "1011"], &["x", "y"]),
        ),
    ]
}

#[test]
fn other_ids_are_no_difference_and_that_they_were_not_compared_is_told() {
    let lines = ended(invoices(&["7", "5"], &["x", "y"]), usual());
    assert_eq!(said(&lines, CleanState).judgement, Judgement::Holds);
    let columns = vec![format!("{INVOICES}.id")];
    let limits = verdict(&lines).not_tested;
    assert!(
        limits.contains(&Limit::IdsRenamed { columns }),
        "{limits:?}"
    );
}

#[test]
fn another_text_is_a_difference_and_its_row_is_told() {
    let lines = ended(invoices(&["1", "2"], &["x", "x"]), usual());
    let said = said(&lines, CleanState);
    assert_eq!(said.judgement, Judgement::Violated);
    let told = serde_json::to_value(&said.findings[0].difference).unwrap();
    // What they have in common is an id, and that may be another.
    assert_eq!(told["first"][0]["expected"][1]["value"], "y", "{told}");
    assert_eq!(told["first"][1]["found"][1]["value"], "x", "{told}");
}

#[test]
fn the_rows_of_fewer_pods_do_when_a_pod_did_not_do_its_work_for_sure() {
    let one = || invoices(&["1"], &["x"]);
    let lines = ended(one(), usual());
    assert_eq!(said(&lines, CleanState).judgement, Judgement::Violated);

    let mut story = Story::of(&["a", "b"]);
    story.run.baseline.as_mut().unwrap().serial = vec![super::rows(1), super::rows(2)];
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .killed("a", 2)
        .start("b", 2)
        .lock("b.0")
        .write("b.1", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .leaves("b.1")
        .succeeds("b");
    story.event(Event::FinalRows(one()));
    let mut lines = story.end();
    append(None, &mut lines, Event::SerialRuns { runs: usual() }).unwrap();
    assert_eq!(said(&lines, CleanState).judgement, Judgement::Holds);
}

/// A function, or a `WITH` query, writes and may answer with no row: its tag is `SELECT 0` then.
#[test]
fn a_pod_whose_work_answers_with_no_row_did_it_if_the_server_counted_rows() {
    let answered = |tag: &str, rows: Option<u64>| {
        let mut lines = ended(invoices(&["1"], &["x"]), usual());
        for line in &mut lines {
            match &mut line.event {
                Event::StepEnded { answer, .. } => answer.tags = vec![tag.to_owned()],
                Event::Write(write) => {
                    let changed = |rows| Changed {
                        table: write.table.clone(),
                        rows,
                        above: Vec::new(),
                    };
                    write.extent.changed = rows.map(|rows| vec![changed(rows)]);
                }
                _ => {}
            }
        }
        said(&lines, CleanState).judgement
    };
    assert_eq!(answered("SELECT 0", Some(1)), Judgement::Violated);
    assert_eq!(answered("SELECT 0", None), Judgement::Violated);
    // Nobody counted, and the tag says that there was nothing to do.
    assert_eq!(answered("UPDATE 0", None), Judgement::Holds);
}

#[test]
fn another_order_of_pods_refutes_and_what_differs_between_orders_is_not_left_out() {
    let found = || invoices(&["1", "2"], &["y", "z"]);
    assert_eq!(
        said(&ended(found(), usual()), CleanState).judgement,
        Judgement::Violated
    );
    let mut runs = usual();
    runs.push(serial(&["b", "a"], Made::Anew, found()));
    let lines = ended(found(), runs.clone());
    let holds = said(&lines, CleanState);
    assert_eq!(holds.judgement, Judgement::Holds, "{holds:?}");
    assert!(holds.why.contains("b, then a"), "{}", holds.why);
    let mixed = ended(invoices(&["1", "2"], &["x", "z"]), runs);
    assert_eq!(said(&mixed, CleanState).judgement, Judgement::Violated);
}

#[test]
fn where_every_column_is_left_open_nothing_is_judged() {
    let one = |text: &str| {
        let mut state = invoices(&["1"], &[text]);
        state.tables.get_mut(INVOICES).unwrap().columns[0].numbered = false;
        state.tables.get_mut(INVOICES).unwrap().rows =
            Some(vec![vec![Some(text.to_owned()), Some(text.to_owned())]]);
        state
    };
    let runs = vec![
        serial(&["a", "b"], Made::First, one("x")),
        serial(&["a", "b"], Made::Elsewhere, one("y")),
    ];
    let mut lines = ended(one("z"), runs);
    lines = change(lines, 0, |event| match event {
        Event::Run(run) => {
            run.baseline.as_mut().unwrap().written = vec![INVOICES.to_owned()];
            true
        }
        _ => false,
    });
    let said = said(&lines, CleanState);
    assert_eq!(said.judgement, Judgement::NotJudged, "{said:?}");
}

#[test]
fn what_digests_leave_out_is_told_with_every_verdict() {
    let mut story = Story::of(&["a", "b"]);
    let baseline = story.run.baseline.as_mut().unwrap();
    let mut left = LeftOut::default();
    left.find(
        &[&invoices(&["1"], &["x"]), &invoices(&["1"], &["y"])],
        crate::state::Reason::Doer,
    );
    baseline.left_out = left;
    overlap(&mut story);
    let limits = verdict(&story.end()).not_tested;
    let columns = vec![format!("{INVOICES}.text")];
    let reason = crate::state::Reason::Doer;
    let told = Limit::ColumnsNotCompared { columns, reason };
    assert!(limits.contains(&told), "{limits:?}");
}

#[test]
fn every_order_of_two_pods_is_tried() {
    let lines = ended(invoices(&[], &[]), usual());
    let orders = serial_orders(&lines).unwrap();
    assert_eq!(orders, [[pod("a"), pod("b")], [pod("b"), pod("a")]]);
}
