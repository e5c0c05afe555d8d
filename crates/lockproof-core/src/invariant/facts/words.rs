//! How facts are put into words.
//!
//! Owns short forms of lists and numbers. Knows nothing of the facts themselves.

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

/// What is said of so many things, one by one: `1 write was made`, `2 writes were each made`.
pub(crate) fn was_each(number: usize) -> &'static str {
    match number {
        1 => "was",
        _ => "were each",
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
