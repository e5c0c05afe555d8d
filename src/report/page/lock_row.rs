//! The lanes of a lock that is a row: who had it by the row's own changes, when its time passed, who took it over, and
//! what each pod was told.
//!
//! Owns where a change of the row is in the run: at the answer that made it count, for the server's log tells it only
//! after the run. What a change means is the ledger's; nothing is judged here.

use std::collections::HashMap;

use super::at::At;
use super::lock_row_words::{deed_words, span};
use super::told::heard;
use crate::history::{Event, LockRow, LockRule};
use crate::ledger::{Deed, LeaseChange, LeaseSection, Leases, SectionEnd, told_lost};
use crate::name::{ConnectionName, PodName};
use crate::schedule::FaultKind;
use crate::timeline::{Moment, StepFacts, Timeline};

/// All of a lock row that the page shows.
pub(super) struct RowBook<'a> {
    /// `the lock row of shedlock (name = 'report')`.
    pub name: String,
    /// `lease`, or `flag` where nothing says until when it is had.
    pub mode: &'static str,
    pub held: Vec<RowHeld<'a>>,
    pub told: Vec<RowTold<'a>>,
    pub changes: Vec<RowChanged<'a>>,
}

/// From a change that gave a pod the lock to the one that took it from it.
pub(super) struct RowHeld<'a> {
    pub connection: &'a ConnectionName,
    pub from: At,
    pub to: Option<At>,
    /// When its time had passed: from then on anybody may take it over.
    pub passed: Option<At>,
    /// How it ended, in words.
    pub end: String,
}

/// From the answer that told a pod that it has the lock to whatever told it otherwise.
pub(super) struct RowTold<'a> {
    pub connection: &'a ConnectionName,
    pub from: At,
    pub to: Option<At>,
    pub end: &'static str,
}

/// A change of the row.
pub(super) struct RowChanged<'a> {
    /// The line that tells it.
    pub seq: u64,
    pub at: At,
    /// Who made it; `None`: time, or a stranger.
    pub connection: Option<&'a ConnectionName>,
    /// The pod that had the lock until then, where that was another one.
    pub of: Option<&'a PodName>,
    pub kind: &'static str,
    /// What was done, in words.
    pub what: String,
}

impl<'a> RowBook<'a> {
    /// The book of the run's lock row, if its lock is one and anything was seen of it.
    pub(super) fn of(timeline: &Timeline<'a>) -> Option<Self> {
        let Some(Event::Run(facts)) = timeline.lines.first().map(|line| &line.event) else {
            return None;
        };
        // The rows of a queue are many books; the page has none for them yet.
        let mut rules = facts.rules.lock.each().filter_map(LockRule::row);
        let rule: &'a LockRow = rules.find(|rule| !rule.is_many())?;
        let leases = Leases::of(timeline, rule);
        if leases.changes.is_empty() {
            return None;
        }
        let reading = Reading::of(timeline, &leases);
        let sections = leases.sections.iter();
        Some(Self {
            name: rule.words(),
            mode: if rule.expiry.is_some() {
                "lease"
            } else {
                "flag"
            },
            held: sections.clone().map(|one| reading.held(one)).collect(),
            told: sections.filter_map(|one| reading.told(one)).collect(),
            changes: (0..leases.changes.len())
                .map(|place| reading.changed(place))
                .collect(),
        })
    }

    /// The change that this line tells.
    pub(super) fn told_at(&self, seq: u64) -> Option<&RowChanged<'a>> {
        self.changes.iter().find(|change| change.seq == seq)
    }
}

struct Reading<'t, 'a> {
    timeline: &'t Timeline<'a>,
    leases: &'t Leases<'a>,
    /// Where each change is in the run, and the step whose answer made it count.
    places: Vec<(Moment, Option<&'t StepFacts<'a>>)>,
    /// Of each pod the answers that showed it no row of its own, in their order.
    refused: HashMap<&'a PodName, Vec<Moment>>,
}

