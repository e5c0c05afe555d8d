//! What `independent` says of two statements, tried on a real server: where it calls them independent,
//! both orders give the same answers and the same rows.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod support;

use lockproof::internals::evidence;
use lockproof::internals::search::footprint::{Footprint, Footprints, independent};
use lockproof_core::history::*;
use lockproof_core::name::{ConnectionName, StepId};
use lockproof_core::sql::meaning;
use tokio_postgres::{Client, SimpleQueryMessage};

const SCHEMA: &str = "
create table parent (id int primary key, a int);
create table child (id int primary key, parent_id int references parent (id) on delete cascade);
create table grandchild (id int primary key, child_id int references child (id) on delete set null);
create table t (id serial primary key, a int unique);
create table u (a int);
create table whole (a int) partition by range (a);
create table part1 partition of whole for values from (0) to (10);
create table part2 partition of whole for values from (10) to (20);
create sequence s;
create view v as select p.a from parent p join u on u.a = p.a;
create function f() returns int language sql as 'insert into u values (99) returning a';
create function count_t() returns trigger language plpgsql as
  'begin insert into u values (77); return null; end';
create table triggered (a int);
create trigger x after insert on triggered for each row execute function count_t();
";

const FILL: &str = "
truncate parent, child, grandchild, t, u, whole, triggered restart identity;
select setval('s', 1, false), setval('t_id_seq', 1, false);
insert into parent values (1, 1), (2, 2);
insert into child values (1, 1), (2, 2);
insert into grandchild values (1, 1), (2, 2);
insert into t (a) values (1), (2);
insert into u values (1), (2);
insert into whole values (1), (11);
";

const STATEMENTS: &[&str] = &[
    "select count(*) from parent",
    "select sum(a) from u",
    "select count(*) from v",
    "select count(*) from whole",
    "select count(*) from part1",
    "select count(*) from grandchild g left join child c on c.id = g.child_id",
    "select id from t order by id for update",
    "with x as (select count(*) n from t) select n from x",
    "with x as (delete from u where a = 1 returning a) select count(*) from x",
    "insert into parent values (3, 3)",
    "insert into child values (3, 2)",
    "insert into grandchild values (3, 2)",
    "insert into t (a) values (3)",
    "insert into t (a) select a + 10 from u",
    "insert into u select count(*) from child",
    "insert into whole values (2)",
    "insert into part2 values (12)",
    "insert into triggered values (1)",
    "insert into t (a) values (3) on conflict (a) do update set a = 33",
    "update parent set a = a + 1",
    "update t set a = (select max(a) from u) + 100 where id = 1",
    "update u set a = a * 2",
    "update child set parent_id = 2",
    "delete from parent where id = 2",
    "delete from child where id = 1",
    "delete from u using t where t.a = u.a",
    "delete from whole where a < 10",
    "truncate grandchild",
    "truncate parent cascade",
    "truncate u",
    "select nextval('s')",
    "select f()",
    "table u",
    "select 1",
    "select pg_try_advisory_lock(1)",
    "select pg_advisory_unlock(1)",
    "select pg_try_advisory_lock(2)",
    "do $$ begin update u set a = 5; end $$",
];

/// The footprint of a statement by its text and the catalog, as of a run without a witness.
fn footprint(sql: &str, catalog: &Catalog) -> Footprint {
    let connection: ConnectionName = "a.0".parse().unwrap();
    let mut writer = Writer::in_memory();
    for (number, sql) in [sql, "select 1"].into_iter().enumerate() {
        let step = StepId(number as u64 + 1);
        let meaning = meaning(sql, &[]);
        writer.record(
            1,
            Event::StepHeld {
                step,
                connection: connection.clone(),
                request: Request {
                    sql: vec![sql.to_owned()],
                    normal: meaning.normal,
                    lock_calls: meaning.lock_calls,
                    writes: meaning.writes,
                    opaque: meaning.opaque,
                    look_up: meaning.look_up,
                    ..Request::default()
                },
            },
        );
        writer.record(
            1,
            Event::StepReleased {
                step,
                number: Some(number as u32 + 1),
                connection: connection.clone(),
                session: None,
                delivery: Delivery::Forwarded,
                held_us: 0,
            },
        );
        writer.record(
            1,
            Event::StepEnded {
                step,
                ending: Ending::Done,
                answer: Answer {
                    transaction: Some('I'),
                    ..Answer::default()
                },
                blocked_by: Vec::new(),
            },
        );
    }
    Footprints::of(writer.lines(), catalog).steps[0]
        .footprint
        .clone()
}

