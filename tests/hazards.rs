//! Hazards mined from the built-in job's own runs, with no hint but its schema: the original bug is
//! among the first, and no sound lock is violated by any. (tests/exploring.rs has the unsound locks.)

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod support;

use std::time::Instant;

use harness::{Need, need};
use lockproof::internals::evidence;
use lockproof::internals::search::Trial;
use lockproof::internals::search::hazard::{Hazard, HazardKind, mine, refuted};
use lockproof_core::history::{Catalog, Event, Line, Rules, Writer};
use lockproof_core::invariant::Judgement;
use lockproof_core::name::PodName;
use lockproof_core::schedule::Schedule;
use support::{NODE_PATH, PYTHON, Theatre};

/// What came of trying the hazards of a lock one by one, until the first violation.
struct Tried {
    lock: &'static str,
    hazards: Vec<Hazard>,
    /// How many schedules were run after the clean runs until the first violation, that of one pod
    /// after the other counted as 0.
    violated_at: Option<usize>,
    violated: Vec<HazardKind>,
    /// SQLSTATE and constraint of each finding of the first three hazards' runs.
    first_three: Vec<(Option<String>, Option<String>)>,
    /// Why each hazard was refuted.
    refuted: Vec<(HazardKind, String)>,
}

fn rules(lines: &[Line]) -> Rules {
    match &lines[0].event {
        Event::Run(run) => run.rules.clone(),
        other => panic!("a history begins with its run: {other:?}"),
    }
}

async fn catalog(theatre: &Theatre) -> Catalog {
    let seat = theatre.stage.seat().await.unwrap();
    let place = seat.place();
    let name = &place.bare_template.name;
    let client = place.server.connect(name).await.unwrap();
    evidence::catalog(&client).await.unwrap()
}

/// With `all`, goes on after a violation.
async fn tried(theatre: &Theatre, lock: &'static str, all: bool) -> Tried {
    let catalog = catalog(theatre).await;
    let trial = theatre.rehearse().await.unwrap();
    let run = async |trial: &Trial<'_>, schedule| {
        let writer = Writer::in_memory();
        trial
            .run_along(&Schedule::Controlled(schedule), writer)
            .await
            .unwrap()
    };
    let serial = run(&trial, Vec::new()).await;
    let pods: Vec<PodName> = (0..2).map(PodName::of_index).collect();
    let clean = trial.measured().clean.lines().unwrap();
    let runs: [&[Line]; 2] = [&clean, &serial.lines];
    let begun = Instant::now();
    let hazards = mine(&runs[..], &catalog, &rules(&serial.lines), &pods);
    eprintln!("{lock}: mined in {} ms", begun.elapsed().as_millis());
    let mut tried = Tried {
        lock,
        violated_at: (serial.verdict.judgement == Judgement::Violated).then_some(0),
        violated: Vec::new(),
        first_three: Vec::new(),
        refuted: Vec::new(),
        hazards,
    };
    for (index, hazard) in tried.hazards.iter().enumerate() {
        if tried.violated_at.is_some() && !all {
            break;
        }
        let outcome = run(&trial, hazard.schedule()).await;
        if index < 3 {
            let findings = outcome
                .verdict
                .invariants
                .iter()
                .flat_map(|one| &one.findings);
            tried
                .first_three
                .extend(findings.map(|found| (found.sqlstate.clone(), found.constraint.clone())));
        }
        if outcome.verdict.judgement == Judgement::Violated {
            tried.violated_at.get_or_insert(index + 1);
            tried.violated.push(hazard.kind);
        } else {
            tried
                .refuted
                .push((hazard.kind, refuted(hazard, &outcome.lines)));
        }
    }
    tried
}

fn show(tried: &Tried, took: std::time::Duration) {
    eprintln!(
        "{}: {} hazards, violated at {:?} ({:?}), {:.1} s",
        tried.lock,
        tried.hazards.len(),
        tried.violated_at,
        tried.violated,
        took.as_secs_f32()
    );
    if std::env::var_os("DUMP").is_some() {
        for hazard in &tried.hazards {
            eprintln!(
                "  {} {} [{}]",
                hazard.kind, hazard.title, hazard.expected.words
            );
            for one in hazard.schedule() {
                eprintln!("      {one:?}");
            }
        }
        for (kind, why) in &tried.refuted {
            eprintln!("  refuted {kind}: {why}");
        }
    }
}

