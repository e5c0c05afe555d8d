//! Small states, and what serial runs leave open of them.

use super::*;

fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
    let column = |name: &&str| {
        let numbered = name.ends_with('#');
        let key = name.ends_with('!') || numbered;
        let name = name.trim_end_matches(['#', '!']).to_owned();
        Column {
            name,
            numbered,
            key,
        }
    };
    let cell = |value: &&str| (*value != "null").then(|| (*value).to_owned());
    Table {
        columns: columns.iter().map(column).collect(),
        count: rows.len() as u64,
        rows: Some(
            rows.iter()
                .map(|row| row.iter().map(cell).collect())
                .collect(),
        ),
        ..Table::default()
    }
}

fn state(tables: Vec<(&str, Table)>) -> Snapshot {
    Snapshot {
        tables: tables
            .into_iter()
            .map(|(name, table)| (name.to_owned(), table))
            .collect(),
        references: Vec::new(),
    }
}

fn refers(mut state: Snapshot, child: (&str, &str), parent: (&str, &str)) -> Snapshot {
    state.references.push(Reference {
        child: child.0.to_owned(),
        child_columns: vec![child.1.to_owned()],
        parent: parent.0.to_owned(),
        parent_columns: vec![parent.1.to_owned()],
    });
    state
}

fn volatile(runs: &[&Snapshot]) -> LeftOut {
    let mut left = LeftOut::default();
    left.find(runs, Reason::Volatile);
    left
}

fn equal(serial: &[&Snapshot], found: &Snapshot, left: &LeftOut) -> bool {
    let literal = Comparison::of(serial, found, left, Ids::Literal);
    literal.equal.is_some()
        || Comparison::of(serial, found, left, Ids::Renamed)
            .equal
            .is_some()
}

fn account(balances: &[&str]) -> Snapshot {
    let rows: Vec<Vec<&str>> = balances
        .iter()
        .zip(["1", "2"])
        .map(|(b, id)| vec![id, *b])
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    state(vec![("account", table(&["id!", "balance"], &rows))])
}

#[test]
fn a_lost_update_is_told_with_the_row_and_the_column() {
    let serial = account(&["80", "120"]);
    let left = volatile(&[&serial, &serial]);
    let found = account(&["90", "120"]);
    let told = Comparison::of(&[&serial], &found, &left, Ids::Renamed);
    assert_eq!(told.equal, None);
    let Differs::Rows { first, more, .. } = &told.differences[0].what else {
        panic!("{told:?}");
    };
    assert_eq!((first.len(), *more), (1, 0));
    assert_eq!(first[0].columns, ["balance"]);
    assert!(first[0].expected.is_some() && first[0].found.is_some());
}

#[test]
fn clocks_and_draws_are_left_out_and_the_rest_of_their_rows_is_not() {
    let log = |at: &str, what: &str| state(vec![("log", table(&["at", "what"], &[&[at, what]]))]);
    let left = volatile(&[&log("10:00", "x"), &log("10:01", "x")]);
    assert_eq!(left.reason("log", "at"), Some(Reason::Volatile));
    assert_eq!(left.reason("log", "what"), None);
    assert!(equal(&[&log("10:00", "x")], &log("10:02", "x"), &left));
    assert!(!equal(&[&log("10:00", "x")], &log("10:02", "y"), &left));
}

#[test]
fn what_is_shuffled_is_compared_by_itself_and_keys_keep_their_rows() {
    let deal = |seats: [&str; 3]| {
        let rows = [
            ["1", seats[0], "p"],
            ["2", seats[1], "q"],
            ["3", seats[2], "r"],
        ];
        let rows: Vec<&[&str]> = rows.iter().map(<[&str; 3]>::as_slice).collect();
        state(vec![("ticket", table(&["id!", "seat", "name"], &rows))])
    };
    let left = volatile(&[&deal(["7", "8", "9"]), &deal(["9", "7", "8"])]);
    assert!(left.columns.is_empty());
    assert!(left.is_alone("ticket", "seat") && !left.is_alone("ticket", "name"));
    assert!(equal(
        &[&deal(["7", "8", "9"])],
        &deal(["8", "9", "7"]),
        &left
    ));
    // A seat that is dealt twice is no shuffle.
    assert!(!equal(
        &[&deal(["7", "8", "9"])],
        &deal(["8", "8", "7"]),
        &left
    ));
}

#[test]
fn a_pair_of_columns_that_is_swapped_differs_though_each_column_is_right() {
    let pairs = |one: &str, other: &str| {
        state(vec![(
            "t",
            table(&["k", "v"], &[&["1", one], &["2", other]]),
        )])
    };
    let serial = pairs("x", "y");
    let left = volatile(&[&serial, &serial]);
    assert!(!equal(&[&serial], &pairs("y", "x"), &left));
}

