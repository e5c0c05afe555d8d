//! What is reported of a lock row and not judged: writes after a lease's time had passed, and writes that were on
//! their way when another pod took the lock over; of a queue, changes of rows that their pod had never claimed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{Facts, write_words};
use super::late::standings;
use super::standing::{Standing, Stands};
use super::story::{aged_words, change_words};
use crate::history::Expiry;
use crate::ledger::{Deed, LeaseSection, RowBooks};
use crate::name::PodName;

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
    reports.extend(unclaimed(facts, books));
    reports
}

/// Of a queue: pods that changed a row which they had never claimed, while they had another: one sentence for each.
fn unclaimed(facts: &Facts<'_>, books: &RowBooks<'_>) -> Vec<String> {
    let mut told: BTreeMap<&PodName, (i64, String)> = BTreeMap::new();
    if books.rule.queue.is_none() {
        return Vec::new();
    }
    let mut others: BTreeMap<&PodName, Vec<(i64, i64, &str)>> = BTreeMap::new();
    for (row, section) in books.sections() {
        let at = |place: usize| row.changes[place].server_us;
        let end = section.end.map_or(i64::MAX, |(end, _)| at(end));
        let of_pod = others.entry(section.pod()).or_default();
        of_pod.push((at(section.taken), end, &row.name));
    }
    for row in &books.rows {
        let claimed: BTreeSet<&PodName> = row.sections.iter().map(LeaseSection::pod).collect();
        for change in row.changes.iter().filter(|change| change.before.is_some()) {
            let Some(pod) = change.pod().filter(|pod| !claimed.contains(pod)) else {
                continue;
            };
            // A change of what another has is judged.
            if matches!(change.deed, Deed::Foreign { kept_out: true, .. }) {
                continue;
            }
            let at = change.server_us;
            let mut had = others.get(pod).into_iter().flatten();
            let Some((_, _, own)) = had.find(|(from, to, _)| *from < at && at < *to) else {
                continue;
            };
            let words = format!(
                "pod {pod} changed {}, which it had never claimed, while it had {own}: {}",
                row.name,
                change_words(facts, change)
            );
            let first = told.entry(pod).or_insert_with(|| (at, words.clone()));
            if at < first.0 {
                *first = (at, words);
            }
        }
    }
    told.into_values().map(|(_, words)| words).collect()
}
