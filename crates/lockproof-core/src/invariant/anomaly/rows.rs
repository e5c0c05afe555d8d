//! Whether two accesses of a table mean a row in common.
//!
//! Owns the three answers to that question, by what the texts say (`sql`). Knows nothing of order or of whose they
//! are. In doubt it is not known.

use crate::sql::{Condition, RowsMeant};

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Same {
    /// It is not.
    No,
    /// Nobody knows.
    Perhaps,
    /// It is.
    Surely,
}

impl Same {
    /// Surely, if this is so, else perhaps.
    pub fn surely_if(so: bool) -> Self {
        match so {
            true => Self::Surely,
            false => Self::Perhaps,
        }
    }
}

/// The rows that an access means, and whether there surely was one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant<'a> {
    pub rows: &'a RowsMeant,
    pub some: bool,
}

/// Whether both mean a row in common, if nobody made, moved or took away rows in between.
pub(super) fn same(one: Meant<'_>, other: Meant<'_>) -> Same {
    use RowsMeant::{All, Made, Unknown, Where};
    match (one.rows, other.rows) {
        (All, All) => Same::surely_if(one.some || other.some),
        (All, _) => Same::surely_if(other.some),
        (_, All) => Same::surely_if(one.some),
        (Unknown, _) | (_, Unknown) => Same::Perhaps,
        // Rows that two statements make are two.
        (Made { .. }, Made { .. }) => Same::No,
        (Where(own), Where(others)) if is_one(own, others) => {
            Same::surely_if(one.some || other.some)
        }
        (Where(own), Where(others)) => match differ(&own.pinned, &others.pinned) {
            true => Same::No,
            false => Same::Perhaps,
        },
        (Made { rows, complete }, Where(wanted)) => {
            among(rows, *complete, wanted).min(Same::surely_if(one.some))
        }
        (Where(wanted), Made { rows, complete }) => {
            among(rows, *complete, wanted).min(Same::surely_if(other.some))
        }
    }
}

/// Whether two looks are for the same rows.
pub(super) fn same_search(one: &RowsMeant, other: &RowsMeant) -> bool {
    match (one, other) {
        (RowsMeant::All, RowsMeant::All) => true,
        (RowsMeant::Where(one), RowsMeant::Where(other)) => is_one(one, other),
        _ => false,
    }
}

fn is_one(one: &Condition, other: &Condition) -> bool {
    one.key == other.key || one.only_pins && other.only_pins && one.pinned == other.pinned
}

/// Whether a row that was made meets this condition.
fn among(rows: &[Vec<(String, String)>], complete: bool, wanted: &Condition) -> Same {
    let of_row = |row: &Vec<(String, String)>| {
        if differ(row, &wanted.pinned) {
            return Same::No;
        }
        let mut pins = wanted.pinned.iter();
        Same::surely_if(wanted.only_pins && pins.all(|pin| row.contains(pin)))
    };
    let best = rows.iter().map(of_row).max().unwrap_or(Same::Perhaps);
    match complete {
        true => best,
        false => best.max(Same::Perhaps),
    }
}

/// Whether a column must have two different values at once. Only of whole numbers two spellings are two values: 1 and
/// 1.0 are one, and so may be 'A' and 'a'.
fn differ(own: &[(String, String)], others: &[(String, String)]) -> bool {
    own.iter().any(|(column, value)| {
        others.iter().any(|(other, wanted)| {
            column == other && value != wanted && is_integer(value) && is_integer(wanted)
        })
    })
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0"
}
