//! A lock row that the database does not have as the scenario says.

use super::sandbox::{Done, Sandbox};

const SCHEMA: &str =
    "create table l (name text primary key, owner text, until timestamptz, day date, epoch text);
create table work (n int);
insert into l values ('one', null, null, null, null), ('two', null, null, null, null)";

/// A job that takes the row and gives it back.
const JOB: &str = r#"["psql", "-Xq", "-c", "update l set owner = 'x' where name = 'one'", "-c", "insert into work values (1)", "-c", "update l set owner = null where name = 'one'"]"#;

fn run(lock: &str, job: &str) -> Done {
    let sandbox = Sandbox::new();
    sandbox.write("schema.sql", SCHEMA);
    let text = format!(
        "title = \"a lock row\"\n[subject]\ncommand = {job}\nschema = \"schema.sql\"\nlock = {lock}\n[pods]\ncount = 1\n"
    );
    sandbox.write("it.toml", text);
    let done = sandbox.run(&["run", "it.toml", "--server", "local"]);
    sandbox.is_clear("after the run");
    done
}

/// Such a lock row cannot be watched, and it is told why.
#[track_caller]
fn cannot(lock: &str, texts: &[&str]) {
    let done = run(lock, JOB);
    let texts: Vec<&str> = ["the lock row cannot be watched"]
        .into_iter()
        .chain(texts.iter().copied())
        .collect();
    done.fails(2, &texts);
}

fn a_lock_row_that_the_template_has_otherwise_is_a_wrong_scenario() {
    cannot(
        "{ table = \"m\", owner = \"owner\" }",
        &["there is no table m once schema and prepare are done"],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, owner = \"ownr\" }",
        &[
            "l has no column ownr, which `owner` names; its columns are name, owner, until, day, epoch",
        ],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, until = \"epoch\" }",
        &["`until` names epoch, which is of type text: that is no time"],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, since = \"day\", lease = \"5m\" }",
        &["`since` names day, which is of type date: that is no time"],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, owner = \"owner\", token = \"name\" }",
        &["`token` names name, which is of type text", "whole numbers"],
    );
    cannot(
        "{ table = \"l\", owner = \"owner\" }",
        &["is meant as one row, and 2 rows of the table are it"],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, held = \"ownr is not null\" }",
        &["the condition `held = \"ownr is not null\"`", "ownr"],
    );
    cannot(
        "{ table = \"l\", row = { name = \"one\" }, held = \"owner\" }",
        &["`held = \"owner\"` is no condition"],
    );
}

fn a_lock_row_that_nobody_makes_is_a_wrong_scenario() {
    let lock = "{ table = \"l\", row = { name = \"three\" }, owner = \"owner\" }";
    cannot(
        lock,
        &[
            "(name = 'three') is not there once schema and prepare are done, and the clean run of one pod makes none",
        ],
    );
}

fn claims_that_the_template_has_otherwise_are_a_wrong_scenario() {
    for (lock, words) in [
        (
            "{ claim = \"m\", columns = [\"name\"] }",
            "there is no table m once schema and prepare are done",
        ),
        (
            "{ claim = \"l\", columns = [\"name\", \"month\"] }",
            "l has no column month, which `columns` names; its columns are name, owner, until, day, epoch",
        ),
        (
            "{ claim = \"l\", columns = [\"day\", \"DAY\"] }",
            "`columns` names day of l twice",
        ),
        (
            "{ claim = \"l\", columns = [\"name\"], held = \"owner\" }",
            "`held = \"owner\"` is no condition",
        ),
        (
            "{ claim = \"l\", columns = [\"name\"] }",
            "the clean run claims nothing in public.l: it inserts no row there",
        ),
    ] {
        cannot(lock, &[words]);
    }
}

fn a_protected_lock_row_is_told_at_its_place() {
    let sandbox = Sandbox::new();
    let text = format!(
        "title = \"t\"\n[subject]\ncommand = {JOB}\nprotect = [\"l\"]\nlock = {{ table = \"l\", owner = \"owner\" }}\n"
    );
    sandbox.write("it.toml", text);
    let done = sandbox.run(&["run", "it.toml", "--server", "local"]);
    done.fails(
        2,
        &[
            "it.toml:5:8",
            "the table of the lock row, l, is protected, too",
        ],
    );
}

crate::harness::tests![
    a_lock_row_that_the_template_has_otherwise_is_a_wrong_scenario,
    a_lock_row_that_nobody_makes_is_a_wrong_scenario,
    claims_that_the_template_has_otherwise_are_a_wrong_scenario,
    a_protected_lock_row_is_told_at_its_place,
];
