//! Settings that texts change, in every spelling.

use super::*;

fn all(sql: &str) -> Vec<SettingChange> {
    let statements = setting_changes(sql, &["lock_timeout"]);
    statements.into_iter().flat_map(|one| one.all).collect()
}

fn set(value: &str, lasts: Lasts) -> Vec<SettingChange> {
    vec![SettingChange::Set {
        name: "lock_timeout".to_owned(),
        to: SettingValue::Is(value.to_owned()),
        lasts,
    }]
}

fn may_change() -> Vec<SettingChange> {
    vec![SettingChange::MayChange(Some("lock_timeout".to_owned()))]
}

#[test]
fn a_constant_is_read_in_every_spelling() {
    for (sql, value, lasts) in [
        ("set lock_timeout = 200", "200", Lasts::Session),
        ("SET SESSION Lock_Timeout TO '2s'", "2s", Lasts::Session),
        (
            "set local \"lock_timeout\"='1 min'",
            "1 min",
            Lasts::Transaction,
        ),
        (
            "set /* a */ lock_timeout -- b\n = E'5'",
            "5",
            Lasts::Session,
        ),
        ("set lock_timeout = $x$5s$x$", "5s", Lasts::Session),
        ("set lock_timeout to -1", "-1", Lasts::Session),
        ("set lock_timeout to \"3s\"", "3s", Lasts::Session),
        (
            "select set_config('lock_timeout', '2s', false)",
            "2s",
            Lasts::Session,
        ),
        (
            "select pg_catalog.set_config('LOCK_TIMEOUT'::text, 250::text, 'on'::bool) as x, now()",
            "250",
            Lasts::Transaction,
        ),
    ] {
        assert_eq!(all(sql), set(value, lasts), "{sql}");
    }
}

#[test]
fn parameters_expressions_and_calls_that_may_not_be_made_are_unknown() {
    let unknown = |lasts| {
        vec![SettingChange::Set {
            name: "lock_timeout".to_owned(),
            to: SettingValue::Unknown,
            lasts,
        }]
    };
    for sql in [
        "select set_config('lock_timeout', $1, false)",
        "select set_config('lock_timeout', 2 || 's', false)",
        "set lock_timeout = ?",
        "set lock_timeout = E'\\062'",
    ] {
        assert_eq!(all(sql), unknown(Lasts::Session), "{sql}");
    }
    let local = "select set_config('lock_timeout', '5', $1)";
    assert_eq!(all(local), set("5", Lasts::Unknown));
    for sql in [
        "select set_config('lock_timeout', '5', false) from t",
        "select case when $1 then set_config('lock_timeout', '5', false) end",
        "select coalesce($1, set_config('lock_timeout', '5', false))",
        "with x as (select set_config('lock_timeout', '5', false)) select 1",
        "insert into t values (set_config('lock_timeout', '5', false))",
        "explain analyze select set_config('lock_timeout', '5', false)",
        "declare c cursor for select set_config('lock_timeout', '5', false)",
        "prepare p as select set_config('lock_timeout', '5', false)",
        "do $$ begin set lock_timeout = 5; end $$",
        "select set_config(is_local => true, setting_name => 'x', new_value => '5')",
    ] {
        let found = all(sql);
        assert!(
            found == may_change() || found == [SettingChange::MayChange(None)],
            "{sql}: {found:?}"
        );
    }
}

#[test]
fn what_only_names_a_setting_changes_nothing() {
    for sql in [
        "update config set lock_timeout = 5 where id = 1",
        "insert into note values ('set lock_timeout = 5')",
        "select 1 /* set lock_timeout = 5 */",
        "select lock_timeout from config where set = $1",
        "create function f() returns int language sql set lock_timeout = 5 as 'select 1'",
        "create table config (lock_timeout int)",
        "alter table config add column lock_timeout int",
        "explain select set_config('lock_timeout', '5', false)",
        "select app.set_config('lock_timeout', '5', false)",
        "select current_setting('lock_timeout')",
        "show lock_timeout",
        "set app.lock_timeout = 5",
        "set transaction isolation level serializable",
        "set session characteristics as transaction read only",
        "reset session authorization",
        "discard plans",
        "commit prepared 'x'",
        "rollback prepared 'x'",
    ] {
        assert_eq!(all(sql), [], "{sql}");
    }
    let later = |name: &str| vec![SettingChange::LaterSessions(Some(name.to_owned()))];
    assert_eq!(
        all("alter role app set lock_timeout = '5s'"),
        later("lock_timeout")
    );
    assert_eq!(
        all("alter database d reset all"),
        [SettingChange::LaterSessions(None)]
    );
}

#[test]
fn transactions_and_their_savepoints_are_told() {
    use SettingChange::{BackTo, Ends, Release, ResetAll, Savepoint};
    let name = || "a".to_owned();
    let sql = "begin; savepoint a; release savepoint A; rollback work to savepoint a; rollback to a; \
               abort; commit and chain; end; prepare transaction 'x'; discard all; reset all";
    let ends = |commits| Ends { commits };
    assert_eq!(
        all(sql),
        [
            Savepoint(name()),
            Release(name()),
            BackTo(name()),
            BackTo(name()),
            ends(false),
            ends(true),
            ends(true),
            ends(true),
            ResetAll,
            ResetAll,
        ]
    );
}

#[test]
fn it_is_told_what_changes_before_the_statement_waits() {
    for (sql, before) in [
        ("select pg_advisory_lock(1)", Some(0)),
        (
            "select set_config('lock_timeout', '5', true), pg_advisory_xact_lock(1)",
            Some(1),
        ),
        (
            "select pg_advisory_lock(1), set_config('lock_timeout', '5', true)",
            Some(0),
        ),
        ("lock table t", Some(0)),
        ("select pg_try_advisory_lock(1)", None),
        ("set lock_timeout = 5", None),
    ] {
        assert_eq!(setting_changes(sql, &[])[0].before_lock, before, "{sql}");
    }
}
