//! Histories for tests of search: steps told by their SQL.
//!
//! Owns a small model of what the conductor would have recorded: what a text means, which advisory
//! locks are held, what a witness would have seen. Only for tests.

use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session, StepId};
use std::collections::{BTreeMap, BTreeSet};

use crate::history::*;
use crate::sql::meaning;

const DATABASE: u32 = 16_384;

/// A lock by its key, the database left aside.
pub(super) fn key_of(key: i64) -> LockKey {
    LockKey::bigint(0, key)
}

/// Tables parent ← child ← grandchild, t, u and more, with what is special in their names.
pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for name in [
        "parent",
        "child",
        "grandchild",
        "t",
        "u",
        "serial",
        "whole",
        "part1",
        "triggered",
    ] {
        let facts = TableFacts {
            runs_code: name == "triggered",
            sequences: BTreeSet::from_iter((name == "serial").then(|| "public.s".to_owned())),
            parents: BTreeSet::from_iter((name == "part1").then(|| "public.whole".to_owned())),
        };
        catalog.tables.insert(format!("public.{name}"), facts);
        catalog.keys.push(UniqueKey {
            name: format!("{name}_pkey"),
            table: format!("public.{name}"),
            columns: vec!["id".to_owned()],
        });
    }
    for (child, parent) in [("child", "parent"), ("grandchild", "child")] {
        catalog.foreign_keys.push(ForeignKey {
            name: format!("{child}_{parent}_fk"),
            child: format!("public.{child}"),
            child_columns: vec![format!("{parent}_id")],
            parent: format!("public.{parent}"),
            parent_columns: vec!["id".to_owned()],
            on_delete: ReferentialAction::Cascade,
            on_update: ReferentialAction::Refuse,
        });
    }
    catalog
        .views
        .insert("public.v".to_owned(), Some(["public.t".to_owned()].into()));
    catalog.views.insert("public.opaque_view".to_owned(), None);
    catalog
}

/// A history in the making.
pub(super) struct Tale {
    writer: Writer,
    run: RunFacts,
    now: u64,
    numbers: BTreeMap<PodName, u32>,
    steps: u64,
    known: BTreeSet<ConnectionName>,
    locks: Vec<HeldLock>,
}

fn name(text: &str) -> ConnectionName {
    text.parse().unwrap()
}

fn session(connection: &ConnectionName) -> Session {
    let letter = i32::from(connection.pod.as_str().as_bytes()[0] - b'a');
    Session {
        pid: 1000 + 100 * letter + i32::try_from(connection.index).unwrap(),
        started_us: 1,
    }
}

impl Tale {
    pub(super) fn of(pods: &[&str]) -> Self {
        Self {
            writer: Writer::in_memory(),
            run: RunFacts {
                format: FORMAT,
                lockproof: "0.1.0".to_owned(),
                run: "test".to_owned(),
                title: "A tale".to_owned(),
                pacing: Pacing::Controlled,
                subject: "job".to_owned(),
                pods: pods.iter().map(|pod| PodName::new(*pod)).collect(),
                recovery: false,
                moves: 0,
                server: ServerFacts {
                    kind: "local".to_owned(),
                    version: "15".to_owned(),
                    description: "local".to_owned(),
                },
                pooler: None,
                database: DATABASE,
                witness: true,
                log: true,
                rules: Rules {
                    protect: Vec::new(),
                    lock: LockRule::None,
                    lock_mode: None,
                    ignore: Vec::new(),
                    lock_rows: Vec::new(),
                    unguarded: Vec::new(),
                    release: Release::Unlock,
                    on_contention: OnContention::Wait,
                    answers: Vec::new(),
                    only_sqlstates: None,
                    guards: Vec::new(),
                },
                baseline: None,
            },
            now: 0,
            numbers: BTreeMap::new(),
            steps: 0,
            known: BTreeSet::new(),
            locks: Vec::new(),
        }
    }

    pub(super) fn witnessed(mut self, witness: bool) -> Self {
        self.run.witness = witness;
        self
    }

    pub(super) fn event(&mut self, event: Event) -> &mut Self {
        if self.writer.lines().is_empty() {
            self.writer
                .record(0, Event::Run(Box::new(self.run.clone())));
        }
        self.now += 10;
        self.writer.record(self.now, event);
        self
    }

    /// A step that is asked and let go; its id.
    pub(super) fn released(&mut self, connection: &str, request: Request) -> StepId {
        let connection = name(connection);
        if self.known.insert(connection.clone()) {
            self.event(Event::SessionStarted {
                server: 0,
                session: session(&connection),
                connection: connection.clone(),
            });
        }
        self.steps += 1;
        let step = StepId(self.steps);
        self.event(Event::StepHeld {
            step,
            connection: connection.clone(),
            request,
        });
        let number = self.numbers.entry(connection.pod.clone()).or_insert(0);
        *number += 1;
        let number = Some(*number);
        self.event(Event::StepReleased {
            step,
            number,
            session: Some(session(&connection)),
            connection,
            delivery: Delivery::Forwarded,
            held_us: 1,
        });
        step
    }

    pub(super) fn ended(&mut self, step: StepId, ending: Ending, answer: Answer) -> &mut Self {
        self.event(Event::StepEnded {
            step,
            ending,
            answer,
            blocked_by: Vec::new(),
        });
        let locks = self.locks.clone();
        self.event(Event::Locks {
            server_us: 0,
            locks,
        })
    }

