//! Errors with which the server answers a pod that another one is there: no failure of the job.
//!
//! Owns the conditions under which an error is such an answer: the scenario declares it, or the wire shows that
//! the pod took it for one. A good end alone excuses nothing. How a repeated transaction is recognised is in
//! `again`. Knows nothing of what else is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::again::{came_again, nothing_after, was_undone_alone};
use super::facts::{Facts, FaultFacts, PodError, quoted_name, writes_nothing_protected};
use super::verdict::{AnswerReason, Answered};
use crate::history::{
    Ending, Event, Line, LockAction, LockCall, LockRule, Object, OnContention, Request, Rules,
    ServerError, wrote_nothing,
};
use crate::ledger::Ledger;
use crate::name::{PodName, TableName};
use crate::sql;
use crate::timeline::{StepFacts, Timeline};

/// unique_violation.
const UNIQUE: &str = "23505";
/// lock_not_available: NOWAIT, or the end of `lock_timeout`.
pub(super) const NOT_AVAILABLE: &str = "55P03";
/// query_canceled: the end of `statement_timeout`, among others.
const CANCELED: &str = "57014";
/// serialization_failure and deadlock_detected: the server asks for the transaction again.
const TRY_AGAIN: [&str; 2] = ["40001", "40P01"];
/// duplicate_schema, duplicate_table, duplicate_object.
const DUPLICATE: [&str; 3] = ["42P06", "42P07", "42710"];
/// in_failed_sql_transaction: says nothing that the error before it did not say.
pub(super) const ABORTED: &str = "25P02";

/// How an error stands that no clean run shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is judged.
    Judged,
    /// It is an answer.
    Answer(AnswerReason),
    /// It may be an answer: the run was stopped before the pod did anything after it.
    Open,
}

/// How each error of the facts stands, by its place.
#[derive(Debug)]
pub(super) struct Answers {
    standing: Vec<Standing>,
}

impl Answers {
    /// Of this run.
    pub fn of(facts: &Facts<'_>) -> Self {
        let mut standing: Vec<Standing> = Vec::with_capacity(facts.errors.len());
        for (index, error) in facts.errors.iter().enumerate() {
            // An injected one may be an answer, too: what a pod that took it for one says of itself is honest.
            let injected = facts.explained[index] && !TRY_AGAIN.contains(&error.sqlstate);
            let known = injected || facts.met_in_clean_run(error);
            let one = match cause(facts, index) {
                _ if injected => {
                    lock_refused(facts, error).map_or(Standing::Judged, Standing::Answer)
                }
                _ if known => Standing::Judged,
                Some(cause) => standing[cause],
                None => stands(facts, error),
            };
            standing.push(one);
        }
        Self { standing }
    }

    /// How the error at this place stands.
    pub fn standing(&self, index: usize) -> Standing {
        self.standing
            .get(index)
            .copied()
            .unwrap_or(Standing::Judged)
    }

    /// What is told of the answers: nothing of what clean runs show, or a fault explains.
    pub fn told(&self, facts: &Facts<'_>) -> Vec<Answered> {
        let answers = facts
            .errors
            .iter()
            .zip(&self.standing)
            .zip(&facts.explained);
        let answers = answers.filter(|(_, explained)| !**explained);
        let answers = answers.filter_map(|((error, standing), _)| {
            let Standing::Answer(reason) = *standing else {
                return None;
            };
            (error.sqlstate != ABORTED).then(|| Answered {
                pod: error.pod().clone(),
                sqlstate: error.sqlstate.to_owned(),
                table: error.table.clone(),
                constraint: error.constraint.clone(),
                reason,
                seqs: error.seqs.clone(),
            })
        });
        answers.collect()
    }
}

/// The lines of the errors by which each pod was told that the lock is taken, and after which it did nothing more.
/// A pod that waited for one that the gate held may have given up so.
pub fn refusals(lines: &[Line]) -> BTreeMap<PodName, BTreeSet<u64>> {
    let timeline = Timeline::of(lines);
    let ledger = Ledger::of(&timeline);
    let mut told: BTreeMap<PodName, BTreeSet<u64>> = BTreeMap::new();
    let Some(run) = timeline.run else {
        return told;
    };
    let facts = Facts::from(&timeline, &ledger, run);
    for error in facts.errors.iter().filter(|error| error.heard) {
        let step = error.step.and_then(|step| facts.steps.get(&step));
        let table = error.table.as_deref();
        let refused = |step: &&StepFacts<'_>| {
            tells_of_lock(&run.rules, step.request, error.sqlstate, table)
                && nothing_after(&facts, step)
        };
        if step.filter(refused).is_some() {
            told.entry(error.pod().clone())
                .or_default()
                .extend(&error.seqs);
        }
    }
    told
}

