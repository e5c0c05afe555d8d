//! Writes of those who should write no more: zombies and ghosts.
//!
//! Owns which finding is of such a write: by the lines that it names. Who lost its lock the ledger says, what a ghost
//! did the server's log.

use std::collections::HashMap;

use super::super::belief::{Losses, lost};
use super::super::facts::{Facts, PodWrite, protects};
use super::super::ghosts::{Ghost, ghosts};
use super::super::verdict::{Finding, NamedAnomaly};
use crate::history::LockRule;
use crate::ledger::{LeaseSection, Leases, SectionEnd};
use crate::name::{Anomaly, InvariantName, LockKey};

/// What is known of them.
pub(super) struct Undead<'f, 'a> {
    losses: Losses<'f, 'a>,
    ghosts: Vec<Ghost<'a>>,
    /// The places of writes by their lines.
    writes: HashMap<u64, Vec<usize>>,
    /// Sections that others ended, by the line of the change that began them.
    sections: HashMap<u64, (&'f Leases<'a>, &'f LeaseSection<'a>)>,
}

impl<'f, 'a> Undead<'f, 'a> {
    /// Those of a run.
    pub fn of(facts: &'f Facts<'a>) -> Self {
        let mut writes: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, write) in facts.writes.iter().enumerate() {
            writes.entry(write.seq).or_default().push(place);
        }
        let mut sections = HashMap::new();
        for books in &facts.leases {
            for (row, section) in books.sections() {
                let taken = row.changes.get(section.taken);
                sections.extend(taken.map(|taken| (taken.seq, (row, section))));
            }
        }
        Self {
            losses: lost(facts),
            ghosts: ghosts(facts),
            writes,
            sections,
        }
    }

    /// The name of a finding that is of such a write.
    pub fn of_finding(
        &self,
        facts: &Facts<'a>,
        name: InvariantName,
        finding: &Finding,
    ) -> Option<NamedAnomaly> {
        let table = finding.table.as_deref()?;
        match name {
            InvariantName::CleanState => self.ghost_behind(facts, table),
            InvariantName::WorkUnderLock | InvariantName::MutualExclusion => {
                let write = self.write_of(facts, finding)?;
                let mut ghosts = self.ghosts.iter();
                let ghost = ghosts.find(|ghost| Some(ghost.step) == write.step);
                ghost
                    .map(|ghost| ghost_write(ghost, table))
                    .or_else(|| self.lost_lock(facts, write))
                    .or_else(|| self.lost_lease(finding, write))
            }
            _ => None,
        }
    }

    /// The write that a finding is about.
    fn write_of<'w>(&self, facts: &'w Facts<'a>, finding: &Finding) -> Option<&'w PodWrite<'a>> {
        let places = finding.seqs.iter().filter_map(|seq| self.writes.get(seq));
        let writes = places.flatten().map(|place| &facts.writes[*place]);
        let mut own = writes.filter(|write| {
            finding.pod.as_ref() == Some(write.pod())
                && finding.table.as_deref() == Some(write.table)
        });
        own.next()
    }

    /// A ghost that wrote a table behind another pod: what it left there nobody could reckon with.
    fn ghost_behind(&self, facts: &Facts<'a>, table: &str) -> Option<NamedAnomaly> {
        let of_table = || facts.writes.iter().filter(|write| write.table == table);
        let mut ghosts = self.ghosts.iter();
        let ghost = ghosts.find(|ghost| {
            let mut own = of_table().filter(|write| write.step == Some(ghost.step));
            own.any(|own| {
                of_table()
                    .any(|other| other.pod() != ghost.pod() && other.server_us < own.server_us)
            })
        })?;
        Some(ghost_write(ghost, table))
    }

    /// A write of a pod whose lock's session was gone when it was sent, and which had not taken it again.
    fn lost_lock(&self, facts: &Facts<'a>, write: &PodWrite<'a>) -> Option<NamedAnomaly> {
        let pod = write.pod();
        let step = facts.steps.get(&write.step?)?;
        let (sent, end) = (step.released?.seq, step.last()?.at.seq);
        let mut losses = self.losses.all.iter().rev();
        let loss = losses.find(|loss| {
            loss.grant.pod() == pod
                && loss.lost < sent
                && is_lock_of(&facts.run.rules.lock, &loss.grant.key, write.table)
        })?;
        let again = facts.grants.iter().any(|grant| {
            grant.pod() == pod
                && facts.is_rule_key(&grant.key)
                && grant.from > loss.grant.from
                && grant.from < end
                && grant.end.is_none_or(|(end, _)| end > loss.lost)
        });
        let how = format!(
            "pod {pod} lost its lock at line {} and wrote {} after that, in the step that ended at line {end}",
            loss.lost, write.table
        );
        (!again).then(|| NamedAnomaly::of(Anomaly::ZombieWrite, how))
    }

    /// A write of a pod whose lease another one had taken over.
    fn lost_lease(&self, finding: &Finding, write: &PodWrite<'a>) -> Option<NamedAnomaly> {
        let mut told = finding.seqs.iter().filter_map(|seq| self.sections.get(seq));
        let (leases, section) = told.find(|(_, section)| section.pod() == write.pod())?;
        let (end, SectionEnd::TakenOver | SectionEnd::TakenAway) = section.end? else {
            return None;
        };
        let change = leases.changes.get(end)?;
        let how = format!(
            "pod {} no longer had {} from line {} on, and wrote {} after that",
            write.pod(),
            leases.name,
            change.seq,
            write.table
        );
        (change.server_us < write.server_us).then(|| NamedAnomaly::of(Anomaly::ZombieWrite, how))
    }
}

fn ghost_write(ghost: &Ghost<'_>, table: &str) -> NamedAnomaly {
    let how = format!(
        "{} of pod {} wrote {table} when its client was gone",
        ghost.connection,
        ghost.pod()
    );
    NamedAnomaly::of(Anomaly::GhostWrite, how)
}

/// Whether this lock, which is one of the rule, protects this table; of several each has its own tables.
fn is_lock_of(rule: &LockRule, key: &LockKey, table: &str) -> bool {
    let LockRule::Several(all) = rule else {
        return true;
    };
    all.iter().any(|one| {
        let own = matches!(&one.lock, LockRule::Named(named) if named.same_key(key));
        own && (one.protect.is_empty() || protects(&one.protect, table).is_some())
    })
}
