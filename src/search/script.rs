//! A schema as a script: the parts that are sent to the server in different ways.
//!
//! Owns what pg_dump writes besides SQL: rows behind COPY … FROM stdin, the lines \restrict and \unrestrict, and
//! settings and owners of another server. Pure: whoever runs the parts asks here what an error means.

use std::borrow::Cow;

use crate::sql::beginnings;

/// A part of a script, with the line where it begins, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// SQL, sent as it is.
    Sql { text: Cow<'a, str>, line: usize },
    /// A COPY … FROM stdin with its rows.
    Copy {
        statement: &'a str,
        rows: &'a str,
        line: usize,
    },
}

/// A schema, looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script<'a> {
    /// In the order of the text.
    pub parts: Vec<Part<'a>>,
    /// Whether pg_dump wrote it: its statements are independent of each other, and made for another server.
    pub dumped: bool,
    /// The version of the server that it was made of.
    pub version: Option<&'a str>,
}

/// Looks through a script.
pub(super) fn script(text: &str) -> Script<'_> {
    let dumped = text
        .lines()
        .any(|line| line.trim_end() == "-- PostgreSQL database dump");
    let mut script = Script {
        parts: Vec::new(),
        dumped,
        version: text
            .lines()
            .find_map(|line| line.strip_prefix("-- Dumped from database version "))
            .and_then(|rest| rest.split_whitespace().next()),
    };
    let mut begin = 0;
    let mut begin_line = 1;
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((index, line)) = lines.next() {
        let here = at;
        at += line.len();
        if !begins_rows(line) {
            continue;
        }
        // Without its end it is no such block, but text that looks like one.
        let Some(length) = rows_end(&text[at..]) else {
            continue;
        };
        script.sql(&text[begin..here], begin_line);
        script.parts.push(Part::Copy {
            statement: line.trim_end().trim_end_matches(';'),
            rows: &text[at..at + length],
            line: index + 1,
        });
        let rows = text[at..at + length].matches('\n').count();
        at += length;
        // The line of the end itself.
        let mut skipped = 0;
        while skipped < rows {
            lines.next();
            skipped += 1;
        }
        if let Some((index, end)) = lines.next() {
            at += end.len();
            begin_line = index + 2;
        }
        begin = at;
    }
    script.sql(&text[begin..], begin_line);
    script
}

impl<'a> Script<'a> {
    fn sql(&mut self, text: &'a str, line: usize) {
        if text.trim().is_empty() {
            return;
        }
        self.parts.push(Part::Sql {
            text: without_restrict(text),
            line,
        });
    }
}

/// Whether rows follow this line. pg_dump writes the statement on one line.
fn begins_rows(line: &str) -> bool {
    let line = line.trim_end();
    let head = line
        .get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case("copy "));
    let tail = |line: &str| {
        let from = line.len().checked_sub("from stdin;".len())?;
        Some(line.get(from..)?.eq_ignore_ascii_case("from stdin;"))
    };
    head && tail(line) == Some(true)
}

/// How long the rows are: up to the line `\.`.
fn rows_end(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end_matches(['\r', '\n']) == "\\." {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// The text with the lines left empty by which newer pg_dumps keep psql from obeying what is between them.
fn without_restrict(text: &str) -> Cow<'_, str> {
    let is_one = |line: &str| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("\\restrict" | "\\unrestrict"))
            && words.next().is_some()
            && words.next().is_none()
    };
    if !text.lines().any(is_one) {
        return Cow::Borrowed(text);
    }
    let kept = text.split_inclusive('\n').map(|line| match is_one(line) {
        true => "\n",
        false => line,
    });
    Cow::Owned(kept.collect())
}

/// The statements of a part, each with the line of the whole script where it begins.
pub(super) fn statements(text: &str, line: usize) -> Vec<(usize, &str)> {
    let begins = beginnings(text);
    let mut found = Vec::new();
    let (mut counted, mut lines) = (0, 0);
    for (index, begin) in begins.iter().enumerate() {
        let end = begins.get(index + 1).copied().unwrap_or(text.len());
        lines += text[counted..*begin].matches('\n').count();
        counted = *begin;
        found.push((line + lines, &text[*begin..end]));
    }
    found
}

