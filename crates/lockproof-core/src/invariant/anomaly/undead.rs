//! Writes of those who should write no more: zombies and ghosts.
//!
//! Owns which finding is of such a write. Who lost its lock the ledger says, what a ghost did the server's log.

use super::super::belief::{Losses, lost};
use super::super::facts::Facts;
use super::super::ghosts::{Ghost, ghosts};
use super::super::verdict::{Finding, NamedAnomaly};
use crate::ledger::{Leases, SectionEnd};
use crate::name::{Anomaly, InvariantName};

/// What is known of them.
pub(super) struct Undead<'f, 'a> {
    losses: Losses<'f, 'a>,
    ghosts: Vec<Ghost<'a>>,
}

impl<'f, 'a> Undead<'f, 'a> {
    /// Those of a run.
    pub fn of(facts: &'f Facts<'a>) -> Self {
        Self {
            losses: lost(facts),
            ghosts: ghosts(facts),
        }
    }

    /// The name of a finding that is of such a write.
    pub fn of_finding(
        &self,
        facts: &Facts<'_>,
        name: InvariantName,
        finding: &Finding,
    ) -> Option<NamedAnomaly> {
        let table = finding.table.as_deref()?;
        let of_pod = |ghost: &&Ghost<'_>| {
            name == InvariantName::CleanState || finding.pod.as_ref() == Some(ghost.pod())
        };
        let wrote = |ghost: &&Ghost<'_>| ghost.wrote.iter().any(|(one, _)| *one == table);
        if name != InvariantName::NoErrors
            && let Some(ghost) = self.ghosts.iter().filter(of_pod).find(wrote)
        {
            let how = format!(
                "{} of pod {} wrote {table} when its client was gone",
                ghost.connection,
                ghost.pod()
            );
            return Some(NamedAnomaly::of(Anomaly::GhostWrite, how));
        }
        let locks = [InvariantName::WorkUnderLock, InvariantName::MutualExclusion];
        if !locks.contains(&name) {
            return None;
        }
        self.lost_lock(facts, finding, table)
            .or_else(|| lost_lease(facts, finding, table))
    }

    /// A write of a pod whose lock's session was gone, and which had not taken it again.
    fn lost_lock(&self, facts: &Facts<'_>, finding: &Finding, table: &str) -> Option<NamedAnomaly> {
        let pod = finding.pod.as_ref()?;
        let step = facts.steps.values().find(|step| {
            step.pod() == pod
                && step
                    .last()
                    .is_some_and(|end| finding.seqs.contains(&end.at.seq))
        })?;
        let end = step.last()?.at.seq;
        let loss = self
            .losses
            .all
            .iter()
            .rev()
            .find(|loss| loss.grant.pod() == pod && loss.lost < end)?;
        let again = facts.grants.iter().any(|grant| {
            grant.pod() == pod
                && facts.is_rule_key(&grant.key)
                && grant.from > loss.lost
                && grant.from < end
        });
        let how = format!(
            "pod {pod} lost its lock at line {} and wrote {table} at line {end}",
            loss.lost
        );
        (!again).then(|| NamedAnomaly::of(Anomaly::ZombieWrite, how))
    }
}

/// A write of a pod whose lease another one had taken over.
fn lost_lease(facts: &Facts<'_>, finding: &Finding, table: &str) -> Option<NamedAnomaly> {
    let books = facts.leases.iter().flat_map(|books| &books.rows);
    let mut books = books.filter_map(|leases| lost_lease_of(facts, leases, finding, table));
    books.next()
}

fn lost_lease_of(
    facts: &Facts<'_>,
    leases: &Leases<'_>,
    finding: &Finding,
    table: &str,
) -> Option<NamedAnomaly> {
    let pod = finding.pod.as_ref()?;
    let write = facts
        .writes
        .iter()
        .find(|write| write.pod() == pod && finding.seqs.contains(&write.seq))?;
    let at = |change: usize| leases.changes.get(change).map(|one| one.server_us);
    let mut own = leases.sections.iter().filter(|one| one.pod() == pod);
    let last = own.rfind(|one| at(one.taken).is_some_and(|taken| taken < write.server_us))?;
    let (end, SectionEnd::TakenOver | SectionEnd::TakenAway) = last.end? else {
        return None;
    };
    let change = leases.changes.get(end)?;
    let how = format!(
        "pod {pod} no longer had the row from line {} on, and wrote {table} after that",
        change.seq
    );
    (change.server_us < write.server_us).then(|| NamedAnomaly::of(Anomaly::ZombieWrite, how))
}
