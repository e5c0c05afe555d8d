//! The keys of a scenario file as options of a command line.
//!
//! Owns the one table of that: which option stands for which key, and how its value is written there. The value
//! becomes a line of TOML, so that the readers of the file decide whether it is possible. Knows no command.

use std::path::Path;

use super::overlay::Overrides;
use super::toml_text::{bare, inline, list, text};

/// How the value of an option becomes the value of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagShape {
    /// A text, as it is given.
    Text,
    /// A path, relative to where the command is started.
    Path,
    /// A whole number.
    Number,
    /// Words with commas between them.
    Words,
    /// `NAME=VALUE`, as often as there are variables.
    Variables,
    /// `4711`, `0x47524f4f`, `1,2`, `table:report` or `table:report:MODE`.
    Lock,
    /// `SQLSTATE` or `SQLSTATE:CONSTRAINT`, with commas between them.
    Errors,
    /// The option has no value; this is the key's.
    Fixed(&'static str),
}

/// An option that stands for a key of a scenario file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFlag {
    /// The key with its table, such as `subject.lock`.
    pub key: &'static str,
    /// The option's name, without the two dashes.
    pub long: &'static str,
    /// What its value is called in the help; empty where it has none.
    pub value: &'static str,
    /// How the value is written.
    pub shape: FlagShape,
    /// What it does, in the words of the help.
    pub help: &'static str,
}

/// Keys of `[subject]` and `[expect]` that no option stands for: what is given as CMD, and the built-in job,
/// which `--seeder` and `--profile` choose.
pub const KEYS_WITHOUT_FLAG: [&str; 2] = ["subject.command", "subject.seeder"];

const fn flag(
    key: &'static str,
    long: &'static str,
    value: &'static str,
    shape: FlagShape,
    help: &'static str,
) -> KeyFlag {
    KeyFlag {
        key,
        long,
        value,
        shape,
        help,
    }
}

use FlagShape::{Errors, Fixed, Lock, Number, Path as PathShape, Text, Variables, Words};

