//! What drivers ask by themselves, and jobs on purpose: each must be told from the other.

use super::driver_queries::all_look_ups;
use super::{Kind, Parameter, meaning};
use crate::history::{LockAction, LockCall};
use crate::name::{KeyForm, LockKey, LockMode};

#[test]
fn the_look_ups_of_drivers_are_known() {
    for sql in all_look_ups() {
        let meaning = meaning(&sql, &[]);
        assert!(meaning.look_up, "{sql}");
        assert!(
            !meaning.opaque && meaning.writes.is_empty() && meaning.lock_calls.is_empty(),
            "{sql}"
        );
    }
}

#[test]
fn what_a_job_asks_on_purpose_is_no_look_up() {
    for sql in [
        "select 1",
        "select version()",
        "select 1 from information_schema.tables where table_name = 'x'",
        "select count(*) from pg_tables where tablename = 'x'",
        "select 1 from pg_type where typname = 'mood'",
        "select to_regclass('t')",
        "select oid from pg_class where relname = 'x'",
        "select * from pg_locks where locktype = 'advisory'",
        "select count(*) from pg_catalog.pg_stat_activity",
        "select pg_try_advisory_lock(1) from pg_type limit 1",
        "select * from pg_type, invoices",
        "select * from pg_type where exists (select 1 from invoices)",
        "select * from mine.pg_type",
        "select pg_sleep(1) from pg_class",
        "select my_function() from pg_class",
        "select * into t from pg_class",
        "select * from pg_class for update",
        "with x as (delete from t returning 1) select * from pg_class, x",
        "insert into t select oid from pg_class",
        "select 1 from pg_type; select * from invoices",
        "select 1 from pg_type; begin",
        "explain select * from pg_type",
        "select * from pg_type where typname = 'x",
        "select 1, 'from pg_type'",
        "",
    ] {
        assert!(!meaning(sql, &[]).look_up, "{sql}");
    }
}

fn call(action: LockAction, mode: LockMode, xact: bool, key: Option<LockKey>) -> LockCall {
    LockCall {
        action,
        mode,
        xact,
        key,
        whole: true,
    }
}

#[test]
fn every_advisory_lock_function_is_found_with_its_key() {
    use LockAction::{Lock, TryLock, Unlock, UnlockAll};
    use LockMode::{Exclusive, Share};
    let one = Some(LockKey::bigint(0, -5));
    let two = Some(LockKey::two_ints(0, 7, -8));
    for (name, action, mode, xact) in [
        ("pg_advisory_lock", Lock, Exclusive, false),
        ("pg_advisory_lock_shared", Lock, Share, false),
        ("pg_advisory_xact_lock", Lock, Exclusive, true),
        ("pg_advisory_xact_lock_shared", Lock, Share, true),
        ("pg_try_advisory_lock", TryLock, Exclusive, false),
        ("pg_try_advisory_lock_shared", TryLock, Share, false),
        ("pg_try_advisory_xact_lock", TryLock, Exclusive, true),
        ("pg_try_advisory_xact_lock_shared", TryLock, Share, true),
        ("pg_advisory_unlock", Unlock, Exclusive, false),
        ("pg_advisory_unlock_shared", Unlock, Share, false),
    ] {
        for (sql, key) in [
            (format!("SELECT {}(-5)", name.to_uppercase()), one),
            (
                format!("select \"pg_catalog\".\"{name}\" ( '-5' :: bigint ) as got"),
                one,
            ),
            (format!("select x.* from pg_catalog.{name}($1) x"), None),
            (
                format!("with a as materialized (select {name}(7, /* , */ -8)) select * from a"),
                two,
            ),
            (format!("select {name}(hashtext('job'))"), None),
            (format!("select {name}(1, f(2, 3))"), None),
        ] {
            let found = meaning(&sql, &[]);
            let inside = sql.starts_with("with") || (sql.contains("x.*") && action != Lock);
            let wanted = LockCall {
                whole: !inside,
                ..call(action, mode, xact, key)
            };
            assert_eq!(found.lock_calls, [wanted], "{sql}");
        }
    }
    let sql = "select pg_advisory_unlock_all(); discard all";
    let all = call(UnlockAll, Exclusive, false, None);
    assert_eq!(meaning(sql, &[]).lock_calls, [all.clone(), all]);
}

