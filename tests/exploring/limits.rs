//! A job that goes on without its lock when the wait for it ends by a time limit is found, however the limit was set;
//! and where no limit is in force, no such end is made up.

use crate::yard::Yard;

const SCHEMA: &str = "create table t (id int primary key);";

/// What it does under the lock, and without it just so.
const WORK: &str = "ask s 'delete from t'
ask s 'insert into t values (1)'
ask s 'insert into t values (2)'";

fn script(limits: &str, take: &str, end: &str) -> String {
    let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/lib/sessions.bash");
    format!("set -e\nsource {lib}\nopen s\n{limits}\n{take}\n{WORK}\n{end}\nclose s\n")
}

fn explored(script: &str) -> (serde_json::Value, i32) {
    let yard = Yard::new();
    yard.write("schema.sql", SCHEMA);
    yard.write("job.sh", script);
    yard.explore(&["--no-shrink"], &["bash", "job.sh"])
}

fn is_found(script: &str) {
    let (found, code) = explored(script);
    assert_eq!(code, 1, "{found:#}");
    assert_eq!(found["invariant"], "no-errors", "{found:#}");
    let at = found["first_violation_at"].as_u64().unwrap();
    assert!(at <= 10, "found by schedule {at}");
}

const TAKE: &str = "ask s 'select pg_advisory_lock(7)' || true";
const GIVE: &str = "ask s 'select pg_advisory_unlock(7)'";

fn a_limit_of_the_statement_that_a_call_sets_is_found() {
    let limits = "ask s \"select set_config('statement_timeout', '1 min', false)\"";
    is_found(&script(limits, TAKE, GIVE));
}

fn a_limit_of_one_transaction_is_found_that_goes_back_to_its_savepoint() {
    let limits = "ask s begin
ask s 'savepoint a'
ask s \"set local lock_timeout = '1min'\"";
    let take = "ask s 'select pg_advisory_xact_lock(7)' || ask s 'rollback to a'";
    is_found(&script(limits, take, "ask s commit"));
}

fn no_limit_is_made_up_of_what_only_names_one_or_was_undone() {
    let limits = "ask s \"select 'set lock_timeout = 200'\"
ask s 'select 1 as x /* set lock_timeout = 200 */'
ask s begin
ask s 'set lock_timeout = 200'
ask s rollback
ask s begin
ask s 'set local statement_timeout = 60000'
ask s commit
ask s 'set lock_timeout = 200'
ask s 'reset all'";
    let (held, code) = explored(&script(limits, TAKE, GIVE));
    assert_eq!(code, 0, "{held:#}");
    assert_eq!(held["tried"], "predictions");
}

/// It leaves if the wait ends by `lock_timeout`, and goes on if by `statement_timeout`.
fn the_error_of_the_smaller_limit_comes_and_never_the_other() {
    let limits = |lock: &str, statement: &str| {
        format!(
            "ask s \"set lock_timeout = '{lock}'\"\nask s \"set statement_timeout = '{statement}'\""
        )
    };
    let take = "ask s 'select pg_advisory_lock(7)' || [[ $sqlstate != 55P03 ]] || exit 0";
    // What is written is written in one transaction: with its lock it is sound.
    let take = format!("{take}\nask s begin");
    let give = format!("ask s commit\n{GIVE}");
    is_found(&script(&limits("2min", "90s"), &take, &give));
    let (held, code) = explored(&script(&limits("90000", "2min"), &take, &give));
    assert_eq!(code, 0, "{held:#}");
}

/// The value is an expression: that the wait may end is said, and no error is made up.
fn that_a_limit_is_not_known_is_told() {
    let limits = "ask s \"select set_config('lock_timeout', repeat('6', 5), false)\"";
    let (held, code) = explored(&script(limits, TAKE, GIVE));
    assert_eq!(code, 0, "{held:#}");
    let promise = held["promise"].as_str().unwrap();
    assert!(promise.contains("ends by a time limit"), "{promise}");
}

crate::harness::tests![
    that_a_limit_is_not_known_is_told,
    the_error_of_the_smaller_limit_comes_and_never_the_other,
    a_limit_of_the_statement_that_a_call_sets_is_found,
    a_limit_of_one_transaction_is_found_that_goes_back_to_its_savepoint,
    no_limit_is_made_up_of_what_only_names_one_or_was_undone,
];
