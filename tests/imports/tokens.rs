//! Rust source text as words and signs, without comments, literals and what stands under
//! `#[cfg(test)]` or for a feature that is not on.

/// A word or a sign, with the line that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// An identifier, `::`, or one other sign. A literal is left out.
    pub text: String,
    /// From 1.
    pub line: usize,
}

impl Token {
    /// Whether it is an identifier or a keyword.
    pub fn is_word(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a file without its tests, and the names of the modules that it declares for tests.
pub fn product_tokens(text: &str) -> (Vec<Token>, Vec<String>) {
    without_tests(&tokens(text))
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let from = at;
        let mut word = None;
        match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => at = end_of_line(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => at = end_of_comment(&chars, at),
            '"' => at = end_of_string(&chars, at),
            '\'' => at = end_of_quote(&chars, at),
            c if c.is_alphanumeric() || c == '_' => {
                at = end_of_word(&chars, at);
                let raw = |c| matches!(chars.get(at), Some('"' | '#')) && c == 'r';
                let prefix = chars[from..at].iter().all(|c| "rbc".contains(*c));
                if prefix && at - from <= 2 && chars[at - 1] == 'r' && raw(chars[at - 1]) {
                    at = end_of_raw(&chars, at);
                } else {
                    word = Some(chars[from..at].iter().collect::<String>());
                }
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                at += 2;
                word = Some("::".to_owned());
            }
            c => {
                at += 1;
                word = (!c.is_whitespace()).then(|| c.to_string());
            }
        }
        found.extend(word.map(|text| Token { text, line }));
        line += chars[from..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_word(chars: &[char], from: usize) -> usize {
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    from + chars[from..].iter().take_while(|c| word(c)).count()
}

fn end_of_line(chars: &[char], from: usize) -> usize {
    from + chars[from..].iter().take_while(|c| **c != '\n').count()
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Behind a character, or behind the quotation mark of a lifetime.
fn end_of_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => {
            let rest = chars[from + 3..].iter().take_while(|c| **c != '\'');
            from + 4 + rest.count()
        }
        (_, Some('\'')) => from + 3,
        _ => from + 1,
    }
}

/// Behind a raw string whose prefix ends at `from`; behind the `#` of a raw identifier.
fn end_of_raw(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    if chars.get(from + hashes) != Some(&'"') {
        return from + hashes;
    }
    let mut at = from + hashes + 1;
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        at += 1;
        if closes {
            break;
        }
    }
    at + hashes
}

/// Marks of items that are left out: tests, and what stands in for a feature that is on by default.
const MARKS: [&[&str]; 2] = [
    &["#", "[", "cfg", "(", "test", ")", "]"],
    &[
        "#", "[", "cfg", "(", "not", "(", "feature", "=", ")", ")", "]",
    ],
];

/// The tokens without each item that stands under one of the marks, and the modules among those.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut tests) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let begins = |mark: &&&[&str]| {
            let mut pairs = rest.iter().zip(mark.iter());
            rest.len() > mark.len() && pairs.all(|(token, mark)| token.text == *mark)
        };
        if let Some(mark) = MARKS.iter().find(begins) {
            let item = &rest[mark.len()..];
            let item = &item[..length_of_item(item)];
            let module = item.iter().position(|token| token.text == "mod");
            let name = module.and_then(|at| item.get(at + 1));
            tests.extend(name.map(|name| name.text.clone()));
            at += mark.len() + item.len();
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, tests)
}

/// How many tokens the next item has: up to its `;`, or to the end of its braces.
fn length_of_item(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    let is_use = tokens.iter().take(5).any(|token| token.text == "use");
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && token.text == "}" && !is_use {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_literals_and_tests_are_left_out() {
        let text = r##"
            use crate::a::B; // use crate::no::No;
            /* use /* nested */ crate::no::No; */
            fn f<'a>(x: &'a str) -> char { let _ = "crate::no"; let _ = r#"a " b"#; '\'' }
            #[cfg(test)]
            mod tests { use crate::no::No; }
            #[cfg(test)]
            use crate::{no::No};
            #[cfg(not(feature = "with"))]
            use crate::no::{No};
            struct Last;
        "##;
        let words: Vec<String> = product_tokens(text).0.into_iter().map(|t| t.text).collect();
        assert!(!words.contains(&"no".to_owned()), "{words:?}");
        assert!(words.contains(&"B".to_owned()));
        assert_eq!(words.last().map(String::as_str), Some(";"));
        assert_eq!(words[words.len() - 2], "Last");
    }
}
