//! How facts are put into words.
//!
//! Owns short forms of SQL and of lists. Knows nothing of the facts themselves.

/// The beginning of a statement, white space folded, at most this many characters.
const SQL_START: usize = 60;

/// The beginning of a statement, in quotes.
pub(crate) fn sql_start(sql: &str) -> String {
    let folded = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut start: String = folded.chars().take(SQL_START).collect();
    if start.len() < folded.len() {
        start.push('…');
    }
    format!("\"{start}\"")
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 write`, `2 writes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Milliseconds for people.
pub(crate) fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{} ms", us / 1000, us % 1000 / 100)
    } else {
        format!("{} ms", us / 1000)
    }
}
