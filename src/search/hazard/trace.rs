//! What a pod did in an executed run, as hazards are looked for in it.
//!
//! Owns which steps count, and the questions that every kind of hazard asks. Knows no kind.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Catalog, Ending, Event, Line, Operation, Rules};
use crate::name::{LockKey, PodName};
use crate::schedule::{Move, Stop};
use crate::search::footprint::{Footprints, LockUseKind, Step, is_protected, writes_protected};
use crate::sql::{self, nameless, names_made};

/// The most different courses of a pod that are looked at; later ones rarely add anything.
const MOST: usize = 8;

/// Executed runs: the clean run first. Of long ones no two need be at hand at once.
pub trait Runs {
    /// Looks at each of them, in their order.
    fn each(&self, look: &mut dyn FnMut(&[Line]));
}

impl Runs for [&[Line]] {
    fn each(&self, look: &mut dyn FnMut(&[Line])) {
        self.iter().for_each(|lines| look(lines));
    }
}

/// The steps of one pod in one run, in their order.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    pub steps: Vec<Step>,
}

/// All that hazards are looked for in.
pub(super) struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub rules: &'a Rules,
    pub a: &'a PodName,
    pub b: &'a PodName,
    pub traces: Vec<Trace>,
    /// What the first pod of each run did before any other did anything: how far a pod gets by itself.
    alone: Vec<Vec<Step>>,
    /// For each normal form the texts with which each pod sent it.
    texts: BTreeMap<String, BTreeMap<PodName, BTreeSet<String>>>,
}

impl<'a> Ground<'a> {
    pub(super) fn of(
        runs: &(impl Runs + ?Sized),
        catalog: &'a Catalog,
        rules: &'a Rules,
        a: &'a PodName,
        b: &'a PodName,
    ) -> Self {
        let mut ground = Self {
            catalog,
            rules,
            a,
            b,
            traces: Vec::new(),
            alone: Vec::new(),
            texts: BTreeMap::new(),
        };
        let mut names = Names::default();
        runs.each(&mut |lines| {
            let footprints = Footprints::of(lines, catalog);
            names.see(lines, &footprints);
            ground.see(&footprints);
        });
        let names = names.of_one_run();
        if names.is_empty() {
            return ground;
        }
        // Which names are of one run alone is known when all have been looked at, and only without them it is known
        // which courses are the same.
        let (traces, alone, texts) = Default::default();
        let mut nameless = Self {
            traces,
            alone,
            texts,
            ..ground
        };
        runs.each(&mut |lines| {
            let mut footprints = Footprints::of(lines, catalog);
            let steps = footprints.steps.iter_mut();
            steps.for_each(|step| leave_out(step, &names));
            nameless.see(&footprints);
        });
        nameless
    }

    /// Adds what a run shows.
    fn see(&mut self, footprints: &Footprints) {
        let mut numbered = footprints.steps.iter().filter(|step| step.number.is_some());
        if let Some(first) = numbered.clone().next() {
            let by_itself = numbered.by_ref().take_while(|step| step.pod == first.pod);
            let steps: Vec<&Step> = by_itself.collect();
            if !self.alone.iter().any(|one| same_texts(one, &steps)) {
                self.alone.push(steps.into_iter().cloned().collect());
            }
        }
        for pod in footprints.pods() {
            let steps: Vec<Step> = footprints.of_pod(&pod).cloned().collect();
            for step in &steps {
                let of_form = self.texts.entry(step.form()).or_default();
                let of_pod = of_form.entry(pod.clone()).or_default();
                of_pod.insert(step.sql.join("; "));
            }
            let trace = Trace { steps };
            let known = self.traces.iter().any(|one| one.same_course(&trace));
            if !trace.steps.is_empty() && !known && self.traces.len() < MOST {
                self.traces.push(trace);
            }
        }
    }

    /// Whether a pod comes to the stop of this turn by itself, as the first pod of a schedule has to. What it does
    /// only behind or beside another is not reached so.
    pub(super) fn reached_alone(&self, turn: &Move) -> bool {
        let Move::Turn(turn) = turn else { return true };
        let (Stop::Before { sql, nth } | Stop::After { sql, nth }) = &turn.until else {
            return true;
        };
        self.alone.iter().any(|steps| {
            let met = steps.iter().filter(|step| step.meets(sql)).count();
            u32::try_from(met).is_ok_and(|met| met >= *nth)
        })
    }