async fn tried_with(lock: &'static str, more: &str, all: bool) -> Tried {
    let text = format!("[subject]\nseeder = {{ lock = \"{lock}\", profile = \"tiny\"{more} }}\n");
    tried_subject(lock, "", &text, all).await
}

async fn tried_subject(name: &'static str, schema: &str, text: &str, all: bool) -> Tried {
    let begun = Instant::now();
    let theatre = Theatre::open(schema, text).await;
    let tried = tried(&theatre, name, all).await;
    theatre.close().await;
    show(&tried, begun.elapsed());
    tried
}

async fn the_original_bug_is_among_the_first_three_schedules_with_no_hint() {
    let tried = tried_with("none", "", false).await;
    assert!(tried.violated_at.is_some_and(|at| at <= 3));
    let exact = (
        Some("23503".to_owned()),
        Some("invoice_tip_splits_invoice_id_invoices_id_fk".to_owned()),
    );
    assert!(
        tried.first_three.contains(&exact),
        "{:?}",
        tried.first_three
    );
    assert!(tried.hazards.len() <= 20, "{}", tried.hazards.len());
}

async fn sound_locks_stand_all_their_hazards() {
    for lock in ["single", "guarded"] {
        let tried = tried_with(lock, "", true).await;
        assert_eq!(tried.violated, [], "{lock}");
        assert!(tried.hazards.len() <= 15, "{lock}: {}", tried.hazards.len());
    }
}

async fn a_reset_under_the_lock_falls_only_with_its_session() {
    let tried = tried_with("whole-job", ", reset = true", true).await;
    assert_eq!(tried.violated, [HazardKind::LockLost]);
}

async fn the_fixed_lock_falls_only_with_its_session() {
    let tried = tried_with("session", "", true).await;
    assert_eq!(tried.violated, [HazardKind::LockLost]);
    let waited = tried.refuted.iter().any(|(kind, why)| {
        *kind == HazardKind::ParentGone
            && why.contains("could not reach `truncate")
            && why.contains("it waited for advisory lock 1196576591, held by a")
    });
    assert!(waited, "{:#?}", tried.refuted);
}

async fn a_reset_before_the_lock_is_found() {
    let tried = tried_with("session", ", reset = true", false).await;
    assert!(tried.violated_at.is_some(), "{:#?}", tried.refuted);
}

const STOCK: &str = "create table stock (id int generated always as identity, what text not null)";

async fn a_shell_script_that_looks_before_it_inserts_is_found() {
    let text = r#"[subject]
command = ["sh", "-c", '''
n=$(psql -XqtAc "select count(*) from stock") || exit 1
if [ "$n" = 0 ]; then psql -Xqc "insert into stock (what) values ('soap'), ('brush')"; fi
''']
"#;
    let tried = tried_subject("psql", STOCK, text, false).await;
    assert_eq!(
        tried.violated,
        [HazardKind::StaleRead],
        "{:#?}",
        tried.refuted
    );
    assert_eq!(tried.violated_at, Some(1));
}

async fn a_python_job_that_deletes_in_one_transaction_and_fills_in_two_is_found() {
    need(Need::Psycopg);
    let text = format!(
        r#"[subject]
command = ["{PYTHON}", "-c", '''
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as c:
    with c.transaction():
        c.execute("delete from price")
        c.execute("delete from product")
    with c.transaction():
        c.execute("insert into product (id) values (%s), (%s)", (1, 2))
    with c.transaction():
        c.execute("insert into price (product_id, cents) values (%s, 10), (%s, 20)", (1, 2))
''']
"#
    );
    let schema = "create table product (id int primary key);
        create table price (product_id int primary key references product (id), cents int);";
    let tried = tried_subject("psycopg", schema, &text, false).await;
    assert_eq!(
        tried.violated,
        [HazardKind::ParentGone],
        "{:#?}",
        tried.refuted
    );
    let exact = (
        Some("23503".to_owned()),
        Some("price_product_id_fkey".to_owned()),
    );
    assert!(
        tried.first_three.contains(&exact),
        "{:?}",
        tried.first_three
    );
}

