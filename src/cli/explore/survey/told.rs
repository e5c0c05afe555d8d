//! The survey of a sweep as it is told to people.

use crate::cli::common::Talk;
use crate::cli::exit::Exit;
use crate::cli::explore::search::{Search, exit_of};
use crate::cli::explore::told::{sampled_line, unclear_lines};
use crate::report::{SurveyJson, SweptJson, count, ranges, wrap};

/// Before its runs.
pub(super) fn begin(talk: Talk, name: &str, subject: &str, schedules: usize) {
    talk.say(&format!(
        "\n{name}: {subject}, {}",
        count(schedules as u64, "schedule")
    ));
}

/// A claim behind its subject's name, or under it.
fn named(name: &str, claim: &str) -> String {
    if name.chars().count() < 13 {
        return wrap(name, claim);
    }
    format!("  {name}\n{}", wrap("", claim))
}

/// A subject's result.
pub(super) fn tell(result: &SweptJson, talk: Talk, times: u32) {
    let seconds = |millis: u64| millis as f64 / 1000.0;
    talk.result(&named(&result.name, &result.claim));
    for (number, fault) in (1..).zip(&result.faults) {
        talk.say(&wrap(&format!("fault {number}"), fault));
    }
    talk.say(&wrap("ways on", &result.ways.join("; or ")));
    for missed in &result.not_fired {
        talk.result(&wrap(
            "not fired",
            &format!(
                "{}: {}, the first at {}: {}",
                missed.fault,
                count(missed.times, "time"),
                missed.first,
                missed.why
            ),
        ));
    }
    if result.still_waited > 0 {
        talk.say(&wrap(
            "still waiting",
            &format!(
                "in {} of those with b first b was not free to go before a had gone on: they are as \
                 with a first",
                result.still_waited
            ),
        ));
    }
    if let Some(left_out) = &result.sampled_out {
        talk.result(&sampled_line(left_out));
    }
    for line in unclear_lines(&result.unclear) {
        talk.result(&line);
    }
    if let Some(replayed) = &result.replayed {
        let of = replayed.of;
        let again = match times {
            1 => "run again".to_owned(),
            _ => format!("each run again {times} times"),
        };
        talk.result(&wrap(
            "replayed",
            &format!(
                "{again}: {} of {of} with the same verdict, {} of {of} with the same trace",
                replayed.same, replayed.same_trace
            ),
        ));
        talk.result(&wrap(
            "confirmed",
            &format!("without the witness: {} of {of}", result.confirmed),
        ));
    }
    for (number, group) in (1..).zip(&result.groups) {
        let mut names: Vec<String> = group.invariants.iter().map(ToString::to_string).collect();
        names.extend(group.sqlstates.iter().cloned());
        talk.result(&format!(
            "\n{}",
            wrap(
                &format!("{number:>3}. {:>4} ×", group.times),
                &format!(
                    "{}: {} at {}, {}",
                    names.join(", "),
                    group.fault,
                    group.at,
                    group.way
                )
            )
        ));
        let points: Vec<String> = group
            .points
            .iter()
            .map(|(point, times)| format!("{point} {times}"))
            .collect();
        talk.result(&wrap(
            "",
            &format!("steps {}; {}", ranges(&group.steps), points.join(", ")),
        ));
        talk.result(&wrap("such as", &group.what));
        talk.say(&wrap("", &group.schedule.join("; ")));
        if let Some(file) = &group.schedule_file {
            talk.result(&format!(
                "{}lockproof run {}",
                wrap("again with", ""),
                file.display()
            ));
        }
    }
    talk.result(&wrap(
        "took",
        &format!(
            "{:.1} s, and {:.1} s to run the violated ones again",
            seconds(result.elapsed_ms),
            seconds(result.again_ms)
        ),
    ));
}

/// All subjects together, and what they mean.
pub(in crate::cli::explore) fn sum(document: &SurveyJson, search: &Search<'_>) -> Exit {
    let talk = search.talk;
    talk.result("");
    if document.interrupted {
        talk.result("interrupted; this is what was found so far:");
    }
    for one in &document.subjects {
        talk.result(&named(&one.name, &one.claim));
    }
    talk.result(&wrap(
        "took",
        &format!(
            "{:.1} s in all, {} at once",
            document.elapsed_ms as f64 / 1000.0,
            document.jobs
        ),
    ));
    let out = search.directory.path();
    talk.say(&wrap("histories", &out.display().to_string()));
    exit(document)
}

/// What the result means as an exit code.
fn exit(document: &SurveyJson) -> Exit {
    let any = |of: fn(&SweptJson) -> u64| document.subjects.iter().any(|one| of(one) > 0);
    exit_of(
        document.interrupted,
        any(|one| one.violated),
        any(|one| one.inconclusive) || !any(|one| one.fired),
    )
}
