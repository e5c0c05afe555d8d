//! Reading the book of a lock row from a timeline.
//!
//! Owns what a change means. The order is that of the row's versions: a change waits for the one before it,
//! what was rolled back falls out, and each version names the transaction that made the one before, so that a
//! change that nobody logged shows as a gap. Whose a change is its session tells: two pods that write the same
//! value into the owner's column are two owners. Knows nothing of which changes are wrong.

use std::collections::{BTreeMap, HashMap};

use super::lease::{Deed, Gap, LeaseChange, LeaseSection, Leases, RowBooks, SectionEnd};
use crate::history::{Event, Fate, Line, LockRow, Operation, RowVersion};
use crate::name::{ConnectionName, PodName, StepId, TableName};
use crate::timeline::{PodFacts, StepFacts, Timeline};

impl<'a> Leases<'a> {
    /// The book of this row.
    #[must_use]
    pub fn of(timeline: &Timeline<'a>, rule: &'a LockRow) -> Self {
        let read = timeline
            .lines
            .iter()
            .filter_map(|line| read(timeline, rule, line));
        let changes = read.map(|(_, change)| change).collect();
        Self::from_changes(timeline, rule, rule.words(), changes)
    }

    /// The book of a row with these changes.
    fn from_changes(
        timeline: &Timeline<'a>,
        rule: &'a LockRow,
        name: String,
        mut changes: Vec<(LeaseChange<'a>, bool)>,
    ) -> Self {
        changes.sort_by_key(|(change, _)| (change.server_us, change.seq));
        let mut book = Book {
            pods: &timeline.pods,
            steps: &timeline.steps,
            leases: Self {
                rule,
                name,
                changes: Vec::with_capacity(changes.len()),
                sections: Vec::new(),
                gaps: Vec::new(),
                strangers: Vec::new(),
            },
            row: Known::Nothing,
            holder: None,
            several: false,
            last: HashMap::new(),
        };
        for (change, by_lockproof) in changes {
            book.take(change, by_lockproof);
        }
        book.leases
    }
}

impl<'a> RowBooks<'a> {
    /// The books of the row, or of each row of the queue.
    #[must_use]
    pub fn of(timeline: &Timeline<'a>, rule: &'a LockRow) -> Self {
        if !rule.is_many() {
            let rows = vec![Leases::of(timeline, rule)];
            return Self { rule, rows };
        }
        let mut by_row: BTreeMap<&str, Vec<(LeaseChange<'a>, bool)>> = BTreeMap::new();
        let mut of_all = Vec::new();
        for line in timeline.lines {
            match read(timeline, rule, line) {
                Some((Some(row), change)) => by_row.entry(row).or_default().push(change),
                // TRUNCATE names no row.
                Some((None, change)) => of_all.push(change),
                None => {}
            }
        }
        let table = rule.table.strip_prefix("public.").unwrap_or(&rule.table);
        let book = |(row, mut changes): (&str, Vec<_>)| {
            changes.extend(of_all.iter().cloned());
            let name = match &rule.claim {
                Some(claim) => format!("claim ({}) = ({row}) in {table}", claim.columns.join(", ")),
                None => format!("row {row} of {table}"),
            };
            Leases::from_changes(timeline, rule, name, changes)
        };
        Self {
            rule,
            rows: by_row.into_iter().map(book).collect(),
        }
    }
}

/// What a line tells of a row, and of which, if it was not rolled back; and whether lockproof did it.
fn read<'a>(
    timeline: &Timeline<'a>,
    rule: &LockRow,
    line: &'a Line,
) -> Option<(Option<&'a str>, (LeaseChange<'a>, bool))> {
    let owner = |session, connection: &'a Option<ConnectionName>| {
        let known = timeline.sessions.of(session).map(|one| one.connection);
        connection.as_ref().or(known)
    };
    match &line.event {
        Event::LockRow(change) if change.lock == rule.place => {
            if matches!(change.fate, Some(Fate::RolledBack | Fate::Open)) {
                return None;
            }
            let read = LeaseChange {
                seq: line.seq,
                server_us: change.server_us,
                connection: owner(change.session, &change.connection)
                    .filter(|_| !change.by_lockproof),
                session: change.session,
                step: change.step,
                transaction: change.transaction,
                before: change.before.as_ref(),
                after: change.after.as_ref(),
                deed: Deed::Nothing,
            };
            Some((change.row.as_deref(), (read, change.by_lockproof)))
        }
        // No row trigger tells of it.
        Event::Write(write)
            if write.operation == Operation::Truncate
                && TableName::new(&rule.table).may_mean(TableName::new(&write.table))
                && !matches!(write.extent.fate, Some(Fate::RolledBack | Fate::Open)) =>
        {
            let read = LeaseChange {
                seq: line.seq,
                server_us: write.server_us,
                connection: owner(write.session, &write.connection),
                session: write.session,
                step: write.step,
                transaction: write.extent.transaction,
                before: None,
                after: None,
                deed: Deed::Nothing,
            };
            Some((None, (read, false)))
        }
        _ => None,
    }
}

