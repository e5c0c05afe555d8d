//! What must be true of every document.
//!
//! Owns the rules that hold for any overlay. What one overlay must say is in the tests.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{CronJob, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::{Document, Object};

/// The words in the name of an environment variable whose value must not be in a file.
const SECRET_WORDS: [&str; 5] = ["PASSWORD", "SECRET", "TOKEN", "DATABASE_URL", "PGPASS"];

/// The grace that Kubernetes gives a pod that does not say one, in seconds.
const DEFAULT_GRACE: i64 = 30;

/// What is wrong with these documents, a sentence each.
#[must_use]
pub fn problems(documents: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for document in documents {
        let name = document.to_string();
        let mut told = |problem: String| found.push(format!("{name}: {problem}"));
        if !names.insert(name.clone()) {
            told("there are two of this name".to_owned());
        }
        if document.metadata().namespace.is_none() {
            told("it names no namespace".to_owned());
        }
        if let Object::CronJob(cronjob) = &document.object {
            of_cronjob(cronjob, &mut told);
        }
        if let Some(job) = document.job() {
            of_job(job, &mut told);
        }
    }
    found
}

fn of_cronjob(cronjob: &CronJob, told: &mut impl FnMut(String)) {
    let Some(spec) = &cronjob.spec else {
        return told("it has no spec".to_owned());
    };
    if spec.concurrency_policy.as_deref() != Some("Forbid") {
        told("concurrencyPolicy is not Forbid".to_owned());
    }
    if spec.starting_deadline_seconds.is_none() {
        told("it has no startingDeadlineSeconds".to_owned());
    }
    if spec.successful_jobs_history_limit.is_none() || spec.failed_jobs_history_limit.is_none() {
        told("it does not say how many ended Jobs are kept".to_owned());
    }
}

fn of_job(job: &JobSpec, told: &mut impl FnMut(String)) {
    let evictions = job.pod_failure_policy.iter().flat_map(|one| &one.rules);
    let mut evictions = evictions.filter(|rule| rule.action == "Ignore");
    let evicted = evictions.any(|rule| {
        let mut conditions = rule.on_pod_conditions.iter().flatten();
        conditions.any(|one| one.type_ == "DisruptionTarget")
    });
    if !evicted {
        told("an evicted pod counts as a failure (podFailurePolicy)".to_owned());
    }
    if job.active_deadline_seconds.is_none() {
        told("it may run for ever (activeDeadlineSeconds)".to_owned());
    }
    if job.completion_mode.as_deref() == Some("Indexed") && job.backoff_limit_per_index.is_none() {
        told("one index that fails ends all others (backoffLimitPerIndex)".to_owned());
    }
    let Some(pod) = &job.template.spec else {
        return told("its pods have no spec".to_owned());
    };
    of_pod(pod, told);
}

fn of_pod(pod: &PodSpec, told: &mut impl FnMut(String)) {
    // podFailurePolicy wants it.
    if pod.restart_policy.as_deref() != Some("Never") {
        told("restartPolicy is not Never".to_owned());
    }
    if pod.automount_service_account_token != Some(false) {
        told("its pods get a token for the API server, which they do not need".to_owned());
    }
    let security = pod.security_context.as_ref();
    if security.and_then(|one| one.run_as_non_root) != Some(true) {
        told("its pods may run as root (runAsNonRoot)".to_owned());
    }
    let seccomp = security.and_then(|one| one.seccomp_profile.as_ref());
    if seccomp.is_none_or(|one| one.type_ != "RuntimeDefault") {
        told("its pods have no seccomp profile".to_owned());
    }
    let volumes: BTreeSet<&str> = pod.volumes.iter().flatten().map(|one| &*one.name).collect();
    let first = pod.init_containers.iter().flatten();
    for container in first.chain(&pod.containers) {
        let user = security.and_then(|one| one.run_as_user);
        of_container(container, user, told);
        for mount in container.volume_mounts.iter().flatten() {
            if !volumes.contains(&*mount.name) {
                told(format!("there is no volume {}", mount.name));
            }
        }
    }
}

fn of_container(container: &Container, user: Option<i64>, told: &mut impl FnMut(String)) {
    let name = &container.name;
    let security = container.security_context.as_ref();
    if security.and_then(|one| one.allow_privilege_escalation) != Some(false) {
        told(format!("container {name} may gain privileges"));
    }
    if security.and_then(|one| one.read_only_root_filesystem) != Some(true) {
        told(format!("container {name} may write to its image"));
    }
    let capabilities = security.and_then(|one| one.capabilities.as_ref());
    let dropped = capabilities.and_then(|one| one.drop.as_ref());
    if !dropped.is_some_and(|all| all.iter().any(|one| one == "ALL")) {
        told(format!("container {name} keeps capabilities"));
    }
    if security
        .and_then(|one| one.run_as_user)
        .or(user)
        .is_none_or(|user| user == 0)
    {
        told(format!("container {name} names no user but root"));
    }
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|one| one.requests.as_ref());
    if !requests.is_some_and(|all| all.contains_key("cpu") && all.contains_key("memory")) {
        told(format!("container {name} requests no cpu or no memory"));
    }
    let limits = resources.and_then(|one| one.limits.as_ref());
    if !limits.is_some_and(|all| all.contains_key("memory")) {
        told(format!("container {name} has no limit of memory"));
    }
    let image = container.image.as_deref().unwrap_or_default();
    if !image
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains([':', '@']))
    {
        told(format!("container {name}: image {image:?} has no tag"));
    }
    for variable in container.env.iter().flatten() {
        let secret = SECRET_WORDS.iter().any(|word| variable.name.contains(word));
        if secret && variable.value.is_some() {
            told(format!(
                "container {name}: {} stands in the file; take it from a Secret",
                variable.name
            ));
        }
    }
}

/// The grace of a pod, in seconds.
pub(crate) fn grace(pod: &PodSpec) -> i64 {
    pod.termination_grace_period_seconds
        .unwrap_or(DEFAULT_GRACE)
}
