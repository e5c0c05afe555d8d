//! What each lock does, and what the planted bugs among them fail to do.

use std::process::{Command, Stdio};

use groombook::{LOCK_KEY, LockKind, Options, Profile};

use crate::database::{ACQUIRED, COMPLETE, Database, RELEASED, SERVICES, seed, seed_hooked};
use crate::server::{LIMIT, wait_for};

#[test]
fn every_lock_completes_alone_with_the_same_rows_and_nothing_left() {
    let database = Database::new();
    database.seed(LockKind::Single);
    let digest = database.digest();
    for lock in LockKind::ALL {
        let said = database.seed(lock);
        let count = |line: &str| said.lines.iter().filter(|said| *said == line).count();
        let expected = usize::from(lock != LockKind::None);
        assert_eq!(count(ACQUIRED), expected, "{lock}");
        assert_eq!(count(RELEASED), expected, "{lock}");
        assert_eq!(said.lines.last().unwrap(), COMPLETE, "{lock}");
        let warned = said.complaints.iter().any(|line| line.contains("01000"));
        assert_eq!(warned, lock == LockKind::Pooled, "{lock}: {said:?}");
        assert_eq!(database.digest(), digest, "{lock}");
        database.wait_until_left();
    }
}

#[test]
fn in_the_middle_of_a_seed_each_lock_is_what_it_is() {
    let database = Database::new();
    let exclusive = format!("ExclusiveLock {LOCK_KEY}");
    for lock in LockKind::ALL {
        let mut seen = None;
        let (code, _) = seed_hooked(&database.options(lock), |line| {
            if line == SERVICES {
                seen = Some(database.locks());
            }
        });
        assert_eq!(code, 0, "{lock}");
        let seen = seen.unwrap();
        match lock {
            LockKind::None | LockKind::Xact => assert_eq!(seen, "", "{lock}"),
            LockKind::Shared => assert_eq!(seen, format!("ShareLock {LOCK_KEY}")),
            LockKind::WrongKey => {
                assert!(
                    seen.starts_with("ExclusiveLock ") && seen != exclusive,
                    "{seen}"
                );
            }
            _ => assert_eq!(seen, exclusive, "{lock}"),
        }
    }
}

/// What the database shows when this line is said.
fn at<T: Send>(options: &Options, line: &str, look: impl Fn() -> T + Send + Sync) -> T {
    let mut seen = None;
    let (_, said) = seed_hooked(options, |now| {
        if now.contains(line) && seen.is_none() {
            seen = Some(look());
        }
    });
    seen.unwrap_or_else(|| panic!("{line:?} was not said: {said:?}"))
}

#[test]
fn a_late_lock_comes_after_the_truncate_and_an_early_release_before_the_last_flush() {
    let database = Database::new();
    database.seed(LockKind::Session);
    let at_line = |lock, line| at(&database.options(lock), line, || database.count("invoices"));
    assert_eq!(at_line(LockKind::Session, ACQUIRED), 24);
    assert_eq!(at_line(LockKind::Session, RELEASED), 24);
    assert_eq!(at_line(LockKind::Late, ACQUIRED), 0);
    let early = at_line(LockKind::EarlyRelease, RELEASED);
    assert!((8..24).contains(&early), "{early} invoices at the release");
    assert_eq!(database.count("invoices"), 24);
}

#[test]
fn a_pooled_unlock_misses_and_a_double_lock_outlives_the_seed() {
    let database = Database::new();
    let locks = |lock, line| at(&database.options(lock), line, || database.locks());
    assert_eq!(locks(LockKind::Session, RELEASED), "");
    let exclusive = format!("ExclusiveLock {LOCK_KEY}");
    assert_eq!(locks(LockKind::Pooled, RELEASED), exclusive);
    assert_eq!(locks(LockKind::Double, COMPLETE), exclusive);
    for profile in [Profile::Tiny, Profile::Dev] {
        for known_users in [false, true] {
            let options = Options {
                profile,
                known_users,
                ..database.options(LockKind::Pooled)
            };
            let (code, said) = seed(&options);
            let warning = "WARNING: you don't own a lock of type ExclusiveLock (SQLSTATE 01000)";
            assert_eq!((code, said.complaints), (0, vec![warning.to_owned()]));
        }
    }
}

#[test]
fn a_pool_that_ended_first_unlocks_nothing() {
    let database = Database::new();
    let sessions = |lock| at(&database.options(lock), RELEASED, || database.sessions());
    assert_eq!(sessions(LockKind::Session), "5");
    assert_eq!(sessions(LockKind::Single), "1");
    // The line is said when every session is gone, the lock's with them.
    at(&database.options(LockKind::EndFirst), RELEASED, || {
        database.wait_until_left();
    });
}

#[test]
fn statements_go_round_the_pool_in_the_same_way_each_time() {
    let database = Database::new();
    let last_statements = || {
        database.ask(
            "select left(query, 60) from pg_stat_activity where application_name = 'groombook-seed'
             and datname = current_database() order by backend_start",
        )
    };
    let options = database.options(LockKind::Session);
    let first = at(&options, "✓ Created 28 appointments", last_statements);
    assert_eq!(
        first,
        at(&options, "✓ Created 28 appointments", last_statements)
    );
    let sessions: Vec<&str> = first.lines().collect();
    assert!(
        sessions[0].starts_with("select pg_advisory_lock("),
        "{first}"
    );
    // The last four of the five statements of a flush, each on a connection of its own.
    for table in [
        "invoices",
        "invoice_line_items",
        "invoice_tip_splits",
        "grooming_visit_logs",
    ] {
        let beginning = format!("insert into {table} (");
        let count = sessions
            .iter()
            .filter(|sql| sql.starts_with(&beginning))
            .count();
        assert_eq!(count, 1, "{first}");
    }
}

