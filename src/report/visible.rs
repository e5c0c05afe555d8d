//! Text of jobs and servers, made harmless for a terminal.
//!
//! Owns which characters are not printed as they are: those that a terminal obeys (an escape sequence may set its
//! title, move its cursor or answer in the user's name), and those that change the order in which text is read.
//! Where lines end, and where they go, is decided elsewhere.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with a symbol for each character that a terminal would obey: `␛` for an escape, `␇` for
/// a bell; where there is no symbol, its number. Line feeds and tabs stay.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| match u32::from(c) {
        0x7f => out.push('␡'),
        code @ 0..0x20 => out.extend(char::from_u32(0x2400 + code)),
        code => {
            let _ = write!(out, "<U+{code:04X}>");
        }
    })
}

/// The same for a JSON document, in which it may stand in strings only: as JSON escapes it. (What
/// is below a space is escaped in any case.)
#[must_use]
pub fn visible_json(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

fn replaced(text: &str, put: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            put(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Controls but line feed and tab, line and paragraph separators, and marks of the direction of text.
fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_a_symbol() {
        for (text, shown) in [
            ("as it is: ä ✓ 👩‍🔧\n\tdeeper", "as it is: ä ✓ 👩‍🔧\n\tdeeper"),
            ("\u{1b}]0;x\u{7}", "␛]0;x␇"),
            ("a\r\u{8}b\u{0}\u{7f}", "a␍␈b␀␡"),
            ("\u{9b}2J", "<U+009B>2J"),
            ("safe\u{202e}gnp.exe\u{2066}", "safe<U+202E>gnp.exe<U+2066>"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_json_document_means_the_same_as_before() {
        let said = "a\u{1b}\u{9b}b\u{202e}ä";
        let text = serde_json::to_string(&[said]).unwrap();
        let shown = visible_json(&text);
        assert!(shown.chars().all(|c| !is_obeyed(c)), "{shown}");
        let read: [String; 1] = serde_json::from_str(&shown).unwrap();
        assert_eq!(read[0], said);
    }
}
