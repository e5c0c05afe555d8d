//! The state machine: time passes, pods end, someone makes a Job; out come decisions.
//!
//! Owns what Kubernetes' CronJob controller does in `syncCronJob`, the Job controller with a failed
//! pod, and the kubelet with a pod that is deleted. Where it is simpler than they are:
//! * A Job is made at the very moment when it is due, once. (In a cluster it may come late, twice or
//!   not at all.)
//! * A deleted Job is gone at once; its pods are not made again.
//! * It has seen all that has happened: Kubernetes' controller acts on a copy that may be old, so that
//!   Forbid may overlap there even so.

use std::time::Duration;

use super::job::{Job, Pod, State, delay};
use super::spec::{CronJob, Policy};
use super::timetable::clock;
use crate::history::{Decided, Decision};
use crate::name::PodName;

/// The controller of one CronJob, which is made when its clock begins.
#[derive(Debug, Clone)]
pub struct Controller {
    spec: CronJob,
    now: Duration,
    /// The latest time of the schedule that has come.
    tick: Option<Duration>,
    /// The time of the schedule for which a Job was made last (`status.lastScheduleTime`).
    last: Option<Duration>,
    /// The time of the schedule that Forbid skipped last, as long as it may be made up.
    skipped: Option<Duration>,
    suspended: bool,
    jobs: Vec<Job>,
    pods: usize,
    decisions: Vec<Decision>,
}

impl Controller {
    /// A controller whose clock stands at its beginning.
    #[must_use]
    pub fn new(spec: CronJob) -> Self {
        let mut controller = Self {
            now: Duration::ZERO,
            tick: None,
            last: None,
            skipped: None,
            suspended: false,
            jobs: Vec::new(),
            pods: 0,
            decisions: Vec::new(),
            spec,
        };
        let words = controller.spec.to_string();
        controller.decide(Decided::Watch, words);
        controller
    }

    /// What the CronJob says.
    #[must_use]
    pub fn spec(&self) -> &CronJob {
        &self.spec
    }

