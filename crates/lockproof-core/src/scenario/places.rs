//! Where in its file a scenario says what.
//!
//! Owns the lines; what a scenario means is read elsewhere.

use super::file::File;

/// Lines of a scenario file, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// `title`.
    pub title: usize,
    /// The subject.
    pub subject: usize,
    /// The verdict that is expected, or the invariants; `None`: the file leaves it at `holds`.
    pub expect: Option<usize>,
    /// Each move of the schedule.
    pub moves: Vec<usize>,
}

/// The places in a file's text; all are its first line where the text is no scenario.
#[must_use]
pub fn places(text: &str) -> Places {
    let Ok(file) = toml::from_str::<File>(text) else {
        return Places {
            title: 1,
            subject: 1,
            ..Places::default()
        };
    };
    let line = |at: usize| {
        text.get(..at)
            .map_or(1, |before| before.matches('\n').count() + 1)
    };
    let expect = &file.expect;
    let expected = expect.verdict.as_ref().map(toml::Spanned::span);
    let expected = expected.or_else(|| expect.violates.first().map(toml::Spanned::span));
    let moves = file.schedule.turns.iter().flatten();
    Places {
        title: line(file.title.span().start),
        subject: line(file.subject.span().start),
        expect: expected.map(|span| line(span.start)),
        moves: moves.map(|one| line(one.span().start)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_file() {
        let text = "# what it is\ntitle = \"t\"\n[subject]\ncommand = [\"x\"]\n[schedule]\nturns = [\n  { run = \"a\" },\n\n  { run = \"b\" },\n]\n[expect]\nviolates = [\"no-errors\"]\n";
        let places = places(text);
        assert_eq!((places.title, places.subject), (2, 3));
        assert_eq!(places.moves, [7, 9]);
        assert_eq!(places.expect, Some(12));
    }

    #[test]
    fn a_file_that_is_no_scenario_has_its_first_line() {
        assert_eq!(places("nothing").title, 1);
    }
}