#[test]
fn a_call_answers_for_itself_only_as_a_column_of_its_own() {
    for (sql, whole) in [
        ("select pg_try_advisory_lock(7)", true),
        ("select pg_try_advisory_lock(7) as got, 1", true),
        (
            "select 1, pg_catalog.pg_try_advisory_lock(7) \"got\" from jobs limit 1",
            true,
        ),
        ("select pg_advisory_lock(7)::text", true),
        ("select pg_advisory_lock(7)::text as void from jobs", true),
        ("select * from pg_try_advisory_lock(7)", true),
        ("select * from pg_try_advisory_lock(7) as got", true),
        ("select 1 from pg_advisory_lock(7)", true),
        // The answer is another's, or the call may not have been made.
        ("select not pg_try_advisory_lock(7) as busy", false),
        (
            "select pg_try_advisory_lock(7)::int, exists(select 1)",
            false,
        ),
        ("select pg_try_advisory_lock(7)::bool, 1", true),
        ("select pg_try_advisory_lock(7) notnull", false),
        ("select pg_try_advisory_lock(7) is false", false),
        ("select coalesce(pg_try_advisory_lock(7), false)", false),
        (
            "select case when busy then pg_advisory_lock(7) end from jobs",
            false,
        ),
        ("select id from jobs where pg_try_advisory_lock(7)", false),
        (
            "select id from jobs where free and pg_try_advisory_lock(7) limit 1",
            false,
        ),
        ("select not got from pg_try_advisory_lock(7) as got", false),
        ("select pg_advisory_lock(7) where false", false),
        ("select (select pg_advisory_lock(7))", false),
        ("select 1 from jobs, pg_advisory_lock(7)", false),
        ("insert into won select pg_try_advisory_lock(7)", false),
    ] {
        let found = meaning(sql, &[]).lock_calls;
        assert_eq!(found.len(), 1, "{sql}");
        assert_eq!(found[0].whole, whole, "{sql}");
    }
}

#[test]
fn bound_keys_are_read() {
    let key = 1_196_576_591_i64.to_be_bytes();
    let first = 3_i32.to_be_bytes();
    let parameters = [
        Parameter {
            bytes: Some(&key),
            binary: true,
            type_oid: 20,
        },
        Parameter {
            bytes: Some(&first),
            binary: true,
            type_oid: 23,
        },
        Parameter {
            bytes: Some(b"-4"),
            binary: false,
            type_oid: 0,
        },
    ];
    let found = meaning(
        "select pg_advisory_lock($1), pg_try_advisory_lock($2::int, ($3)::int)",
        &parameters,
    );
    let keys: Vec<_> = found.lock_calls.iter().map(|call| call.key).collect();
    assert_eq!(
        keys,
        [
            Some(LockKey::bigint(0, 1_196_576_591)),
            Some(LockKey::two_ints(0, 3, -4))
        ]
    );
    assert_eq!(keys[1].map(|key| key.form), Some(KeyForm::TwoInts));
    assert!(!found.opaque);
}

#[test]
fn lock_calls_that_do_not_run_are_not_found() {
    for sql in [
        "select 'pg_advisory_lock(1)'",
        "select 1 -- pg_advisory_lock(1)",
        "select 1 /* pg_advisory_lock(1) */",
        "do $$ begin perform pg_advisory_lock(1); end $$",
        "create function f() returns void language sql as $$ select pg_advisory_lock(1) $$",
        "create function f() returns void language sql begin atomic select pg_advisory_lock(1); end",
        "create view v as select pg_try_advisory_lock(1)",
        "explain select pg_advisory_lock(1)",
        "prepare p as select pg_advisory_lock(1)",
        "declare c cursor for select pg_advisory_lock(1)",
        "select mine.pg_advisory_lock(1)",
        "select \"PG_ADVISORY_LOCK\"(1)",
        "insert into pg_advisory_lock (a) values (1)",
        "listen pg_advisory_lock",
    ] {
        assert_eq!(meaning(sql, &[]).lock_calls, [], "{sql}");
    }
}

