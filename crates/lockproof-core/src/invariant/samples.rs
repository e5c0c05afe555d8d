//! Names, calls and errors for the histories of tests.
//!
//! Owns small values that stories are made of. Only for tests.

use std::time::Duration;

use super::judge::judge;
use crate::history::*;
use crate::name::{ConnectionName, GuardName, LockKey, LockMode, PodName, Session};
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice, SqlPattern, Stop, Turn};

pub(super) const DATABASE: u32 = 16_384;
pub(super) const KEY: i64 = 1_196_576_591;
pub(super) const INVOICES: &str = "public.invoices";
pub(super) const SPLITS: &str = "public.invoice_tip_splits";
pub(super) const LINES: [&str; 2] = ["✓ Created 4 staff", "✓ Released seed advisory lock"];

pub(super) fn name(text: &str) -> ConnectionName {
    text.parse().unwrap()
}

pub(super) fn pod(text: &str) -> PodName {
    PodName::new(text)
}

/// The session of a connection: its process id tells it.
pub(super) fn session(connection: &str) -> Session {
    let name = name(connection);
    let letter = i32::from(name.pod.as_str().as_bytes()[0] - b'a');
    let pid = 1000 + letter * 100 + i32::try_from(name.index).unwrap();
    Session { pid, started_us: 1 }
}

pub(super) fn key() -> LockKey {
    LockKey::bigint(DATABASE, KEY)
}

pub(super) fn call(action: LockAction) -> LockCall {
    LockCall {
        action,
        mode: LockMode::Exclusive,
        xact: false,
        key: Some(LockKey::bigint(0, KEY)),
        whole: true,
    }
}

pub(super) fn error(sqlstate: &str, message: &str) -> ServerError {
    ServerError {
        severity: "ERROR".to_owned(),
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        table: None,
        constraint: None,
    }
}

pub(super) fn rows(rows: u64) -> FinalState {
    let table = TableState {
        rows,
        digest: format!("digest of {rows}"),
        ..TableState::default()
    };
    FinalState {
        tables: [(INVOICES.to_owned(), table)].into(),
    }
}

/// The fault of this name, with any parameters.
pub(super) fn kind(name: &str) -> FaultKind {
    match name {
        "kill" => FaultKind::Kill,
        "terminate" => FaultKind::Terminate {
            grace: Duration::from_secs(1),
            pid1: false,
        },
        "pause" => FaultKind::Pause,
        "error" => FaultKind::Error {
            sqlstate: "53100".to_owned(),
        },
        "terminate-backend" => FaultKind::TerminateBackend,
        "cancel-backend" => FaultKind::CancelBackend,
        "reset" => FaultKind::Reset,
        "drop" => FaultKind::Drop,
        "blackhole" => FaultKind::Blackhole,
        "heal" => FaultKind::Heal,
        "delay" => FaultKind::Delay {
            by: Duration::from_millis(50),
        },
        other => panic!("no test has used {other} so far"),
    }
}

/// A turn of this pod.
pub(super) fn run(pod: &str, until: Stop) -> Move {
    let pod = self::pod(pod);
    Move::Turn(Turn { pod, until })
}

/// The stop before the first statement that begins like this.
pub(super) fn before(sql: &str) -> Stop {
    let sql = SqlPattern::new(sql).unwrap_or_else(|error| panic!("{error}"));
    Stop::Before { sql, nth: 1 }
}

/// A move of the schedule begins.
pub(super) fn begins(index: usize, one: Move) -> Event {
    Event::MoveStarted {
        index,
        begun: Begun::Move(one),
        scheduled: true,
    }
}

/// The guard of this name: whether it is met, and why.
pub(super) fn guard(lines: &[Line], name: GuardName) -> (bool, String) {
    let verdict = judge(lines).unwrap_or_else(|error| panic!("{error}"));
    let guard = verdict.guards.iter().find(|guard| guard.name == name);
    let guard = guard.unwrap_or_else(|| panic!("no guard {name}"));
    (guard.met, guard.why.clone())
}

/// A fault of this name that fired.
pub(super) fn fault(name: &str, hit: &str) -> FaultEvent {
    let connection = hit.contains('.').then(|| self::name(hit));
    FaultEvent {
        fault: Fault {
            kind: kind(name),
            pod: Some(connection.as_ref().map_or(pod(hit), |one| one.pod.clone())),
            session: SessionChoice::Next,
            point: Point::Before,
        },
        by: FaultBy::Schedule,
        pod: Some(connection.as_ref().map_or(pod(hit), |one| one.pod.clone())),
        session: connection.is_some().then(|| session(hit)),
        connection,
        step: None,
        fired: true,
        absent: false,
        evidence: "seen".to_owned(),
        takes_pod: name == "kill" || name == "terminate",
        ends_session: name == "terminate-backend" || name == "reset",
        sqlstates: match name {
            "terminate-backend" => vec!["57P01".to_owned()],
            "cancel-backend" => vec!["57014".to_owned()],
            "kill" | "reset" => vec!["08006".to_owned()],
            _ => Vec::new(),
        },
    }
}
