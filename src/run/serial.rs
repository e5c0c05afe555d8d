//! Serial runs: what the subject leaves in the tables when one pod runs after the other.
//!
//! Owns which have been made, and making more when a difference is about to be told. The second one of all
//! pods is made under other circumstances on purpose: every sequence starts elsewhere, and each pod is held in
//! its middle for longer than a second, so that what depends on either differs from the first.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::error::RunError;
use super::failure::failure;
use super::one_run::run_once;
use super::plan::{Place, Plan};
use super::real::Run;
use crate::evidence::snapshot;
use crate::history::{Made, SerialRun, Writer};
use crate::name::PodName;
use crate::schedule::{Move, Schedule, Stop, Turn};
use crate::server::Database;

/// By how many steps every sequence is moved on: odd, so that it meets no round number.
const MOVED_ON: i64 = 1_009;
/// How many runs made anew are kept of each order of pods.
const KEPT: usize = 6;

/// What serial runs left: those of the start, and those made since.
#[derive(Debug, Default)]
pub struct SerialRuns {
    first: Vec<SerialRun>,
    /// How many steps each pod had in the one of all pods.
    steps: BTreeMap<PodName, u32>,
    elsewhere: tokio::sync::OnceCell<Option<SerialRun>>,
    anew: Mutex<Vec<SerialRun>>,
}

impl SerialRuns {
    /// Those of the start; the steps are those of each pod in the one of all pods.
    pub(super) fn starting(first: Vec<SerialRun>, steps: BTreeMap<PodName, u32>) -> Self {
        Self {
            first,
            steps,
            ..Self::default()
        }
    }

    /// The one of the first pod alone.
    #[must_use]
    pub fn of_one(&self) -> Option<&SerialRun> {
        self.first.first()
    }

    /// All serial runs so far, with the second one of all pods, which is made if it has not been made.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn all(&self, place: Place<'_>, plan: &Plan) -> Result<Vec<SerialRun>, RunError> {
        let elsewhere = || self.make_elsewhere(place, plan);
        let second = self.elsewhere.get_or_try_init(elsewhere).await?;
        let mut runs = self.first.clone();
        runs.extend(second.iter().cloned());
        let anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
        runs.extend(anew.iter().cloned());
        Ok(runs)
    }

    /// Makes serial runs anew, of these pods in these orders; those that left what is not known yet. An order
    /// in which the subject does not succeed shows nothing.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn anew(
        &self,
        place: Place<'_>,
        plan: &Plan,
        orders: &[Vec<PodName>],
    ) -> Result<Vec<SerialRun>, RunError> {
        let mut runs = Vec::new();
        for order in orders {
            let Some(state) = serial_run(
                place,
                plan,
                order,
                Schedule::Controlled(in_order(order)),
                false,
            )
            .await?
            else {
                continue;
            };
            let run = SerialRun {
                pods: order.clone(),
                made: Made::Anew,
                state,
            };
            let mut known = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |one: &&SerialRun| one.pods == run.pods;
            let of_order = known.iter().filter(same).count();
            let seen = known.iter().filter(same).any(|one| one.state == run.state);
            if !seen {
                if of_order >= KEPT
                    && let Some(oldest) = known.iter().position(|one| one.pods == run.pods)
                {
                    known.remove(oldest);
                }
                known.push(run.clone());
                runs.push(run);
            }
        }
        Ok(runs)
    }

    async fn make_elsewhere(
        &self,
        place: Place<'_>,
        plan: &Plan,
    ) -> Result<Option<SerialRun>, RunError> {
        let Some(all) = self.first.iter().max_by_key(|run| run.pods.len()) else {
            return Ok(None);
        };
        let pods = all.pods.clone();
        let held: Vec<Move> = pods
            .iter()
            .flat_map(|pod| {
                let steps = self.steps.get(pod).copied().unwrap_or(0);
                let middle = turn(pod, Stop::Steps((steps / 2).max(1)));
                [middle, turn(pod, Stop::End)]
            })
            .collect();
        // A job may not bear to be held: then only its sequences start elsewhere.
        for moves in [held, in_order(&pods)] {
            let state = serial_run(place, plan, &pods, Schedule::Controlled(moves), true).await?;
            if let Some(state) = state {
                let made = Made::Elsewhere;
                return Ok(Some(SerialRun { pods, made, state }));
            }
        }
        Ok(None)
    }
}

fn in_order(pods: &[PodName]) -> Vec<Move> {
    pods.iter().map(|pod| turn(pod, Stop::End)).collect()
}

fn turn(pod: &PodName, until: Stop) -> Move {
    let pod = pod.clone();
    Move::Turn(Turn { pod, until })
}

/// A plan for a serial run of these pods.
pub(super) fn serial_plan(plan: &Plan, pods: &[PodName]) -> Plan {
    Plan {
        pods: pods.len(),
        names: Some(pods.to_vec()),
        recovery: false,
        cronjob: None,
        schedule: Schedule::Controlled(Vec::new()),
        baseline: None,
        stop_at_error: false,
        standby: false,
        ..plan.clone()
    }
}

/// What a serial run left; `None` if the subject did not succeed.
async fn serial_run(
    place: Place<'_>,
    plan: &Plan,
    pods: &[PodName],
    schedule: Schedule,
    elsewhere: bool,
) -> Result<Option<crate::state::Snapshot>, RunError> {
    let plan = Plan {
        schedule,
        elsewhere,
        ..serial_plan(plan, pods)
    };
    let mut run = run_once(place, &plan, Writer::in_memory(), true).await?;
    let state = match failure(&run, &plan) {
        None => read(place, run.database.as_ref()).await.map(Some),
        Some(_) => Ok(None),
    };
    if let Some(database) = run.database.take() {
        place.server.drop_database(database).await?;
    }
    state
}

/// What a run left in its database, which must be there still.
pub(super) async fn read(
    place: Place<'_>,
    database: Option<&Database>,
) -> Result<crate::state::Snapshot, RunError> {
    let Some(database) = database else {
        return Ok(crate::state::Snapshot::default());
    };
    let client = place.server.connect(&database.name).await?;
    Ok(snapshot(&client).await?)
}

/// Every sequence that this role may set goes on by this much, if its bounds allow it.
fn advance_query() -> String {
    format!(
        "select count(setval(format('%I.%I', schemaname, sequencename)::regclass, there, last_value is not null))
         from (select *, coalesce(last_value, start_value)::numeric + {MOVED_ON} * increment_by as far,
                 coalesce(last_value, start_value) + {MOVED_ON} * increment_by as there
               from pg_sequences
               where abs(increment_by::numeric) < 1000000000000
                 and abs(coalesce(last_value, start_value)::numeric) < 1000000000000000000) as moved
         where far between min_value and max_value
           and has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'update')"
    )
}

impl Run<'_> {
    /// Lets every sequence of the run's database start elsewhere.
    pub(super) async fn advance_sequences(&self) -> Result<(), RunError> {
        let client = self.world.watchers.client()?;
        let moved = client.query(&advance_query(), &[]).await;
        moved.map(|_| ()).map_err(|source| RunError::Sql {
            what: "cannot let the sequences start elsewhere".to_owned(),
            source,
        })
    }
}