#[test]
fn lock_calls_that_run_inside_other_statements_are_found() {
    for sql in [
        "create table t as select pg_try_advisory_lock(1) as got",
        "explain (analyze, costs off) select pg_advisory_lock(1)",
        "insert into t (got) values (pg_try_advisory_lock(1)), (true)",
        "insert into t (got) values (true), (pg_try_advisory_lock(1)), (false)",
        "update t set got = pg_try_advisory_lock(1)",
        "begin; select pg_advisory_lock(1); commit",
        "copy (select pg_try_advisory_lock(1)) to stdout",
    ] {
        let calls = meaning(sql, &[]).lock_calls;
        assert_eq!(calls.len(), 1, "{sql}");
        assert_eq!(calls[0].key, Some(LockKey::bigint(0, 1)), "{sql}");
    }
}

#[test]
fn what_the_text_cannot_tell_is_opaque() {
    for sql in [
        "do $$ begin end $$",
        "call p()",
        "execute p (1)",
        "prepare p as insert into t values (1)",
        "select reset_demo_data()",
        "insert into t values (1, (select mine.now()))",
        "insert into t values (1), (f(2)), (3)",
        "select * from refill($1) x",
        "select query_to_xml('truncate t', true, true, '')",
        "declare c cursor for select refill()",
        "create table t as select refill()",
        "frobnicate t",
        "select 'x",
        "drop schema public cascade",
        "select 1; select refill()",
    ] {
        assert!(meaning(sql, &[]).opaque, "{sql}");
    }
    for sql in [
        "begin",
        "commit",
        "rollback to savepoint x",
        "set search_path to a",
        "show all",
        "listen x",
        "notify x, 'y'",
        "discard all",
        "deallocate p",
        "vacuum t",
        "lock table t in exclusive mode",
        "fetch 10 from c",
        "close c",
        "declare c cursor for select * from t",
        "select lower(a), count(*), pg_catalog.now() from t group by 1",
        "insert into t (a) values (gen_random_uuid(), now()) returning id",
        "truncate a, b cascade",
        "select pg_advisory_lock(1)",
        "copy t (a, b) from stdin with (format csv)",
        "select pg_sleep(1)",
        "create table t (id uuid primary key default my_default())",
        "drop table t cascade",
        "drop type if exists e",
        "select exists (select 1 from t where a = any ($1) and (b, c) in ((1, 2)))",
        "",
        "update t set a = coalesce(a, 1), b = a::numeric(5, 2)",
        "select count(*) filter (where a) over (partition by b) from t",
    ] {
        assert!(!meaning(sql, &[]).opaque, "{sql}");
    }
}

#[test]
fn several_statements_are_taken_together() {
    let found = meaning(
        "BEGIN; insert into a values (1); insert into A values (2); delete from b; COMMIT",
        &[],
    );
    assert_eq!(found.writes, ["a", "b"]);
    assert_eq!(
        found.kinds,
        [
            Kind::Transaction,
            Kind::Insert,
            Kind::Insert,
            Kind::Delete,
            Kind::Transaction
        ]
    );
    assert_eq!(found.normal[1], "insert into a values (?)");
}

/// The figures are printed; the limit only guards against a second pass over every row.
#[test]
fn a_large_insert_is_read_in_time_that_grows_with_its_length() {
    let row = "('0b7e5d6c-7d7a-4b9e-8f50-1c1c1c1c1c1c', $12, 'Ünï; (text)', 1250, null, '2026-01-02 03:04:05'), ";
    let best = |rows: usize| {
        let sql = format!(
            "insert into invoices (id, a, b, c, d, e) values {}(1, 2, 3, 4, 5, 6)",
            row.repeat(rows)
        );
        let mut best = std::time::Duration::MAX;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            let found = meaning(&sql, &[]);
            best = best.min(start.elapsed());
            assert_eq!(found.writes, ["invoices"]);
            assert_eq!(
                found.normal,
                ["insert into invoices (id, a, b, c, d, e) values (?, ?, ?, ?, ?, ?), …"]
            );
        }
        println!("{} bytes: {best:?}", sql.len());
        best
    };
    let (short, long) = (best(110), best(1100));
    // Ten times the length; a pass over every row for each row would be a hundred.
    assert!(long < short * 40, "{short:?}, {long:?}");
}
