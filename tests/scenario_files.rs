//! Scenario files as people write them: what is read, found and written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lockproof_core::history::{OnContention, Release};
use lockproof_core::name::InvariantName;
use lockproof_core::name::PodName;
use lockproof_core::scenario::{
    DemandedGuard, ExpectedVerdict, LockName, Prepare, Program, Scenario, ScenarioError, find,
    load, parse,
};
use lockproof_core::schedule::{FaultKind, Move, Point, Schedule, SessionChoice, Stop};

const OVERLAP: &str = r#"
title = "Two resets overlap with no lock"
tags  = ["TC-API-3.29", "planted-bug"]

[subject]
seeder  = { lock = "none", profile = "tiny" }
protect = ["appointments", "invoices", "invoice_line_items", "invoice_tip_splits", "grooming_visit_logs"]

[pods]
count = 2

[schedule]
turns = [
  { run = "a", until = { before = "insert into invoice_tip_splits" } },
  { run = "b", until = { after = "truncate" } },
  { fault = { kill = { pod = "b" } } },
  { run = "a" },                      # to its end: 23503 on invoice_tip_splits
]

[expect]
violates = ["no-errors"]
sqlstate = "23503"
constraint = "invoice_tip_splits_invoice_id_invoices_id_fk"
"#;

fn read(text: &str) -> Scenario {
    parse(text, Path::new("some.toml")).expect("a good file")
}

fn moves(scenario: &Scenario) -> &[Move] {
    match &scenario.schedule {
        Schedule::Controlled(moves) => moves,
        _ => panic!("not controlled: {scenario:?}"),
    }
}

#[test]
fn the_example_of_the_design_is_read() {
    let scenario = read(OVERLAP);
    assert_eq!(scenario.title, "Two resets overlap with no lock");
    assert_eq!(scenario.tags, ["TC-API-3.29", "planted-bug"]);
    let Program::Seeder(settings) = &scenario.subject.program else {
        panic!("{:?}", scenario.subject.program);
    };
    assert_eq!(
        (settings.lock.as_str(), settings.profile.as_str()),
        ("none", "tiny")
    );
    assert_eq!(
        settings.arguments(),
        ["groombook", "seed", "--lock", "none", "--profile", "tiny"]
    );
    assert_eq!(scenario.subject.protect.as_ref().map(Vec::len), Some(5));
    assert_eq!(scenario.pods.count, 2);
    let played: Vec<String> = moves(&scenario)
        .iter()
        .map(lockproof::internals::report::move_words)
        .collect();
    assert_eq!(
        played,
        [
            "run a until before \"insert into invoice_tip_splits\"",
            "run b until after \"truncate\"",
            "kill b (before)",
            "run a to its end",
        ]
    );
    assert_eq!(scenario.expect.verdict, ExpectedVerdict::Violated);
    assert_eq!(scenario.expect.violates, [InvariantName::NoErrors]);
    assert_eq!(scenario.expect.sqlstate.as_deref(), Some("23503"));
}

#[test]
fn what_is_saved_reads_like_the_design() {
    let saved = read(OVERLAP).to_toml();
    assert_eq!(
        saved,
        r#"title = "Two resets overlap with no lock"
tags = ["TC-API-3.29", "planted-bug"]

[subject]
seeder = { lock = "none", profile = "tiny" }
protect = ["appointments", "invoices", "invoice_line_items", "invoice_tip_splits", "grooming_visit_logs"]

[pods]
count = 2

[schedule]
turns = [
  { run = "a", until = { before = "insert into invoice_tip_splits" } },
  { run = "b", until = { after = "truncate" } },
  { fault = { kill = { pod = "b" } } },
  { run = "a" },
]

[expect]
violates = ["no-errors"]
sqlstate = "23503"
constraint = "invoice_tip_splits_invoice_id_invoices_id_fk"
"#
    );
}

#[test]
fn a_file_that_says_little_means_the_usual() {
    let scenario = read("title = \"t\"\n[subject]\ncommand = [\"node\", \"seed.mjs\"]\n");
    assert_eq!(
        scenario,
        Scenario::new("t", scenario.subject.program.clone())
    );
    assert_eq!(scenario.pods.count, 2);
    assert!(scenario.subject.witness && moves(&scenario).is_empty());
    assert_eq!(scenario.expect.verdict, ExpectedVerdict::Holds);
    let Program::Seeder(settings) = read("title = \"t\"\n[subject]\nseeder = {}")
        .subject
        .program
    else {
        panic!("no seeder");
    };
    assert_eq!(
        (settings.lock.as_str(), settings.profile.as_str()),
        ("session", "tiny")
    );
}

#[test]
fn everything_that_a_file_can_say_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("groom.sql"), "create table t ()").unwrap();
    let text = r#"