/// A queue: jobs with serial ids, outputs that refer to them.
fn queue(first_id: u32, outputs: &[(u32, &str)]) -> Snapshot {
    let ids: Vec<String> = (0..3).map(|n| (first_id + n).to_string()).collect();
    let jobs: Vec<Vec<&str>> = ids
        .iter()
        .zip(["p", "q", "r"])
        .map(|(id, name)| vec![id.as_str(), name])
        .collect();
    let jobs: Vec<&[&str]> = jobs.iter().map(Vec::as_slice).collect();
    let rows: Vec<[String; 3]> = outputs
        .iter()
        .enumerate()
        .map(|(n, (job, text))| {
            [
                format!("{}", 50 + first_id as usize * 3 + n),
                ids[*job as usize].clone(),
                (*text).to_owned(),
            ]
        })
        .collect();
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let both = state(vec![
        ("job", table(&["id#", "name"], &jobs)),
        ("output", table(&["id#", "job", "text"], &rows)),
    ]);
    refers(both, ("output", "job"), ("job", "id"))
}

#[test]
fn ids_are_compared_up_to_renaming_and_output_on_the_wrong_job_differs() {
    let serial = queue(1, &[(0, "P"), (1, "Q"), (2, "R")]);
    let elsewhere = queue(1010, &[(0, "P"), (1, "Q"), (2, "R")]);
    let left = volatile(&[&serial, &elsewhere]);
    assert!(left.references.is_empty(), "{left:?}");
    assert!(equal(
        &[&serial],
        &queue(7, &[(2, "R"), (0, "P"), (1, "Q")]),
        &left
    ));
    assert!(!equal(
        &[&serial],
        &queue(7, &[(1, "P"), (0, "Q"), (2, "R")]),
        &left
    ));
    assert!(!equal(
        &[&serial],
        &queue(7, &[(0, "P"), (0, "P"), (2, "R")]),
        &left
    ));
    assert!(!equal(
        &[&serial],
        &queue(7, &[(0, "P"), (1, "Q"), (2, "R"), (2, "R")]),
        &left
    ));
    let told = Comparison::of(
        &[&serial],
        &queue(7, &[(1, "P"), (0, "Q"), (2, "R")]),
        &left,
        Ids::Renamed,
    );
    let tables: Vec<&str> = told
        .differences
        .iter()
        .map(|one| one.table.as_str())
        .collect();
    assert!(tables.contains(&"output"), "{told:#?}");
}

#[test]
fn twin_jobs_with_both_outputs_on_one_of_them_differ() {
    let twins = |jobs: [&str; 2]| {
        let both = state(vec![
            (
                "job",
                table(&["id#", "name"], &[&["1", "same"], &["2", "same"]]),
            ),
            (
                "output",
                table(&["id#", "job"], &[&["5", jobs[0]], &["6", jobs[1]]]),
            ),
        ]);
        refers(both, ("output", "job"), ("job", "id"))
    };
    let serial = twins(["1", "2"]);
    let left = LeftOut::default();
    assert!(equal(&[&serial], &twins(["2", "1"]), &left));
    assert!(!equal(&[&serial], &twins(["1", "1"]), &left));
}

#[test]
fn gaps_are_no_difference_and_a_row_too_many_is() {
    let towns = |ids: &[&str]| {
        let rows: Vec<[&str; 2]> = ids.iter().map(|id| [*id, "x"]).collect();
        let rows: Vec<&[&str]> = rows.iter().map(<[&str; 2]>::as_slice).collect();
        state(vec![("town", table(&["id#", "name"], &rows))])
    };
    let left = LeftOut::default();
    assert!(equal(&[&towns(&["1", "2"])], &towns(&["4", "6"]), &left));
    assert!(!equal(
        &[&towns(&["1", "2"])],
        &towns(&["4", "5", "6"]),
        &left
    ));
}

#[test]
fn one_serial_run_is_equalled_as_a_whole_or_none() {
    let two = |one: &str, other: &str| {
        state(vec![
            ("p", table(&["v"], &[&[one]])),
            ("q", table(&["v"], &[&[other]])),
        ])
    };
    let (ab, ba) = (two("a", "a"), two("b", "b"));
    let left = LeftOut::default();
    assert!(equal(&[&ab, &ba], &two("b", "b"), &left));
    assert!(!equal(&[&ab, &ba], &two("a", "b"), &left));
}

#[test]
fn different_work_of_each_pod_alone_leaves_nothing_out() {
    let parts = |rows: &[&[&str]]| state(vec![("part", table(&["n"], rows))]);
    let mut left = LeftOut::default();
    left.find(
        &[&parts(&[&["1"], &["2"]]), &parts(&[&["3"]])],
        Reason::Doer,
    );
    assert_eq!(left, LeftOut::default());
}

#[test]
fn a_table_whose_number_of_rows_serial_runs_leave_open_is_not_compared() {
    let rows = |n: usize| state(vec![("t", table(&["v"], &vec![&["1"][..]; n]))]);
    let left = volatile(&[&rows(1), &rows(2)]);
    assert_eq!(left.tables.get("t"), Some(&Reason::Volatile));
    assert!(equal(&[&rows(1)], &rows(3), &left));
}