impl<'t, 'a> Reading<'t, 'a> {
    fn of(timeline: &'t Timeline<'a>, leases: &'t Leases<'a>) -> Self {
        let commits = Commits::read(timeline);
        let mut expired = expired(timeline).into_iter();
        let place = |change: &LeaseChange<'a>| {
            if change.deed == Deed::Aged
                && let Some(at) = expired.next()
            {
                return (at, None);
            }
            let step = change.step.and_then(|step| timeline.steps.get(&step));
            let made = step.and_then(|step| commits.of(step));
            if let Some((at, step)) = made {
                return (at, Some(step));
            }
            let own = moment(timeline, change.seq);
            (after(timeline, change.server_us).unwrap_or(own), None)
        };
        Self {
            timeline,
            leases,
            places: leases.changes.iter().map(place).collect(),
            refused: refused(timeline, leases.rule),
        }
    }

    fn at(&self, change: usize) -> At {
        self.places[change].0.into()
    }

    /// When the time of a section had passed for good: lockproof let it, or the clock did.
    fn passed(&self, section: &LeaseSection<'a>) -> Option<At> {
        let end = section.end.map(|(place, _)| place);
        let changes = &self.leases.changes;
        if let Some(aged) = section.aged {
            let over = changes[aged].after.is_some_and(|after| after.expired);
            return over.then(|| self.at(aged));
        }
        let until = section.until_us?;
        let by_clock: At = after(self.timeline, until)?.into();
        let from = self.at(section.last);
        let before = end.is_none_or(|end| by_clock.0 < self.at(end).0);
        // A release writes a time that has passed: that ends the section by itself.
        (from.0 < by_clock.0 && before).then_some(by_clock)
    }

    fn held(&self, section: &LeaseSection<'a>) -> RowHeld<'a> {
        let changes = &self.leases.changes;
        let passed = self.passed(section);
        let mut words = Vec::new();
        if let Some(at) = passed {
            let last = &changes[section.last];
            let until = last.after.and_then(|row| row.until_us);
            let lease = until.map_or_else(String::new, |until| {
                format!(" of {}", span(until.saturating_sub(last.server_us)))
            });
            words.push(format!("its time{lease} had passed at line {}", at.0));
        }
        words.push(match section.end {
            None if passed.is_some() => "the row names the pod to the end of the run".to_owned(),
            None => "held to the end of the run".to_owned(),
            Some((_, SectionEnd::Released)) => "given back by its pod".to_owned(),
            Some((place, how)) => {
                let by = &changes[place];
                let who = by.pod().map_or_else(
                    || format!("{}, no pod's,", by.session),
                    |pod| format!("pod {pod}"),
                );
                let did = match how {
                    SectionEnd::TakenOver => "took it over",
                    _ if by.after.is_none() => "deleted the row",
                    _ => "freed the row",
                };
                format!("{who} {did}")
            }
        });
        RowHeld {
            connection: section.connection,
            from: self.at(section.taken),
            to: section.end.map(|(place, _)| self.at(place)),
            passed,
            end: words.join("; "),
        }
    }

    /// What the pod of a section was told of it; nothing, where the answer did not come to it.
    fn told(&self, section: &LeaseSection<'a>) -> Option<RowTold<'a>> {
        let (from, step) = self.places[section.taken];
        let timeline = self.timeline;
        if step.is_some_and(|step| !heard(step, from, timeline)) {
            return None;
        }
        let own = self.leases.changes[section.last].deed;
        if own == (Deed::Renewal { shortened: true }) {
            // It gave it back for a later time, and knows for which.
            return Some(RowTold {
                connection: section.connection,
                from: from.into(),
                to: section.end.map(|(place, _)| self.at(place)),
                end: "it wrote itself until when it has it",
            });
        }
        let ends = [
            self.own_change(section, from),
            self.refused(section.pod(), from),
            self.gone(section.pod()),
        ];
        let end = ends.into_iter().flatten().min_by_key(|(at, _)| *at);
        Some(RowTold {
            connection: section.connection,
            from: from.into(),
            to: end.map(|(at, _)| at.into()),
            end: end.map_or("nothing told it otherwise", |(_, why)| why),
        })
    }

    /// The next change by which its pod gives the lock back, or takes it anew.
    fn own_change(
        &self,
        section: &LeaseSection<'a>,
        from: Moment,
    ) -> Option<(Moment, &'static str)> {
        let all = self.leases.changes.iter().enumerate();
        let later = all.skip(section.taken + 1);
        let mut own = later.filter(|(_, change)| change.pod() == Some(section.pod()));
        own.find_map(|(place, change)| {
            let why = match change.deed {
                Deed::Release => "it gave it back",
                Deed::Foreign {
                    takes_away: true, ..
                } => "it gave it back, and it was another pod's by then",
                Deed::Grant | Deed::TakeOver { .. } | Deed::SecondRow { .. } => "it took it anew",
                _ => return None,
            };
            let (at, step) = self.places[place];
            let told = step.is_none_or(|step| heard(step, at, self.timeline));
            (told && at > from).then_some((at, why))
        })
    }

    /// The next answer that showed the pod no row of its own.
    fn refused(&self, pod: &PodName, from: Moment) -> Option<(Moment, &'static str)> {
        let all = self.refused.get(pod)?;
        let at = all.get(all.partition_point(|at| *at <= from))?;
        Some((*at, "its statement touched no row: it has it no longer"))
    }

    fn gone(&self, pod: &PodName) -> Option<(Moment, &'static str)> {
        let facts = self.timeline.pods.get(pod)?;
        let seq = facts.exit.map(|exit| exit.seq).or(facts.ended)?;
        Some((moment(self.timeline, seq), "the pod ended"))
    }

    fn changed(&self, place: usize) -> RowChanged<'a> {
        let change = &self.leases.changes[place];
        let sections = &self.leases.sections;
        let over = |from: usize| {
            let passed = self.passed(&sections[from]);
            passed.is_some_and(|at| at.0 <= self.at(place).0)
        };
        let (kind, what, other) = deed_words(change, sections, over);
        let at = self.at(place);
        let who = match (change.connection, change.deed) {
            (_, Deed::Aged) => "lockproof".to_owned(),
            (Some(connection), _) => format!("pod {} on {connection}", connection.pod),
            (None, _) => format!("{}, which did not come through lockproof,", change.session),
        };
        let step = change.step.and_then(|step| self.timeline.steps.get(&step));
        let step = step.and_then(|step| step.number);
        let step = step.map_or_else(String::new, |number| format!(", in step {number}"));
        RowChanged {
            seq: change.seq,
            at,
            connection: change.connection,
            of: other.filter(|other| change.pod() != Some(other)),
            kind,
            what: format!("{who} {what}{step}"),
        }
    }
}