/// Every option that stands for a key, in the order in which they are shown.
pub const KEY_FLAGS: [KeyFlag; 26] = [
    flag(
        "subject.schema",
        "schema",
        "FILE",
        PathShape,
        "SQL that makes the job's tables: a script, or what pg_dump wrote",
    ),
    flag(
        "subject.prepare",
        "prepare",
        "CMD",
        Text,
        "A command (for sh -c) that prepares the database, after the schema",
    ),
    flag(
        "subject.dir",
        "dir",
        "DIR",
        PathShape,
        "Where the job and --prepare are started [default: here, or the folder of the scenario file]",
    ),
    flag(
        "subject.env",
        "env",
        "NAME=VALUE",
        Variables,
        "A variable of every pod; {url}, {host}, {port}, {user}, {password} and {database} are the server's",
    ),
    flag(
        "subject.database",
        "database",
        "NAME",
        Text,
        "The name of every run's database, for jobs that look at it",
    ),
    flag(
        "subject.protect",
        "protect",
        "TABLE,…",
        Words,
        "The protected tables [default: all that the clean run writes]",
    ),
    flag(
        "subject.ignore",
        "ignore",
        "NAME,…",
        Words,
        "Tables and columns (table.column) of which the final rows are not compared",
    ),
    flag(
        "subject.lock",
        "lock",
        "LOCK",
        Lock,
        "The lock that must guard them: KEY, KEY,KEY, table:NAME[:MODE], rows:NAME, serializable or { … } as in a file; more than once: a write needs each [default: what the clean run takes]",
    ),
    flag(
        "subject.release",
        "release",
        "HOW",
        Text,
        "How a lock grant may end: unlock, process or any [default: process]",
    ),
    flag(
        "subject.on_contention",
        "on-contention",
        "WHAT",
        Text,
        "What a pod does that finds the lock taken: wait or skip [default: wait]",
    ),
    flag(
        "subject.answers",
        "answers",
        "ERROR,…",
        Errors,
        "Errors that are the lock's answer: SQLSTATE or SQLSTATE:CONSTRAINT",
    ),
    flag(
        "subject.isolate",
        "isolate",
        "HOST:PORT,…",
        Words,
        "Where the job believes its server to be, if it looks at no variable: a network of its own leads it here",
    ),
    flag(
        "subject.time_limit",
        "time-limit",
        "TIME",
        Text,
        "How long a run may take, such as 2m [default: ten times the clean run, at least 30s]",
    ),
    flag(
        "subject.witness",
        "no-witness",
        "",
        Fixed("false"),
        "Run without the witness: a step that may both lock and write is inconclusive then",
    ),
    flag(
        "pods.count",
        "pods",
        "PODS",
        Number,
        "How many pods [default: 2, or the scenario's]",
    ),
    flag(
        "pods.recovery",
        "recovery",
        "",
        Fixed("true"),
        "Run one more pod after all others have ended",
    ),
    flag(
        "search.faults",
        "no-faults",
        "",
        Fixed("[]"),
        "Let a search do no faults",
    ),
    flag(
        "output.redact",
        "redact",
        "",
        Fixed("true"),
        "Replace constants, rows and output by placeholders in all that is printed and kept",
    ),
    flag(
        "expect.verdict",
        "verdict",
        "VERDICT",
        Text,
        "The expected verdict: holds, violated or inconclusive",
    ),
    flag(
        "expect.violates",
        "violates",
        "RULE,…",
        Words,
        "The invariants that must be violated",
    ),
    flag(
        "expect.may_violate",
        "may-violate",
        "RULE,…",
        Words,
        "Further invariants that may be violated, or not",
    ),
    flag(
        "expect.sqlstate",
        "sqlstate",
        "SQLSTATE",
        Text,
        "The SQLSTATE that must come",
    ),
    flag(
        "expect.constraint",
        "constraint",
        "NAME",
        Text,
        "The constraint that its error must name",
    ),
    flag(
        "expect.table",
        "table",
        "NAME",
        Text,
        "The table that its error must name",
    ),
    flag(
        "expect.only_sqlstates",
        "only-sqlstates",
        "SQLSTATE,…",
        Words,
        "The only SQLSTATEs that no-errors looks for",
    ),
    flag(
        "expect.guards",
        "guards",
        "GUARD,…",
        Words,
        "Guards that must come true, besides those that always apply",
    ),
];

impl KeyFlag {
    /// Whether it has a value.
    #[must_use]
    pub fn takes_value(&self) -> bool {
        !matches!(self.shape, Fixed(_))
    }

    /// Whether it may be given more than once.
    #[must_use]
    pub fn repeats(&self) -> bool {
        matches!(self.shape, Words | Variables | Errors | Lock)
    }

    /// Whether it says what must come of a schedule.
    #[must_use]
    pub fn is_expectation(&self) -> bool {
        // Which errors count is asked of a search as well.
        self.key.starts_with("expect.") && self.key != "expect.only_sqlstates"
    }

    /// Adds what was given for it; `from` is where paths are relative to.
    ///
    /// # Errors
    /// When a value is not written as its shape says.
    pub fn add_to(
        &self,
        overrides: &mut Overrides,
        values: &[String],
        from: &Path,
    ) -> Result<(), String> {
        let value = self.value_of(values, from)?;
        overrides.push(
            format!("--{}", self.long),
            format!("{} = {value}", self.key),
        );
        Ok(())
    }

