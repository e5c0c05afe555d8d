//! What a running step needs of its client, message by message.

use super::*;

/// The bytes sent so far are the connection's to count.
const SENT: u64 = 7;

fn closed() -> BytesMut {
    BytesMut::from(&b"C\0\0\0\x06P\0"[..])
}

#[test]
fn a_query_needs_nothing_of_its_client() {
    let mut cycle = Cycle::new(false);
    assert_eq!(cycle.need(SENT), Need::Nothing);
    feed(&mut cycle, &query("copy t to stdout"));
    assert_eq!(cycle.need(SENT), Need::Nothing, "it is held");
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'H', b"\0\0\0");
    serve(&mut cycle, b'd', b"1\n");
    assert_eq!(
        cycle.need(SENT),
        Need::Nothing,
        "the data flows the other way"
    );
}

#[test]
fn a_copy_needs_data_from_its_beginning_to_the_client_s_last_word_on_it() {
    for last in [b"c\0\0\0\x04".as_slice(), b"f\0\0\0\x05\0"] {
        let mut cycle = Cycle::new(false);
        feed(&mut cycle, &query("copy t from stdin"));
        release(&mut cycle, Handover::Forward);
        assert_eq!(cycle.need(SENT), Need::Nothing, "the server has not begun");
        serve(&mut cycle, b'G', b"\0\0\0");
        assert_eq!(cycle.need(SENT), Need::Data { sent: SENT });
        feed(&mut cycle, &BytesMut::from(&b"d\0\0\0\x061\n"[..]));
        assert_eq!(cycle.need(SENT), Need::Data { sent: SENT });
        feed(&mut cycle, &BytesMut::from(last));
        assert_eq!(cycle.need(SENT), Need::Nothing, "all has been said");
    }
}

#[test]
fn a_client_that_has_flushed_is_needed_when_all_it_sent_is_answered() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("select 1");
    sent.extend_from_slice(&closed());
    frontend::flush(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    for (tag, body) in [(b'1', b"".as_slice()), (b'2', b""), (b'C', b"SELECT 1\0")] {
        serve(&mut cycle, tag, body);
        assert_eq!(cycle.need(SENT), Need::Nothing);
    }
    serve(&mut cycle, b'3', b"");
    assert_eq!(cycle.need(SENT), Need::Message);
    let mut sync = BytesMut::new();
    frontend::sync(&mut sync);
    feed(&mut cycle, &sync);
    assert_eq!(cycle.need(SENT), Need::Nothing);
}

#[test]
fn a_description_of_a_statement_is_one_answer() {
    let mut cycle = Cycle::new(false);
    let mut sent = BytesMut::new();
    frontend::parse("", "select 1", [], &mut sent).unwrap();
    frontend::describe(b'S', "", &mut sent).unwrap();
    frontend::flush(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'1', b"");
    serve(&mut cycle, b't', b"\0\0");
    assert_eq!(cycle.need(SENT), Need::Nothing);
    serve(&mut cycle, b'n', b"");
    assert_eq!(cycle.need(SENT), Need::Message);
}

#[test]
fn after_an_error_only_the_sync_is_needed() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &flushed("select 1"));
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'E', b"SERROR\0C40001\0\0");
    assert_eq!(cycle.need(SENT), Need::Message);
}

#[test]
fn a_step_that_was_replaced_needs_its_sync_once_the_server_is_ready() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &flushed("select 1"));
    release(&mut cycle, Handover::Replace(query("do").freeze()));
    serve(&mut cycle, b'C', b"DO\0");
    assert_eq!(cycle.need(SENT), Need::Nothing);
    serve(&mut cycle, b'Z', b"I");
    assert_eq!(cycle.need(SENT), Need::Message);
}