/// What is known of the row while its changes are gone through.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// Nothing yet.
    Nothing,
    /// It is not there.
    Absent,
    /// It is this.
    Is(&'a RowVersion),
}

struct Book<'t, 'a> {
    pods: &'t BTreeMap<&'a PodName, PodFacts<'a>>,
    steps: &'t BTreeMap<StepId, StepFacts<'a>>,
    leases: Leases<'a>,
    row: Known<'a>,
    /// The section of whoever has the lock.
    holder: Option<usize>,
    /// Whether there is more than one row of the name, so that their versions are no chain.
    several: bool,
    /// The last section of each pod.
    last: HashMap<&'a PodName, usize>,
}

impl<'a> Book<'_, 'a> {
    fn take(&mut self, mut change: LeaseChange<'a>, by_lockproof: bool) {
        let place = self.leases.changes.len();
        if change.before.is_none() && change.after.is_none() {
            change.before = match self.row {
                Known::Is(version) => Some(version),
                Known::Nothing | Known::Absent => None,
            };
        }
        self.follow(&change);
        change.deed = match (by_lockproof, change.connection) {
            (true, _) => self.aged(place),
            (false, Some(connection)) => self.done(place, &change, connection),
            (false, None) => self.strange(place, &change),
        };
        self.row = change.after.map_or(Known::Absent, Known::Is);
        self.leases.changes.push(change);
    }

    /// Notes a gap where this change does not follow on the one before.
    fn follow(&mut self, change: &LeaseChange<'a>) {
        let follows = match (self.row, change.before) {
            (Known::Nothing, _) | (Known::Absent, None) => true,
            (Known::Is(last), Some(before)) => last.made_by == before.made_by,
            // A second row.
            (Known::Is(_), None) => {
                self.several = true;
                true
            }
            // That a job is put in the queue is not told.
            (Known::Absent, Some(before)) => {
                self.leases.rule.is_many() && !before.held && !before.done
            }
        };
        if !follows && !self.several {
            self.leases.gaps.push(Gap { seq: change.seq });
        }
    }

    fn aged(&mut self, place: usize) -> Deed {
        if let Some(holder) = self.holder {
            self.leases.sections[holder].aged = Some(place);
        }
        Deed::Aged
    }

    /// What a stranger does to the row nobody can judge.
    fn strange(&mut self, place: usize, change: &LeaseChange<'a>) -> Deed {
        self.leases.strangers.push(place);
        if !change.after.is_some_and(RowVersion::keeps_out) {
            self.end(place, SectionEnd::TakenAway);
        }
        Deed::Nothing
    }

    fn done(
        &mut self,
        place: usize,
        change: &LeaseChange<'a>,
        connection: &'a ConnectionName,
    ) -> Deed {
        let holder = self.holder.map(|holder| {
            let own = *self.leases.sections[holder].pod() == connection.pod;
            (holder, own)
        });
        // One that is taken for so short a time that it is over by the end of the statement was taken.
        let fresh = change.before.is_none_or(|before| {
            !before.held || before.owner != change.after.and_then(|after| after.owner.clone())
        });
        let had = change
            .after
            .filter(|after| after.keeps_out() || after.held && fresh);
        match (had, holder) {
            (Some(after), Some((holder, true))) => {
                self.renewed(place, change, after, holder, connection)
            }
            // Whoever counts, or notes, something in the claim of another does not get it by that.
            (Some(_), Some((holder, false))) if self.is_touch(change, holder) => Deed::Nothing,
            (Some(after), Some((holder, false))) => {
                self.over(place, change, after, holder, connection)
            }
            (Some(after), None) => {
                self.begin(place, after, connection);
                Deed::Grant
            }
            (None, Some((_, true))) => {
                self.end(place, SectionEnd::Released);
                Deed::Release
            }
            (None, Some((_, false))) if self.gives_back_own(place, &connection.pod) => {
                Deed::Release
            }
            (None, Some((of, false))) => {
                self.end(place, SectionEnd::TakenAway);
                Deed::Foreign {
                    of,
                    kept_out: change.before.is_some_and(RowVersion::keeps_out),
                    takes_away: true,
                }
            }
            (None, None) => Deed::Nothing,
        }
    }

    /// A pod that has the lock changed its row and has it still.
    fn renewed(
        &mut self,
        place: usize,
        change: &LeaseChange<'a>,
        after: &'a RowVersion,
        holder: usize,
        connection: &'a ConnectionName,
    ) -> Deed {
        let section = &mut self.leases.sections[holder];
        if after.token != section.token || change.before.is_none() {
            // Another token is another grant: the pod took its own lock anew.
            self.end(place, SectionEnd::Released);
            self.begin(place, after, connection);
            return Deed::Grant;
        }
        let shortened = match (after.until_us, section.until_us) {
            (Some(after), Some(before)) => after < before,
            _ => false,
        };
        section.until_us = after.until_us;
        section.aged = None;
        section.last = place;
        Deed::Renewal { shortened }
    }

    /// A pod changed the row in which another has the lock, and somebody has it after that.
    fn over(
        &mut self,
        place: usize,
        change: &LeaseChange<'a>,
        after: &'a RowVersion,
        holder: usize,
        connection: &'a ConnectionName,
    ) -> Deed {
        let Some(before) = change.before else {
            let still = match (self.row, self.leases.sections[holder].until_us) {
                (Known::Is(row), Some(_)) => row.until_us.is_none_or(|at| at > change.server_us),
                (Known::Is(_), None) => true,
                (Known::Nothing | Known::Absent, _) => false,
            };
            // Of two rows with one key both are claims.
            if self.leases.rule.claim.is_none() {
                self.end(place, SectionEnd::TakenOver);
            }
            self.begin(place, after, connection);
            return match still {
                true => Deed::SecondRow { of: holder },
                false => Deed::TakeOver {
                    from: holder,
                    kept_out: false,
                },
            };
        };
        let kept_out = before.keeps_out();
        // One that was taken over may think that it renews its own: the row says the same owner then.
        let own = self.last.get(&connection.pod);
        let end = own.and_then(|own| self.leases.sections[*own].end);
        let late = matches!(
            end,
            Some((_, SectionEnd::TakenOver | SectionEnd::TakenAway))
        );
        let same = before.owner == after.owner && before.token == after.token;
        // Where no owner is stored a new claim looks the same; only one that another's time forbids is none.
        if late && same && (kept_out || self.leases.rule.owner.is_some()) {
            return Deed::Foreign {
                of: holder,
                kept_out,
                takes_away: false,
            };
        }
        self.end(place, SectionEnd::TakenOver);
        self.begin(place, after, connection);
        Deed::TakeOver {
            from: holder,
            kept_out,
        }
    }

    /// Whether a change of a claim's row leaves the claim with the pod that has it, which lives or has done its work.
    fn is_touch(&self, change: &LeaseChange<'a>, holder: usize) -> bool {
        let step = change.step.and_then(|step| self.steps.get(&step));
        let at = step.and_then(|step| step.released);
        let at = at.map_or(change.seq, |at| at.seq);
        let pod = self.pods.get(self.leases.sections[holder].pod());
        self.leases.rule.claim.is_some()
            && change.before.is_some_and(|before| before.held)
            && pod.is_none_or(|pod| pod.lived_at(at) || pod.succeeded())
    }

    /// Of two claims with one key: ends the one that this pod has.
    fn gives_back_own(&mut self, place: usize, pod: &PodName) -> bool {
        let own = self.last.get(pod).copied();
        let section = own.map(|own| &mut self.leases.sections[own]);
        match section.filter(|section| section.end.is_none()) {
            Some(section) if self.leases.rule.claim.is_some() => {
                section.end = Some((place, SectionEnd::Released));
                true
            }
            _ => false,
        }
    }

    fn begin(&mut self, place: usize, after: &RowVersion, connection: &'a ConnectionName) {
        let section = self.leases.sections.len();
        self.holder = Some(section);
        self.last.insert(&connection.pod, section);
        self.leases.sections.push(LeaseSection {
            connection,
            taken: place,
            token: after.token,
            until_us: after.until_us,
            aged: None,
            last: place,
            end: None,
        });
    }

    fn end(&mut self, place: usize, how: SectionEnd) {
        if let Some(holder) = self.holder.take() {
            self.leases.sections[holder].end = Some((place, how));
        }
        // Of two claims with one key the other stands.
        if self.several && self.leases.rule.claim.is_some() {
            let sections = self.leases.sections.iter();
            self.holder = sections
                .rev()
                .position(|one| one.end.is_none())
                .map(|back| self.leases.sections.len() - 1 - back);
        }
    }
}