/// What a statement answers, in one text.
async fn answer(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Err(error) => error
            .code()
            .map_or_else(|| error.to_string(), |code| code.code().to_owned()),
        Ok(messages) => messages
            .iter()
            .map(|message| match message {
                SimpleQueryMessage::Row(row) => (0..row.len())
                    .map(|at| row.get(at).unwrap_or("null"))
                    .collect::<Vec<_>>()
                    .join(","),
                SimpleQueryMessage::CommandComplete(rows) => format!("{rows} rows"),
                _ => String::new(),
            })
            .collect::<Vec<_>>()
            .join(";"),
    }
}

const ROWS: &str = "
select md5(string_agg(x, '|' order by x)) from (
  select 'parent' || p::text x from parent p union all select 'child' || c::text from child c
  union all select 'grandchild' || g::text from grandchild g union all select 't' || t::text from t
  union all select 'u' || u::text from u union all select 'whole' || w::text from whole w
  union all select 's' || last_value || is_called from s) y";

async fn independent_statements_commute_on_a_real_server() {
    let server = support::server().await;
    let database = server.create_database("footprints", None).await.unwrap();
    let (a, b) = (
        server.connect(&database.name).await.unwrap(),
        server.connect(&database.name).await.unwrap(),
    );
    a.batch_execute(SCHEMA).await.unwrap();
    let catalog = evidence::catalog(&a).await.unwrap();
    let rules = Rules {
        lock_mode: None,
        ignore: Vec::new(),
        lock_rows: Vec::new(),
        unguarded: Vec::new(),
        protect: Vec::new(),
        lock: LockRule::None,
        release: Release::Unlock,
        on_contention: OnContention::Wait,
        answers: Vec::new(),
        only_sqlstates: None,
        guards: Vec::new(),
    };
    let (mut commuting, mut opaque) = (0, 0);
    for (place, one) in STATEMENTS.iter().enumerate() {
        let first = footprint(one, &catalog);
        opaque += u32::from(first.everything.is_some());
        for other in &STATEMENTS[place..] {
            let second = footprint(other, &catalog);
            let claimed = independent(&first, &second, &rules);
            assert_eq!(
                claimed,
                independent(&second, &first, &rules),
                "{one} / {other}"
            );
            if !claimed {
                continue;
            }
            commuting += 1;
            let mut orders = Vec::new();
            for a_first in [true, false] {
                a.batch_execute(FILL).await.unwrap();
                let (mine, theirs);
                if a_first {
                    mine = answer(&a, one).await;
                    theirs = answer(&b, other).await;
                } else {
                    theirs = answer(&b, other).await;
                    mine = answer(&a, one).await;
                }
                orders.push((mine, theirs, answer(&a, ROWS).await));
                for client in [&a, &b] {
                    client
                        .batch_execute("select pg_advisory_unlock_all()")
                        .await
                        .unwrap();
                }
            }
            assert_eq!(
                orders[0], orders[1],
                "called independent, and are not: {one} / {other}"
            );
        }
    }
    let all = STATEMENTS.len() * (STATEMENTS.len() + 1) / 2;
    eprintln!("{all} pairs: {commuting} called independent, and all of them are");
    // A rule that says no to all would be sound, and of no use.
    assert!(commuting > 350, "{commuting}");
    assert_eq!(opaque, 3);
    drop((a, b));
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

crate::harness::tests![independent_statements_commute_on_a_real_server,];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
