//! The file that `lockproof init` writes: a scenario with a comment at each key, and the keys that are not set as
//! comments.
//!
//! Owns its words. That it reads back as the scenario it was made of is held by a test.

use std::time::Duration;

use crate::name::LockKey;
use crate::report::visible;
use crate::scenario::{LockName, Scenario, write_duration, write_lock};
use crate::schedule::Schedule;

/// What the clean and serial runs showed.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub steps: u32,
    pub written: Vec<String>,
    pub locks: Vec<LockKey>,
    pub lock_rows: Vec<String>,
    /// With what the job guards itself, as a first `explore` takes it.
    pub lock: Option<LockName>,
    /// The same with a row that looks like a lock: only ever suggested.
    pub likely: Option<LockName>,
    pub took: Duration,
    pub limit: Duration,
    pub unstable: Vec<String>,
    pub order: Schedule,
    /// Whether the job asks for a lock in a way that does not wait.
    pub tries: bool,
}

/// A key of `[subject]`: what is said of it, and how it is written where it is not set.
struct Key {
    name: &'static str,
    comment: String,
    /// Left out where there is nothing to suggest.
    example: Option<String>,
}

/// The file.
pub(super) fn page(scenario: &Scenario, seen: &Seen) -> String {
    let text = scenario.to_toml();
    let keys = keys(seen);
    let mut out = String::from(
        "# Made by `lockproof init`. `lockproof explore` looks for an order in which this job fails,\n\
         # `lockproof run` runs the one below. Every key is in docs/write.md; `lockproof schema` prints them.\n\n",
    );
    let mut table = "";
    // Keys of [subject] are put in the order of `keys`; the values are those of the scenario.
    let mut subject: Vec<(&str, &str)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            if table == "subject" {
                out += &subject_keys(&keys, &subject);
            }
            table = name;
            if name == "schedule" {
                out += "# The order that `lockproof run` runs; each pod then runs to its end. docs/write.md has the stops and faults.\n";
            } else if name == "expect" {
                out += "# What must come of it. Without `guards` an order in which nobody asks for the lock would pass.\n";
            } else if name == "pods" {
                out += "# How many copies of the job: a, b, …\n";
            }
            out += &format!("{line}\n");
            continue;
        }
        if table == "subject" {
            if let Some((name, _)) = line.split_once(" = ") {
                subject.push((name, line));
            }
            continue;
        }
        out += &format!("{line}\n");
    }
    out
}