    /// Whether two pods were seen to send statements of this form, and never the same one.
    pub(super) fn texts_differ(&self, form: &str) -> bool {
        let Some(pods) = self.texts.get(form) else {
            return false;
        };
        let mut sets = pods.values();
        let Some(first) = sets.next() else {
            return false;
        };
        pods.len() > 1 && sets.all(|set| set.is_disjoint(first))
    }

    /// Whether this table is protected.
    pub(super) fn is_protected(&self, table: &str) -> bool {
        is_protected(table, self.rules)
    }
}

/// Whether these steps have the same texts: a stop that one of them meets, the other does.
fn same_texts(one: &[Step], other: &[&Step]) -> bool {
    let same = |(one, other): (&Step, &&Step)| one.sql == other.sql && one.normal == other.normal;
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// The names that runs and their sessions make.
#[derive(Default)]
struct Names {
    /// What the pods of each run create.
    created: Vec<BTreeSet<String>>,
    /// What sessions make, by the form of what makes it.
    by_form: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    fn see(&mut self, lines: &[Line], footprints: &Footprints) {
        self.created.push(names_created(lines));
        add_names_of_sessions(footprints, &mut self.by_form);
    }

    /// Those that belong to one run or to one session alone.
    fn of_one_run(self) -> BTreeSet<String> {
        let forms = self.by_form.into_values();
        let several = forms.filter(|names| names.len() > 1);
        let mut names = made_up(&self.created);
        names.extend(several.flatten());
        names
    }
}

/// The names, without their schemas, of what the pods of a run create.
fn names_created(lines: &[Line]) -> BTreeSet<String> {
    let texts = lines.iter().filter_map(|line| match &line.event {
        Event::StepHeld { request, .. } => Some(&request.sql),
        _ => None,
    });
    let objects = texts.flatten().flat_map(|text| sql::created(text));
    let last = |name: String| name.rsplit('.').next().map(str::to_lowercase);
    objects.filter_map(|object| last(object.name)).collect()
}

/// The names that the pods of one run alone made up: they create something by them, as no other run does. None where
/// the clean run made up none.
fn made_up(all: &[BTreeSet<String>]) -> BTreeSet<String> {
    let only_there = |name: &&String| all.iter().filter(|one| one.contains(*name)).count() == 1;
    let clean_made_some = all
        .first()
        .is_some_and(|clean| clean.iter().any(|name| only_there(&name)));
    if all.len() < 2 || !clean_made_some {
        return BTreeSet::new();
    }
    all.iter().flatten().filter(only_there).cloned().collect()
}

/// Adds the names of cursors, temporary tables and the like that each session makes up anew, by the form of what
/// makes them.
fn add_names_of_sessions(
    footprints: &Footprints,
    by_form: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let steps = footprints.steps.iter();
    let sessions: BTreeSet<_> = steps.map(|step| &step.connection).collect();
    for session in sessions {
        let own = footprints.steps.iter();
        let own = own.filter(|step| step.connection == *session);
        for (form, name) in names_made(own.flat_map(|step| &step.normal)) {
            by_form.entry(form).or_default().insert(name);
        }
    }
}

/// Leaves such names out of the step: another run has other ones, and no pod touches what another made up.
fn leave_out(step: &mut Step, names: &BTreeSet<String>) {
    for form in &mut step.normal {
        if let Some(without) = nameless(form, names) {
            *form = without;
        }
    }
    let other = |table: &String| {
        let last = table.rsplit('.').next().unwrap_or_default();
        !names.contains(&last.to_lowercase())
    };
    for footprint in [&mut step.own, &mut step.footprint] {
        footprint.writes.retain(|table, _| other(table));
        footprint.reads.retain(other);
    }
}

impl Trace {
    fn same_course(&self, other: &Self) -> bool {
        self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(one, other)| {
                one.normal == other.normal
                    && one.error == other.error
                    && one.blocked == other.blocked
                    && one.own.writes == other.own.writes
            })
    }

    /// Places of the steps that succeeded and of which this is so.
    pub(super) fn places(&self, is: impl Fn(&Step) -> bool) -> Vec<usize> {
        (0..self.steps.len())
            .filter(|place| {
                let step = &self.steps[*place];
                step.ending == Some(Ending::Done) && step.error.is_none() && is(step)
            })
            .collect()
    }

    /// Places of the steps that did this to the table.
    pub(super) fn did(&self, table: &str, what: impl Fn(&Operation) -> bool + Copy) -> Vec<usize> {
        self.places(|step| step.own.did(table, what))
    }

    /// Places of protected writes.
    pub(super) fn work(&self, rules: &Rules) -> Vec<usize> {
        self.places(|step| writes_protected(&step.own, rules))
    }

    /// Places of the steps that ask for an advisory lock.
    pub(super) fn takes(&self) -> Vec<usize> {
        self.places(|step| {
            step.own
                .locks
                .iter()
                .any(|one| matches!(one.action, LockUseKind::Take | LockUseKind::Try))
        })
    }

    /// The locks that the pod held at some protected write.
    pub(super) fn locks(&self, rules: &Rules) -> BTreeSet<LockKey> {
        self.work(rules)
            .iter()
            .flat_map(|place| &self.steps[*place].own.held)
            .map(|held| held.key)
            .collect()
    }

    /// Whether two steps are in one transaction of several steps.
    pub(super) fn one_transaction(&self, one: usize, other: usize) -> bool {
        one != other && self.steps[one].effective == self.steps[other].effective
    }

    /// The place at which what the step here did becomes visible to others.
    pub(super) fn visible(&self, place: usize) -> usize {
        let effective = self.steps[place].effective;
        self.steps
            .iter()
            .position(|step| step.id == effective)
            .unwrap_or(place)
    }

    /// The tables that some step wrote.
    pub(super) fn written(&self) -> BTreeSet<String> {
        self.steps
            .iter()
            .flat_map(|step| step.own.writes.keys().cloned())
            .collect()
    }
}