    fn value_of(&self, values: &[String], from: &Path) -> Result<String, String> {
        let one = values.last().map_or("", String::as_str);
        let parts = || {
            let parts = values.iter().flat_map(|value| value.split(','));
            parts
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
        };
        Ok(match self.shape {
            Fixed(value) => value.to_owned(),
            Text => text(one),
            PathShape => text(&from.join(one).to_string_lossy()),
            Number => {
                let number: i64 = one
                    .trim()
                    .parse()
                    .map_err(|_| format!("{one:?} is no whole number"))?;
                number.to_string()
            }
            Words => list(&parts()),
            Variables => {
                let pairs: Result<Vec<String>, String> = values
                    .iter()
                    .map(|pair| match pair.split_once('=') {
                        Some((name, value)) => Ok(format!("{} = {}", bare(name), text(value))),
                        None => Err(format!("{pair:?} is not written as NAME=VALUE")),
                    })
                    .collect();
                inline(&pairs?)
            }
            Lock => match values {
                [_, _, ..] => {
                    let several: Result<Vec<String>, String> =
                        values.iter().map(|value| lock(value)).collect();
                    format!("[{}]", several?.join(", "))
                }
                _ => lock(one)?,
            },
            Errors => {
                let errors: Vec<String> = parts().into_iter().map(error).collect();
                format!("[{}]", errors.join(", "))
            }
        })
    }
}

/// A lock as TOML.
fn lock(given: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{given:?} is no lock: write 4711 or 0x47524f4f for pg_advisory_lock(bigint), 1,2 for the form with two \
             ints, table:report or table:report:MODE for LOCK TABLE, rows:job for SELECT … FOR UPDATE, claim:run_log:job,day for a \
             key that only one can insert, serializable, or a table as in a file, such as {{ table = \
             \"shedlock\", row = {{ name = \"report\" }}, owner = \"locked_by\", until = \"lock_until\" }}"
        )
    };
    if given.trim_start().starts_with('{') {
        return Ok(given.to_owned());
    }
    let number = |text: &str| -> Option<i64> {
        let text = text.trim();
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // As psql shows it: the sign is the highest bit.
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
            None => text.parse().ok(),
        }
    };
    if let Some(table) = given.strip_prefix("table:") {
        let (name, mode) = match table.split_once(':') {
            Some((name, mode)) => (name, Some(mode)),
            None => (table, None),
        };
        let mut keys = vec![format!("relation = {}", text(name.trim()))];
        keys.extend(mode.map(|mode| format!("mode = {}", text(&mode.trim().to_lowercase()))));
        return Ok(inline(&keys));
    }
    if ["serializable", "isolation=serializable"].contains(&given) {
        return Ok(inline(&["isolation = \"serializable\"".to_owned()]));
    }
    if let Some(table) = given
        .strip_prefix("rows:")
        .or_else(|| given.strip_prefix("rows="))
    {
        return Ok(inline(&[format!("rows = {}", text(table.trim()))]));
    }
    if let Some(claim) = given.strip_prefix("claim:") {
        let Some((table, columns)) = claim.rsplit_once(':') else {
            return Err(wrong());
        };
        let columns: Vec<String> = columns
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect();
        let columns = format!("columns = {}", list(&columns));
        return Ok(inline(&[
            format!("claim = {}", text(table.trim())),
            columns,
        ]));
    }
    if let Some((first, second)) = given.split_once(',') {
        let (first, second) = (number(first), number(second));
        let (Some(first), Some(second)) = (first, second) else {
            return Err(wrong());
        };
        return Ok(format!("{{ keys = [{first}, {second}] }}"));
    }
    let key = number(given).ok_or_else(wrong)?;
    Ok(format!("{{ key = {key} }}"))
}

fn error(given: &str) -> String {
    let (sqlstate, constraint) = match given.split_once(':') {
        Some((sqlstate, constraint)) => (sqlstate, Some(constraint)),
        None => (given, None),
    };
    let mut keys = vec![format!("sqlstate = {}", text(sqlstate))];
    keys.extend(constraint.map(|name| format!("constraint = {}", text(name))));
    inline(&keys)
}

#[cfg(test)]
mod tests {
    use super::super::{LockName, Program, Scenario, schema};
    use super::*;
    use crate::history::{OnContention, Release};
    use crate::name::TableName;

