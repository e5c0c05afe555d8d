//! The `lock` of the `[subject]` table.
//!
//! Owns which locks can be named, and which keys go together. Whether a lock row is there, and what types its
//! columns have, only the database tells.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::error::Wrong;
use super::lock_file::{GUARDING_MODES, LockFile, LocksFile, RowValueFile, WAYS};
use super::model::{LockName, ProtectingLock};
use super::read_claim;
use super::read_values::{duration, name, protect};
use crate::history::{Done, Expiry, LockRow};
use crate::name::{LockMode, TableName};

/// The lock of a scenario, or each of several.
pub(super) fn locks(file: Spanned<LocksFile>) -> Result<LockName, Wrong> {
    let span = file.span();
    let several = match file.into_inner() {
        LocksFile::One(one) if one.protect.is_none() => return lock(*one, span),
        LocksFile::One(one) => vec![protecting(*one, span.clone())?],
        LocksFile::Several(all) => {
            let all = all.into_iter().map(|one| {
                let span = one.span();
                Ok((protecting(one.into_inner(), span.clone())?, span))
            });
            distinct(all.collect::<Result<Vec<_>, Wrong>>()?)?
        }
    };
    match several.len() {
        0 => Err(Wrong::new(span, "no lock is named").help(WAYS)),
        // In brackets or not, one lock that protects all is that lock.
        1 if several[0].protect.is_empty() => Ok(several
            .into_iter()
            .next()
            .map_or_else(|| LockName::Several(Vec::new()), |one| one.lock)),
        _ => Ok(LockName::Several(several)),
    }
}

/// Refuses a lock that is named twice.
fn distinct(all: Vec<(ProtectingLock, Range<usize>)>) -> Result<Vec<ProtectingLock>, Wrong> {
    let mut known: Vec<ProtectingLock> = Vec::new();
    for (one, span) in all {
        if known.iter().any(|other| other.lock == one.lock) {
            let help = "name each lock once, with all the tables that it is to `protect`";
            return Err(Wrong::new(span, "this lock is named twice").help(help));
        }
        known.push(one);
    }
    Ok(known)
}

fn protecting(mut file: LockFile, span: Range<usize>) -> Result<ProtectingLock, Wrong> {
    let protect = file.protect.take().map(protect).transpose()?;
    Ok(ProtectingLock {
        lock: lock(file, span)?,
        protect: protect.unwrap_or_default(),
    })
}

fn lock(file: LockFile, span: Range<usize>) -> Result<LockName, Wrong> {
    if file.claim.is_some() {
        return read_claim::claim(file).map(|row| LockName::Row(Box::new(row)));
    }
    if file.table.is_some() || file.queue.is_some() {
        return row(file).map(|row| LockName::Row(Box::new(row)));
    }
    if let Some((key, span)) = of_a_row(&file) {
        let message =
            format!("`{key}` goes with `table`, for a lock that is a row of it, or with `queue`");
        return Err(Wrong::new(span, message).help(WAYS));
    }
    if let Some(level) = &file.isolation {
        return serializable(level, &file, &span);
    }
    match (file.key, file.keys, file.relation, file.mode, file.rows) {
        (Some(key), None, None, None, None) => Ok(LockName::Key(key)),
        (None, Some(keys), None, None, None) => Ok(LockName::Keys(keys)),
        (None, None, None, None, Some(table)) if !table.trim().is_empty() => {
            Ok(LockName::Rows(TableName::new(table.trim())))
        }
        (None, None, Some(table), mode, None) if !table.trim().is_empty() => {
            Ok(LockName::Relation {
                table: TableName::new(table.trim()),
                mode: mode.map(|mode| guarding(&mode, &span)).transpose()?,
            })
        }
        _ => {
            let message = "a lock has one of `key`, `keys`, `relation`, `rows`, `queue`, `claim` and `table`, and `mode` \
                           goes with `relation`";
            Err(Wrong::new(span, message).help(WAYS))
        }
    }
}

fn serializable(
    level: &Spanned<String>,
    file: &LockFile,
    span: &Range<usize>,
) -> Result<LockName, Wrong> {
    let alone = file.key.is_none()
        && file.keys.is_none()
        && file.relation.is_none()
        && file.mode.is_none()
        && file.rows.is_none();
    match level.get_ref().as_str() {
        "serializable" if alone => Ok(LockName::Serializable),
        "serializable" => {
            let message = "where transactions are serializable no lock is named beside that";
            Err(Wrong::new(span.clone(), message).help(WAYS))
        }
        other => {
            let message = format!("isolation can be \"serializable\", not {other:?}");
            let help =
                "at REPEATABLE READ and READ COMMITTED the server does not check what was read";
            Err(Wrong::new(level.span(), message).help(help))
        }
    }
}

