//! What a controller asks of a CronJob, read from the document; and what its containers run.

use k8s_openapi::api::core::v1::Container;

use crate::rules::grace;
use crate::{Document, Object};

/// The parts of a CronJob that decide when a pod starts and how it is ended. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `schedule`.
    pub schedule: String,
    /// `concurrencyPolicy`.
    pub policy: String,
    /// `suspend`.
    pub suspended: bool,
    /// `startingDeadlineSeconds`.
    pub starting_deadline: i64,
    /// `activeDeadlineSeconds` of its Jobs.
    pub active_deadline: i64,
    /// `terminationGracePeriodSeconds` of its pods.
    pub grace: i64,
    /// `backoffLimit` of its Jobs.
    pub backoff_limit: i32,
    /// The arguments of its container.
    pub arguments: Vec<String>,
    /// The environment of its container, as far as it stands in the file.
    pub environment: Vec<(String, String)>,
}

/// What a CronJob does not say.
#[derive(Debug, thiserror::Error)]
#[error("{document} says nothing of {what}")]
pub struct SettingsError {
    document: String,
    what: &'static str,
}

impl Settings {
    /// Those of a CronJob with one container.
    ///
    /// # Errors
    /// When it is no CronJob, or something is left out.
    pub fn of(document: &Document) -> Result<Self, SettingsError> {
        let missing = |what| SettingsError {
            document: document.to_string(),
            what,
        };
        let Object::CronJob(cronjob) = &document.object else {
            return Err(missing("a schedule"));
        };
        let spec = cronjob.spec.as_ref().ok_or(missing("a schedule"))?;
        let job = document.job().ok_or(missing("its Jobs"))?;
        let pod = job.template.spec.as_ref().ok_or(missing("its pods"))?;
        let [container] = &pod.containers[..] else {
            return Err(missing("one container"));
        };
        let policy = spec.concurrency_policy.clone();
        Ok(Self {
            schedule: spec.schedule.clone(),
            policy: policy.ok_or(missing("concurrencyPolicy"))?,
            suspended: spec.suspend.unwrap_or(false),
            starting_deadline: spec
                .starting_deadline_seconds
                .ok_or(missing("startingDeadlineSeconds"))?,
            active_deadline: job
                .active_deadline_seconds
                .ok_or(missing("activeDeadlineSeconds"))?,
            grace: grace(pod),
            backoff_limit: job.backoff_limit.ok_or(missing("backoffLimit"))?,
            arguments: container.args.clone().unwrap_or_default(),
            environment: environment(container),
        })
    }
}

fn environment(container: &Container) -> Vec<(String, String)> {
    let variables = container.env.iter().flatten();
    variables
        .filter_map(|one| Some((one.name.clone(), one.value.clone()?)))
        .collect()
}

/// The ENTRYPOINT of a Dockerfile: a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint(pub Vec<String>);

/// A Dockerfile without an ENTRYPOINT in exec form.
#[derive(Debug, thiserror::Error)]
#[error("there is no ENTRYPOINT in exec form (a JSON list), so the job would not be PID 1")]
pub struct NoEntrypoint;

impl Entrypoint {
    /// That of this Dockerfile.
    ///
    /// # Errors
    /// When it has none, or one in shell form.
    pub fn of(dockerfile: &str) -> Result<Self, NoEntrypoint> {
        let lines = dockerfile.lines();
        let last = lines
            .filter_map(|line| line.strip_prefix("ENTRYPOINT "))
            .next_back();
        let list = last.and_then(|list| serde_json::from_str(list).ok());
        list.map(Self).ok_or(NoEntrypoint)
    }
}
