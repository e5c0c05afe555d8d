//! What a running step needs of its client, message by message.

use super::*;

/// The bytes sent so far are the connection's to count.
const SENT: u64 = 7;

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
fn a_client_between_its_flush_and_its_sync_is_needed_for_nothing() {
    // Its step is over; that it says more is waited for as between any two steps.
    let mut cycle = Cycle::new(false);
    let mut sent = executed("select 1");
    sent.extend_from_slice(b"C\0\0\0\x06P\0");
    frontend::flush(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    for (tag, body) in [(b'1', b"".as_slice()), (b'2', b""), (b'C', b"SELECT 1\0")] {
        assert!(!ended(&serve(&mut cycle, tag, body)));
        assert_eq!(cycle.need(SENT), Need::Nothing);
    }
    assert!(ended(&serve(&mut cycle, b'3', b"")));
    assert_eq!(cycle.need(SENT), Need::Nothing);
}

#[test]
fn a_description_of_a_statement_is_one_answer() {
    let mut cycle = Cycle::new(false);
    feed(&mut cycle, &prepared("", "select 1"));
    release(&mut cycle, Handover::Forward);
    serve(&mut cycle, b'1', b"");
    assert!(!ended(&serve(&mut cycle, b't', b"\0\0")));
    assert!(ended(&serve(&mut cycle, b'n', b"")));
}

#[test]
fn a_copy_whose_sync_was_swallowed_needs_another_behind_its_data() {
    let mut cycle = Cycle::new(false);
    let mut sent = executed("copy t from stdin");
    frontend::sync(&mut sent);
    feed(&mut cycle, &sent);
    release(&mut cycle, Handover::Forward);
    answer(&mut cycle, b"12");
    serve(&mut cycle, b'G', b"\0\0\0");
    let mut data = BytesMut::new();
    frontend::copy_done(&mut data);
    feed(&mut cycle, &data);
    assert_eq!(cycle.need(SENT), Need::Nothing, "the server is at work");
    serve(&mut cycle, b'C', b"COPY 0\0");
    assert_eq!(cycle.need(SENT), Need::Message);
    assert_eq!(feed(&mut cycle, &sync()).to_server, sync());
    assert_eq!(cycle.need(SENT), Need::Nothing);
    assert!(ended(&serve(&mut cycle, b'Z', b"I")));
}
