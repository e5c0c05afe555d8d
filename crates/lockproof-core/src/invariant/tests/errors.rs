//! no-errors in detail, and failures that depend on time.

use super::*;
use crate::history::*;
use crate::name::StepId;
use InvariantName::*;

fn log(sqlstate: &str, message: &str, step: Option<StepId>) -> Event {
    Event::ServerLog(LogLine {
        server_us: 1_000_500,
        pid: session("a.0").pid,
        connection: Some(name("a.0")),
        step,
        severity: "ERROR".to_owned(),
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        detail: None,
        statement: None,
    })
}

fn failing(sqlstate: &str) -> Story {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 1)
        .fails("a.0", INVOICES, error(sqlstate, "no"))
        .exits("a", 1);
    story
}

#[test]
fn an_error_seen_on_the_wire_and_in_the_log_is_counted_once() {
    for step in [None, Some(StepId(1))] {
        let lines = failing("23505").late(log("23505", "no", step)).end();
        let findings = said(&lines, NoErrors).findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].seqs.len(), 2);
    }
}

#[test]
fn two_equal_errors_in_the_log_and_one_on_the_wire_are_two() {
    let lines = failing("23505")
        .late(log("23505", "no", None))
        .late(log("23505", "no", None))
        .end();
    assert_eq!(said(&lines, NoErrors).findings.len(), 2);
}

#[test]
fn an_error_of_the_clean_run_is_no_finding() {
    let mut story = failing("23505");
    story.run.baseline.as_mut().unwrap().errors = vec![KnownError {
        sqlstate: "23505".to_owned(),
        statement: None,
        table: None,
        constraint: None,
        nameless: None,
    }];
    // The run's facts are written with the first event.
    let mut lines = story.end();
    lines[0].event = Event::Run(Box::new(story.run.clone()));
    assert_eq!(said(&lines, NoErrors).judgement, Judgement::Holds);
}

#[test]
fn an_error_of_the_clean_run_excuses_only_the_same_statement_table_and_constraint() {
    let of = |normal: &str, constraint: Option<&str>| {
        let mut story = Story::of(&["a"]);
        story.run.baseline.as_mut().unwrap().errors = vec![KnownError {
            sqlstate: "23505".to_owned(),
            statement: Some("insert into job values (?)".to_owned()),
            table: Some("job".to_owned()),
            constraint: Some("job_pkey".to_owned()),
            nameless: None,
        }];
        story.start("a", 1);
        let request = Request {
            normal: vec![normal.to_owned()],
            ..Request::default()
        };
        let step = story.held("a.0", request);
        let answer = Answer {
            error: Some(ServerError {
                constraint: constraint.map(str::to_owned),
                ..error("23505", "no")
            }),
            transaction: Some('I'),
            ..Answer::default()
        };
        story.release("a.0", step).ended(step, Ending::Done, answer);
        story.succeeds("a");
        let lines = story.end();
        let (errors, exit) = (said(&lines, NoErrors), said(&lines, HonestExit));
        assert_eq!(errors.judgement, exit.judgement);
        errors.judgement
    };
    let job = "insert into job values (?)";
    assert_eq!(of(job, Some("job_pkey")), Judgement::Holds);
    assert_eq!(of(job, None), Judgement::Holds);
    assert_eq!(of(job, Some("job_name_key")), Judgement::Violated);
    let other = "insert into invoices values (?)";
    assert_eq!(of(other, Some("job_pkey")), Judgement::Violated);
}

#[test]
fn a_name_that_the_job_makes_up_anew_does_not_make_an_error_another() {
    let of = |created: &str, dropped: &str| {
        let mut story = Story::of(&["a"]);
        story.run.baseline.as_mut().unwrap().errors = vec![KnownError {
            sqlstate: "42P01".to_owned(),
            statement: Some("drop table tmp_0".to_owned()),
            table: None,
            constraint: None,
            nameless: Some("drop table <name>".to_owned()),
        }];
        story.start("a", 1);
        for (sql, fails) in [(created, false), (dropped, true)] {
            let request = Request {
                sql: vec![sql.to_owned()],
                normal: vec![sql.to_owned()],
                ..Request::default()
            };
            let step = story.held("a.0", request);
            let answer = Answer {
                error: fails.then(|| error("42P01", "no")),
                transaction: Some('I'),
                ..Answer::default()
            };
            story.release("a.0", step).ended(step, Ending::Done, answer);
        }
        story.succeeds("a");
        said(&story.end(), NoErrors).judgement
    };
    assert_eq!(
        of("create table tmp_7 (id int)", "drop table tmp_7"),
        Judgement::Holds
    );
    // It is not one that the pod made.
    assert_eq!(
        of("create table tmp_7 (id int)", "drop table job"),
        Judgement::Violated
    );
}

