//! Which backend served a step: compared with what the client saw.

use std::collections::BTreeMap;

use crate::harness::{Need, need};
use crate::support::{self, play, play_times, printed};
use lockproof::internals::search::Outcome;
use lockproof_core::history::{Event, Line, OutputStream};
use lockproof_core::invariant::Limit;
use lockproof_core::name::{ConnectionName, StepId};

const SCHEMA: &str = "create table visit (i int)";

/// The backend that the history names for each step with a mark; `None` where it says that nobody knows.
fn told(lines: &[Line]) -> BTreeMap<String, Option<i32>> {
    let mut now: BTreeMap<ConnectionName, Option<i32>> = BTreeMap::new();
    let mut marks: BTreeMap<StepId, (ConnectionName, String)> = BTreeMap::new();
    let mut told = BTreeMap::new();
    for line in lines {
        match &line.event {
            Event::SessionStarted {
                connection,
                session,
                ..
            } => {
                now.insert(connection.clone(), Some(session.pid));
            }
            Event::SessionUnknown { connection } => {
                now.insert(connection.clone(), None);
            }
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                let mark = request.sql.first().and_then(|sql| {
                    let (_, rest) = sql.split_once("'mark ")?;
                    rest.split('\'').next()
                });
                if let Some(mark) = mark {
                    marks.insert(*step, (connection.clone(), mark.to_owned()));
                }
            }
            Event::StepEnded { step, .. } => {
                if let Some((connection, mark)) = marks.get(step) {
                    let pid = now.get(connection).copied().flatten();
                    told.insert(mark.clone(), pid);
                }
            }
            _ => {}
        }
    }
    told
}

/// What the pods printed of the backends that served them.
fn real(lines: &[Line]) -> BTreeMap<String, i32> {
    ["a", "b"]
        .iter()
        .flat_map(|pod| printed(lines, pod, OutputStream::Stdout))
        .filter_map(|line| {
            let (mark, pid) = line.split_once(' ')?;
            Some((mark.to_owned(), pid.parse().ok()?))
        })
        .collect()
}

/// How many backends were told, and how many are unknown; fails if one is wrong.
#[track_caller]
fn compared(outcome: &Outcome) -> (usize, usize) {
    let (told, real) = (told(&outcome.lines), real(&outcome.lines));
    assert!(!real.is_empty());
    assert!(
        real.keys().all(|mark| told.contains_key(mark)),
        "{real:?}\n{told:?}"
    );
    let wrong: Vec<_> = real
        .iter()
        .filter(|(mark, pid)| told[*mark].is_some_and(|told| told != **pid))
        .collect();
    if !wrong.is_empty() {
        support::dump(&outcome.lines);
        panic!("told {told:#?}, but {wrong:?}");
    }
    let unknown = real.keys().filter(|mark| told[*mark].is_none()).count();
    (real.len() - unknown, unknown)
}

fn who(mode: &str, arguments: &[&str], threads: bool, schedule: &str) -> String {
    let arguments: Vec<String> = arguments.iter().map(|one| format!("{one:?}")).collect();
    let threads = if threads {
        "env = { THREADS = \"1\" }"
    } else {
        ""
    };
    format!(
        "[subject]\ncommand = [{:?}, \"$TESTS/pooled/who.py\", {}]\n{threads}\n\
         [server]\npooler = {{ mode = \"{mode}\", size = 16 }}\n[schedule]\n{schedule}\n",
        support::PYTHON,
        arguments.join(", ")
    )
}

/// The pods take turns of a few steps each.
const IN_TURN: &str = "turns = [\n{ run = \"a\", until = { steps = 4 } },\n{ run = \"b\", until = { steps = 7 } },\n\
     { run = \"a\", until = { steps = 3 } },\n{ run = \"b\", until = { steps = 2 } },\n{ run = \"a\", until = { steps = 5 } },\n]";

async fn the_backend_that_is_told_is_the_one_that_served_the_step_whatever_a_client_calls_itself() {
    need(Need::PgBouncer);
    need(Need::Psycopg);
    let kinds = ["plain", "long", "own:mine", "bare:theirs", "own:mine"];
    for (mode, more) in [
        ("session", &[][..]),
        ("transaction", &[]),
        ("statement", &["no-transactions"]),
    ] {
        let kinds = [&kinds, more].concat();
        let outcome = play(SCHEMA, &who(mode, &kinds, false, IN_TURN)).await;
        let (known, unknown) = compared(&outcome);
        eprintln!("{mode}: {known} steps told, {unknown} unknown");
        if unknown > 0 {
            support::dump(&outcome.lines);
            let told = told(&outcome.lines).into_iter();
            eprintln!(
                "{:?}",
                told.filter(|one| one.1.is_none()).collect::<Vec<_>>()
            );
        }
        assert_eq!(unknown, 0, "{mode}");
    }
}

async fn in_real_time_no_backend_is_told_wrongly_and_clients_of_one_name_may_be_unknown() {
    need(Need::PgBouncer);
    need(Need::Psycopg);
    let free = "free = { stagger = [\"0ms\", \"1ms\"] }";
    let kinds = ["plain", "plain", "plain", "long", "own:mine", "own:mine"];
    let text = who("transaction", &kinds, true, free);
    let (mut known, mut unknown) = (0, 0);
    for outcome in play_times(SCHEMA, &text, 4).await {
        let counted = compared(&outcome);
        known += counted.0;
        unknown += counted.1;
        // Those that keep the pooler's mark are always known; the others share their names.
        let not_told = told(&outcome.lines)
            .into_iter()
            .filter(|one| one.1.is_none());
        for (mark, _) in not_told {
            assert!(["3-", "4-", "5-"].contains(&&mark[1..3]), "{mark}");
        }
        let says = outcome
            .verdict
            .not_tested
            .iter()
            .any(|limit| matches!(limit, Limit::UnknownSessions { .. }));
        let lines = outcome.lines.iter();
        let any = lines
            .filter(|line| matches!(line.event, Event::SessionUnknown { .. }))
            .count()
            > 0;
        assert!(any || counted.1 == 0);
        assert_eq!(says, any, "{:?}", outcome.verdict.not_tested);
    }
    eprintln!("{known} steps told, {unknown} unknown");
    assert!(known > 0);
}

crate::harness::tests![
    the_backend_that_is_told_is_the_one_that_served_the_step_whatever_a_client_calls_itself,
    in_real_time_no_backend_is_told_wrongly_and_clients_of_one_name_may_be_unknown,
];
