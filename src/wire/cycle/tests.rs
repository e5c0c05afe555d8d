//! The cycle rules, message by message, with `postgres-protocol` as the client.

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use super::pending::UNFINISHED;
use super::*;
use crate::wire::frame::take_message;
use crate::wire::gate::{StepKind, StepText};

mod errors;
mod needs;

fn feed(cycle: &mut Cycle, bytes: &BytesMut) -> Output {
    let mut out = Output::default();
    let mut buffer = bytes.clone();
    while let Some(message) = take_message(&mut buffer).unwrap() {
        cycle.client_message(message, &mut out);
    }
    out
}

fn serve(cycle: &mut Cycle, tag: u8, body: &[u8]) -> Output {
    let mut raw = BytesMut::new();
    raw.extend_from_slice(&[tag]);
    raw.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    raw.extend_from_slice(body);
    let mut out = Output::default();
    let message = take_message(&mut raw).unwrap().unwrap();
    cycle.server_message(&message, &mut out);
    out
}

fn release(cycle: &mut Cycle, handover: Handover) -> Output {
    let mut out = Output::default();
    cycle.release(handover, &mut out);
    out
}

fn query(sql: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::query(sql, &mut bytes).unwrap();
    bytes
}

fn held_sql(out: &Output) -> Vec<String> {
    out.events
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Held { text, .. } => Some(text),
            _ => None,
        })
        .flat_map(|text| text.statements.iter().map(|one| one.sql.clone()))
        .collect()
}

fn ended(out: &Output) -> bool {
    out.events
        .iter()
        .any(|event| matches!(event, ConnectionEvent::Ended { .. }))
}

/// What is held, if something has been.
fn held(out: &Output) -> Option<&StepText> {
    out.events.iter().find_map(|event| match event {
        ConnectionEvent::Held { text, .. } => Some(text),
        _ => None,
    })
}

/// The transaction status with which a step has ended, if one has.
fn ended_status(out: &Output) -> Option<u8> {
    out.events.iter().find_map(|event| match event {
        ConnectionEvent::Ended { answer, .. } => Some(answer.status),
        _ => None,
    })
}

/// Messages of the server that have no body, or none that matters; what comes of the last.
fn answer(cycle: &mut Cycle, tags: &[u8]) -> Output {
    let mut last = Output::default();
    for tag in tags {
        last = serve(cycle, *tag, if *tag == b't' { b"\0\0" } else { b"" });
    }
    last
}

fn sync() -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::sync(&mut bytes);
    bytes
}

/// Parse, Describe and Flush.
fn prepared(name: &str, sql: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::parse(name, sql, [], &mut bytes).unwrap();
    frontend::describe(b'S', name, &mut bytes).unwrap();
    frontend::flush(&mut bytes);
    bytes
}

/// Bind and Execute of a statement, and a Sync.
fn bound(name: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    let none = |_, _: &mut BytesMut| Ok(IsNull::Yes);
    let bind = frontend::bind("", name, [], [0_i32; 0], none, [], &mut bytes);
    assert!(bind.is_ok());
    frontend::execute("", 0, &mut bytes).unwrap();
    frontend::sync(&mut bytes);
    bytes
}

#[test]
fn a_query_is_held_until_it_is_released_and_ends_with_ready_for_query() {
    let mut cycle = Cycle::new(false);
    let sent = query("select 1");
    let out = feed(&mut cycle, &sent);
    assert!(out.to_server.is_empty(), "the server must not see it yet");
    assert_eq!(held_sql(&out), ["select 1"]);
    let out = release(&mut cycle, Handover::Forward);
    assert_eq!(out.to_server, sent);
    assert!(!ended(&serve(&mut cycle, b'C', b"SELECT 1\0")));
    let out = serve(&mut cycle, b'Z', b"I");
    assert!(ended(&out));
    assert_eq!(&out.to_client[..], b"Z\0\0\0\x05I");
}