    /// What the conductor would have made of this text.
    pub(super) fn request(sql: &str) -> Request {
        let meaning = meaning(sql, &[]);
        Request {
            sql: vec![sql.to_owned()],
            normal: meaning.normal,
            lock_calls: meaning.lock_calls,
            writes: meaning.writes,
            opaque: meaning.opaque,
            look_up: false,
            ..Request::default()
        }
    }

    fn done(&mut self, connection: &str, sql: &str, status: char) -> StepId {
        let request = Self::request(sql);
        let id = self.released(connection, request.clone());
        for (table, operation) in Self::written(&request) {
            self.saw(connection, Some(id), &table, operation);
        }
        let answer = Answer {
            transaction: Some(status),
            lock_results: vec![None; request.lock_calls.len()],
            ..Answer::default()
        };
        self.ended(id, Ending::Done, answer);
        id
    }

    /// What a witness would have seen of plain statements.
    fn written(request: &Request) -> Vec<(String, Operation)> {
        let form = request.normal.first().map_or("", String::as_str);
        let operation = match form.split(' ').next() {
            Some("insert" | "copy") => Operation::Insert,
            Some("update") => Operation::Update,
            Some("delete") => Operation::Delete,
            Some("truncate") => Operation::Truncate,
            _ => return Vec::new(),
        };
        request
            .writes
            .iter()
            .map(|table| (crate::run::qualified(table), operation.clone()))
            .collect()
    }

    fn saw(&mut self, connection: &str, step: Option<StepId>, table: &str, operation: Operation) {
        if !self.run.witness {
            return;
        }
        let connection = name(connection);
        let locks = self.locks.clone();
        self.event(Event::Write(Write {
            server_us: 0,
            session: session(&connection),
            connection: Some(connection),
            step,
            table: table.to_owned(),
            operation,
            locks,
            extent: crate::history::Extent::default(),
        }));
    }

    /// A statement outside of a transaction, or the one that ends it.
    pub(super) fn step(&mut self, connection: &str, sql: &str) -> &mut Self {
        self.done(connection, sql, 'I');
        self
    }

    /// A statement in a transaction that goes on.
    pub(super) fn in_transaction(&mut self, connection: &str, sql: &str) -> &mut Self {
        self.done(connection, sql, 'T');
        self
    }

    /// A statement that fails.
    pub(super) fn fails(&mut self, connection: &str, sql: &str, sqlstate: &str) -> &mut Self {
        let id = self.released(connection, Self::request(sql));
        let answer = Answer {
            error: Some(ServerError {
                severity: "ERROR".to_owned(),
                sqlstate: sqlstate.to_owned(),
                ..ServerError::default()
            }),
            transaction: Some('I'),
            ..Answer::default()
        };
        self.ended(id, Ending::Done, answer)
    }

    /// A statement that waits, and is never answered.
    pub(super) fn waits(&mut self, connection: &str, sql: &str) -> &mut Self {
        self.waits_for(connection, sql, &[])
    }

    /// A statement that waits for these sessions, and is never answered.
    pub(super) fn waits_for(&mut self, connection: &str, sql: &str, pids: &[i32]) -> &mut Self {
        let step = self.released(connection, Self::request(sql));
        self.event(Event::StepEnded {
            step,
            ending: Ending::Blocked,
            answer: Answer::default(),
            blocked_by: pids.to_vec(),
        })
    }

    /// A statement that does more than its text says.
    pub(super) fn wrote(
        &mut self,
        connection: &str,
        sql: &str,
        more: &[(&str, Operation)],
    ) -> &mut Self {
        let id = self.done(connection, sql, 'I');
        for (table, operation) in more {
            self.saw(connection, Some(id), table, operation.clone());
        }
        self
    }

    /// A statement whose text does not tell what it does.
    pub(super) fn opaque(
        &mut self,
        connection: &str,
        sql: &str,
        did: &[(&str, Operation)],
    ) -> &mut Self {
        self.wrote(connection, sql, did)
    }

    /// A write that no step is known of.
    pub(super) fn stray(&mut self, connection: &str, table: &str) -> &mut Self {
        self.saw(connection, None, table, Operation::Insert);
        self
    }

    /// Takes a session lock.
    pub(super) fn lock(&mut self, connection: &str, key: i64) -> &mut Self {
        let id = self.released(
            connection,
            Self::request(&format!("select pg_advisory_lock({key})")),
        );
        self.locks.push(HeldLock {
            pid: session(&name(connection)).pid,
            key: LockKey::bigint(DATABASE, key),
            mode: LockMode::Exclusive,
            granted: true,
        });
        let answer = Answer {
            transaction: Some('I'),
            lock_results: vec![None],
            ..Answer::default()
        };
        self.ended(id, Ending::Done, answer)
    }

    /// Gives a session lock back.
    pub(super) fn unlock(&mut self, connection: &str, key: i64) -> &mut Self {
        let id = self.released(
            connection,
            Self::request(&format!("select pg_advisory_unlock({key})")),
        );
        let pid = session(&name(connection)).pid;
        self.locks.retain(|lock| lock.pid != pid);
        let answer = Answer {
            transaction: Some('I'),
            lock_results: vec![Some(true)],
            ..Answer::default()
        };
        self.ended(id, Ending::Done, answer)
    }

    /// A connection is gone, and its locks with it.
    pub(super) fn gone(&mut self, connection: &str) -> &mut Self {
        let connection = name(connection);
        let pid = session(&connection).pid;
        self.locks.retain(|lock| lock.pid != pid);
        self.event(Event::SessionGone {
            session: session(&connection),
            connection,
        });
        let locks = self.locks.clone();
        self.event(Event::Locks {
            server_us: 0,
            locks,
        })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.writer.lines().to_vec()
    }
}
