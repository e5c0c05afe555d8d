//! What a change of a lock row is called.
//!
//! Owns those words. Knows nothing of where a change is in the run.

use crate::ledger::{Deed, LeaseChange, LeaseSection};
use crate::name::PodName;

/// The kind of a change, what it did in words, and the pod that had the lock until then, where it is about that. `over`:
/// whether the time of a section had passed by then.
pub(super) fn deed_words<'a>(
    change: &LeaseChange<'_>,
    sections: &[LeaseSection<'a>],
    over: impl Fn(usize) -> bool,
) -> (&'static str, String, Option<&'a PodName>) {
    let of = |section: usize| -> &'a PodName { &sections[section].connection.pod };
    let still = |kept_out: bool, from: usize| match kept_out {
        true => "while it still was that pod's",
        false if over(from) => "whose time had passed",
        false => "whose lock kept nobody out any more",
    };
    match change.deed {
        Deed::Grant => ("grant", "took it".to_owned(), None),
        Deed::TakeOver { from, kept_out } => (
            "take-over",
            format!(
                "took it over from pod {}, {}",
                of(from),
                still(kept_out, from)
            ),
            Some(of(from)),
        ),
        Deed::SecondRow { of: other } => (
            "take-over",
            format!("put a second row beside that of pod {}", of(other)),
            Some(of(other)),
        ),
        Deed::Renewal { shortened: true } => {
            ("renewal", "has it for less long now".to_owned(), None)
        }
        Deed::Renewal { shortened: false } => ("renewal", "renewed it".to_owned(), None),
        Deed::Release => ("release", "gave it back".to_owned(), None),
        Deed::Foreign {
            of: other,
            kept_out,
            takes_away,
        } => (
            "foreign",
            format!(
                "{} while pod {} had it{}",
                if takes_away {
                    "gave it back"
                } else {
                    "renewed it"
                },
                of(other),
                match kept_out {
                    true => String::new(),
                    false => format!(", {}", still(false, other)),
                }
            ),
            Some(of(other)),
        ),
        Deed::Aged => {
            let over = change.after.is_some_and(|after| after.expired);
            let what = if over {
                "let its time pass"
            } else {
                "let a part of its time pass"
            };
            ("aged", what.to_owned(), None)
        }
        Deed::Nothing => ("other", "changed it".to_owned(), None),
    }
}

/// `300 s`, `5 ms`.
pub(super) fn span(us: i64) -> String {
    match us / 1000 {
        ms @ ..10_000 => format!("{ms} ms"),
        ms => format!("{} s", (ms + 500) / 1000),
    }
}
