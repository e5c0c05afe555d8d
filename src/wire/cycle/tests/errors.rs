//! An error reaches the client with the end of its step.

use super::*;

/// The body of an ErrorResponse.
fn error(severity: &str) -> Vec<u8> {
    format!("S{severity}\0V{severity}\0C23503\0Mno such row\0\0").into_bytes()
}

fn running(open: bool) -> Cycle {
    let mut cycle = Cycle::new(open);
    feed(&mut cycle, &query("insert into t values (1)"));
    if !open {
        release(&mut cycle, Handover::Forward);
    }
    cycle
}

#[test]
fn an_error_is_kept_back_until_the_server_is_ready() {
    let mut cycle = running(false);
    let told = serve(&mut cycle, b'E', &error("ERROR"));
    assert!(told.to_client.is_empty() && !ended(&told));
    let ready = serve(&mut cycle, b'Z', b"I");
    assert!(ended(&ready));
    assert_eq!(ready.to_client[0], b'E');
    assert!(ready.to_client.ends_with(b"Z\0\0\0\x05I"));
}

#[test]
fn the_end_of_a_session_and_errors_in_real_time_pass_at_once() {
    let fatal = serve(&mut running(false), b'E', &error("FATAL"));
    assert_eq!(fatal.to_client[0], b'E');
    let open = serve(&mut running(true), b'E', &error("ERROR"));
    assert_eq!(open.to_client[0], b'E');
}

#[test]
fn what_was_kept_back_passes_when_the_server_says_nothing_more() {
    let mut cycle = running(false);
    serve(&mut cycle, b'E', &error("ERROR"));
    let mut out = Output::default();
    cycle.server_ended(&mut out);
    assert_eq!(out.to_client[0], b'E');
}

#[test]
fn an_error_whose_client_must_still_sync_passes_at_once() {
    let mut cycle = Cycle::new(false);
    let mut bytes = BytesMut::new();
    frontend::parse("", "select 1", [], &mut bytes).unwrap();
    frontend::flush(&mut bytes);
    feed(&mut cycle, &bytes);
    release(&mut cycle, Handover::Forward);
    let told = serve(&mut cycle, b'E', &error("ERROR"));
    assert_eq!(told.to_client[0], b'E');
    assert!(ended(&told), "whatever the client does until its Sync");
}

#[test]
fn an_error_that_ends_the_session_ends_no_step_of_a_pipeline() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &flushed("select 1"));
    release(&mut cycle, Handover::Forward);
    let told = serve(&mut cycle, b'E', &error("FATAL"));
    assert_eq!(told.to_client[0], b'E');
    assert!(!ended(&told), "its session's end will");
}