title = "all of it"
[subject]
command = ["node", "seed.mjs"]
schema = "groom.sql"
prepare = "npm run migrate"
env = { SEED_PROFILE = "dev" }
lock = { key = 0x47524f4f }
release = "any"
on_contention = "skip"
answers = [{ sqlstate = "23505", constraint = "job_lock_pkey" }, { sqlstate = "55P03", table = "t" }]
time_limit = "2m"
witness = false
[pods]
count = 3
recovery = true
[schedule]
turns = [
  { run = "a", until = { before = '/^insert\s+into/', nth = 2 } },
  { run = "b", until = { steps = 3 } },
  { run = "c", until = { blocked = true } },
  { fault = { terminate = { pod = "a", grace = "2s" } } },
  { fault = { error = { pod = "a", sqlstate = "40001", point = "in-doubt" } } },
  { fault = { terminate-backend = { pod = "a", holding = "lock" } } },
  { fault = { cancel-backend = { pod = "b", connection = "b.0", point = "waiting" } } },
  { fault = { reset = { pod = "b", next = true, point = "after" } } },
]
[expect]
verdict = "inconclusive"
may_violate = ["progress"]
only_sqlstates = ["23503"]
guards = ["contention", "faults-fired", "stops-reached", "overlap", "recovery-completed", "blocked"]
"#;
    let file = directory.path().join("all.toml");
    std::fs::write(&file, text).unwrap();
    let scenario = load(&file).unwrap();
    let subject = &scenario.subject;
    assert_eq!(subject.schema, Some(directory.path().join("groom.sql")));
    assert_eq!(
        subject.prepare,
        Some(Prepare::Shell("npm run migrate".to_owned()))
    );
    assert_eq!(subject.env["SEED_PROFILE"], "dev");
    assert_eq!(subject.lock, Some(LockName::Key(1_196_576_591)));
    assert_eq!(
        (subject.release, subject.on_contention),
        (Release::Any, OnContention::Skip)
    );
    let answers = subject.answers.iter();
    let answers: Vec<_> = answers
        .map(|one| (&*one.sqlstate, one.constraint.as_deref()))
        .collect();
    assert_eq!(answers, [("23505", Some("job_lock_pkey")), ("55P03", None)]);
    assert_eq!(subject.answers[1].table.as_deref(), Some("t"));
    assert_eq!(
        (subject.time_limit, subject.witness),
        (Some(Duration::from_secs(120)), false)
    );
    assert!(scenario.pods.recovery);
    assert_eq!(scenario.expect.verdict, ExpectedVerdict::Inconclusive);
    assert_eq!(scenario.expect.guards, DemandedGuard::ALL);
    let faults: Vec<_> = moves(&scenario)
        .iter()
        .filter_map(|one| match one {
            Move::Fault(fault) => Some((fault.kind.name(), fault.session.clone(), fault.point)),
            _ => None,
        })
        .collect();
    assert_eq!(
        faults,
        [
            ("terminate", SessionChoice::Next, Point::Before),
            ("error", SessionChoice::Next, Point::InDoubt),
            (
                "terminate-backend",
                SessionChoice::HoldingLock,
                Point::Before
            ),
            (
                "cancel-backend",
                SessionChoice::Connection("b.0".parse().unwrap()),
                Point::Waiting
            ),
            ("reset", SessionChoice::Next, Point::After),
        ]
    );
    let Move::Turn(first) = &moves(&scenario)[0] else {
        panic!("no turn");
    };
    assert!(
        matches!(&first.until, Stop::Before { nth: 2, sql } if sql.text() == r"/^insert\s+into/")
    );
    // Saved elsewhere, it still finds its schema.
    assert_eq!(
        parse(&scenario.to_toml(), Path::new("/elsewhere/saved.toml")).unwrap(),
        scenario
    );
}

#[test]
fn free_pacing_is_read() {
    let scenario = read(
        r#"
title = "t"
subject = { command = ["x"], lock = { keys = [1, -2] } }
schedule.free = { stagger = ["0ms", "3s"], seed = 7, faults = [
  { at = "50ms", kill = { pod = "a" } },
  { at = "1s", terminate = { pod = "b" } },
] }
"#,
    );
    assert_eq!(scenario.subject.lock, Some(LockName::Keys([1, -2])));
    let Schedule::Free(free) = &scenario.schedule else {
        panic!("{:?}", scenario.schedule);
    };
    assert_eq!(free.stagger, (Duration::ZERO, Duration::from_secs(3)));
    assert_eq!(free.seed, 7);
    assert_eq!(free.faults[0].point, Point::At(Duration::from_millis(50)));
    assert_eq!(free.faults[1].pod, Some(PodName::new("b")));
    assert_eq!(
        free.faults[1].kind,
        FaultKind::Terminate {
            grace: Duration::from_secs(30),
            pid1: false
        }
    );
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let error = load(Path::new("no/such.toml")).unwrap_err();
    assert!(matches!(error, ScenarioError::Unreadable { .. }));
    assert!(
        error.to_string().starts_with("cannot read no/such.toml: "),
        "{error}"
    );
}

#[test]
fn files_are_found_in_order_and_chosen_by_tag() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (name, text) in [
        ("b.toml", "tags = [\"x\"]"),
        ("a.toml", "tags = [\"y\"]"),
        ("deep/er/c.toml", "tags = [\"x\", \"y\"]"),
        ("broken.toml", "tags = "),
        ("notes.md", ""),
        (".hidden/d.toml", "tags = [\"x\"]"),
        ("alone.txt", "tags = [\"x\"]"),
    ] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let names = |paths: &[PathBuf], tag: Option<&str>| -> Vec<String> {
        let found = find(paths, tag).unwrap();
        let found = found.iter().map(|path| path.strip_prefix(root).unwrap());
        found.map(|path| path.display().to_string()).collect()
    };
    let all = [root.to_owned()];
    assert_eq!(
        names(&all, None),
        ["a.toml", "b.toml", "broken.toml", "deep/er/c.toml"]
    );
    assert_eq!(
        names(&all, Some("x")),
        ["b.toml", "broken.toml", "deep/er/c.toml"]
    );
    let given = [root.join("alone.txt"), root.to_owned(), root.join("b.toml")];
    assert_eq!(names(&given, Some("x"))[..2], ["alone.txt", "b.toml"]);
    assert_eq!(names(&given, Some("x")).len(), 4);
    assert!(find(&[root.join("missing")], None).is_err());
}