#[test]
fn what_is_pipelined_behind_a_sync_is_the_next_step() {
    let mut cycle = Cycle::new(false);
    let mut sent = query("select 1");
    sent.extend_from_slice(&query("select 2"));
    assert_eq!(held_sql(&feed(&mut cycle, &sent)), ["select 1"]);
    assert_eq!(
        release(&mut cycle, Handover::Forward).to_server,
        query("select 1")
    );
    let out = serve(&mut cycle, b'Z', b"I");
    assert!(ended(&out));
    assert_eq!(held_sql(&out), ["select 2"]);
}

#[test]
fn a_preparation_ends_when_it_is_answered_and_its_execution_is_held_with_its_own_text() {
    // postgres.js and asyncpg: Parse Describe Flush, then, when answered, Bind Execute Sync.
    let mut cycle = Cycle::new(false);
    let sent = prepared("s1", "insert into t values ($1)");
    let out = feed(&mut cycle, &sent);
    let asked = held(&out).unwrap();
    assert_eq!(asked.kind, StepKind::Preparation);
    assert_eq!(asked.statements[0].sql, "insert into t values ($1)");
    assert!(!asked.statements[0].executes);
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, sent);
    for (tag, body) in [(b'1', b"".as_slice()), (b't', b"\0\0")] {
        assert!(!ended(&serve(&mut cycle, tag, body)));
    }
    let out = serve(&mut cycle, b'n', b"");
    assert_eq!(ended_status(&out), Some(b'I'));
    let rest = bound("s1");
    let out = feed(&mut cycle, &rest);
    let asked = held(&out).unwrap();
    assert_eq!(asked.kind, StepKind::Execution);
    assert!(asked.statements[0].executes);
    assert_eq!(held_sql(&out), ["insert into t values ($1)"]);
    assert!(out.to_server.is_empty(), "the server must not see it yet");
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, rest);
    assert!(!ended(&serve(&mut cycle, b'2', b"")));
    assert!(!ended(&serve(&mut cycle, b'C', b"INSERT 0 1\0")));
    assert_eq!(ended_status(&serve(&mut cycle, b'Z', b"I")), Some(b'I'));
}

#[test]
fn a_repeated_statement_that_comes_without_sql_is_known_by_its_name() {
    let mut cycle = Cycle::new(true);
    let mut sent = BytesMut::new();
    frontend::parse("s7", "select pg_advisory_lock($1)", [20], &mut sent).unwrap();
    frontend::sync(&mut sent);
    let out = feed(&mut cycle, &sent);
    let Some(ConnectionEvent::Held { text, .. }) = out.events.first() else {
        panic!("not held")
    };
    assert!(!text.statements[0].executes, "it is only prepared");
    serve(&mut cycle, b'Z', b"I");
    let mut sent = BytesMut::new();
    let bound = frontend::bind(
        "",
        "s7",
        [1],
        [42_i64],
        |value, out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(IsNull::No)
        },
        [1],
        &mut sent,
    );
    assert!(bound.is_ok());
    frontend::execute("", 0, &mut sent).unwrap();
    frontend::sync(&mut sent);
    let out = feed(&mut cycle, &sent);
    let Some(ConnectionEvent::Held { text, .. }) = out.events.first() else {
        panic!("not held")
    };
    let statement = &text.statements[0];
    assert_eq!(statement.sql, "select pg_advisory_lock($1)");
    assert!(statement.executes);
    assert_eq!(statement.parameters[0].type_oid, 20);
    assert_eq!(
        statement.parameters[0].bytes.as_deref(),
        Some(&42_i64.to_be_bytes()[..])
    );
}

#[test]
fn copy_data_passes_with_its_step_in_both_protocols() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &query("copy t from stdin"));
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'G', b"\0\0\0");
    let mut data = BytesMut::from(&b"d\0\0\0\x061\n"[..]);
    frontend::copy_done(&mut data);
    assert_eq!(feed(&mut cycle, &data).to_server, data);
    serve(&mut cycle, b'C', b"COPY 1\0");
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));

    // libpq sends a Sync with the Execute, which the server swallows once the COPY has begun.
    let mut sent = BytesMut::new();
    frontend::parse("", "copy t from stdin", [], &mut sent).unwrap();
    frontend::sync(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'G', b"\0\0\0");
    let mut data = BytesMut::from(&b"d\0\0\0\x061\n"[..]);
    frontend::copy_done(&mut data);
    frontend::sync(&mut data);
    let out = feed(&mut cycle, &data);
    assert!(out.to_server.ends_with(&sync()) && out.events.is_empty());
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));
}

