//! Which rows of a table a statement means, by its text.
//!
//! Owns the three answers to "do these two mean the same rows?". Knows nothing of order or of whose they are.
//! In doubt it is not known: bound parameters, functions, queries inside, LIMIT.

/// The rows that a statement means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// All of its table.
    All,
    /// Those of this condition, which has constants alone: white space folded, lower case outside quotes; and the
    /// columns of it that equal a constant, if it is made of such alone.
    Where(String, Vec<(String, String)>),
    /// Rows that it makes: the constants by their columns, one list a row.
    Made(Vec<Vec<(String, String)>>),
    /// The text does not tell.
    Unknown,
}

/// Whether two statements mean a row in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Same {
    /// They do not.
    No,
    /// Nobody knows.
    Perhaps,
    /// They do.
    Surely,
}

impl Rows {
    /// What this single statement means. `makes`: whether it inserts.
    pub fn of(sql: &str, makes: bool) -> Self {
        let text = fold(sql);
        if makes {
            return made(&text);
        }
        if top(&text, " limit ").is_some() || text.starts_with("with ") {
            return Self::Unknown;
        }
        let Some(at) = top(&text, " where ") else {
            return match top(&text, " join ").is_some() || text.contains("(select") {
                true => Self::Unknown,
                false => Self::All,
            };
        };
        let rest = &text[at + " where ".len()..];
        let ends = [
            " returning ",
            " order by ",
            " group by ",
            " for update",
            " for no key update",
            " for share",
            " for key share",
            " having ",
            " union ",
            " on conflict ",
        ];
        let end = ends.iter().filter_map(|word| top(rest, word)).min();
        let condition = rest[..end.unwrap_or(rest.len())].trim();
        if condition.contains(['$', '(', '?']) || sets(&text[..at], condition) {
            return Self::Unknown;
        }
        Self::Where(condition.to_owned(), equals(condition))
    }

    /// Whether both mean a row in common. (Both touched at least one, or looked for some.)
    pub fn same(&self, other: &Self) -> Same {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Same::Perhaps,
            // Rows that two statements make are two.
            (Self::Made(_), Self::Made(_)) => Same::No,
            (Self::All, _) | (_, Self::All) => Same::Surely,
            (Self::Where(one, own), Self::Where(other, others)) => {
                if one == other {
                    Same::Surely
                } else if differ(own, others) {
                    Same::No
                } else {
                    Same::Perhaps
                }
            }
            (Self::Made(rows), Self::Where(_, wanted))
            | (Self::Where(_, wanted), Self::Made(rows)) => among(rows, wanted),
        }
    }
}

/// Whether an UPDATE sets a column of its own condition: its rows are others afterwards.
fn sets(head: &str, condition: &str) -> bool {
    let Some(at) = top(head, " set ") else {
        return false;
    };
    let assigned = parts(&head[at + " set ".len()..], ",");
    let mut columns = assigned.iter().filter_map(|part| part.split('=').next());
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let mut words = condition.split(|char| !is_name(char));
    columns.any(|column| words.clone().any(|word| word == column.trim())) || words.next().is_none()
}

/// Whether a row that was made meets all of these.
fn among(rows: &[Vec<(String, String)>], wanted: &[(String, String)]) -> Same {
    if wanted.is_empty() || rows.is_empty() {
        return Same::Perhaps;
    }
    let of_row = |row: &Vec<(String, String)>| {
        let each = wanted.iter().map(|(column, value)| {
            let made = row.iter().find(|(one, _)| one == column);
            made.map_or(Same::Perhaps, |(_, made)| match made == value {
                true => Same::Surely,
                // 1 and 1.0, or 'A' of a type that folds case: not the same text need not be another value.
                false if is_integer(made) && is_integer(value) => Same::No,
                false => Same::Perhaps,
            })
        });
        each.min().unwrap_or(Same::Perhaps)
    };
    rows.iter().map(of_row).max().unwrap_or(Same::Perhaps)
}

/// Whether a column must have two different values at once.
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
}

/// White space folded, lower case outside quotes, without the last semicolon.
fn fold(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut quoted = false;
    for char in sql.trim().trim_end_matches(';').trim_end().chars() {
        if char == '\'' {
            quoted = !quoted;
        }
        match char {
            _ if quoted => text.push(char),
            _ if char.is_whitespace() => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            _ => text.extend(char.to_lowercase()),
        }
    }
    text
}

/// Where this stands outside quotes and parentheses.
fn top(text: &str, word: &str) -> Option<usize> {
    let (mut quoted, mut depth) = (false, 0_u32);
    for (at, char) in text.char_indices() {
        if !quoted && depth == 0 && text[at..].starts_with(word) {
            return Some(at);
        }
        match char {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The columns that equal a constant, where the condition is made of such alone.
fn equals(condition: &str) -> Vec<(String, String)> {
    let parts = parts(condition, " and ");
    let each: Option<Vec<_>> = parts.iter().map(|part| equal(part)).collect();
    each.unwrap_or_default()
}

fn equal(part: &str) -> Option<(String, String)> {
    let (column, value) = part.split_once('=')?;
    let column = column.trim();
    let name = column.rsplit('.').next()?;
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let plain = !name.is_empty() && name.chars().all(is_name) && !column.contains(' ');
    let value = constant(value)?;
    plain.then(|| (name.to_owned(), value))
}

/// A constant, as written.
fn constant(value: &str) -> Option<String> {
    let value = value.trim();
    let quoted = value.len() > 1
        && value.starts_with('\'')
        && value.ends_with('\'')
        && !value[1..value.len() - 1].contains('\'');
    (quoted || is_integer(value)).then(|| value.to_owned())
}

/// Cut outside quotes and parentheses.
fn parts<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = top(rest, word) {
        all.push(&rest[..at]);
        rest = &rest[at + word.len()..];
    }
    all.push(rest);
    all
}

/// The rows that an INSERT with constants makes; without its columns nobody knows which is which.
fn made(text: &str) -> Rows {
    let values = |text: &str| -> Option<Vec<Vec<(String, String)>>> {
        let rest = text.strip_prefix("insert into ")?;
        let at = top(rest, "values")?;
        let (head, rows) = (&rest[..at], &rest[at + "values".len()..]);
        let columns = head.split_once('(')?.1.rsplit_once(')')?.0;
        let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
        let end = [" on conflict ", " returning "];
        let end = end.iter().filter_map(|word| top(rows, word)).min();
        let rows = rows[..end.unwrap_or(rows.len())].trim();
        let row = |row: &str| {
            let inner = row.trim().strip_prefix('(')?.strip_suffix(')')?;
            let values = parts(inner, ",");
            let known = columns
                .iter()
                .zip(values)
                .filter_map(|(column, value)| Some(((*column).to_owned(), constant(value)?)));
            Some(known.collect())
        };
        parts(rows, ",").into_iter().map(row).collect()
    };
    Rows::Made(values(text).unwrap_or_default())
}
