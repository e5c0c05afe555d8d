//! The controller, by tables: what happens, and what it decides.

use std::time::Duration;

use super::*;
use crate::history::Decision;
use crate::name::PodName;

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pod(name: &str) -> PodName {
    PodName::new(name)
}

/// A CronJob that is due every ten minutes.
pub(super) fn spec(policy: Policy) -> CronJob {
    CronJob {
        policy,
        ..CronJob::new(Timetable::new("*/10 * * * *").unwrap())
    }
}

/// A controller, and all that it has decided, in short words.
struct Told {
    controller: Controller,
    decided: Vec<String>,
}

fn short(decision: &Decision) -> String {
    let whom = match (&decision.pod, &decision.job) {
        (Some(pod), Some(job)) => format!(" {pod} of {job}"),
        (Some(pod), None) => format!(" {pod}"),
        (None, Some(job)) => format!(" {job}"),
        (None, None) => String::new(),
    };
    format!("{} {:?}{whom}", decision.clock, decision.decided)
}

impl Told {
    fn of(spec: CronJob) -> Self {
        let mut controller = Controller::new(spec);
        controller.take();
        Self {
            controller,
            decided: Vec::new(),
        }
    }

    fn take(&mut self, decisions: Vec<Decision>) {
        self.decided.extend(decisions.iter().map(short));
    }

    /// Time passes, from one thing that is due to the next.
    fn until(&mut self, time: Duration) {
        loop {
            let due = self.controller.due().filter(|due| *due <= time);
            let next = due.unwrap_or(time);
            let decisions = self.controller.go_to(next);
            self.take(decisions);
            if next >= time {
                return;
            }
        }
    }

    fn pass(&mut self, by: u64) -> &mut Self {
        self.until(self.controller.now() + seconds(by));
        self
    }

    fn tick(&mut self) -> &mut Self {
        self.until(self.controller.next_tick().unwrap());
        self
    }

    fn manual(&mut self) -> &mut Self {
        let decisions = self.controller.manual();
        self.take(decisions);
        self
    }

    fn ends(&mut self, name: &str, success: bool) -> &mut Self {
        let decisions = self.controller.exited(&pod(name), success);
        self.take(decisions);
        self
    }

    /// What was decided since the last time.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.decided)
    }
}

#[test]
fn replace_deletes_the_job_that_runs_and_starts_the_next_at_once() {
    let mut told = Told::of(spec(Policy::Replace));
    told.tick();
    assert_eq!(
        told.told(),
        ["00:10 CreateJob job-1", "00:10 CreatePod a of job-1"]
    );
    told.tick();
    assert_eq!(
        told.told(),
        [
            "00:20 DeleteJob job-1",
            "00:20 Terminate a of job-1",
            "00:20 CreateJob job-2",
            "00:20 CreatePod b of job-2",
        ]
    );
    told.pass(29);
    assert!(told.told().is_empty(), "its grace is thirty seconds");
    told.pass(1);
    assert_eq!(told.told(), ["00:20:30 Kill a of job-1"]);
    // Its Job is gone: nobody tries it again.
    told.ends("a", false).pass(300);
    assert!(told.told().is_empty());
}

#[test]
fn a_pod_that_ends_within_its_grace_is_not_killed() {
    let mut told = Told::of(spec(Policy::Replace));
    told.tick().tick().pass(10).ends("a", true).told();
    told.pass(300);
    assert!(told.told().is_empty());
}

#[test]
fn with_no_grace_there_is_no_sigterm() {
    let mut told = Told::of(CronJob {
        grace: Duration::ZERO,
        ..spec(Policy::Replace)
    });
    told.tick().told();
    told.tick();
    let decided = told.told();
    assert_eq!(decided[1], "00:20 Kill a of job-1", "{decided:?}");
    told.pass(60);
    assert!(told.told().is_empty());
}

#[test]
fn forbid_skips_what_is_due_and_makes_it_up_when_the_job_has_finished() {
    let mut told = Told::of(spec(Policy::Forbid));
    told.tick().told();
    told.tick();
    assert_eq!(told.told(), ["00:20 Skip"]);
    told.pass(30).ends("a", true);
    assert_eq!(
        told.told(),
        [
            "00:20:30 Complete job-1",
            "00:20:30 CreateJob job-2",
            "00:20:30 CreatePod b of job-2",
        ]
    );
    told.ends("b", true);
    assert_eq!(told.told(), ["00:20:30 Complete job-2"], "once only");
}