#[test]
fn an_error_that_only_the_log_tells_is_compared_by_its_statement_in_normal_form() {
    let of = |statement: &str| {
        let mut story = Story::of(&["a"]);
        story.run.baseline.as_mut().unwrap().errors = vec![KnownError {
            sqlstate: "42P07".to_owned(),
            statement: Some("create table job (id int)".to_owned()),
            table: None,
            constraint: None,
            nameless: None,
        }];
        story.works("a");
        let Event::ServerLog(line) = log("42P07", "relation \"job\" already exists", None) else {
            unreachable!()
        };
        story.late(Event::ServerLog(LogLine {
            statement: Some(statement.to_owned()),
            ..line
        }));
        said(&story.end(), NoErrors).judgement
    };
    assert_eq!(of("CREATE TABLE  job (id int)"), Judgement::Holds);
    assert_eq!(of("create table other (id int)"), Judgement::Violated);
}

#[test]
fn a_scenario_narrows_the_errors_that_count() {
    let narrowed = |sqlstate| {
        let mut story = failing(sqlstate);
        story.run.rules.only_sqlstates = Some(vec!["23503".to_owned()]);
        let mut lines = story.end();
        lines[0].event = Event::Run(Box::new(story.run.clone()));
        said(&lines, NoErrors).judgement
    };
    assert_eq!(narrowed("23505"), Judgement::Holds);
    assert_eq!(narrowed("23503"), Judgement::Violated);
}

#[test]
fn an_error_of_nobodys_connection_is_unclear_and_not_the_pods() {
    let mut story = Story::of(&["a"]);
    story.works("a");
    let Event::ServerLog(line) = log("42601", "not a pod's", None) else {
        unreachable!()
    };
    story.late(Event::ServerLog(LogLine {
        connection: None,
        ..line
    }));
    let said = said(&story.end(), NoErrors);
    assert_eq!(said.judgement, Judgement::Inconclusive);
    let why = &said.why;
    assert!(
        why.contains("which did not come through lockproof, met 42601"),
        "{why}"
    );
}

#[test]
fn the_table_of_a_deleted_parents_error_is_the_child() {
    let message = "update or delete on table \"invoices\" violates foreign key constraint \
                   \"splits_fk\" on table \"invoice_tip_splits\"";
    let mut story = Story::of(&["a"]);
    story.works("a").late(log("23503", message, None));
    let finding = &said(&story.end(), NoErrors).findings[0];
    assert_eq!(finding.table.as_deref(), Some("invoice_tip_splits"));
    assert_eq!(finding.constraint.as_deref(), Some("splits_fk"));
}

#[test]
fn a_clean_run_is_not_measured_by_itself() {
    let mut story = Story::of(&["a"]);
    story.run.baseline = None;
    let lines = story.works("a").end();
    assert_eq!(said(&lines, NoErrors).judgement, Judgement::NotJudged);
    assert_eq!(said(&lines, CleanState).judgement, Judgement::NotJudged);
}

/// b waits this long for the lock and then meets this error.
fn waiting(us: u64, sqlstate: &str) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .start("b", 2)
        .waits("b.0")
        .write("a.1", INVOICES)
        .pass(us);
    let waited = StepId(2);
    story.locks.pop();
    story
        .ended(
            waited,
            Ending::Done,
            Answer {
                error: Some(error(sqlstate, "timed out")),
                ..Answer::default()
            },
        )
        .snapshot()
        .leaves("b.0")
        .exits("b", 1)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a")
        .end()
}

#[test]
fn a_timers_error_after_a_long_wait_makes_the_failure_time_dependent() {
    let lines = waiting(60_000, "55P03");
    let verdict = verdict(&lines);
    assert_eq!(
        verdict.judgement,
        Judgement::Inconclusive,
        "{}",
        words(&verdict)
    );
    for name in [NoErrors, Progress] {
        let said = said(&lines, name);
        assert_eq!(said.judgement, Judgement::Inconclusive);
        assert!(said.why.contains("time-dependent"), "{}", said.why);
    }
}

#[test]
fn a_timers_error_within_the_clean_runs_own_gaps_is_a_violation() {
    assert_violated(&waiting(100, "55P03"), &[NoErrors, Progress]);
}

/// a's statement is held at the gate for a while and fails as soon as it is let go.
fn held(us: u64, sqlstate: &str, message: &str) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    let step = story.write_held("a.0", "other");
    story.pass(us).release("a.0", step);
    let answer = Answer {
        error: Some(error(sqlstate, message)),
        ..Answer::default()
    };
    story.ended(step, Ending::Done, answer).leaves("a.0");
    story.exits("a", 1).end()
}