#[test]
fn a_dropped_answer_reaches_the_driver_and_never_the_pod() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &query("insert"));
    release(&mut cycle, Handover::DropAnswer);
    assert!(
        serve(&mut cycle, b'C', b"INSERT 0 1\0")
            .to_client
            .is_empty()
    );
    let out = serve(&mut cycle, b'Z', b"I");
    assert!(out.to_client.is_empty());
    let Some(ConnectionEvent::Ended { answer, .. }) = out.events.first() else {
        panic!("not ended")
    };
    assert_eq!(answer.tags, ["INSERT 0 1"]);
}

#[test]
fn a_replaced_step_never_reaches_the_server_and_the_pod_gets_one_ready_for_query() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&flushed("insert into t values (2)"));
    feed(&mut cycle, &sent);
    let out = release(&mut cycle, Handover::Replace(query("do").freeze()));
    assert_eq!(out.to_server, query("do"));
    let out = serve(&mut cycle, b'E', b"SERROR\0C40001\0\0");
    assert!(out.to_client.is_empty() && !ended(&out));
    let out = serve(&mut cycle, b'Z', b"E");
    assert_eq!(out.to_client[0], b'E', "and no ReadyForQuery behind it");
    assert_eq!(ended_status(&out), Some(b'E'));
    assert!(!out.to_client.contains(&b'Z'));
    assert!(
        out.to_server.is_empty(),
        "what is pipelined is to be ignored"
    );
    assert!(held(&out).is_none());
    let out = feed(&mut cycle, &sync());
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: false });
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, sync());
    let out = serve(&mut cycle, b'Z', b"E");
    assert_eq!(&out.to_client[..], b"Z\0\0\0\x05E");
    assert!(ended(&out));
}

#[test]
fn terminate_passes_at_once_even_behind_a_running_step() {
    let mut cycle = Cycle::new(false);
    let mut bye = BytesMut::new();
    frontend::terminate(&mut bye);
    assert_eq!(feed(&mut cycle, &bye).to_server, bye);
    assert!(cycle.terminated());
}

#[test]
fn an_error_outside_any_step_is_told_and_passed_on() {
    let mut cycle = Cycle::new(false);
    let out = serve(&mut cycle, b'E', b"SFATAL\0C57P01\0Mbye\0\0");
    assert!(matches!(
        &out.events[..],
        [ConnectionEvent::ErrorOutsideStep(error)] if error.sqlstate == "57P01"
    ));
    assert!(!out.to_client.is_empty());
}

#[test]
fn a_flood_of_notices_is_counted_and_hides_no_warning() {
    let mut cycle = Cycle::new(true);
    feed(&mut cycle, &query("do 'loop'"));
    for _ in 0..300 {
        let out = serve(&mut cycle, b'N', b"SNOTICE\0VNOTICE\0C00000\0Mmore\0\0");
        assert!(!out.to_client.is_empty(), "the client gets them all");
    }
    serve(&mut cycle, b'N', b"SWARNING\0VWARNING\0C01000\0Mlast\0\0");
    serve(&mut cycle, b'C', b"DO\0");
    let out = serve(&mut cycle, b'Z', b"I");
    let [ConnectionEvent::Ended { answer, .. }] = &out.events[..] else {
        panic!("{:?}", out.events);
    };
    assert_eq!((answer.notices.len(), answer.notices_left_out), (101, 200));
    assert_eq!(answer.notices[100].message, "last");
}