    /// The keys of one table, from the JSON schema.
    fn keys_of(table: &str, of: &str) -> Vec<String> {
        let schema = schema();
        let keys = schema["$defs"][of]["properties"].as_object().unwrap();
        keys.keys().map(|key| format!("{table}.{key}")).collect()
    }

    #[test]
    fn every_key_of_subject_and_expect_is_an_option() {
        let keys = [
            keys_of("subject", "SubjectFile"),
            keys_of("expect", "ExpectFile"),
        ]
        .concat();
        for key in &keys {
            let flags = KEY_FLAGS.iter().filter(|flag| flag.key == key).count();
            let wanted = usize::from(!KEYS_WITHOUT_FLAG.contains(&key.as_str()));
            assert_eq!(flags, wanted, "{key}");
        }
        let mut known = keys;
        known.extend(keys_of("pods", "PodsFile"));
        known.extend(keys_of("search", "SearchFile"));
        known.extend(keys_of("output", "OutputFile"));
        for flag in KEY_FLAGS {
            assert!(known.iter().any(|key| key == flag.key), "{}", flag.key);
        }
    }

    fn job() -> Scenario {
        Scenario::new("t", Program::Command(vec!["true".to_owned()]))
    }

    fn with(long: &str, values: &[&str]) -> Result<Scenario, String> {
        let flag = KEY_FLAGS.iter().find(|flag| flag.long == long).unwrap();
        let mut overrides = Overrides::default();
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        flag.add_to(&mut overrides, &values, Path::new("/"))?;
        job()
            .overridden(&overrides)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_option_changes_its_key_and_no_other() {
        for flag in KEY_FLAGS {
            let value = match flag.long {
                "schema" => concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
                "dir" => env!("CARGO_MANIFEST_DIR"),
                "env" => "A=b=c",
                "lock" => "0x47524f4f",
                "release" => "any",
                "on-contention" => "skip",
                "answers" => "23505:job_pkey",
                "isolate" => "db.internal:5433",
                "time-limit" => "7s",
                "pods" => "3",
                "verdict" => "inconclusive",
                "violates" | "may-violate" => "no-errors",
                "sqlstate" | "constraint" | "table" => continue,
                "only-sqlstates" => "23503,40001",
                "guards" => "contention",
                _ => "x",
            };
            let values: &[&str] = if flag.takes_value() { &[value] } else { &[] };
            let changed = with(flag.long, values).unwrap();
            assert_ne!(changed, job(), "{}", flag.long);
            // Written and read again it is the same, so that nothing else was touched by accident.
            let again = super::super::parse(&changed.to_toml(), Path::new("any.toml")).unwrap();
            assert_eq!(again, changed, "{}", flag.long);
        }
        assert_eq!(
            with("release", &["any"]).unwrap().subject.release,
            Release::Any
        );
        let skips = with("on-contention", &["skip"]).unwrap().subject;
        assert_eq!(skips.on_contention, OnContention::Skip);
        let env = with("env", &["A=b=c", "B="]).unwrap().subject.env;
        assert_eq!(env["A"], "b=c");
        assert_eq!(env["B"], "");
    }

    #[test]
    fn an_error_of_the_expectation_is_given_by_several_options() {
        let mut overrides = Overrides::default();
        for (long, value) in [
            ("violates", "no-errors"),
            ("sqlstate", "23503"),
            ("table", "t"),
            ("constraint", "c"),
        ] {
            let flag = KEY_FLAGS.iter().find(|flag| flag.long == long).unwrap();
            let values = [value.to_owned()];
            flag.add_to(&mut overrides, &values, Path::new("/"))
                .unwrap();
        }
        let expect = job().overridden(&overrides).unwrap().expect;
        assert_eq!(expect.sqlstate.as_deref(), Some("23503"));
        assert_eq!(expect.table.as_deref(), Some("t"));
        assert_eq!(expect.constraint.as_deref(), Some("c"));
    }

    #[test]
    fn a_lock_is_a_key_two_keys_or_a_table() {
        let lock = |text: &str| with("lock", &[text]).map(|one| one.subject.lock.unwrap());
        assert_eq!(lock("4711"), Ok(LockName::Key(4711)));
        assert_eq!(lock("-1"), Ok(LockName::Key(-1)));
        assert_eq!(lock("0xffffffffffffffff"), Ok(LockName::Key(-1)));
        assert_eq!(lock("1,-2"), Ok(LockName::Keys([1, -2])));
        for text in ["rows:job", "rows=job", "{ rows = \"job\" }"] {
            assert_eq!(
                lock(text),
                Ok(LockName::Rows(TableName::new("job"))),
                "{text}"
            );
        }
        for text in ["serializable", "isolation=serializable"] {
            assert_eq!(lock(text), Ok(LockName::Serializable), "{text}");
        }
        let table = lock("table:report:Share Row Exclusive").unwrap();
        let LockName::Relation { table, mode } = table else {
            panic!("{table:?}");
        };
        assert_eq!(table.as_str(), "report");
        assert_eq!(mode.unwrap().name(), "share row exclusive");
        assert!(lock("key").unwrap_err().contains("is no lock"));
        let row = r#"{ table = "shedlock", row = { name = "x" }, owner = "locked_by", until = "lock_until" }"#;
        assert!(matches!(lock(row), Ok(LockName::Row(row)) if row.table == "shedlock"));
        for claim in [
            "claim:run_log:job, day",
            "{ claim = \"run_log\", columns = [\"job\", \"day\"] }",
        ] {
            let Ok(LockName::Row(row)) = lock(claim) else {
                panic!("{claim}");
            };
            assert_eq!(
                (row.table.as_str(), row.claim.unwrap().columns.len()),
                ("run_log", 2)
            );
        }
        assert!(lock("claim:run_log").is_err() && lock("claim:run_log:").is_err());
        assert!(lock("{ table = 7 }").unwrap_err().starts_with("--lock: "));
        let weak = lock("table:report:access share").unwrap_err();
        assert!(weak.starts_with("--lock: two pods can hold"), "{weak}");
    }

    #[test]
    fn a_lock_that_is_given_more_than_once_is_each_of_several() {
        let given = ["7", "{ rows = \"job\", protect = [\"mail\"] }"];
        let LockName::Several(all) = with("lock", &given).unwrap().subject.lock.unwrap() else {
            panic!("one lock of two");
        };
        let locks: Vec<&LockName> = all.iter().map(|one| &one.lock).collect();
        let rows = LockName::Rows(TableName::new("job"));
        assert_eq!(locks, [&LockName::Key(7), &rows]);
        assert!(all[0].protect.is_empty());
        assert_eq!(all[1].protect, ["mail"]);
        assert!(with("lock", &["7", "key"]).is_err());
    }

    #[test]
    fn a_value_that_cannot_be_is_told_with_its_option_and_what_could_be() {
        let wrong = |long: &str, value: &str| with(long, &[value]).unwrap_err();
        for (long, value, says) in [
            ("release", "anny", "--release: unknown variant `anny`"),
            (
                "violates",
                "no-error",
                "--violates: there is no invariant \"no-error\"",
            ),
            ("time-limit", "soon", "--time-limit: "),
            ("env", "PGHOST=x", "--env: PGHOST is set by lockproof"),
            (
                "schema",
                "none.sql",
                "--schema: there is no schema file /none.sql",
            ),
            ("dir", "none", "--dir: there is no directory /none"),
            (
                "sqlstate",
                "23503",
                "--sqlstate: this names an error, but every invariant must hold",
            ),
            ("pods", "99", "--pods: 99 pods are not possible"),
        ] {
            let said = wrong(long, value);
            assert!(said.starts_with(says), "{long}: {said}");
        }
        assert!(wrong("violates", "no-error").contains("did you mean"));
        assert!(wrong("env", "A").contains("NAME=VALUE"));
        assert!(wrong("pods", "two").contains("no whole number"));
    }
}
