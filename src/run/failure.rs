//! Why a serial run did not succeed.
//!
//! Owns those words, for the user.

use super::one_run::Finished;
use super::plan::Plan;
use crate::history::{Event, Line, OutputStream};
use crate::name::PodName;

/// Why a serial run did not succeed, in words for the user.
pub(super) fn failure(run: &Finished, plan: &Plan) -> Option<String> {
    let failure = without_cause(run, plan)?;
    let Some(why) = &run.tls_failed else {
        return Some(failure);
    };
    Some(format!(
        "{failure}\nThe subject asked for TLS, and {why}. The certificate is one of this run: its authority is in the \
         files that PGSSLROOTCERT, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name to the subject (one that pins \
         another file can be given `{{ca}}` by `env` under [subject]); a subject that does not ask for TLS is \
         not given any"
    ))
}

/// The same, as the run itself shows it.
fn without_cause(run: &Finished, plan: &Plan) -> Option<String> {
    let connected = run
        .lines
        .iter()
        .any(|line| matches!(line.event, Event::SessionStarted { .. }));
    for line in &run.lines {
        if let Event::LimitHit {
            waited_for, saw, ..
        } = &line.event
        {
            return Some(format!(
                "waited {} s for {waited_for}; seen: {saw}. If the subject needs longer, set \
                 time_limit under [subject], or --time-limit{}",
                plan.time_limit.as_secs_f32(),
                if connected {
                    first_error(&run.lines)
                } else {
                    format!(". Besides, {}", never_connected(&run.lines, None))
                },
            ));
        }
    }
    for line in &run.lines {
        if let Event::PodExited { pod, code, signal } = &line.event
            && *code != Some(0)
        {
            let how = match (code, signal) {
                (Some(code), _) => format!("exited with code {code}"),
                (None, Some(signal)) => format!("was ended by signal {signal}"),
                (None, None) => "ended".to_owned(),
            };
            if !connected {
                return Some(never_connected(&run.lines, Some(&format!("it {how}"))));
            }
            return Some(format!(
                "pod {pod} {how} though nothing disturbed it{}{}{}",
                first_error(&run.lines),
                database_in_use(&run.lines),
                missing_table(&run.lines)
            ));
        }
    }
    (!connected).then(|| never_connected(&run.lines, None))
}

/// That no pod reached the server, how it ended if that matters, and the addresses that its output names.
fn never_connected(lines: &[Line], ended: Option<&str>) -> String {
    let tried = tried(lines);
    let tried = match tried.as_slice() {
        [] => String::new(),
        all => format!(" By its output it tried {}.", all.join(" and ")),
    };
    let ended = ended.map_or_else(String::new, |how| format!(" ({how})"));
    format!(
        "the subject never connected to the server{ended}; it must use DATABASE_URL or the PG* variables that it is \
         given.{tried} A name of its own for the address can be set by --env NAME={{url}}, or `env` under [subject]{}",
        first_error(lines)
    )
}

/// The ways in which drivers write an address that they could not reach.
const ADDRESSES: [&str; 5] = [
    // libpq: connection to server at "db.internal" (10.0.0.3), port 5432 failed
    r#"server at "([^"\s]+)"(?: \([^)]*\))?, port (\d+)"#,
    // libpq, where the name is not known: could not translate host name "db.internal" to address
    r#"host name "([^"\s]+)""#,
    // libpq: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed
    r#"socket "([^"\s]+)""#,
    // Node: connect ECONNREFUSED 127.0.0.1:5432; getaddrinfo ENOTFOUND db.internal
    r"(?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN) ([\w.:-]+)",
    // Go and Java: dial tcp 127.0.0.1:5432; Connection to localhost:5432 refused
    r"(?:dial tcp|Connection to|connect to) \[?([\w.-]+(?:\]?:\d+)?)",
];

/// The addresses that the output says a pod tried, each once. What it says of none of these forms is not guessed.
fn tried(lines: &[Line]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for pattern in ADDRESSES {
        let Ok(pattern) = regex::Regex::new(pattern) else {
            continue;
        };
        for (_, line) in printed(lines) {
            for one in pattern.captures_iter(line) {
                // Of an address that is a URL this is only the scheme.
                let end = one.get(0).map_or(0, |all| all.end());
                if line[end..].starts_with("://") {
                    continue;
                }
                let port = one
                    .get(2)
                    .map_or_else(String::new, |port| format!(":{}", port.as_str()));
                let address = one[1].trim_end_matches([':', '.']).to_owned() + &port;
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
    }
    found
}

/// What helps a job that asks for a table which the database lacks.
fn missing_table(lines: &[Line]) -> &'static str {
    const UNDEFINED_TABLE: &str = "42P01";
    let missing = lines.iter().any(|line| {
        matches!(&line.event, Event::StepEnded { answer, .. }
            if answer.error.as_ref().is_some_and(|error| error.sqlstate == UNDEFINED_TABLE))
    });
    match missing {
        true => {
            "\nThe job asked for a table that is not there (42P01). Its database is made for it and is empty at first: \
             --schema FILE takes the SQL that makes the tables (what pg_dump writes will do), --prepare CMD a command \
             that does, such as a migration"
        }
        false => "",
    }
}

/// Who the others are that a job finds in its database when it drops it.
fn database_in_use(lines: &[Line]) -> &'static str {
    const OBJECT_IN_USE: &str = "55006";
    let in_use = lines.iter().any(|line| {
        matches!(&line.event, Event::StepEnded { answer, .. }
            if answer.error.as_ref().is_some_and(|error| error.sqlstate == OBJECT_IN_USE))
    });
    match in_use {
        true => {
            "\nThe other sessions in the database are lockproof's own, which watch the run: a job that drops its own \
             database cannot be judged. Let it work in the one that it is given (DROP SCHEMA … CASCADE empties that)"
        }
        false => "",
    }
}

