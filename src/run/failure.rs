//! Why a serial run did not succeed.
//!
//! Owns those words, for the user.

use super::one_run::Finished;
use super::plan::Plan;
use crate::history::{Event, Line};

/// Why a serial run did not succeed, in words for the user.
pub(super) fn failure(run: &Finished, plan: &Plan) -> Option<String> {
    let failure = without_cause(run, plan)?;
    let Some(why) = &run.tls_failed else {
        return Some(failure);
    };
    Some(format!(
        "the subject asked for TLS, and {why}. The certificate is one of this run: its authority is in the \
         files that PGSSLROOTCERT, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name to the subject (one that pins \
         another file can be given `{{ca}}` by `env` under [subject]); a subject that does not ask for TLS is \
         not given any.\n{failure}"
    ))
}

/// The same, as the run itself shows it.
fn without_cause(run: &Finished, plan: &Plan) -> Option<String> {
    for line in &run.lines {
        if let Event::LimitHit {
            waited_for, saw, ..
        } = &line.event
        {
            return Some(format!(
                "waited {} s for {waited_for}; seen: {saw}. If the subject needs longer, set \
                 time_limit under [subject]{}",
                plan.time_limit.as_secs_f32(),
                last_words(&run.lines)
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
            return Some(format!(
                "pod {pod} {how} though nothing disturbed it{}{}",
                last_words(&run.lines),
                database_in_use(&run.lines)
            ));
        }
    }
    let connected = run
        .lines
        .iter()
        .any(|line| matches!(line.event, Event::SessionStarted { .. }));
    (!connected).then(|| {
        format!(
            "the subject never connected to the server; it must use DATABASE_URL or the PG* \
             variables that it is given{}",
            last_words(&run.lines)
        )
    })
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

/// The last lines that the pods printed.
fn last_words(lines: &[Line]) -> String {
    let mut words: Vec<String> = lines
        .iter()
        .rev()
        .filter_map(|line| match &line.event {
            Event::PodOutput { pod, line, .. } => Some(format!("  {pod}: {line}")),
            _ => None,
        })
        .take(5)
        .collect();
    if words.is_empty() {
        return "; it printed nothing".to_owned();
    }
    words.reverse();
    format!("; it printed last:\n{}", words.join("\n"))
}
