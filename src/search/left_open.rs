//! What the runs of a search left open although they held: rows that were not compared, pods that did nothing.
//!
//! Owns how that is gathered over many verdicts and over the parts of a search. Knows nothing of how it is told.

use serde::{Deserialize, Serialize};

use crate::invariant::{Limit, Verdict};

/// What runs left open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOpen {
    /// Columns and tables that were not, or not wholly, compared in some run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<Limit>,
    /// Runs in which a pod ended well and did nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
}

/// Runs in which a pod that writes in a serial run ended well, was not refused the lock and wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// How many schedules.
    pub times: u64,
    /// The number of the first, from 1.
    pub first: u64,
}

impl LeftOpen {
    /// Takes the run of the schedule of this number into account.
    pub fn take(&mut self, number: u64, verdict: &Verdict) {
        for limit in &verdict.not_tested {
            self.add(limit);
        }
        if !verdict.idle.is_empty() {
            self.add_idle(Idle {
                times: 1,
                first: number,
            });
        }
    }

    /// Takes another part of the search into account, whose schedules have these numbers in the whole.
    pub fn join(&mut self, part: &Self, place: impl Fn(u64) -> u64) {
        for limit in &part.not_compared {
            self.add(limit);
        }
        if let Some(idle) = part.idle {
            self.add_idle(Idle {
                first: place(idle.first),
                ..idle
            });
        }
    }

    fn add_idle(&mut self, more: Idle) {
        let idle = self.idle.get_or_insert(Idle { times: 0, ..more });
        idle.times += more.times;
        idle.first = idle.first.min(more.first);
    }

    fn add(&mut self, limit: &Limit) {
        let mut limit = limit.clone();
        let Some(names) = names(&mut limit).map(std::mem::take) else {
            return;
        };
        // Without its names a limit is its kind and its reason.
        let same = self.not_compared.iter_mut().find(|known| {
            let mut bare = (*known).clone();
            self::names(&mut bare).map(std::mem::take);
            bare == limit
        });
        let known = match same {
            Some(known) => known,
            None => {
                self.not_compared.push(limit);
                let Some(last) = self.not_compared.last_mut() else {
                    return;
                };
                last
            }
        };
        if let Some(all) = self::names(known) {
            all.extend(names);
            all.sort();
            all.dedup();
        }
    }
}

/// The columns or tables that a limit is about; `None`: it is about something else.
fn names(limit: &mut Limit) -> Option<&mut Vec<String>> {
    match limit {
        Limit::ColumnsNotCompared { columns, .. }
        | Limit::ComparedAlone { columns }
        | Limit::IdsRenamed { columns }
        | Limit::ReferencesNotFollowed { columns } => Some(columns),
        Limit::OnlyCounted { tables }
        | Limit::ByColumn { tables }
        | Limit::TablesNotCompared { tables, .. }
        | Limit::NoLockFor { tables }
        | Limit::OutsideTheLock { tables } => Some(tables),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::Judgement;
    use crate::name::PodName;
    use crate::state::Reason;

    fn open(columns: &[&str], idle: bool) -> Verdict {
        let mut verdict = Verdict::saying(Judgement::Holds, Vec::new());
        verdict.not_tested = vec![
            Limit::OneOrder,
            Limit::ColumnsNotCompared {
                columns: columns.iter().map(|one| (*one).to_owned()).collect(),
                reason: Reason::Volatile,
            },
        ];
        verdict.idle = vec![PodName::new("a"); usize::from(idle)];
        verdict
    }

    #[test]
    fn columns_of_one_reason_are_told_once_and_idle_pods_are_counted() {
        let mut all = LeftOpen::default();
        all.take(1, &open(&["t.at"], false));
        all.take(2, &open(&["t.at", "t.b"], true));
        all.take(3, &open(&[], true));
        let [Limit::ColumnsNotCompared { columns, .. }] = &all.not_compared[..] else {
            panic!("{:?}", all.not_compared);
        };
        assert_eq!(columns, &["t.at", "t.b"]);
        assert_eq!(all.idle, Some(Idle { times: 2, first: 2 }));
        let mut whole = LeftOpen::default();
        whole.join(&all, |number| number * 10);
        whole.join(&all, |number| number * 10 + 1);
        assert_eq!(whole.not_compared, all.not_compared);
        assert_eq!(
            whole.idle,
            Some(Idle {
                times: 4,
                first: 20
            })
        );
    }
}