/// What the pods printed, in order.
fn printed(lines: &[Line]) -> impl Iterator<Item = (&PodName, &str)> {
    lines.iter().filter_map(|line| match &line.event {
        Event::PodOutput { stream, .. } if *stream == OutputStream::Lockproof => None,
        Event::PodOutput { pod, line, .. } => Some((pod, line.as_str())),
        _ => None,
    })
}

/// Words of a line that tells what went wrong.
const ERRORS: &str =
    r"(?i)error|fatal|panic|exception|fail|denied|refused|not found|cannot|could not";
/// What is no such line although it has one of the words: the head of a stack trace, and its places.
const NOT_THE_ERROR: &str = r"^\s*(?:Traceback|at |File |node:|note:)";

/// The first line that tells what went wrong, else the last one that was printed.
fn first_error(lines: &[Line]) -> String {
    let pattern = |text: &str| regex::Regex::new(text).ok();
    let (Some(errors), Some(not)) = (pattern(ERRORS), pattern(NOT_THE_ERROR)) else {
        return String::new();
    };
    let first = printed(lines).find(|(_, line)| errors.is_match(line) && !not.is_match(line));
    let last = || printed(lines).last();
    match first.or_else(last) {
        None => "; it printed nothing".to_owned(),
        Some((pod, line)) => {
            // Rust tells why on the line behind.
            let next = || printed(lines).skip_while(|(_, one)| *one != line).nth(1);
            let more = match line.contains(" panicked at ") {
                true => next().map_or_else(String::new, |(pod, line)| format!("\n  {pod}: {line}")),
                false => String::new(),
            };
            let what = if first.is_some() {
                "the first error that it printed"
            } else {
                "it printed last"
            };
            format!("; {what}:\n  {pod}: {line}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: &[&str]) -> Vec<Line> {
        let line = |(index, text): (usize, &&str)| Line {
            seq: index as u64,
            at_us: 0,
            event: Event::PodOutput {
                pod: PodName::of_index(0),
                stream: OutputStream::Stderr,
                line: (*text).to_owned(),
            },
        };
        lines.iter().enumerate().map(line).collect()
    }

    #[test]
    fn the_address_that_a_driver_tried_is_read_from_what_it_printed() {
        for (line, address) in [
            (
                "psql: error: connection to server at \"db.internal\" (10.0.0.3), port 5433 failed: x",
                "db.internal:5433",
            ),
            (
                "could not translate host name \"db.internal\" to address: Name unknown",
                "db.internal",
            ),
            (
                "connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed",
                "/var/run/postgresql/.s.PGSQL.5432",
            ),
            (
                "Error: connect ECONNREFUSED 127.0.0.1:5432",
                "127.0.0.1:5432",
            ),
            ("Error: getaddrinfo ENOTFOUND db.internal", "db.internal"),
            ("dial tcp 10.1.2.3:5432: connect: refused", "10.1.2.3:5432"),
            (
                "Connection to localhost:5432 refused. Check that",
                "localhost:5432",
            ),
        ] {
            assert_eq!(tried(&output(&[line, line])), [address], "{line}");
        }
        for line in [
            "no config at 10.0.0.1",
            "could not connect to postgres://ann@db.internal/x",
        ] {
            assert!(tried(&output(&[line])).is_empty(), "{line}");
        }
    }

    #[test]
    fn the_first_error_is_told_and_not_the_head_of_a_trace() {
        let told = first_error(&output(&[
            "begun",
            "Traceback (most recent call last):",
            "  File \"error.py\", line 3",
            "ValueError: no such month",
            "done with errors",
        ]));
        assert!(told.ends_with("a: ValueError: no such month"), "{told}");
        let told = first_error(&output(&[
            "thread 'main' panicked at src/main.rs:3:5:",
            "no towels",
            "note: run",
        ]));
        assert!(told.ends_with("src/main.rs:3:5:\n  a: no towels"), "{told}");
        let told = first_error(&output(&["one", "two"]));
        assert!(
            told.contains("it printed last") && told.ends_with("a: two"),
            "{told}"
        );
        assert_eq!(first_error(&[]), "; it printed nothing");
    }
}