/// The first key that only a lock row has.
fn of_a_row(file: &LockFile) -> Option<(&'static str, Range<usize>)> {
    let texts = [
        ("owner", &file.owner),
        ("until", &file.until),
        ("since", &file.since),
        ("lease", &file.lease),
        ("held", &file.held),
        ("token", &file.token),
        ("fencing", &file.fencing),
        ("claimed", &file.claimed),
        ("done", &file.done),
    ];
    let row = file.row.as_ref().map(|row| ("row", row.span()));
    let columns = file.columns.as_ref();
    let columns = columns.map(|columns| ("columns", columns.span()));
    row.or(columns).or_else(|| {
        let mut given = texts.into_iter();
        given.find_map(|(key, text)| Some((key, text.as_ref()?.span())))
    })
}

/// A mode of LOCK TABLE that keeps its like out.
fn guarding(name: &str, span: &Range<usize>) -> Result<LockMode, Wrong> {
    let known = LockMode::ALL.into_iter().find(|mode| mode.name() == name);
    match known {
        Some(mode) if mode.keeps_its_like_out() => Ok(mode),
        _ => {
            let message = match known {
                Some(_) => {
                    format!("two pods can hold a table in {name} mode at once: it guards nothing")
                }
                None => format!("there is no lock mode {name:?}"),
            };
            let help = format!("modes that guard: {}", GUARDING_MODES.join(", "));
            Err(Wrong::new(span.clone(), message).help(help))
        }
    }
}

fn row(file: LockFile) -> Result<LockRow, Wrong> {
    let LockFile {
        key,
        keys,
        relation,
        mode,
        rows,
        isolation,
        queue,
        claimed,
        done,
        table,
        row,
        owner,
        until,
        since,
        lease,
        held,
        token,
        fencing,
        claim: _,
        columns: of_key,
        protect: _,
    } = file;
    if let Some(of_key) = of_key {
        let message = "`columns` goes with `claim`, and names the key that only one can insert";
        return Err(Wrong::new(of_key.span(), message).help(WAYS));
    }
    let (table, of_queue) = match (table, queue) {
        (Some(table), None) => (table, false),
        (None, Some(queue)) => (queue, true),
        (Some(_), Some(queue)) => {
            let message = "a lock is a row of a `table` or each row of a `queue`, not both";
            return Err(Wrong::new(queue.span(), message).help(WAYS));
        }
        (None, None) => return Err(Wrong::new(0..0, "a lock row needs its `table`")),
    };
    let span = table.span();
    if key.is_some()
        || keys.is_some()
        || relation.is_some()
        || mode.is_some()
        || rows.is_some()
        || isolation.is_some()
    {
        let message =
            "a lock is a row of a `table`, or has one of `key`, `keys`, `relation` and `rows`";
        return Err(Wrong::new(span, message).help(WAYS));
    }
    if of_queue {
        let columns = [
            ("row", row.map(|row| row.span())),
            ("held", held.map(|one| one.span())),
        ];
        let texts = [
            ("token", token.map(|one| one.span())),
            ("fencing", fencing.map(|one| one.span())),
        ];
        let alien = columns
            .into_iter()
            .chain(texts)
            .find_map(|(key, span)| Some((key, span?)));
        if let Some((key, span)) = alien {
            let message =
                format!("`{key}` goes with `table`, and a queue has `claimed` and `done`");
            return Err(Wrong::new(span, message));
        }
        return self::queue(
            table,
            claimed,
            done,
            column(owner)?,
            expiry(until, since, lease)?,
        );
    }
    if let Some(alien) = claimed.or(done) {
        let message =
            "`claimed` and `done` go with `queue`; of one row `held` says whether anybody has it";
        return Err(Wrong::new(alien.span(), message));
    }
    if owner.is_none() && until.is_none() && since.is_none() && held.is_none() {
        let message =
            "nothing tells when the row is had: it has no `owner`, `until`, `since` or `held`";
        let help = "name the column of the owner or of the expiry, or a condition such as `held = \
                    \"is_locked = 1\"`; where the row is there only while it is had, `held = \"true\"`";
        return Err(Wrong::new(span, message).help(help));
    }
    let fencing = match fencing {
        Some(word) if word.get_ref() != "required" => {
            let message = format!("fencing can be \"required\", not {:?}", word.get_ref());
            return Err(Wrong::new(word.span(), message).help("leave it out where it is not"));
        }
        given => given.is_some(),
    };
    Ok(LockRow {
        table: name(table, "a table")?,
        row: columns(row)?,
        owner: column(owner)?,
        expiry: expiry(until, since, lease)?,
        held: held.map(|held| name(held, "a condition")).transpose()?,
        token: column(token)?,
        fencing,
        queue: None,
        claim: None,
        place: 0,
    })
}