#[test]
fn a_burst_without_an_end_may_be_long_in_one_message_and_not_in_many() {
    let part = |length: usize| {
        let mut bytes = BytesMut::new();
        frontend::parse("", &"x".repeat(length), [], &mut bytes).unwrap();
        bytes
    };
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &part(UNFINISHED));
    feed(&mut cycle, &part(UNFINISHED - 1000));
    assert!(!cycle.overflows());
    feed(&mut cycle, &part(1000));
    assert!(cycle.overflows());
    let mut sync = BytesMut::new();
    frontend::sync(&mut sync);
    feed(&mut cycle, &sync);
    assert!(!cycle.overflows(), "it has an end");
}

fn executed(sql: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::parse("", sql, [], &mut bytes).unwrap();
    let none = frontend::bind(
        "",
        "",
        [],
        [0_i32; 0],
        |_, _| Ok(IsNull::Yes),
        [],
        &mut bytes,
    );
    assert!(none.is_ok());
    frontend::execute("", 0, &mut bytes).unwrap();
    bytes
}

fn flushed(sql: &str) -> BytesMut {
    let mut bytes = executed(sql);
    frontend::flush(&mut bytes);
    bytes
}

#[test]
fn an_execution_behind_a_flush_is_a_step_without_ready_for_query_and_the_next_one_is_held() {
    // psycopg's pipeline mode, when it fetches in the middle.
    let mut cycle = Cycle::new(false);
    assert_eq!(
        held_sql(&feed(&mut cycle, &flushed("select 1"))),
        ["select 1"]
    );
    assert_eq!(
        release(&mut cycle, Handover::Forward).to_server,
        flushed("select 1"),
        "it has a Flush of its own"
    );
    assert!(!ended(&answer(&mut cycle, b"12")));
    let out = serve(&mut cycle, b'C', b"SELECT 1\0");
    assert_eq!(ended_status(&out), Some(b'T'), "until its Sync");
    let sent = flushed("insert into t values (1)");
    let out = feed(&mut cycle, &sent);
    assert!(out.to_server.is_empty(), "the next statement must be held");
    assert_eq!(held_sql(&out), ["insert into t values (1)"]);
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, sent);
}

#[test]
fn what_is_pipelined_behind_such_an_execution_waits_for_its_answer_and_passes_after_an_error() {
    let mut cycle = Cycle::new(false);
    let mut sent = flushed("select 1");
    sent.extend_from_slice(&flushed("select 2"));
    feed(&mut cycle, &sent);
    assert_eq!(
        release(&mut cycle, Handover::Forward).to_server,
        flushed("select 1")
    );
    answer(&mut cycle, b"12");
    let out = serve(&mut cycle, b'C', b"SELECT 1\0");
    assert_eq!(held_sql(&out), ["select 2"]);
    release(&mut cycle, Handover::Forward);
    let rest = flushed("select 3");
    assert!(feed(&mut cycle, &rest).to_server.is_empty());
    // The server ignores all up to Sync: nothing of it would ever be answered.
    let out = serve(&mut cycle, b'E', b"SERROR\0C22012\0\0");
    assert_eq!(out.to_server, rest);
    assert_eq!(ended_status(&out), Some(b'I'), "what it had done is undone");
    let late = flushed("select 4");
    assert_eq!(feed(&mut cycle, &late).to_server, late);
    let out = feed(&mut cycle, &sync());
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: false });
    release(&mut cycle, Handover::Forward);
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));
}

#[test]
fn each_execution_of_a_pipeline_is_a_step_and_so_is_the_sync_that_commits_them() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&executed("insert into t values (2)"));
    sent.extend_from_slice(&sync());
    let out = feed(&mut cycle, &sent);
    assert_eq!(held_sql(&out), ["insert into t values (1)"]);
    let first = release(&mut cycle, Handover::Forward).to_server;
    assert_eq!(first, flushed("insert into t values (1)"), "with a Flush");
    answer(&mut cycle, b"12");
    let out = serve(&mut cycle, b'C', b"INSERT 0 1\0");
    assert_eq!(ended_status(&out), Some(b'T'));
    assert_eq!(held_sql(&out), ["insert into t values (2)"]);
    let second = release(&mut cycle, Handover::Forward).to_server;
    assert_eq!(second, flushed("insert into t values (2)"));
    answer(&mut cycle, b"12");
    let out = serve(&mut cycle, b'C', b"INSERT 0 1\0");
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: true });
    assert_eq!(held_sql(&out), ["commit /* by Sync */"]);
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, sync());
    assert_eq!(ended_status(&serve(&mut cycle, b'Z', b"I")), Some(b'I'));
}