fn subject_keys(keys: &[Key], given: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for key in keys {
        let line = given.iter().find(|(name, _)| *name == key.name);
        if line.is_none() && key.example.is_none() {
            continue;
        }
        for comment in key.comment.lines() {
            out += &format!("# {comment}\n");
        }
        match (line, &key.example) {
            (Some((_, line)), _) => out += &format!("{line}\n"),
            (None, Some(example)) => out += &format!("# {} = {example}\n", key.name),
            (None, None) => {}
        }
    }
    // A key without words of its own is written all the same.
    for (name, line) in given {
        if !keys.iter().any(|key| key.name == *name) {
            out += &format!("{line}\n");
        }
    }
    out + "\n"
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The keys of `[subject]`, in the order in which somebody meets them.
fn keys(seen: &Seen) -> Vec<Key> {
    let key = |name, comment: &str, example: Option<String>| Key {
        name,
        // A comment is one line wherever its words come from.
        comment: visible(comment).replace('\r', "␍"),
        example,
    };
    let example = |text: &str| Some(text.to_owned());
    let locks: Vec<String> = seen.locks.iter().map(LockKey::in_full).collect();
    let mut lock = match (locks.as_slice(), &seen.lock, seen.lock_rows.as_slice()) {
        ([one], Some(LockName::Key(_) | LockName::Keys(_) | LockName::Relation { .. }), _) => format!(
            "The lock that must guard the tables. Seen: {one}. Left out, whatever the clean run takes counts (do that\n\
             where the job makes the key of the database's name, as sqlx, golang-migrate and ActiveRecord do)."
        ),
        (_, Some(LockName::Several(_)), _) => {
            "The locks that must guard the tables, each those that it is to `protect`. These were seen; left out, they\n\
             count all the same."
                .to_owned()
        }
        (_, Some(_), _) => {
            "The lock that must guard the tables. This was seen; left out, it counts all the same.".to_owned()
        }
        ([], None, []) => {
            "The lock that must guard the tables. None was seen in the clean run.".to_owned()
        }
        ([], None, rows) => format!(
            "The lock that must guard the tables. Seen: a row of {}, there only while a pod is at work.",
            rows.join(", ")
        ),
        (several, None, _) => format!(
            "The lock that must guard the tables. Seen: {}. Left out, whatever the clean run takes counts.",
            several.join(", ")
        ),
    };
    let likely = seen.likely.as_ref().map(write_lock);
    let taken = "A row looks like a lock, which nothing proves; named so, it is judged:";
    match (&likely, &seen.lock) {
        (Some(likely), Some(_)) => lock += &format!("\n{taken} {likely}"),
        (Some(_), None) => lock += &format!("\n{taken}"),
        (None, _) => {}
    }
    let lock_example = likely.unwrap_or_else(|| "{ key = 4711 }".to_owned());
    let contention = match seen.tries {
        true => {
            "The job tries a lock that it need not wait for. If it leaves when the lock is taken, say so here."
        }
        false => "What a pod does that finds the lock taken: it waits, or it leaves (\"skip\").",
    };
    vec![
        key(
            "command",
            "The job. It finds its server in DATABASE_URL or the PG* variables.",
            None,
        ),
        key(
            "dir",
            "Where it is started; relative to this file. Left out, in this file's folder.",
            example("\".\""),
        ),
        key(
            "schema",
            "SQL that makes the tables, such as pg_dump writes; relative to this file.",
            example("\"schema.sql\""),
        ),
        key(
            "prepare",
            "A line for sh -c that prepares the database after the schema.",
            example("\"psql -f rows.sql\""),
        ),
        key(
            "env",
            "Further variables of the job; {url} and {host}, {port}, {user}, {password}, {database} are the server's.",
            example("{ APP_DSN = \"{url}\" }"),
        ),
        key(
            "protect",
            &format!(
                "The protected tables. Left out, all that the clean run writes: it wrote these, in {} and {}.",
                match seen.steps {
                    1 => "1 step".to_owned(),
                    many => format!("{many} steps"),
                },
                in_seconds(seen.took)
            ),
            Some(list(&seen.written)),
        ),
        key(
            "ignore",
            "Tables and columns whose final rows differ from run to run with no fault of the job.",
            example("[\"audit\", \"report.made_at\"]"),
        ),
        key("lock", &lock, Some(lock_example)),
        key(
            "release",
            "How a lock may end: by \"unlock\", with the \"process\" that ends well, or by \"any\" end of its session.",
            example("\"process\""),
        ),
        key("on_contention", contention, example("\"skip\"")),
        key(
            "time_limit",
            "How long a run may take. Left out, ten times as long as the clean run, at least 30s.",
            Some(format!("{:?}", write_duration(rounded(seen.limit)))),
        ),
    ]
}

/// A limit in whole seconds.
pub(super) fn rounded(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

/// A time that was measured, as a person reads it.
pub(super) fn in_seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.2} s", time.as_secs_f32()),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::name::PodName;
    use crate::scenario::{DemandedGuard, Prepare, Program, parse};
    use crate::schedule::{Move, SqlPattern, Stop, Turn};

    fn seen() -> Seen {
        Seen {
            steps: 3,
            written: vec!["public.t".to_owned()],
            locks: vec![LockKey::bigint(0, 4711)],
            lock_rows: Vec::new(),
            lock: None,
            likely: None,
            took: Duration::from_millis(1234),
            limit: Duration::from_secs(30),
            unstable: Vec::new(),
            order: Schedule::Controlled(Vec::new()),
            tries: true,
        }
    }

    #[test]
    fn the_file_reads_back_as_the_scenario_with_or_without_each_key() {
        let plain = Scenario::new("t", Program::Command(vec!["sh".into(), "a b\n#c".into()]));
        let mut full = plain.clone();
        full.subject.prepare = Some(Prepare::Shell("# no comment\necho [pods]".to_owned()));
        full.subject.lock = Some(LockName::Key(4711));
        full.subject
            .env
            .insert("A".to_owned(), "[expect]".to_owned());
        full.subject.witness = false;
        full.subject.time_limit = Some(Duration::from_secs(7));
        full.expect.guards = vec![DemandedGuard::Contention];
        full.schedule = Schedule::Controlled(vec![Move::Turn(Turn {
            pod: PodName::of_index(0),
            until: Stop::Before {
                sql: SqlPattern::new("insert into t").unwrap(),
                nth: 2,
            },
        })]);
        for scenario in [plain, full] {
            let text = page(&scenario, &seen());
            let read = parse(&text, Path::new("lockproof.toml"));
            assert_eq!(read.unwrap(), scenario, "{text}");
        }
    }

    #[test]
    fn keys_that_are_not_set_stand_there_as_comments_that_could_be_taken_in() {
        let scenario = Scenario::new("t", Program::Command(vec!["true".to_owned()]));
        let text = page(&scenario, &seen());
        let taken: String = text
            .lines()
            .map(|line| {
                let key = line.strip_prefix("# ").filter(|line| {
                    let name = line.split(" = ").next().unwrap_or_default();
                    line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                });
                // A schema that is not there would be refused.
                let key = key.filter(|line| !line.starts_with("schema"));
                format!("{}\n", key.unwrap_or(line))
            })
            .collect();
        let read = parse(&taken, Path::new("lockproof.toml")).unwrap();
        assert_eq!(read.subject.lock, Some(LockName::Key(4711)));
        assert_eq!(read.subject.protect, Some(vec!["public.t".to_owned()]));
        assert_eq!(read.subject.time_limit, Some(Duration::from_secs(30)));
        assert_eq!(read.subject.env["APP_DSN"], "{url}");
    }
}