#[test]
fn what_does_not_wait_has_no_timer_and_a_statements_timer_begins_at_the_server() {
    for (sqlstate, message) in [
        ("55P03", "could not obtain lock on row in relation \"t\""),
        ("55P03", "canceling statement due to lock timeout"),
        ("57014", "canceling statement due to statement timeout"),
    ] {
        let lines = held(60_000, sqlstate, message);
        assert_violated(&lines, &[NoErrors, Progress]);
    }
    // The pod's own patience begins when it sends, and a session's timers run while its pod is held.
    let message = "canceling statement due to user request";
    let said = said(&held(60_000, "57014", message), NoErrors);
    assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
}

#[test]
fn another_error_after_a_long_wait_is_a_violation() {
    assert_violated(&waiting(60_000, "40P01"), &[NoErrors, Progress]);
}

#[test]
fn a_cancel_by_a_fault_is_no_timer() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).pass(1);
    let step = story.write_held("a.0", INVOICES);
    story.pass(60_000).release("a.0", step);
    story.event(Event::Fault(fault("cancel-backend", "a.0")));
    let answer = Answer {
        error: Some(error("57014", "canceling statement due to user request")),
        ..Answer::default()
    };
    story.ended(step, Ending::Done, answer).exits("a", 1);
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_client_that_gives_up_a_held_step_is_time_dependent() {
    let story = |us| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1);
        story.write_held("a.0", INVOICES);
        story
            .pass(us)
            .lost("a.0", ClosedBy::Client)
            .exits("a", 1)
            .end()
    };
    assert_eq!(
        said(&story(60_000), Progress).judgement,
        Judgement::Inconclusive
    );
    assert_eq!(said(&story(100), Progress).judgement, Judgement::Violated);
}

#[test]
fn a_lock_session_that_a_timer_ended_makes_the_lost_lock_time_dependent() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0");
    let held = story.write_held("a.1", INVOICES);
    story
        .pass(60_000)
        .late(Event::ServerLog(LogLine {
            server_us: 1_060_000,
            pid: session("a.0").pid,
            connection: Some(name("a.0")),
            step: None,
            severity: "FATAL".to_owned(),
            sqlstate: "57P05".to_owned(),
            message: "terminating connection due to idle-session timeout".to_owned(),
            detail: None,
            statement: None,
        }))
        .lost("a.0", ClosedBy::Server)
        .write_done("a.1", INVOICES, held)
        .write("a.1", SPLITS)
        .exits("a", 1);
    let verdict = verdict(&story.end());
    assert_eq!(
        verdict.judgement,
        Judgement::Inconclusive,
        "{}",
        words(&verdict)
    );
}

#[test]
fn a_statements_time_out_is_not_excused_by_a_hold_of_another_step() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    let held = story.write_held("a.0", "other");
    story.pass(60_000).write_done("a.0", "other", held);
    story
        .fails("a.0", "other", error("55P03", "lock timeout"))
        .exits("a", 1);
    assert_violated(&story.end(), &[NoErrors, Progress]);
}

#[test]
fn a_limit_of_connections_that_the_job_has_set_itself_is_its_failure() {
    for (message, judgement) in [
        ("too many connections for role \"job\"", Judgement::Violated),
        (
            "too many connections for database \"lockproof\"",
            Judgement::Violated,
        ),
        ("sorry, too many clients already", Judgement::Inconclusive),
    ] {
        let mut story = Story::of(&["a"]);
        story
            .start("a", 1)
            .fails("a.0", INVOICES, error("53300", message))
            .exits("a", 1);
        assert_eq!(
            said(&story.end(), NoErrors).judgement,
            judgement,
            "{message}"
        );
    }
}

#[test]
fn a_server_without_a_connection_left_is_nobodys_failure_unless_it_is_looked_for() {
    let lines = failing("53300").end();
    assert_eq!(said(&lines, NoErrors).judgement, Judgement::Inconclusive);
    assert_ne!(verdict(&lines).judgement, Judgement::Violated);
    let why = "0 other connections of this run's own pods were open; nobody else uses this server";
    assert!(format!("{:?}", said(&lines, NoErrors)).contains(why));
    let mut story = failing("53300");
    story.run.server.kind = "external".to_owned();
    let mut lines = story.end();
    lines[0].event = Event::Run(Box::new(story.run.clone()));
    let shared = format!("{:?}", said(&lines, NoErrors));
    assert!(
        shared.contains("were open; others may use this server, too"),
        "{shared}"
    );
    let mut story = failing("53300");
    story.run.rules.only_sqlstates = Some(vec!["53300".to_owned()]);
    let mut lines = story.end();
    lines[0].event = Event::Run(Box::new(story.run.clone()));
    assert_eq!(said(&lines, NoErrors).judgement, Judgement::Violated);
}
