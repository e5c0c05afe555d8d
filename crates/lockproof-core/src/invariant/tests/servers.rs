//! Two servers: a lock that both grant at once is no lock.

use super::*;
use crate::history::*;

/// After a failover b works under the lock of the new primary. With `alive`, a still holds that of the
/// old one and works on.
fn failover(alive: bool) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.start("a", 1).lock("a.0").write("a.0", INVOICES);
    if !alive {
        story.unlock("a.0").leaves("a.0").succeeds("a");
    }
    story
        .start("b", 1)
        .lock("b.0")
        .write("b.0", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .succeeds("b");
    if alive {
        story
            .write("a.0", INVOICES)
            .unlock("a.0")
            .leaves("a.0")
            .succeeds("a");
    }
    let mut lines = story.end();
    let b = session("b.0").pid;
    for line in &mut lines {
        match &mut line.event {
            Event::SessionStarted {
                session, server, ..
            } if session.pid == b => *server = 1,
            Event::Locks { locks, .. } => on_second(locks, b),
            Event::Write(write) => {
                on_second(&mut write.locks, b);
                // The witness sees the locks of its own server only.
                let server = u8::from(write.session.pid == b);
                write.locks.retain(|lock| lock.key.server == server);
            }
            _ => {}
        }
    }
    lines
}

fn on_second(locks: &mut [HeldLock], pid: i32) {
    for lock in locks.iter_mut().filter(|lock| lock.pid == pid) {
        lock.key.server = 1;
    }
}

#[test]
fn a_lock_goes_on_as_that_of_the_new_primary_when_the_old_one_has_let_it_go() {
    assert_violated(&failover(false), &[]);
}

#[test]
fn two_servers_that_grant_one_key_at_the_same_time_exclude_nobody() {
    use InvariantName::{MutualExclusion, WorkUnderLock};
    assert_violated(&failover(true), &[WorkUnderLock, MutualExclusion]);
    let why = &said(&failover(true), WorkUnderLock).findings[0].why;
    assert!(why.contains("of the promoted standby"), "{why}");
}
