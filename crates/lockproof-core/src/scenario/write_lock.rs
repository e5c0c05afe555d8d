//! A lock, as a scenario file names it.
//!
//! Owns that text: what a file is written with, and what a sentence gives somebody to paste.

use super::duration::write_duration;
use super::model::{LockName, ProtectingLock};
use super::toml_text::{bare, inline, list, text};
use crate::history::{Done, Expiry, LockRow};

/// A lock as a scenario file names it, such as `{ key = 7 }`.
#[must_use]
pub fn lock(name: &LockName) -> String {
    match name {
        LockName::Several(all) => {
            let all: Vec<String> = all.iter().map(protecting).collect();
            match all.as_slice() {
                [one] => one.clone(),
                several => format!("[{}]", several.join(", ")),
            }
        }
        LockName::Key(key) if *key > 0xffff => format!("{{ key = {key:#x} }}"),
        LockName::Key(key) => format!("{{ key = {key} }}"),
        LockName::Relation { table, mode } => {
            let mut keys = vec![format!("relation = {}", text(table.as_str()))];
            keys.extend(mode.map(|mode| format!("mode = {}", text(mode.name()))));
            inline(&keys)
        }
        LockName::Keys([first, second]) => format!("{{ keys = [{first}, {second}] }}"),
        LockName::Row(row) => lock_row(row),
        LockName::Serializable => "{ isolation = \"serializable\" }".to_owned(),
        LockName::Rows(table) => format!("{{ rows = {} }}", text(table.as_str())),
    }
}

/// A lock with the tables that it protects.
fn protecting(one: &ProtectingLock) -> String {
    let written = lock(&one.lock);
    if one.protect.is_empty() {
        return written;
    }
    let keys = written.trim_start_matches("{ ").trim_end_matches(" }");
    inline(&[keys.to_owned(), format!("protect = {}", list(&one.protect))])
}

fn lock_row(lock: &LockRow) -> String {
    let kind = match (&lock.queue, &lock.claim) {
        (Some(_), _) => "queue",
        (None, Some(_)) => "claim",
        (None, None) => "table",
    };
    let mut keys = vec![format!("{kind} = {}", text(&lock.table))];
    if let Some(claim) = &lock.claim {
        keys.push(format!("columns = {}", list(&claim.columns)));
    }
    if !lock.row.is_empty() {
        let columns = lock.row.iter();
        let columns: Vec<String> = columns
            .map(|(column, value)| format!("{} = {}", bare(column), text(value)))
            .collect();
        keys.push(format!("row = {}", inline(&columns)));
    }
    let mut named = |key: &str, value: &str| keys.push(format!("{key} = {}", text(value)));
    if let (Some(done), Some(claimed)) = (&lock.queue, &lock.held) {
        named("claimed", claimed);
        named(
            "done",
            match done {
                Done::When(condition) => condition,
                Done::Deleted => "deleted",
            },
        );
    }
    if let Some(owner) = &lock.owner {
        named("owner", owner);
    }
    match &lock.expiry {
        Some(Expiry::Until(column)) => named("until", column),
        Some(Expiry::Since { column, lease }) => {
            named("since", column);
            named("lease", &write_duration(*lease));
        }
        None => {}
    }
    if let Some(held) = lock.held.as_ref().filter(|_| lock.queue.is_none()) {
        named("held", held);
    }
    if let Some(token) = &lock.token {
        named("token", token);
    }
    if lock.fencing {
        named("fencing", "required");
    }
    inline(&keys)
}