async fn a_node_job_that_takes_the_next_number_by_itself_is_found() {
    need(Need::NodePostgres);
    let text = format!(
        r#"[subject]
command = ["node", "-e", '''
const {{ Client }} = require("pg");
(async () => {{
  const c = new Client({{ connectionString: process.env.DATABASE_URL }});
  await c.connect();
  const next = (await c.query("select coalesce(max(number), 0) + 1 as n from bill")).rows[0].n;
  await c.query("insert into bill (number) values ($1)", [next]);
  await c.end();
}})().catch((e) => {{ console.error(e.message); process.exit(1); }});
''']
env = {{ NODE_PATH = "{NODE_PATH}" }}
"#
    );
    let schema = "create table bill (number int primary key)";
    let tried = tried_subject("node-pg", schema, &text, false).await;
    assert!(
        tried.violated_at.is_some_and(|at| at <= 3),
        "{:#?}",
        tried.refuted
    );
    assert_eq!(tried.first_three[0].0.as_deref(), Some("23505"));
}

async fn the_catalog_tells_keys_views_sequences_and_hidden_code() {
    let schema = "
        create schema s;
        create table p (id int primary key, e text, unique (e, id));
        create table c (id serial primary key, p_id int not null,
          constraint c_p_fk foreign key (p_id) references p (id) on delete cascade on update set null);
        create unique index c_lower on c (lower(p_id::text));
        create function s.f() returns int language sql as 'select 1';
        create function s.t() returns trigger language plpgsql as 'begin return null; end';
        create table d (a int default s.f());
        create table e (a int check (a > s.f()));
        create table g (a int);
        create trigger g_t after insert on g for each row execute function s.t();
        create table whole (a int) partition by range (a);
        create table part1 partition of whole for values from (0) to (10);
        create view v as select p.e from p join c on c.p_id = p.id;
        create view w as select * from v;
        create view x as select s.f();
    ";
    let theatre = Theatre::open(schema, "[subject]\ncommand = [\"true\"]\n").await;
    let catalog = catalog(&theatre).await;
    theatre.close().await;
    let key = &catalog.foreign_keys[0];
    assert_eq!(catalog.foreign_keys.len(), 1);
    assert_eq!(
        (key.name.as_str(), key.child.as_str()),
        ("c_p_fk", "public.c")
    );
    assert_eq!(
        (&key.child_columns[..], &key.parent_columns[..]),
        (&["p_id".to_owned()][..], &["id".to_owned()][..])
    );
    assert_eq!(
        format!("{:?} {:?}", key.on_delete, key.on_update),
        "Cascade Set"
    );
    let columns = |name: &str| {
        let key = catalog.keys.iter().find(|key| key.name == name);
        key.map(|key| key.columns.join(","))
    };
    assert_eq!(columns("p_pkey").as_deref(), Some("id"));
    assert_eq!(columns("p_e_id_key").as_deref(), Some("e,id"));
    assert_eq!(columns("c_lower").as_deref(), Some(""));
    let of = |table: &str| catalog.tables.get(table).unwrap();
    assert_eq!(
        of("public.c").sequences,
        ["public.c_id_seq".to_owned()].into()
    );
    let code: Vec<&str> = catalog
        .tables
        .iter()
        .filter(|(_, facts)| facts.runs_code)
        .map(|(table, _)| table.as_str())
        .collect();
    assert_eq!(code, ["public.d", "public.e", "public.g"]);
    assert_eq!(
        of("public.part1").parents,
        ["public.whole".to_owned()].into()
    );
    let both: std::collections::BTreeSet<String> = ["public.c".into(), "public.p".into()].into();
    assert_eq!(catalog.views["public.w"], Some(both));
    assert_eq!(catalog.views["public.x"], None);
}

crate::harness::tests![
    the_original_bug_is_among_the_first_three_schedules_with_no_hint,
    the_fixed_lock_falls_only_with_its_session,
    a_reset_before_the_lock_is_found,
    a_shell_script_that_looks_before_it_inserts_is_found,
    a_python_job_that_deletes_in_one_transaction_and_fills_in_two_is_found,
    a_node_job_that_takes_the_next_number_by_itself_is_found,
    the_catalog_tells_keys_views_sequences_and_hidden_code;
    long: sound_locks_stand_all_their_hazards, a_reset_under_the_lock_falls_only_with_its_session
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
