//! Claims: a lock that is a key in a table, which only one can insert.
//!
//! Owns which keys of a scenario's `lock` go with `claim`. Whether the table and its columns are there, and whether an
//! index keeps the key unique, only the database tells.

use super::error::Wrong;
use super::lock_file::{LockFile, WAYS};
use super::read_values::name;
use crate::history::LockRow;

/// A claim has nothing but the key, and perhaps which rows are claims at all.
pub(super) fn claim(file: LockFile) -> Result<LockRow, Wrong> {
    let LockFile {
        key,
        keys,
        relation,
        mode,
        rows,
        isolation,
        queue,
        claim,
        columns,
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
        protect: _,
    } = file;
    let Some(claim) = claim else {
        return Err(Wrong::new(0..0, "a claim needs its table"));
    };
    let span = claim.span();
    let texts = [
        ("isolation", isolation),
        ("queue", queue),
        ("table", table),
        ("claimed", claimed),
        ("done", done),
        ("owner", owner),
        ("until", until),
        ("since", since),
        ("lease", lease),
        ("token", token),
        ("fencing", fencing),
    ];
    let row = row.map(|row| ("row", row.span()));
    let texts = texts.into_iter();
    let mut alien = texts.filter_map(|(key, text)| Some((key, text?.span())));
    if let Some((key, span)) = row.or_else(|| alien.next()) {
        let message = format!(
            "`{key}` does not go with `claim`: a claim has its `columns`, and perhaps `held`, for rows that are none"
        );
        return Err(Wrong::new(span, message).help(WAYS));
    }
    let plain = key.is_some() || keys.is_some() || relation.is_some();
    if plain || mode.is_some() || rows.is_some() {
        let message = "a lock is a key in the table `claim`, or has one of `key`, `keys`, `relation` and `rows`";
        return Err(Wrong::new(span, message).help(WAYS));
    }
    let Some(columns) = columns else {
        let message = "which key is claimed? There are no `columns`";
        let help =
            "name the columns of the key that only one can insert: `columns = [\"job\", \"day\"]`";
        return Err(Wrong::new(span, message).help(help));
    };
    if columns.get_ref().is_empty() {
        let message = "`columns` is empty: a claim is a key of one column or more";
        return Err(
            Wrong::new(columns.span(), message).help("such as `columns = [\"job\", \"day\"]`")
        );
    }
    let mut named: Vec<String> = Vec::new();
    for column in columns.into_inner() {
        let span = column.span();
        let column = name(column, "a column")?;
        if named.contains(&column) {
            let message = format!("`columns` names {column} twice");
            return Err(Wrong::new(span, message));
        }
        named.push(column);
    }
    Ok(LockRow {
        held: held.map(|held| name(held, "a condition")).transpose()?,
        ..LockRow::of_claims(name(claim, "a table")?, named)
    })
}
