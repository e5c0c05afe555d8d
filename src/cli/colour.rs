//! Colour on a terminal: what failed, what held, what was not looked at.
//!
//! Owns which words of a line have a colour. It is put on when a line is written, so that no text holds any.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

/// Labels at the beginning of a line, each with its colour.
const LABELS: [(&str, &str); 14] = [
    ("✓", GREEN),
    ("✗", RED),
    ("holds", GREEN),
    ("violated", RED),
    ("found", RED),
    ("unexpected", RED),
    ("no verdict", YELLOW),
    ("inconclusive", YELLOW),
    ("guard ✗", YELLOW),
    ("unclear", YELLOW),
    ("note", DIM),
    ("not tested", DIM),
    ("not judged", DIM),
    ("again with", BOLD),
];

/// How far in a label may stand: the number of a schedule stands at the end of three columns.
const DEEPEST: usize = 4;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";
const BOLD: &str = "1";

/// Whether standard output is a terminal whose user wants colour: NO_COLOR is not set (no-color.org), and the
/// terminal is not a dumb one.
pub(super) fn wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        !set("NO_COLOR") && !dumb && std::io::stdout().is_terminal()
    })
}

/// The text with its labels in colour, line by line.
pub(super) fn coloured(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(one).collect();
    lines.join("\n")
}

fn one(line: &str) -> String {
    let begin = line.len() - line.trim_start().len();
    // Further in a line goes on that began above.
    if begin > DEEPEST {
        return line.to_owned();
    }
    let (indent, rest) = line.split_at(begin);
    let ends = |label: &str| {
        rest[label.len()..]
            .chars()
            .next()
            .is_none_or(|c| c == ' ' || c == ':')
    };
    let label = LABELS
        .iter()
        .find(|(label, _)| rest.starts_with(label) && ends(label));
    let (label, colour) = match label {
        Some((label, colour)) => (*label, *colour),
        // A schedule of a search: its number, and what came of it.
        None => match rest.split_once(' ') {
            Some((number, rest))
                if number.bytes().all(|byte| byte.is_ascii_digit())
                    && rest.starts_with("FAILED") =>
            {
                return format!(
                    "{indent}{number} \u{1b}[{RED}mFAILED\u{1b}[0m{}",
                    &rest["FAILED".len()..]
                );
            }
            _ => return line.to_owned(),
        },
    };
    format!(
        "{indent}\u{1b}[{colour}m{label}\u{1b}[0m{}",
        &rest[label.len()..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_colour_and_words_that_begin_alike_have_none() {
        assert_eq!(
            coloured("  holds         a, b"),
            "  \u{1b}[32mholds\u{1b}[0m         a, b"
        );
        assert_eq!(coloured("✗ Title: x"), "\u{1b}[31m✗\u{1b}[0m Title: x");
        assert_eq!(
            coloured("  2 FAILED    a"),
            "  2 \u{1b}[31mFAILED\u{1b}[0m    a"
        );
        for plain in [
            "  holdsworth x",
            "a FAILED b",
            "",
            "  foundation",
            "                holds on",
        ] {
            assert_eq!(coloured(plain), plain);
        }
    }

    #[test]
    fn each_line_of_a_text_is_looked_at() {
        let text = coloured("one\n  violated  x\n");
        assert_eq!(text, "one\n  \u{1b}[31mviolated\u{1b}[0m  x\n");
    }
}