/// The error before this one that made all further statements of its transaction fail.
pub(super) fn cause(facts: &Facts<'_>, index: usize) -> Option<usize> {
    let error = &facts.errors[index];
    if error.sqlstate != ABORTED {
        return None;
    }
    let here = error.wire?;
    let mut before = facts.errors[..index].iter().enumerate().rev();
    let (place, cause) = before.find(|(_, one)| {
        one.connection == error.connection && one.sqlstate != ABORTED && one.wire.is_some()
    })?;
    let there = cause.wire?;
    let by = &facts.by_connection;
    (!by.idle_between(error.connection, there, here)).then_some(place)
}

/// What a pod made of it that a fault ended its wait for a lock as `lock_timeout` or `statement_timeout` does: whoever
/// sets such a limit is told so that the lock is taken, and asks again, or writes nothing protected any more.
fn lock_refused(facts: &Facts<'_>, error: &PodError<'_>) -> Option<AnswerReason> {
    let step = error.step.and_then(|step| facts.steps.get(&step));
    let (step, wire) = (step.filter(|_| error.heard)?, error.wire?);
    let asks = |call: &LockCall| call.action == LockAction::Lock;
    if ![NOT_AVAILABLE, CANCELED].contains(&error.sqlstate)
        || !step.request.lock_calls.iter().any(asks)
    {
        return None;
    }
    if came_again(facts, step, true) {
        return Some(AnswerReason::CameAgain);
    }
    (!facts.wrote_after(error.pod(), wire)).then_some(AnswerReason::Left)
}

fn stands(facts: &Facts<'_>, error: &PodError<'_>) -> Standing {
    let rules = &facts.run.rules;
    let (constraint, table) = (error.constraint.as_deref(), error.table.as_deref());
    let mut declared = rules.answers.iter();
    if declared.any(|one| one.means(error.sqlstate, constraint, table)) {
        return Standing::Answer(AnswerReason::Declared);
    }
    // Who never heard it, since a fault cut the connection off or put something else in its place, could not send
    // it again.
    let reached = |fault: &&FaultFacts<'_>| fault.reaches(error.connection, error.session);
    let mut reaching = facts.faults.iter().filter(reached);
    let unheard = !error.heard && TRY_AGAIN.contains(&error.sqlstate);
    if unheard && reaching.any(|fault| fault.may_fail(error.pod())) {
        return Standing::Answer(AnswerReason::CutShort);
    }
    let step = error.step.and_then(|step| facts.steps.get(&step));
    let (Some(step), Some(wire)) = (step.filter(|_| error.heard), error.wire) else {
        return Standing::Judged;
    };
    if exists(facts, error, step) {
        return Standing::Answer(AnswerReason::Exists);
    }
    let tells_of_lock = tells_of_lock(rules, step.request, error.sqlstate, table);
    if !tells_of_lock && !TRY_AGAIN.contains(&error.sqlstate) {
        return Standing::Judged;
    }
    let unique = error.sqlstate == UNIQUE;
    if came_again(facts, step, !unique) && !(unique && took_away(facts, step)) {
        return Standing::Answer(AnswerReason::CameAgain);
    }
    let skip =
        rules.on_contention == OnContention::Skip || claim_is_taken(rules, error.sqlstate, table);
    if skip && tells_of_lock && !facts.wrote_after(error.pod(), wire) {
        return Standing::Answer(AnswerReason::Left);
    }
    let mut later = facts.faults.iter().filter(reached);
    let hit =
        later.any(|fault| fault.from > wire && (fault.event.takes_pod || fault.event.ends_session));
    let stopped = facts.stopped_at_limit(error.pod());
    match (hit || stopped) && nothing_after(facts, step) {
        true if hit => Standing::Answer(AnswerReason::CutShort),
        true => Standing::Open,
        false => Standing::Judged,
    }
}

/// Whether a pod that was told one of these in the place of an answer took it for what the server means by it: it
/// sent the same again, and that committed.
pub(super) fn took_for_answer(
    facts: &Facts<'_>,
    step: &StepFacts<'_>,
    sqlstates: &[String],
) -> bool {
    let may = |sqlstate: &String| TRY_AGAIN.contains(&sqlstate.as_str());
    !sqlstates.is_empty() && sqlstates.iter().all(may) && came_again(facts, step, true)
}

/// Whether an error with this SQLSTATE, which names this table, may say that the lock is taken.
fn tells_of_lock(rules: &Rules, request: &Request, sqlstate: &str, table: Option<&str>) -> bool {
    sqlstate == NOT_AVAILABLE
        || sqlstate == UNIQUE && writes_nothing_protected(rules, request, table)
        || claim_is_taken(rules, sqlstate, table)
}