/// What a dump's statement that a server refuses is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A setting that the server does not know; nothing that is stored depends on it.
    UnknownSetting,
    /// An owner or a privilege of a role that is not there.
    ForeignRole,
    /// The schema that each database has.
    SchemaIsThere,
    /// It matters.
    ForGood,
}

/// What it is that the server refused a statement of a dump with this SQLSTATE.
pub(super) fn refused(statement: &str, sqlstate: &str) -> Refused {
    let words: Vec<String> = statement
        .split_whitespace()
        .take(3)
        .map(str::to_lowercase)
        .collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let owner = || word(0) == "alter" && statement.to_lowercase().contains(" owner to ");
    let privilege =
        matches!(word(0), "grant" | "revoke") || (word(0), word(1)) == ("alter", "default");
    match sqlstate {
        "42704" if word(0) == "set" => Refused::UnknownSetting,
        "42704" if privilege || owner() => Refused::ForeignRole,
        "42P06" if word(0) == "create" && word(1) == "schema" && word(2).starts_with("public") => {
            Refused::SchemaIsThere
        }
        _ => Refused::ForGood,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_between_sql_and_lines_are_counted_through() {
        let text = "-- one\ncreate table t (a text);\nCOPY public.t (a) FROM stdin;\nit's; $$\n\\N\n\\.\n\nselect 2;\nselect\n3;\n";
        let script = script(text);
        assert!(!script.dumped);
        let [
            Part::Sql {
                text: first,
                line: 1,
            },
            Part::Copy {
                statement,
                rows,
                line: 3,
            },
            Part::Sql {
                text: last,
                line: 7,
            },
        ] = &script.parts[..]
        else {
            panic!("{script:?}");
        };
        assert!(first.ends_with("(a text);\n"));
        assert_eq!(*statement, "COPY public.t (a) FROM stdin");
        assert_eq!(*rows, "it's; $$\n\\N\n");
        let of: Vec<(usize, &str)> = statements(last, 7);
        assert_eq!(of.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [8, 9]);
        assert!(of[1].1.starts_with("select\n3"));
    }

    #[test]
    fn a_copy_without_rows_or_without_their_end() {
        let empty = "COPY t FROM stdin;\n\\.\nselect 1;";
        let of_empty = script(empty).parts;
        assert!(
            matches!(&of_empty[0], Part::Copy { rows: "", .. }),
            "{of_empty:?}"
        );
        assert!(
            matches!(&of_empty[1], Part::Sql { line: 3, .. }),
            "{of_empty:?}"
        );
        let open = "COPY t FROM stdin;\n1\n";
        assert!(matches!(&script(open).parts[..], [Part::Sql { .. }]));
    }

    #[test]
    fn what_keeps_psql_from_obeying_is_left_out_and_its_line_stays() {
        let text = "--\n-- PostgreSQL database dump\n--\n\\restrict aB3\n-- Dumped from database version 17.2 (Debian 1)\nselect 1;\n\\unrestrict aB3\n";
        let script = script(text);
        assert!(script.dumped);
        assert_eq!(script.version, Some("17.2"));
        let [Part::Sql { text, .. }] = &script.parts[..] else {
            panic!("{script:?}");
        };
        assert!(!text.contains("restrict"));
        assert_eq!(statements(text, 1)[0].0, 6);
    }

    #[test]
    fn only_what_no_row_depends_on_may_be_refused() {
        for (statement, sqlstate, wanted) in [
            (
                "SET transaction_timeout = 0;",
                "42704",
                Refused::UnknownSetting,
            ),
            ("SET x = 1", "22023", Refused::ForGood),
            (
                "ALTER TABLE public.t OWNER TO app;",
                "42704",
                Refused::ForeignRole,
            ),
            (
                "GRANT ALL ON TABLE t TO app;",
                "42704",
                Refused::ForeignRole,
            ),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL",
                "42704",
                Refused::ForeignRole,
            ),
            (
                "ALTER TABLE t ADD COLUMN a nothing",
                "42704",
                Refused::ForGood,
            ),
            ("CREATE SCHEMA public;", "42P06", Refused::SchemaIsThere),
            ("CREATE SCHEMA app;", "42P06", Refused::ForGood),
        ] {
            assert_eq!(refused(statement, sqlstate), wanted, "{statement}");
        }
    }
}
