//! The limits of waits after requests and their answers.

use super::waits::{Unknown, WaitEnd, WaitLimits};
use crate::history::{Answer, Delivery, Request, ServerError, Setting};
use crate::schedule::PREPARE;
use crate::search::tale::Tale;

const LOCK: &str = "select pg_advisory_lock(1)";

fn session(began: &[(&str, &str)]) -> WaitLimits {
    let began = began.iter().filter_map(|one| Setting::known(one.0, one.1));
    let began: Vec<Setting> = began.collect();
    WaitLimits::of(&began.iter().collect::<Vec<_>>(), &Unknown::default())
}

fn answer(status: char, fails: bool) -> Answer {
    Answer {
        transaction: Some(status),
        error: fails.then(ServerError::default),
        ..Answer::default()
    }
}

/// Sends each text: `!` before it says that it fails, and what follows `I:`, `T:` or `E:` is answered with this status.
fn after(limits: &mut WaitLimits, course: &[&str]) -> Option<&'static str> {
    for text in course {
        let (fails, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, *text),
        };
        let (status, text) = match text.split_at_checked(2) {
            Some((status, text)) if ["I:", "T:", "E:"].contains(&status) => (&status[..1], text),
            _ => ("I", text),
        };
        limits.sent(&Tale::request(text), Delivery::Forwarded);
        limits.answered(&answer(status.chars().next().unwrap_or('I'), fails));
    }
    by(limits.sent(&Tale::request(LOCK), Delivery::Forwarded))
}

fn by(end: WaitEnd) -> Option<&'static str> {
    match end {
        WaitEnd::By(sqlstate) => Some(sqlstate),
        WaitEnd::Never | WaitEnd::Unknown => None,
    }
}

fn told(course: &[&str]) -> Option<&'static str> {
    after(&mut session(&[]), course)
}

#[test]
fn a_limit_of_waits_is_read_and_none_is_none() {
    for (sql, limited) in [
        ("set lock_timeout = '200ms'", Some("55P03")),
        ("set session lock_timeout='0.5s'", Some("55P03")),
        (
            "select set_config('lock_timeout', '2s', false)",
            Some("55P03"),
        ),
        ("set lock_timeout = 0", None),
        ("set lock_timeout = '0'", None),
        ("set lock_timeout = '0 s'", None),
        ("set lock_timeout = '400us'", None),
        ("set lock_timeout = '600us'", Some("55P03")),
        ("set lock_timeout = 0x10", Some("55P03")),
        ("set lock_timeout = default", None),
        ("set statement_timeout = '5s'", Some("57014")),
        ("set work_mem = 5", None),
        // What is not known is no limit.
        ("select set_config('lock_timeout', $1, false)", None),
        ("do $$ begin set lock_timeout = 5; end $$", None),
    ] {
        assert_eq!(told(&[sql]), limited, "{sql}");
    }
}

#[test]
fn what_only_names_a_limit_sets_none() {
    for sql in [
        "update config set lock_timeout = 5",
        "insert into note values ('set lock_timeout = 5')",
        "select 1 -- set lock_timeout = 5",
        "create function f() returns int language sql set lock_timeout = 5 as 'select 1'",
        "alter role app set lock_timeout = 5",
        "set app.lock_timeout = 5",
    ] {
        assert_eq!(told(&[sql]), None, "{sql}");
        let mut limited = session(&[("lock_timeout", "3s")]);
        assert_eq!(after(&mut limited, &[sql]), Some("55P03"), "{sql}");
    }
}

#[test]
fn the_smaller_limit_ends_the_wait() {
    for (lock, statement, ends) in [
        ("2s", "5000", "55P03"),
        ("5000", "'2 s'", "57014"),
        ("1min", "59s", "57014"),
        ("59999", "1min", "55P03"),
        ("2s", "2000", "57014"),
        ("2s", "0", "55P03"),
    ] {
        let sql = format!(
            "set lock_timeout = '{lock}'; set statement_timeout = '{}'",
            statement.trim_matches('\'')
        );
        assert_eq!(told(&[&sql]), Some(ends), "{sql}");
    }
    // Of two limits one of which is not known, nobody knows which comes first.
    let sql = "select set_config('statement_timeout', $1, false)";
    assert_eq!(told(&["set lock_timeout = 5", sql]), None);
}

#[test]
fn a_session_may_begin_with_a_limit_and_come_back_to_it() {
    let began = [("lock_timeout", "3s")];
    assert_eq!(after(&mut session(&began), &[]), Some("55P03"));
    let none = "set lock_timeout = 0";
    assert_eq!(after(&mut session(&began), &[none]), None);
    for back in [
        "reset lock_timeout",
        "reset all",
        "discard all",
        "set lock_timeout to default",
    ] {
        let mut limits = session(&began);
        assert_eq!(after(&mut limits, &[none, back]), Some("55P03"), "{back}");
        assert_eq!(told(&["set lock_timeout = 5", back]), None, "{back}");
    }
    // The last of a name counts.
    let lifted = [("lock_timeout", "3s"), ("lock_timeout", "0")];
    assert_eq!(after(&mut session(&lifted), &[]), None);
    // A role's own default is not seen where the job has changed it.
    let mut unknown = Unknown::default();
    unknown.note(&Tale::request("alter role app set lock_timeout = 0"));
    let began = Setting::known("lock_timeout", "3s");
    let mut later = WaitLimits::of(&began.iter().collect::<Vec<_>>(), &unknown);
    assert_eq!(after(&mut later, &[]), None);
}

