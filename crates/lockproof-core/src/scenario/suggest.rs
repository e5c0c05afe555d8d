//! "Did you mean …?"
//!
//! Owns how alike two names must be for that.

/// The one of these names that is most like the given one, if any is like it.
pub(super) fn nearest<'a>(
    given: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (given.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&given.to_lowercase(), name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean "…"?` where one is like it, else the whole list.
pub(super) fn suggestion(given: &str, names: &[&str]) -> String {
    match nearest(given, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("it is one of: {}", names.join(", ")),
    }
}

/// How many letters must be put in, taken out, changed or exchanged with their neighbour (the
/// optimal string alignment distance).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, first) in rows[0].iter_mut().enumerate() {
        *first = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let changed = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_stranger_is_not() {
        let names = ["no-errors", "no-leak", "progress"];
        assert_eq!(nearest("no-eror", names), Some("no-errors"));
        assert_eq!(nearest("Progress", names), Some("progress"));
        assert_eq!(nearest("no-laek", names), Some("no-leak"));
        assert_eq!(nearest("banana", names), None);
        assert_eq!(
            suggestion("banana", &names),
            "it is one of: no-errors, no-leak, progress"
        );
    }
}