#[test]
fn a_sync_that_commits_nothing_belongs_to_the_execution_before_it() {
    // psycopg's pipeline mode outside autocommit: BEGIN, two statements, COMMIT, each by Execute.
    let mut cycle = Cycle::new(false);
    let mut sent = BytesMut::new();
    let sql = [
        "begin",
        "insert into t values (1)",
        "rollback to s",
        "commit",
    ];
    for one in sql {
        sent.extend_from_slice(&executed(one));
    }
    sent.extend_from_slice(&sync());
    feed(&mut cycle, &sent);
    for (tag, status) in [("BEGIN", b'T'), ("INSERT 0 1", b'T'), ("ROLLBACK", b'T')] {
        release(&mut cycle, Handover::Forward);
        answer(&mut cycle, b"12");
        let out = serve(&mut cycle, b'C', format!("{tag}\0").as_bytes());
        assert_eq!(ended_status(&out), Some(status), "{tag}");
    }
    let mut last = executed("commit");
    last.extend_from_slice(&sync());
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, last);
    answer(&mut cycle, b"12");
    assert!(!ended(&serve(&mut cycle, b'C', b"COMMIT\0")));
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));
}

#[test]
fn preparations_behind_executions_do_not_hide_the_sync_that_commits_these() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&prepared("s", "select 1"));
    sent.truncate(sent.len() - 5);
    sent.extend_from_slice(&sync());
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    answer(&mut cycle, b"12");
    let out = serve(&mut cycle, b'C', b"INSERT 0 1\0");
    assert_eq!(held(&out).unwrap().kind, StepKind::Preparation);
    let sent = release(&mut cycle, Handover::Forward).to_server;
    assert_eq!(sent, prepared("s", "select 1"), "with a Flush");
    let out = answer(&mut cycle, b"1n");
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: true });
}

#[test]
fn a_query_behind_a_preparation_is_held_by_itself() {
    // asyncpg's COPY: Parse Describe Flush of a SELECT, and then the COPY as a Query.
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &prepared("s", "select * from t limit 1"));
    release(&mut cycle, Handover::Forward);
    assert!(ended(&answer(&mut cycle, b"1tn")));
    let out = feed(&mut cycle, &query("copy t from stdin"));
    assert!(out.to_server.is_empty());
    assert_eq!(held_sql(&out), ["copy t from stdin"]);
}

#[test]
fn a_copy_in_a_pipeline_ends_with_its_data() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("copy t from stdin");
    frontend::flush(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    answer(&mut cycle, b"12");
    serve(&mut cycle, b'G', b"\0\0\0");
    let mut data = BytesMut::from(&b"d\0\0\0\x061\n"[..]);
    frontend::copy_done(&mut data);
    let out = feed(&mut cycle, &data);
    assert!(
        out.to_server.ends_with(FLUSH),
        "or its end would stay there"
    );
    assert_eq!(out.to_server[..data.len()], data);
    let out = serve(&mut cycle, b'C', b"COPY 1\0");
    assert_eq!(ended_status(&out), Some(b'T'));
    let out = feed(&mut cycle, &sync());
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: true });
}

#[test]
fn an_answer_inside_a_pipeline_is_replaced_and_its_transaction_aborted() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&executed("insert into t values (2)"));
    sent.extend_from_slice(&sync());
    feed(&mut cycle, &sent);
    release(
        &mut cycle,
        Handover::AnswerWith {
            instead: bytes::Bytes::from_static(b"E..."),
            abort: query("abort").freeze(),
            unless_committed: true,
        },
    );
    answer(&mut cycle, b"12");
    let out = serve(&mut cycle, b'C', b"INSERT 0 1\0");
    assert_eq!(out.to_server, query("abort"));
    assert!(out.to_client.is_empty() && !ended(&out));
    serve(&mut cycle, b'E', b"SERROR\0C40001\0\0");
    let out = serve(&mut cycle, b'Z', b"I");
    assert_eq!(&out.to_client[..], b"E...");
    assert!(ended(&out));
    assert!(out.to_server.is_empty(), "the second must not be executed");
    assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: false });
    assert_eq!(release(&mut cycle, Handover::Forward).to_server, sync());
    let out = serve(&mut cycle, b'Z', b"I");
    assert_eq!(&out.to_client[..], b"Z\0\0\0\x05I");
}