#[test]
fn what_the_scenario_ignores_is_known_by_its_name() {
    let one = account(&["1", "2"]);
    let ignoring = |name: &str| LeftOut::ignoring(&[name.to_owned()], &[&one]);
    let column = ignoring("account.balance").unwrap();
    assert_eq!(column.reason("account", "balance"), Some(Reason::Ignored));
    assert!(ignoring("account").unwrap().tables.contains_key("account"));
    assert_eq!(ignoring("acount").unwrap_err(), "acount");
    assert_eq!(ignoring("account.balanc").unwrap_err(), "account.balanc");
}

#[test]
fn of_a_table_that_is_too_large_each_column_is_compared() {
    let large = |digests: [&str; 2]| {
        let mut large = table(&["id!", "v"], &[]);
        large.count = 30_000;
        large.rows = None;
        large.digests = ["id", "v"]
            .into_iter()
            .zip(digests)
            .map(|(c, d)| (c.to_owned(), d.to_owned()))
            .collect();
        state(vec![("t", large)])
    };
    let left = volatile(&[&large(["1", "2"]), &large(["1", "3"])]);
    assert_eq!(left.reason("t", "v"), Some(Reason::Volatile));
    assert!(equal(&[&large(["1", "2"])], &large(["1", "4"]), &left));
    let told = Comparison::of(
        &[&large(["1", "2"])],
        &large(["9", "4"]),
        &left,
        Ids::Renamed,
    );
    let columns = vec!["id".to_owned()];
    assert_eq!(told.differences[0].what, Differs::Columns { columns });
    assert_eq!(told.by_column.len(), 1);
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    /// Jobs by name and outputs by job and text, with ids given in some order from some start.
    fn numbered(jobs: &[u8], outputs: &[(usize, u8)], ids: &[usize], start: usize) -> Snapshot {
        let id = |place: usize| (start + ids[place]).to_string();
        let column = |name: &str, numbered| Column {
            name: name.to_owned(),
            numbered,
            key: numbered,
        };
        let filled = |columns: Vec<Column>, rows: Vec<Row>| Table {
            columns,
            count: rows.len() as u64,
            rows: Some(rows),
            ..Table::default()
        };
        let job_rows = jobs
            .iter()
            .enumerate()
            .map(|(n, name)| vec![Some(id(n)), Some(name.to_string())]);
        let output_rows = outputs
            .iter()
            .map(|(job, text)| vec![Some(id(*job % jobs.len())), Some(text.to_string())]);
        let both = state(vec![
            (
                "job",
                filled(
                    vec![column("id", true), column("name", false)],
                    job_rows.collect(),
                ),
            ),
            (
                "output",
                filled(
                    vec![column("job", false), column("text", false)],
                    output_rows.collect(),
                ),
            ),
        ]);
        refers(both, ("output", "job"), ("job", "id"))
    }

    type Drawn = (Vec<u8>, Vec<(usize, u8)>, Vec<usize>, Vec<usize>);

    fn drawn() -> impl Strategy<Value = Drawn> {
        proptest::collection::vec(0_u8..3, 1..6).prop_flat_map(|jobs| {
            let n = jobs.len();
            let ids = || Just((0..n).collect::<Vec<usize>>()).prop_shuffle();
            let outputs = proptest::collection::vec((0..n, 0_u8..3), 0..8);
            (Just(jobs), outputs, ids(), ids())
        })
    }

    proptest! {
        #[test]
        fn renamed_ids_never_differ((jobs, outputs, one, other) in drawn()) {
            let serial = numbered(&jobs, &outputs, &one, 1);
            let found = numbered(&jobs, &outputs, &other, 900);
            prop_assert!(equal(&[&serial], &found, &LeftOut::default()));
        }

        /// In a tree of jobs and outputs refinement tells all there is: a job's name with its outputs' texts.
        #[test]
        fn equal_means_the_same_jobs_with_the_same_outputs(
            (jobs, outputs, one, other) in drawn(),
            moved in proptest::collection::vec((0_usize..6, 0_u8..3), 0..8),
        ) {
            let serial = numbered(&jobs, &outputs, &one, 1);
            let found = numbered(&jobs, &moved, &other, 1);
            let said = |outputs: &[(usize, u8)]| {
                let mut said: Vec<(u8, Vec<u8>)> = jobs.iter().map(|name| (*name, Vec::new())).collect();
                for (job, text) in outputs {
                    said[job % jobs.len()].1.push(*text);
                }
                for (_, texts) in &mut said {
                    texts.sort_unstable();
                }
                said.sort();
                said
            };
            let same = equal(&[&serial], &found, &LeftOut::default());
            prop_assert_eq!(same, said(&outputs) == said(&moved));
        }
    }
}