#[test]
fn of_several_times_that_were_skipped_only_the_last_is_made_up() {
    let mut told = Told::of(spec(Policy::Forbid));
    told.tick().tick().told();
    told.tick();
    assert_eq!(told.told(), ["00:30 Miss", "00:30 Skip"]);
    told.ends("a", true);
    assert_eq!(
        told.told()[1..],
        ["00:30 CreateJob job-2", "00:30 CreatePod b of job-2"]
    );
}

#[test]
fn a_job_is_made_up_within_its_starting_deadline_and_not_after() {
    let forbid = |deadline| CronJob {
        starting_deadline: Some(seconds(deadline)),
        ..spec(Policy::Forbid)
    };
    for (deadline, made_up) in [(31, true), (30, false), (10, false)] {
        let mut told = Told::of(forbid(deadline));
        told.tick().tick().pass(30).ends("a", true);
        let decided = told.told();
        let is = |what: &str| decided.iter().any(|one| one.contains(what));
        assert_eq!(is("CreateJob job-2"), made_up, "{deadline} s: {decided:?}");
        assert_eq!(is(" Miss"), !made_up, "{deadline} s: {decided:?}");
    }
}

#[test]
fn allow_lets_them_run_beside_each_other() {
    let mut told = Told::of(spec(Policy::Allow));
    told.tick().told();
    told.tick();
    assert_eq!(
        told.told(),
        ["00:20 CreateJob job-2", "00:20 CreatePod b of job-2"]
    );
}

#[test]
fn no_policy_sees_a_job_that_was_made_by_hand() {
    for policy in Policy::ALL {
        let mut told = Told::of(spec(*policy));
        told.manual();
        assert_eq!(
            told.told(),
            ["00:00 CreateJob manual-1", "00:00 CreatePod a of manual-1"]
        );
        told.tick();
        assert_eq!(
            told.told(),
            ["00:10 CreateJob job-1", "00:10 CreatePod b of job-1"],
            "{policy}"
        );
        told.manual();
        assert_eq!(
            told.told(),
            ["00:10 CreateJob manual-2", "00:10 CreatePod c of manual-2"],
            "{policy}"
        );
    }
}

#[test]
fn a_failed_pod_is_followed_by_another_until_the_backoff_limit() {
    let mut told = Told::of(CronJob {
        backoff_limit: 2,
        ..spec(Policy::Forbid)
    });
    told.tick().told();
    told.ends("a", false).pass(9);
    assert_eq!(told.told(), ["00:10 Retry job-1"]);
    told.pass(1);
    assert_eq!(told.told(), ["00:10:10 CreatePod b of job-1"]);
    told.ends("b", false).pass(20);
    assert_eq!(
        told.told(),
        ["00:10:10 Retry job-1", "00:10:30 CreatePod c of job-1"]
    );
    told.ends("c", false);
    assert_eq!(told.told(), ["00:10:30 Fail job-1"]);
    told.pass(300);
    assert!(told.told().is_empty());
}

#[test]
fn a_job_between_two_tries_still_runs() {
    let cases = [
        (Policy::Forbid, vec!["00:20 Skip"]),
        (
            Policy::Replace,
            vec![
                "00:20 DeleteJob job-1",
                "00:20 CreateJob job-2",
                "00:20 CreatePod b of job-2",
            ],
        ),
    ];
    for (policy, expected) in cases {
        let mut told = Told::of(spec(policy));
        told.tick().pass(595).ends("a", false).told();
        told.tick();
        assert_eq!(told.told(), expected, "{policy}");
        if policy == Policy::Replace {
            told.pass(60);
            assert!(told.told().is_empty(), "a deleted Job is not tried again");
        }
    }
}

#[test]
fn after_the_schedule_no_job_is_made_but_what_was_begun_goes_on() {
    let mut told = Told::of(spec(Policy::Forbid));
    told.tick().tick().told();
    let decisions = told.controller.suspend();
    told.take(decisions);
    assert_eq!(told.told(), ["00:20 Suspend"]);
    told.ends("a", false);
    assert_eq!(
        told.told(),
        ["00:20 Retry job-1"],
        "the skipped Job is not made up"
    );
    assert_eq!(told.controller.due(), Some(seconds(1_210)));
    told.pass(2_000).ends("b", true);
    assert_eq!(
        told.told(),
        ["00:20:10 CreatePod b of job-1", "00:53:20 Complete job-1"]
    );
    assert_eq!(told.controller.due(), None);
}

#[test]
fn a_pod_that_was_not_started_when_its_job_was_deleted_never_is() {
    let mut told = Told::of(spec(Policy::Replace));
    told.tick().tick().told();
    let decisions = told.controller.removed(&pod("a"));
    told.take(decisions);
    assert_eq!(told.told(), ["00:20 Remove a"]);
    told.pass(60);
    assert!(told.told().is_empty(), "nobody kills what never ran");
}