fn queue(
    table: Spanned<String>,
    claimed: Option<Spanned<String>>,
    done: Option<Spanned<String>>,
    owner: Option<String>,
    expiry: Option<Expiry>,
) -> Result<LockRow, Wrong> {
    let (Some(claimed), Some(done)) = (claimed, done) else {
        let message = "a queue says when a row is `claimed`, and when it is `done`";
        let help = "add the conditions, such as `claimed = \"state = 'running'\", done = \"state = 'done'\"`, or \
                    `done = \"deleted\"` where a row that is done is deleted";
        return Err(Wrong::new(table.span(), message).help(help));
    };
    let span = done.span();
    let (claimed, done) = (name(claimed, "a condition")?, name(done, "a condition")?);
    if claimed == done {
        let message = "`claimed` and `done` overlap: a row would be claimed and done at once";
        return Err(Wrong::new(span, message));
    }
    Ok(LockRow {
        table: name(table, "a table")?,
        row: BTreeMap::new(),
        owner,
        expiry,
        held: Some(claimed),
        token: None,
        fencing: false,
        place: 0,
        claim: None,
        queue: Some(match done.as_str() {
            "deleted" => Done::Deleted,
            _ => Done::When(done),
        }),
    })
}

fn expiry(
    until: Option<Spanned<String>>,
    since: Option<Spanned<String>>,
    lease: Option<Spanned<String>>,
) -> Result<Option<Expiry>, Wrong> {
    match (until, since, lease) {
        (None, None, None) => Ok(None),
        (Some(until), None, None) => Ok(Some(Expiry::Until(name(until, "a column")?))),
        (None, Some(since), Some(lease)) => {
            let time = duration(&lease)?;
            if time.is_zero() {
                let message = "a lease of no time is over when it begins";
                return Err(Wrong::new(lease.span(), message));
            }
            Ok(Some(Expiry::Since {
                column: name(since, "a column")?,
                lease: time,
            }))
        }
        (Some(_), Some(since), _) => Err(Wrong::new(
            since.span(),
            "the row says either `until` when it is had or `since` when, not both",
        )),
        (_, Some(since), None) => {
            let message = "how long is it had? There is no `lease`";
            Err(Wrong::new(since.span(), message).help("add `lease = \"5m\"`"))
        }
        (_, None, Some(lease)) => {
            let message = "`lease` says how long the lock is had `since` a time in the row";
            let help = "with `until` the row says it itself: leave `lease` out";
            Err(Wrong::new(lease.span(), message).help(help))
        }
    }
}

fn column(text: Option<Spanned<String>>) -> Result<Option<String>, Wrong> {
    text.map(|text| name(text, "a column")).transpose()
}

fn columns(
    row: Option<Spanned<BTreeMap<String, RowValueFile>>>,
) -> Result<BTreeMap<String, String>, Wrong> {
    let Some(row) = row else {
        return Ok(BTreeMap::new());
    };
    let span = row.span();
    if row.get_ref().is_empty() {
        let help =
            "such as `row = { name = \"report\" }`; leave `row` out where the table has one row";
        return Err(Wrong::new(span, "no row is named").help(help));
    }
    let mut columns = BTreeMap::new();
    for (column, value) in row.into_inner() {
        let value = match value {
            RowValueFile::Text(text) => text,
            RowValueFile::Number(number) => number.to_string(),
            RowValueFile::Flag(flag) => flag.to_string(),
        };
        if column.trim().is_empty() || column.contains('\0') || value.contains('\0') {
            return Err(Wrong::new(
                span,
                "this names no column, or has a NUL in its value",
            ));
        }
        columns.insert(column, value);
    }
    Ok(columns)
}