/// Whether an error says that a key is claimed already, by the table that it names.
fn claim_is_taken(rules: &Rules, sqlstate: &str, table: Option<&str>) -> bool {
    let rows = rules.lock.each().filter_map(LockRule::row);
    let mut claims = rows.filter(|row| row.claim.is_some());
    let table = table.map(TableName::new);
    sqlstate == UNIQUE
        && claims.any(|row| table.is_some_and(|table| table.may_mean(TableName::new(&row.table))))
}

/// Whether the pod itself took rows away from the table in which this step found one, before it put its own there:
/// then it did not wait for whoever had the lock. Of a pod that a fault has taken the row may be taken away.
fn took_away(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    let tables = &step.request.writes;
    let since = step.last().map_or(step.held.seq, |end| end.at.seq);
    let pod = step.pod();
    let one_is_dead = |seq| {
        let mut faults = facts.faults.iter();
        faults.any(|one| one.event.takes_pod && one.pod != Some(pod) && one.from < seq)
    };
    let same = |one: &&StepFacts<'_>| {
        let writes = &one.request.writes;
        one.pod() == pod && one.held.seq > since && writes.iter().any(|one| tables.contains(one))
    };
    for one in facts.steps.values().filter(same) {
        let done = one.last().filter(|end| end.ending == Ending::Done);
        let Some(end) = done.filter(|end| end.answer.error.is_none()) else {
            continue;
        };
        let mut had_effect = end.answer.tags.iter().filter(|tag| !wrote_nothing(tag));
        match had_effect.next() {
            None => {}
            Some(tag) if tag.starts_with("INSERT") => return false,
            Some(_) => return !one_is_dead(one.held.seq),
        }
    }
    false
}

/// Whether a CREATE failed because its object is there, it is there at the end, nothing else was lost by the
/// failure, and the pod went on to a good end.
fn exists(facts: &Facts<'_>, error: &PodError<'_>, step: &StepFacts<'_>) -> bool {
    let (table, constraint) = (error.table.as_deref(), error.constraint.as_deref());
    if !tells_of_object(error.sqlstate, table, constraint) || !was_undone_alone(facts, step) {
        return false;
    }
    let [sql] = step.request.sql.as_slice() else {
        return false;
    };
    let objects = sql::created(sql);
    let [object] = objects.as_slice() else {
        return false;
    };
    let is_it = || match error.sqlstate {
        "42P07" | "42P06" => {
            let name = quoted_name(error.message);
            name.is_none_or(|name| object.name.rsplit('.').next() == Some(&name.to_lowercase()))
        }
        _ => true,
    };
    let pod = facts.pods.get(error.pod());
    let well = pod.is_some_and(|pod| pod.succeeded()) || facts.hit(error.pod()).is_some();
    well && is_it() && is_there(facts, object)
}

fn is_there(facts: &Facts<'_>, object: &Object) -> bool {
    facts.lines.iter().rev().any(|line| match &line.event {
        Event::Created { there } => there.contains(object),
        _ => false,
    })
}

/// Whether an error says that an object is there already: by its SQLSTATE, or as a violation of an index of the
/// catalog, which is how two CREATE at one moment meet.
fn tells_of_object(sqlstate: &str, table: Option<&str>, constraint: Option<&str>) -> bool {
    let of_catalog = |name: Option<&str>| {
        let name = name.map(|name| name.strip_prefix("pg_catalog.").unwrap_or(name));
        name.is_some_and(|name| name.starts_with("pg_"))
    };
    DUPLICATE.contains(&sqlstate)
        || sqlstate == UNIQUE && of_catalog(table) && of_catalog(constraint)
}

/// Whether an error of this SQLSTATE may tell of a CREATE that its object is there already.
pub fn may_exist_already(sqlstate: &str) -> bool {
    DUPLICATE.contains(&sqlstate) || sqlstate == UNIQUE
}

/// Whether this error may turn out to be an answer by what comes after it: then a run that looks for failures
/// goes on.
pub fn may_be_answer(rules: &Rules, request: &Request, error: &ServerError) -> bool {
    let (table, constraint) = (error.table.as_deref(), error.constraint.as_deref());
    let sqlstate = error.sqlstate.as_str();
    let mut declared = rules.answers.iter();
    declared.any(|one| one.means(sqlstate, constraint, table))
        || TRY_AGAIN.contains(&sqlstate)
        || sqlstate == ABORTED
        || tells_of_lock(rules, request, sqlstate, table)
        || tells_of_object(sqlstate, table, constraint)
            && request.sql.iter().any(|sql| !sql::created(sql).is_empty())
}