/// Whether an operation puts rows in.
pub(super) fn adds(operation: &Operation) -> bool {
    *operation == Operation::Insert
}

/// Whether an operation takes rows away.
pub(super) fn takes_away(operation: &Operation) -> bool {
    matches!(operation, Operation::Delete | Operation::Truncate)
}

/// Whether an operation changes a table's definition.
pub(super) fn defines(operation: &Operation) -> bool {
    matches!(operation, Operation::Ddl(_))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::search::tale::{Tale, catalog};

    /// Runs that count how often they are gone through.
    struct Counted {
        runs: Vec<Vec<Line>>,
        times: Cell<usize>,
    }

    impl Runs for Counted {
        fn each(&self, look: &mut dyn FnMut(&[Line])) {
            self.times.set(self.times.get() + 1);
            self.runs.iter().for_each(|run| look(run));
        }
    }

    fn ground(savepoints: [&str; 2]) -> (usize, usize) {
        let run = |savepoint: &str| {
            let mut tale = Tale::of(&["a"]);
            let set = format!("savepoint {savepoint}");
            tale.in_transaction("a.0", "begin")
                .in_transaction("a.0", &set)
                .step("a.0", "commit");
            tale.lines()
        };
        let runs = Counted {
            runs: savepoints.map(run).to_vec(),
            times: Cell::new(0),
        };
        let none = Rules {
            protect: Vec::new(),
            lock: crate::history::LockRule::None,
            lock_mode: None,
            ignore: Vec::new(),
            lock_rows: Vec::new(),
            unguarded: Vec::new(),
            release: crate::history::Release::Unlock,
            on_contention: crate::history::OnContention::Wait,
            answers: Vec::new(),
            only_sqlstates: None,
            guards: Vec::new(),
        };
        let (a, b) = (PodName::of_index(0), PodName::of_index(1));
        let catalog = catalog();
        let ground = Ground::of(&runs, &catalog, &none, &a, &b);
        (runs.times.get(), ground.traces.len())
    }

    #[test]
    fn runs_are_gone_through_once_and_again_only_where_each_makes_up_names_of_its_own() {
        assert_eq!(ground(["s", "s"]), (1, 1));
        assert_eq!(ground(["s_1", "s_2"]), (2, 1));
    }
}
