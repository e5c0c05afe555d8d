//! What was not tested, in sentences.
//!
//! Owns the sentence for each limit. `invariant` decides which limits a run has.

use super::explore::count;
use crate::invariant::Limit;
use crate::state::Reason;

/// A limit in a sentence.
#[must_use]
pub fn limit_sentence(limit: &Limit) -> String {
    match limit {
        Limit::OneCycle => {
            "one request cycle at a time; races inside a statement, a function or a \
                            multi-statement query were not explored"
                .to_owned()
        }
        Limit::StoppedInside { steps } => format!(
            "one request cycle at a time; {} stopped inside, at one point each; other races inside a statement, a \
             function or a multi-statement query were not explored",
            match steps {
                1 => "1 step was".to_owned(),
                steps => format!("{steps} steps were"),
            }
        ),
        Limit::OneOrder => "one order of steps was run; others were not".to_owned(),
        Limit::Together => {
            "steps were let go together: which order the server took was left to chance".to_owned()
        }
        Limit::RealTime => {
            "one run in real time: which order it took was left to chance".to_owned()
        }
        Limit::PoolersChoice { version, mode } => format!(
            "{version} pools by the {}: which session serves a step is its choice, and the one that \
             it made in this run was judged",
            mode.name()
        ),
        Limit::UnknownSessions { steps } => format!(
            "it is not known which session served {}: several connections had the same name",
            number(*steps, "step")
        ),
        Limit::SchedulesClock => "the CronJob's clock moved only as the schedule says, and its \
                                  controller was never late"
            .to_owned(),
        Limit::Opaque { steps, witness } => format!(
            "{} {} opaque: the text does not tell what it writes or locks{}",
            number(*steps, "step"),
            if *steps == 1 { "was" } else { "were" },
            if *witness {
                "; the witness told what was written"
            } else {
                ""
            }
        ),
        Limit::SettlingAssumed { times, leaves } => {
            let leaves = match &leaves[..] {
                [] => String::new(),
                leaves => format!(" (they reach outside: {})", joined(leaves)),
            };
            format!(
                "settling was assumed {}: a pod may have had more to say{leaves}",
                often(*times)
            )
        }
        Limit::Restless { times } => format!(
            "a pod was restless {}: the run went on without waiting for quiet",
            often(*times)
        ),
        Limit::WaitsUnseen => {
            "whether a pod waited outside the server (for a file, a pipe, a timer) could \
                               not be seen: there is no /proc"
                .to_owned()
        }
        Limit::MadeWay { pod, waits_for } => format!(
            "pod {pod} waited for {waits_for} until held pods went on: what it does if that takes longer \
             was not tested"
        ),
        Limit::PassingLock { lock } => format!(
            "the clean run took a lock {lock}, but not around all that it wrote: it was not judged \
             (`lock = {{ relation = \"…\" }}` asks for it)"
        ),
        Limit::NoLockFor { tables } => format!(
            "none of the locks protects {}: under which lock {} written was not judged (`protect` of a lock names its \
             tables)",
            joined(tables),
            if tables.len() == 1 {
                "it was"
            } else {
                "they were"
            },
        ),
        Limit::OutsideTheLock { tables } => format!(
            "{} {} written outside of the lock in each clean and serial run: whether the lock guards {} was not judged \
             (`protect = [\"…\"]` says so)",
            joined(tables),
            if tables.len() == 1 { "is" } else { "are" },
            if tables.len() == 1 { "it" } else { "them" },
        ),
        Limit::ColumnsNotCompared { columns, reason } => format!(
            "{} {} not compared: {}",
            columns.join(", "),
            if columns.len() == 1 { "was" } else { "were" },
            reason_words(*reason)
        ),
        Limit::ComparedAlone { columns } => format!(
            "{} {} compared as values by themselves, not with the rest of their rows: serial runs of the same \
             pods put them into other rows",
            columns.join(", "),
            if columns.len() == 1 { "was" } else { "were" }
        ),
        Limit::IdsRenamed { columns } => format!(
            "{}: which id a row has, and the order of ids, were not compared; rows that refer to one were \
             compared by the row that they refer to",
            columns.join(", ")
        ),
        Limit::ReferencesNotFollowed { columns } => format!(
            "{}: to which row it refers was not compared: serial runs of the same pods refer to different ones",
            columns.join(", ")
        ),
        Limit::OnlyCounted { tables } => {
            format!("of {} only the number of rows was compared", joined(tables))
        }
        Limit::ByColumn { tables } => format!(
            "{} {} too large to be compared by whole rows: each column was compared by itself",
            joined(tables),
            if tables.len() == 1 { "is" } else { "are" }
        ),
        Limit::TablesNotCompared { tables, reason } => format!(
            "the rows of {} were not compared: {}",
            joined(tables),
            reason_words(*reason)
        ),
        Limit::NotJudged { invariant, why } => format!("{invariant} was not judged: {why}"),
        Limit::NoWitness => {
            "there was no witness: writes are those that the text of statements tells".to_owned()
        }
        Limit::NoLog => {
            "the server's log could not be read: errors and warnings that nobody heard are unknown"
                .to_owned()
        }
        Limit::LocksAtTheEnd => {
            "in free pacing a write is known to have been under the lock at its end only".to_owned()
        }
        Limit::OtherDatabase {
            database,
            refused: true,
        } => format!(
            "a pod asked for another database, {database}, and was refused: the server belongs to \
             somebody else (--allow-other-databases lets it)"
        ),
        Limit::OtherDatabase { database, .. } => {
            format!("a pod used another database, {database}: what it did there was not judged")
        }
        Limit::Replication { refused: true } => {
            "a pod asked for replication and was refused: the server belongs to somebody else \
             (--allow-other-databases lets it)"
                .to_owned()
        }
        Limit::Replication { .. } => {
            "a pod read by replication: what it saw so was not judged".to_owned()
        }
        Limit::SharedMachine { name } => format!(
            "pods share this machine's files (but HOME and TMPDIR) and network{}: a lock made of \
             those may not hold in a cluster",
            if *name { " and its host name" } else { "" }
        ),
        Limit::NoContention => "no pod asked for the lock while another held it".to_owned(),
        Limit::NothingProtected => "no table is protected: no write was judged".to_owned(),
        Limit::OnlySqlstates { sqlstates } => {
            format!(
                "no-errors looked for SQLSTATE {} only",
                sqlstates.join(" and ")
            )
        }
        Limit::Unstable { steps } => format!(
            "the subject is not deterministic: {} differed between two clean runs",
            number(*steps, "step")
        ),
    }
}

fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Ignored => "the scenario ignores it",
        Reason::Lock => {
            "the lock is a row of it, and who has that last, and until when, is another in every run"
        }
        Reason::Volatile => "serial runs of the same pods in the same order differ in it",
        Reason::Doer => {
            "a serial run of pod a alone and one of pod b alone differ in it, so it says who did the work, or \
             when"
        }
    }
}

fn number(number: usize, what: &str) -> String {
    count(number as u64, what)
}

/// `once`, `twice`, `3 times`.
fn often(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn joined(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_stand_in_the_sentence_as_they_are_spoken() {
        let settling = |times, leaves: &[&str]| Limit::SettlingAssumed {
            times,
            leaves: leaves.iter().map(|one| (*one).to_owned()).collect(),
        };
        let opaque = |steps, witness| Limit::Opaque { steps, witness };
        for (limit, sentence) in [
            (
                settling(2, &[]),
                "settling was assumed twice: a pod may have had more to say",
            ),
            (
                settling(3, &["tcp x", "a pipe", "a timer"]),
                "settling was assumed 3 times: a pod may have had more to say (they reach outside: \
                 tcp x, a pipe and a timer)",
            ),
            (
                opaque(1, false),
                "1 step was opaque: the text does not tell what it writes or locks",
            ),
            (
                opaque(2, true),
                "2 steps were opaque: the text does not tell what it writes or locks; the witness \
                 told what was written",
            ),
        ] {
            assert_eq!(limit_sentence(&limit), sentence);
        }
    }
}