#[test]
fn a_second_seed_waits_for_the_first_unless_it_does_not_look_at_the_answer() {
    let database = Database::new();
    let (held, release) = std::sync::mpsc::channel::<()>();
    let first = {
        let database = database.clone();
        std::thread::spawn(move || {
            seed_hooked(&database.options(LockKind::Session), move |line| {
                if line == SERVICES {
                    let _ = release.recv_timeout(LIMIT);
                }
            })
        })
    };
    wait_for("the first seed to hold the lock", || {
        !database.locks().is_empty()
    });
    // A try-lock whose answer is ignored goes straight through, and does not own what it unlocks.
    let said = database.seed(LockKind::TryIgnored);
    assert!(
        said.complaints[0].contains("you don't own a lock"),
        "{said:?}"
    );
    let second = {
        let database = database.clone();
        std::thread::spawn(move || seed(&database.options(LockKind::Guarded)))
    };
    database.wait_until_blocked("select pg_advisory_lock(");
    held.send(()).unwrap();
    // What it wrote meanwhile is what the first one meets.
    let (code, said) = first.join().unwrap();
    assert_eq!(code, 1);
    assert!(said.complaints[0].contains("SQLSTATE 23505"), "{said:?}");
    let (code, said) = second.join().unwrap();
    assert_eq!(code, 0, "{said:?}");
    assert_eq!(database.count("invoices"), 24);
}

#[test]
fn when_its_session_is_lost_guarded_stops_at_once_and_session_goes_on() {
    let run_and_lose = |lock| {
        let database = Database::new();
        let (code, said) = seed_hooked(&database.options(lock), |line| {
            if line == SERVICES {
                database.terminate_holder();
            }
        });
        assert_eq!(code, 1, "{lock}: {said:?}");
        database.wait_until_left();
        assert!(!said.lines.iter().any(|line| line == RELEASED));
        (database, said.complaints.join("\n"))
    };
    let (database, complaint) = run_and_lose(LockKind::Guarded);
    assert_eq!(database.count("services"), 10);
    assert_eq!(
        database.count("clients"),
        0,
        "nothing was sent after the loss"
    );
    assert!(
        complaint.starts_with("Seed failed: stopped: the lock is lost: its session ended: "),
        "{complaint}"
    );
    let (database, complaint) = run_and_lose(LockKind::Session);
    assert_eq!(database.count("invoices"), 24, "it went on to the end");
    assert!(complaint.starts_with("Seed failed: "), "{complaint}");
}

#[test]
fn guarded_takes_back_a_statement_that_is_under_way_when_the_lock_is_lost() {
    let database = Database::new();
    // Somebody keeps the seed's statement waiting inside the server.
    let mut holder = Command::new("psql")
        .args(["-XAtq", &database.server.url(&database.name)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut holding = holder.stdin.take().unwrap();
    std::io::Write::write_all(&mut holding, b"begin; lock table clients;\n").unwrap();
    wait_for("the table to be locked", || {
        database
            .ask("select count(*) from pg_locks where relation = 'clients'::regclass and granted")
            != "0"
    });
    let running = {
        let database = database.clone();
        std::thread::spawn(move || seed(&database.options(LockKind::Guarded)))
    };
    database.wait_until_blocked("insert into clients ");
    database.terminate_holder();
    let (code, said) = running.join().unwrap();
    assert_eq!(code, 1);
    assert!(said.complaints[0].contains("the lock is lost"), "{said:?}");
    database.wait_until_left();
    drop(holding);
    assert!(holder.wait().unwrap().success());
    assert_eq!(database.count("clients"), 0);
}

#[test]
fn an_error_releases_the_lock_unless_there_is_no_finally() {
    let fail = |lock| {
        let database = Database::new();
        let mut locks = String::new();
        let (code, said) = seed_hooked(&database.options(lock), |line| {
            if line == SERVICES {
                database.ask("drop table invoice_tip_splits");
            }
            if line.starts_with("Seed failed: ") {
                locks = database.locks();
            }
        });
        assert_eq!(code, 1, "{lock}");
        assert_eq!(
            said.complaints,
            [
                "Seed failed: relation \"invoice_tip_splits\" does not exist (SQLSTATE 42P01) \
                 (in: insert into invoice_tip_splits)"
            ]
        );
        database.wait_until_left();
        (locks, said.lines.last().unwrap().clone())
    };
    for lock in [LockKind::Session, LockKind::Guarded, LockKind::Single] {
        assert_eq!(fail(lock), (String::new(), RELEASED.to_owned()), "{lock}");
    }
    let (locks, last) = fail(LockKind::NoFinally);
    assert_eq!(locks, format!("ExclusiveLock {LOCK_KEY}"));
    assert_ne!(last, RELEASED);
}

#[test]
fn a_reset_makes_the_schema_anew_inside_the_lock_only_with_whole_job() {
    let database = Database::new();
    database.seed(LockKind::Session);
    let digest = database.digest();
    let options = |lock| Options {
        reset: true,
        ..database.options(lock)
    };
    let at_lock = |lock| at(&options(lock), ACQUIRED, || database.count("invoices"));
    assert_eq!(at_lock(LockKind::WholeJob), 24, "nothing is dropped yet");
    assert_eq!(
        at_lock(LockKind::Session),
        0,
        "all is dropped and made anew"
    );
    for lock in LockKind::ALL {
        let (code, said) = seed(&options(lock));
        assert_eq!(code, 0, "{lock}: {said:?}");
        assert_eq!(database.digest(), digest, "{lock}");
    }
}
