//! What the scenarios of one command share: servers, templates, clean runs.
//!
//! Owns when each is made, how many are kept, and that all are given back.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::alone::Alone;
use super::common::Failure;
use super::exit::Exit;
use crate::history::PoolerSettings;
use crate::run::BaselineRuns;
use crate::scenario::Scenario;
use crate::search::{Job, Outcome, Replays, Stage, Trial, replay};
use crate::server::{Server, ServerOptions};

/// How many subjects' stages are kept for scenarios still to come.
const KEPT_STAGES: usize = 3;

/// Servers, templates and clean runs that several scenarios share.
pub struct Known {
    shared: Server,
    options: ServerOptions,
    /// Where the server of its own is kept.
    pub own: OwnServer,
    stages: Vec<(Setting, Stage)>,
    measured: Vec<(Setting, usize, bool, BaselineRuns)>,
}

/// The server for scenarios that need one which nobody else uses; started for the first of them.
#[derive(Clone, Default)]
pub struct OwnServer(Arc<Mutex<Option<Server>>>);

impl OwnServer {
    fn slot(&self) -> MutexGuard<'_, Option<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it back, if there is one.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn release(&self) -> Result<(), Failure> {
        let server = self.slot().take();
        match server {
            Some(server) => Ok(server.release().await?),
            None => Ok(()),
        }
    }
}

/// What a stage is built for, and where.
#[derive(Debug, Clone, PartialEq)]
struct Setting {
    job: Job,
    own: bool,
    pooler: Option<PoolerSettings>,
    ignore: Vec<String>,
}

impl Known {
    /// On this server, and on one of its own kind for scenarios that need it for themselves.
    #[must_use]
    pub fn on(shared: Server, options: ServerOptions) -> Self {
        Self {
            shared,
            options,
            own: OwnServer::default(),
            stages: Vec::new(),
            measured: Vec::new(),
        }
    }

    async fn server(&mut self, own: bool) -> Result<Server, Failure> {
        if !own {
            return Ok(self.shared.clone());
        }
        if let Some(server) = &*self.own.slot() {
            return Ok(server.clone());
        }
        let server = Server::own(&self.options).await?;
        *self.own.slot() = Some(server.clone());
        Ok(server)
    }

    /// Runs a scenario, and as often again as `times` says; what is needed for it is made, if it is not
    /// there yet.
    ///
    /// # Errors
    /// When a clean run does not succeed, or the environment fails.
    pub async fn trial(
        &mut self,
        scenario: &Scenario,
        job: &Job,
        dir: &Path,
        times: Option<u32>,
    ) -> Result<(Outcome, Option<Replays>), Failure> {
        let setting = Setting {
            job: job.clone(),
            own: Alone::of([scenario]).beside(&self.shared),
            pooler: scenario.server.pooler,
            ignore: scenario.subject.ignore.clone(),
        };
        let fits = |known: &Setting| known.own == setting.own && known.job.same_stage(&setting.job);
        if !self.stages.iter().any(|(known, _)| fits(known)) {
            let server = self.server(setting.own).await?;
            self.make_room().await?;
            let stage = Stage::build(&server, job).await?;
            self.stages.push((setting.clone(), stage));
        }
        let Some((_, stage)) = self.stages.iter().find(|(known, _)| fits(known)) else {
            return Err(Failure::new(Exit::Environment, "the stage is gone"));
        };
        let pods = scenario.pods.count + usize::from(scenario.pods.recovery);
        let witness = scenario.subject.witness;
        let measured = self
            .measured
            .iter()
            .find(|(known, count, seen, _)| *known == setting && *count == pods && *seen == witness)
            .map(|(_, _, _, measured)| measured.clone());
        let fresh = measured.is_none();
        let trial = Trial::prepare(stage, scenario, job, measured).await?;
        if fresh {
            self.measured
                .push((setting, pods, witness, trial.measured().clone()));
        }
        let outcome = trial.run(Some(dir)).await?;
        let Some(times) = times else {
            return Ok((outcome, None));
        };
        let schedule = &scenario.schedule;
        let replays = replay(&trial, schedule, &outcome, times, |_| true, |_, _| {}).await?;
        Ok((outcome, Some(replays)))
    }

    /// Strikes the stages that were built first: each that is kept has servers of its own.
    async fn make_room(&mut self) -> Result<(), Failure> {
        while self.stages.len() >= KEPT_STAGES {
            self.stages.remove(0).1.strike().await?;
        }
        Ok(())
    }

    /// Drops all templates and gives the server of its own back.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn strike(self) -> Result<(), Failure> {
        for (setting, stage) in self.stages {
            if !setting.own {
                stage.strike().await?;
            }
        }
        // What is on it goes with it.
        self.own.release().await
    }
}