#[test]
fn what_is_set_for_a_transaction_ends_with_it() {
    for local in [
        "T:set local lock_timeout = 5",
        "T:select set_config('lock_timeout', '5', true)",
    ] {
        assert_eq!(told(&["T:begin", local]), Some("55P03"), "{local}");
        assert_eq!(told(&["T:begin", local, "commit"]), None, "{local}");
    }
    // Outside of a transaction there is nothing that it could last for.
    assert_eq!(told(&["set local lock_timeout = 5"]), None);
    let both = [
        "T:begin",
        "T:set lock_timeout = 5",
        "T:set local lock_timeout = 0",
    ];
    assert_eq!(told(&both), None);
    let committed = [&both[..], &["commit"]].concat();
    assert_eq!(told(&committed), Some("55P03"));
}

#[test]
fn a_rollback_and_an_error_undo_what_the_transaction_set() {
    let set = "T:set lock_timeout = 5";
    for end in [
        &["rollback"][..],
        &["abort"],
        &["!E:select 1/0", "rollback"],
        // COMMIT of a transaction that has failed is a rollback.
        &["!E:select 1/0", "commit"],
        &["!commit"],
    ] {
        let course = [&["T:begin", set][..], end].concat();
        assert_eq!(told(&course), None, "{end:?}");
    }
    assert_eq!(told(&["T:begin", set, "commit"]), Some("55P03"));
    assert_eq!(told(&["!set lock_timeout = 5; select 1/0"]), None);
    assert_eq!(
        told(&["set lock_timeout = 5", "!select 1/0"]),
        Some("55P03")
    );
    // Whether the error came before the inner commit is not told.
    let within = "!begin; set lock_timeout = 5; commit; select 1/0";
    assert_eq!(told(&[within]), None);
}

#[test]
fn a_savepoint_gives_back_what_there_was() {
    let begun = ["T:begin", "T:savepoint a", "T:set lock_timeout = 5"];
    let back = "T:rollback to savepoint a";
    let with = |more: &[&str]| told(&[&begun[..], more].concat());
    assert_eq!(with(&[back]), None);
    assert_eq!(with(&["!E:select 1/0", back]), None);
    assert_eq!(with(&["T:release a", "commit"]), Some("55P03"));
    assert_eq!(
        with(&["T:savepoint b", "T:set lock_timeout = 0", "T:rollback to b"]),
        Some("55P03")
    );
    assert_eq!(with(&[back, "commit"]), None);
}

#[test]
fn the_limit_counts_that_there_is_when_the_statement_waits() {
    let ends = |sql: &str| by(session(&[]).sent(&Tale::request(sql), Delivery::Forwarded));
    for (sql, limited) in [
        (
            "set lock_timeout = 5; select pg_advisory_lock(1)",
            Some("55P03"),
        ),
        ("select pg_advisory_lock(1); set lock_timeout = 5", None),
        (
            "begin; set local lock_timeout = 5; lock table t; commit",
            Some("55P03"),
        ),
        (
            "select set_config('lock_timeout', '5', true), pg_advisory_xact_lock(1)",
            Some("55P03"),
        ),
        // The statement's own timer has not been set when it begins.
        (
            "select set_config('statement_timeout', '5', true), pg_advisory_xact_lock(1)",
            None,
        ),
    ] {
        assert_eq!(ends(sql), limited, "{sql}");
    }
}

#[test]
fn what_is_only_prepared_or_never_reached_the_server_sets_nothing() {
    let set = "set lock_timeout = 5";
    let mut limits = session(&[]);
    let prepared = Request {
        sql: vec![format!("{PREPARE} {set}")],
        normal: vec![format!("{PREPARE} set lock_timeout = ?")],
        prepares: true,
        ..Request::default()
    };
    limits.sent(&prepared, Delivery::Forwarded);
    limits.answered(&answer('I', false));
    assert_eq!(after(&mut limits, &[]), None);
    limits.sent(&Tale::request(set), Delivery::Replaced);
    limits.answered(&answer('I', true));
    assert_eq!(after(&mut limits, &[]), None);
    // Whether it was done is known to the server alone.
    let mut limited = session(&[("lock_timeout", "3s")]);
    limited.sent(
        &Tale::request("set lock_timeout = 0"),
        Delivery::AnswerReplaced,
    );
    limited.answered(&answer('I', true));
    assert_eq!(after(&mut limited, &[]), None);
}

#[test]
fn of_a_long_text_the_end_is_known_by_its_normal_form() {
    let mut limits = session(&[("lock_timeout", "3s")]);
    let request = Request {
        sql: vec!["insert into t values (1)".to_owned()],
        normal: vec![
            "insert into t values (?)".to_owned(),
            "set lock_timeout = ?".to_owned(),
        ],
        ..Request::default()
    };
    limits.sent(&request, Delivery::Forwarded);
    limits.answered(&answer('I', false));
    assert_eq!(after(&mut limits, &[]), None);
}