/// Of each pod the answers that came to it and showed it no row of its own.
fn refused<'a>(timeline: &Timeline<'a>, rule: &LockRow) -> HashMap<&'a PodName, Vec<Moment>> {
    let mut all: HashMap<&PodName, Vec<Moment>> = HashMap::new();
    for step in timeline.steps.values() {
        let lost = told_lost(step, rule).map(|end| end.at);
        if let Some(at) = lost.or_else(|| saw_none(step, rule))
            && heard(step, at, timeline)
        {
            all.entry(step.pod()).or_default().push(at);
        }
    }
    for of_pod in all.values_mut() {
        of_pod.sort();
    }
    all
}

/// A step that asked for rows of the lock's table and got none: `select … for update` shows so that the row is another's.
fn saw_none(step: &StepFacts<'_>, rule: &LockRow) -> Option<Moment> {
    let end = step.last()?;
    let [text] = step.request.normal.as_slice() else {
        return None;
    };
    let table = rule
        .table
        .rsplit_once('.')
        .map_or(&*rule.table, |(_, last)| last);
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let none = end.answer.error.is_none() && end.answer.tags == ["SELECT 0"];
    (none && words.any(|word| word == table)).then_some(end.at)
}

/// When the faults that let time pass came.
fn expired(timeline: &Timeline<'_>) -> Vec<Moment> {
    let lines = timeline.lines.iter().filter(|line| match &line.event {
        Event::Fault(fault) => fault.fired && matches!(fault.fault.kind, FaultKind::Expire { .. }),
        _ => false,
    });
    lines.map(Moment::of).collect()
}

/// The first line by which the server's clock had come so far: a look at its locks tells.
fn after(timeline: &Timeline<'_>, server_us: i64) -> Option<Moment> {
    let place = timeline
        .snapshots
        .partition_point(|one| one.server_us < server_us);
    let snapshot = timeline.snapshots.get(place)?;
    Some(moment(timeline, snapshot.seq))
}

fn moment(timeline: &Timeline<'_>, seq: u64) -> Moment {
    let place = timeline.lines.partition_point(|line| line.seq < seq);
    let line = timeline.lines.get(place).or(timeline.lines.last());
    line.map_or(Moment { seq, at_us: 0 }, Moment::of)
}

/// The ends of transactions, by connection.
struct Commits<'t, 'a>(HashMap<&'a ConnectionName, Vec<(Moment, &'t StepFacts<'a>)>>);

impl<'t, 'a> Commits<'t, 'a> {
    fn read(timeline: &'t Timeline<'a>) -> Self {
        let mut all: HashMap<&ConnectionName, Vec<(Moment, &StepFacts<'_>)>> = HashMap::new();
        for step in timeline.steps.values() {
            if let Some(end) = step.last()
                && end.answer.transaction == Some('I')
            {
                all.entry(step.connection).or_default().push((end.at, step));
            }
        }
        for ends in all.values_mut() {
            ends.sort_by_key(|(at, _)| *at);
        }
        Self(all)
    }

    /// The end of the transaction in which this step was.
    fn of(&self, step: &StepFacts<'a>) -> Option<(Moment, &'t StepFacts<'a>)> {
        let end = step.last()?.at;
        let ends = self.0.get(step.connection)?;
        ends.get(ends.partition_point(|(at, _)| *at < end)).copied()
    }
}
