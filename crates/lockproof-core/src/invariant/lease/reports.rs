//! What is reported of a lock row and not judged: writes after a lease's time had passed, and writes that were on
//! their way when another pod took the lock over.

use std::collections::BTreeSet;

use super::super::facts::{Facts, write_words};
use super::late::standings;
use super::standing::{Standing, Stands};
use super::story::{aged_words, change_words};
use crate::history::Expiry;
use crate::ledger::RowBooks;

/// One sentence for each pod.
pub(in super::super) fn reports(facts: &Facts<'_>, books: &RowBooks<'_>) -> Vec<String> {
    if !facts.run.witness {
        return Vec::new();
    }
    let mut told = BTreeSet::new();
    let mut reports = Vec::new();
    if let Some(Expiry::Since { column, lease }) = &books.rule.expiry {
        reports.push(format!(
            "{} is taken to be had for {} s since {column}",
            books.rule.words(),
            lease.as_secs()
        ));
    }
    for Stands {
        write,
        row: leases,
        how,
    } in standings(facts, books).0
    {
        match how {
            Standing::Under(section) => {
                let aged = section.aged.map(|place| &leases.changes[place]);
                let after = aged.is_some_and(|aged| aged.server_us < write.server_us);
                if let Some(words) = aged_words(leases, section).filter(|_| after)
                    && told.insert((write.pod(), "aged"))
                {
                    reports.push(format!(
                        "{} after {words}; nobody had taken it over yet",
                        write_words(write, facts.steps)
                    ));
                }
            }
            Standing::InFlight(_, by)
                if !leases.rule.fencing && told.insert((write.pod(), "in flight")) =>
            {
                reports.push(format!(
                    "{} was on its way while {}: it could not know (`fencing = \"required\"` judges it)",
                    write_words(write, facts.steps),
                    change_words(facts, by)
                ));
            }
            _ => {}
        }
    }
    reports
}