#[test]
fn an_answer_inside_a_pipeline_is_dropped_and_what_follows_is_held() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&flushed("insert into t values (2)"));
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::DropAnswer);
    assert!(answer(&mut cycle, b"12").to_client.is_empty());
    let out = serve(&mut cycle, b'C', b"INSERT 0 1\0");
    assert!(out.to_client.is_empty());
    assert_eq!(held_sql(&out), ["insert into t values (2)"]);
}

#[test]
fn a_cursor_that_binds_and_flushes_is_told_by_its_sql() {
    // node-postgres's cursor: Parse Bind Describe Flush, then Execute Flush for each part.
    let mut cycle = Cycle::new(false);
    let mut sent = executed("select g from t");
    sent.truncate(sent.len() - 10);
    frontend::flush(&mut sent);
    let out = feed(&mut cycle, &sent);
    assert_eq!(held_sql(&out), ["select g from t"]);
    assert_eq!(held(&out).unwrap().kind, StepKind::Preparation);
    release(&mut cycle, Handover::Forward);
    assert!(ended(&answer(&mut cycle, b"12")));
    let mut part = BytesMut::new();
    frontend::execute("", 6, &mut part).unwrap();
    frontend::flush(&mut part);
    for text in ["select g from t", "/* next rows of an open portal */"] {
        assert_eq!(held_sql(&feed(&mut cycle, &part)), [text]);
        assert_eq!(release(&mut cycle, Handover::Forward).to_server, part);
        assert!(ended(&serve(&mut cycle, b's', b"")));
    }
}

#[test]
fn copy_data_that_is_sent_before_the_server_asks_for_it_goes_with_its_step() {
    let mut cycle = Cycle::new(false);
    let mut sent = query("copy t from stdin");
    let mut data = BytesMut::from(&b"d\0\0\0\x061\n"[..]);
    frontend::copy_done(&mut data);
    sent.extend_from_slice(&data);
    sent.extend_from_slice(&query("select 1"));
    assert_eq!(held_sql(&feed(&mut cycle, &sent)), ["copy t from stdin"]);
    release(&mut cycle, Handover::Forward);
    assert_eq!(serve(&mut cycle, b'G', b"\0\0\0").to_server, data);
    serve(&mut cycle, b'C', b"COPY 1\0");
    assert_eq!(held_sql(&serve(&mut cycle, b'Z', b"I")), ["select 1"]);
}

#[test]
fn a_request_behind_the_end_of_a_copy_is_held() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &query("copy t from stdin"));
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'G', b"\0\0\0");
    let mut data = BytesMut::from(&b"d\0\0\0\x061\n"[..]);
    frontend::copy_done(&mut data);
    let mut sent = data.clone();
    sent.extend_from_slice(&query("select 1"));
    assert_eq!(feed(&mut cycle, &sent).to_server, data);
    serve(&mut cycle, b'C', b"COPY 1\0");
    assert_eq!(held_sql(&serve(&mut cycle, b'Z', b"I")), ["select 1"]);
}

#[test]
fn terminate_does_not_overtake_what_was_sent_before_it() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &query("select 1"));
    release(&mut cycle, Handover::Forward);
    let mut sent = query("select 2");
    frontend::terminate(&mut sent);
    assert!(feed(&mut cycle, &sent).to_server.is_empty());
    serve(&mut cycle, b'Z', b"I");
    assert_eq!(
        release(&mut cycle, Handover::Forward).to_server,
        query("select 2")
    );
    assert_eq!(&serve(&mut cycle, b'Z', b"I").to_server[..], b"X\0\0\0\x04");
}