    /// The time, from the beginning of its clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The next time of the CronJob's schedule; `None` beyond the end of the calendar.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        self.spec.schedule.next_after(self.now)
    }

    /// When the next thing happens by itself: a Job is due, a grace or a delay is over, a Job that was
    /// skipped cannot be made up any more.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let graces = self.pods().filter_map(|pod| pod.kill_at);
        let retries = self.jobs.iter().filter_map(|job| job.retry_at);
        let of_schedule = [self.next_tick(), self.skipped_until()];
        let of_schedule = of_schedule.into_iter().flatten();
        let of_schedule = of_schedule.filter(|_| !self.suspended);
        graces.chain(retries).chain(of_schedule).min()
    }

    /// Lets time pass up to this moment, which must not be later than [`Controller::due`]; what is
    /// due then is decided. (What has passed does not come back: an earlier time is now.)
    pub fn go_to(&mut self, time: Duration) -> Vec<Decision> {
        let is_tick = self.next_tick() == Some(time);
        self.now = self.now.max(time);
        self.end_graces();
        self.end_delays();
        if is_tick && !self.suspended {
            self.give_up_skipped("a later time has come, and one Job is made for both");
            self.tick = Some(self.now);
        } else if self.skipped_until().is_some_and(|until| until <= self.now) {
            let deadline = self.spec.starting_deadline.unwrap_or_default().as_secs();
            self.give_up_skipped(&format!("its starting deadline of {deadline} s is over"));
        }
        self.sync();
        self.take()
    }

    /// Someone makes a Job from the CronJob (`kubectl create job --from`).
    pub fn manual(&mut self) -> Vec<Decision> {
        let number = 1 + self.jobs.iter().filter(|job| job.manual).count();
        let why = "made by hand (kubectl create job --from)".to_owned();
        self.create_job(format!("manual-{number}"), true, why);
        // The CronJob owns that Job as well (cmd/create/create_job.go), so its controller looks again.
        self.sync();
        self.take()
    }

    /// A pod has ended, by itself or by a signal.
    pub fn exited(&mut self, name: &PodName, success: bool) -> Vec<Decision> {
        if let Some(job) = self.end_pod(name) {
            self.pod_of_active_job_ended(job, success);
            self.sync();
        }
        self.take()
    }

    /// A pod that was to get SIGTERM had not been started yet: now it never will be.
    pub fn removed(&mut self, name: &PodName) -> Vec<Decision> {
        if self.pods().any(|pod| pod.name == *name && !pod.ended) {
            self.end_pod(name);
            let why = "it is deleted before it was started".to_owned();
            self.decide(Decided::Remove, why).pod = Some(name.clone());
        }
        self.take()
    }

    /// From now on no Job is made for the schedule (`suspend: true`). Those that there are go on.
    pub fn suspend(&mut self) -> Vec<Decision> {
        if !std::mem::replace(&mut self.suspended, true) {
            let why = "the schedule is over, so no further Job is made".to_owned();
            self.decide(Decided::Suspend, why);
        }
        self.take()
    }

    /// The decisions that have not been taken yet: at first that it watches the CronJob.
    pub fn take(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.jobs.iter().flat_map(|job| &job.pods)
    }

    fn decide(&mut self, decided: Decided, why: String) -> &mut Decision {
        self.decisions.push(Decision {
            clock: clock(self.now),
            decided,
            job: None,
            pod: None,
            attempt: None,
            why,
        });
        let last = self.decisions.len() - 1;
        &mut self.decisions[last]
    }

    /// Until when what was skipped may be made up, if there is an end to it.
    fn skipped_until(&self) -> Option<Duration> {
        Some(self.skipped? + self.spec.starting_deadline?)
    }

    fn give_up_skipped(&mut self, why: &str) {
        if let Some(tick) = self.skipped.take() {
            let why = format!("the Job of {} is not made up: {why}", clock(tick));
            self.decide(Decided::Miss, why);
        }
    }

    /// What the CronJob controller does whenever it looks (`syncCronJob`): for the latest time that
    /// has come and has no Job, if that is not too long ago, one is made, as the policy allows.
    fn sync(&mut self) {
        let Some(tick) = self.tick.filter(|tick| Some(*tick) > self.last) else {
            return;
        };
        // Only times after `now − deadline` are looked at (`mostRecentScheduleTime`).
        let too_late = |deadline: Duration| self.now - tick >= deadline;
        if self.suspended || self.spec.starting_deadline.is_some_and(too_late) {
            return;
        }
        let running: Vec<usize> = (0..self.jobs.len())
            .filter(|job| self.jobs[*job].counts())
            .collect();
        match (self.spec.policy, running.first()) {
            (Policy::Forbid, Some(first)) => {
                // It is not noted as done: when the Job has finished, it is looked at again.
                if self.skipped.replace(tick) != Some(tick) {
                    let job = self.jobs[*first].words();
                    let why = format!("Forbid, and {job} has not finished");
                    self.decide(Decided::Skip, why);
                }
                return;
            }
            (Policy::Replace, Some(_)) => running.iter().for_each(|job| self.delete(*job)),
            _ => {}
        }
        self.last = Some(tick);
        self.skipped = None;
        let late = (self.now - tick).as_secs();
        let why = match self.now == tick {
            true => format!("for {}", clock(tick)),
            false => format!("for {}, made up {late} s late", clock(tick)),
        };
        let number = 1 + self.jobs.iter().filter(|job| !job.manual).count();
        self.create_job(format!("job-{number}"), false, why);
    }

    fn create_job(&mut self, name: String, manual: bool, why: String) {
        self.decide(Decided::CreateJob, why).job = Some(name.clone());
        self.jobs.push(Job {
            name,
            manual,
            state: State::Active,
            failures: 0,
            retry_at: None,
            pods: Vec::new(),
        });
        self.create_pod(self.jobs.len() - 1);
    }

    fn create_pod(&mut self, job: usize) {
        let pod = PodName::of_index(self.pods);
        self.pods += 1;
        let job = &mut self.jobs[job];
        job.retry_at = None;
        job.pods.push(Pod {
            name: pod.clone(),
            ended: false,
            kill_at: None,
        });
        let (name, attempt) = (job.name.clone(), job.failures.saturating_add(1));
        let why = format!("attempt {attempt} of {name}");
        let decision = self.decide(Decided::CreatePod, why);
        decision.job = Some(name);
        decision.pod = Some(pod);
        decision.attempt = Some(attempt);
    }

    /// Deletes a Job (propagation `Background`): it is gone at once, its pod has its grace.
    fn delete(&mut self, job: usize) {
        let (now, grace) = (self.now, self.spec.grace);
        let job = &mut self.jobs[job];
        job.state = State::Deleted;
        job.retry_at = None;
        let name = job.name.clone();
        let pod = job.pods.iter_mut().find(|pod| !pod.ended);
        let pod = pod.map(|pod| {
            pod.kill_at = (!grace.is_zero()).then_some(now + grace);
            pod.name.clone()
        });
        let why = "Replace, and the next Job is due".to_owned();
        self.decide(Decided::DeleteJob, why).job = Some(name.clone());
        let Some(pod) = pod else { return };
        let (decided, why) = if grace.is_zero() {
            (
                Decided::Kill,
                "its Job is deleted, with no grace".to_owned(),
            )
        } else {
            let why = format!(
                "its Job is deleted: SIGTERM, and {} s of grace",
                grace.as_secs()
            );
            (Decided::Terminate, why)
        };
        let decision = self.decide(decided, why);
        decision.job = Some(name);
        decision.pod = Some(pod);
    }

    fn end_graces(&mut self) {
        let now = self.now;
        let mut over = Vec::new();
        for job in &mut self.jobs {
            for pod in &mut job.pods {
                if pod.kill_at.is_some_and(|at| at <= now) {
                    pod.kill_at = None;
                    over.push((job.name.clone(), pod.name.clone()));
                }
            }
        }
        for (job, pod) in over {
            let grace = self.spec.grace.as_secs();
            let decision = self.decide(Decided::Kill, format!("its {grace} s of grace are over"));
            decision.job = Some(job);
            decision.pod = Some(pod);
        }
    }

    fn end_delays(&mut self) {
        for job in 0..self.jobs.len() {
            if self.jobs[job].retry_at.is_some_and(|at| at <= self.now) {
                self.create_pod(job);
            }
        }
    }

    /// Notes that a pod has ended; its Job, unless that had been noted.
    fn end_pod(&mut self, name: &PodName) -> Option<usize> {
        let mut jobs = self.jobs.iter_mut().enumerate();
        jobs.find_map(|(place, job)| {
            let mut pods = job.pods.iter_mut();
            let pod = pods.find(|pod| pod.name == *name && !pod.ended)?;
            pod.ended = true;
            pod.kill_at = None;
            Some(place)
        })
    }

    /// What the Job controller does when a pod has ended.
    fn pod_of_active_job_ended(&mut self, place: usize, success: bool) {
        let (now, limit) = (self.now, self.spec.backoff_limit);
        let job = &mut self.jobs[place];
        if job.state != State::Active {
            return;
        }
        let name = job.name.clone();
        let (decided, why) = if success {
            job.state = State::Complete;
            (Decided::Complete, "its pod has succeeded".to_owned())
        } else {
            job.failures = job.failures.saturating_add(1);
            let failures = job.failures;
            if failures > limit {
                job.state = State::Failed;
                let why = format!("failures: {failures}, and the backoff limit is {limit}");
                (Decided::Fail, why)
            } else {
                let delay = delay(failures);
                job.retry_at = Some(now + delay);
                let why = format!(
                    "failures: {failures}; the next pod is made in {} s",
                    delay.as_secs()
                );
                (Decided::Retry, why)
            }
        };
        self.decide(decided, why).job = Some(name);
    }
}