#[test]
fn an_answer_can_be_replaced_though_the_client_flushes_before_it_executes() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &prepared("", "insert into t values (1)"));
    release(&mut cycle, Handover::Forward);
    let out = answer(&mut cycle, b"1tn");
    assert!(!out.to_client.is_empty(), "or it would never execute");
    feed(&mut cycle, &bound(""));
    release(
        &mut cycle,
        Handover::AnswerWith {
            instead: bytes::Bytes::from_static(b"E..."),
            abort: bytes::Bytes::new(),
            unless_committed: false,
        },
    );
    answer(&mut cycle, b"2");
    assert!(
        serve(&mut cycle, b'C', b"INSERT 0 1\0")
            .to_client
            .is_empty()
    );
    let out = serve(&mut cycle, b'Z', b"I");
    assert_eq!(&out.to_client[..], b"E...Z\0\0\0\x05I");
}

#[test]
fn an_answer_is_not_replaced_by_an_error_where_the_step_is_committed() {
    let answered = |status: &[u8], fails: bool| {
        let mut cycle = Cycle::new(false);
        let mut sent = BytesMut::new();
        frontend::query("insert into t values (1)", &mut sent).unwrap();
        feed(&mut cycle, &sent);
        let handover = Handover::AnswerWith {
            instead: bytes::Bytes::from_static(b"E..."),
            abort: bytes::Bytes::from_static(b"abort"),
            unless_committed: true,
        };
        release(&mut cycle, handover);
        if fails {
            serve(&mut cycle, b'E', b"SERROR\0C23505\0Mno\0\0");
        } else {
            serve(&mut cycle, b'C', b"INSERT 0 1\0");
        }
        let out = serve(&mut cycle, b'Z', status);
        (out.to_client.to_vec(), out.to_server.to_vec(), ended(&out))
    };
    assert_eq!(answered(b"I", false), (vec![], vec![], true));
    let told = b"E...Z\0\0\0\x05I".to_vec();
    assert_eq!(answered(b"I", true), (told, vec![], true));
    assert_eq!(answered(b"T", false), (vec![], b"abort".to_vec(), false));
}

#[test]
fn a_sync_behind_a_flush_is_a_step_whether_it_comes_with_it_or_later() {
    // An older node-postgres: Parse Bind Describe Execute Flush Sync, in one piece or in two.
    for in_one_piece in [true, false] {
        let mut cycle = Cycle::new(false);
        let mut sent = flushed("select 1");
        if in_one_piece {
            sent.extend_from_slice(&sync());
        }
        assert_eq!(held_sql(&feed(&mut cycle, &sent)), ["select 1"]);
        let passed = release(&mut cycle, Handover::Forward).to_server;
        assert_eq!(passed, flushed("select 1"));
        answer(&mut cycle, b"12");
        let mut out = serve(&mut cycle, b'C', b"SELECT 1\0");
        assert!(ended(&out));
        if !in_one_piece {
            out = feed(&mut cycle, &sync());
        }
        assert_eq!(held(&out).unwrap().kind, StepKind::Sync { commits: true });
        assert_eq!(release(&mut cycle, Handover::Forward).to_server, sync());
        assert!(ended(&serve(&mut cycle, b'Z', b"I")));
    }
}

#[test]
fn in_real_time_a_burst_passes_as_it_was_sent() {
    let mut cycle = Cycle::new(true);
    let mut sent = executed("insert into t values (1)");
    sent.extend_from_slice(&executed("insert into t values (2)"));
    sent.extend_from_slice(&sync());
    let out = feed(&mut cycle, &sent);
    assert_eq!(out.to_server, sent);
    assert_eq!(held_sql(&out).len(), 2);
    for _ in 0..2 {
        answer(&mut cycle, b"12");
        assert!(!ended(&serve(&mut cycle, b'C', b"INSERT 0 1\0")));
    }
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));
    // What follows a Flush does not wait for the answer to a preparation.
    feed(&mut cycle, &prepared("s", "select 1"));
    let rest = bound("s");
    assert_eq!(feed(&mut cycle, &rest).to_server, rest);
}
