//! The controller, by random histories: rules that hold whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{seconds, spec};
use super::*;
use crate::history::{Decided, Decision};
use crate::name::PodName;

/// Something that happens to a controller.
#[derive(Debug, Clone)]
enum Happens {
    Passes(u64),
    Tick,
    Manual,
    /// Of the pods that run the one at this place ends.
    Ends(prop::sample::Index, bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => (1..900_u64).prop_map(Happens::Passes),
        3 => Just(Happens::Tick),
        1 => Just(Happens::Manual),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(i, ok)| Happens::Ends(i, ok)),
    ]
}

fn any_spec() -> impl Strategy<Value = CronJob> {
    (
        select(Policy::ALL.to_vec()),
        0..120_u64,
        of(1..900_u64),
        0..4_u32,
    )
        .prop_map(|(policy, grace, deadline, backoff_limit)| CronJob {
            grace: seconds(grace),
            starting_deadline: deadline.map(seconds),
            backoff_limit,
            ..spec(policy)
        })
}

/// What is known of a pod from outside.
#[derive(Debug, Default, Clone)]
struct Seen {
    job: String,
    ended: bool,
    terminated: Option<Duration>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(spec in any_spec(), all in vec(happens(), 0..40)) {
        let mut controller = Controller::new(spec.clone());
        controller.take();
        let mut pods: BTreeMap<PodName, Seen> = BTreeMap::new();
        let mut failures: BTreeMap<String, u32> = BTreeMap::new();
        let mut jobs = 0;
        let mut ticks = 0;
        for one in all {
            let mut steps: Vec<(Duration, Vec<Decision>)> = Vec::new();
            match one {
                Happens::Manual => steps.push((controller.now(), controller.manual())),
                Happens::Ends(place, success) => {
                    let running: Vec<PodName> = pods
                        .iter()
                        .filter(|(_, pod)| !pod.ended)
                        .map(|(name, _)| name.clone())
                        .collect();
                    if !running.is_empty() {
                        let name = place.get(&running).clone();
                        let pod = pods.get_mut(&name).unwrap();
                        pod.ended = true;
                        if !success {
                            *failures.entry(pod.job.clone()).or_default() += 1;
                        }
                        steps.push((controller.now(), controller.exited(&name, success)));
                    }
                }
                Happens::Passes(_) | Happens::Tick => {
                    let until = match one {
                        Happens::Passes(by) => controller.now() + seconds(by),
                        _ => controller.next_tick().unwrap(),
                    };
                    loop {
                        let due = controller.due().filter(|due| *due <= until);
                        let next = due.unwrap_or(until);
                        prop_assert!(next >= controller.now());
                        ticks += u32::from(controller.next_tick() == Some(next));
                        steps.push((next, controller.go_to(next)));
                        if next >= until {
                            break;
                        }
                        prop_assert!(due.is_some(), "time passes in one go where nothing is due");
                    }
                }
            }
            let steps = steps
                .into_iter()
                .flat_map(|(now, all)| all.into_iter().map(move |one| (now, one)));
            for (now, decision) in steps {
                let name = decision.pod.clone();
                let job = decision.job.clone().unwrap_or_default();
                match decision.decided {
                    Decided::CreateJob if job.starts_with("job-") => jobs += 1,
                    Decided::CreatePod => {
                        let name = name.unwrap();
                        let own_before = pods
                            .values()
                            .filter(|pod| pod.job.starts_with("job-") && !pod.ended)
                            .filter(|pod| pod.terminated.is_none())
                            .count();
                        if spec.policy != Policy::Allow && job.starts_with("job-") {
                            prop_assert_eq!(own_before, 0, "one Job at a time: {:?}", decision);
                        }
                        let tried = failures.get(&job).copied().unwrap_or(0);
                        prop_assert!(tried <= spec.backoff_limit, "{:?}", decision);
                        prop_assert_eq!(decision.attempt, Some(tried + 1));
                        prop_assert_eq!(&name, &PodName::of_index(pods.len()), "in order");
                        pods.insert(name, Seen { job, ..Seen::default() });
                    }
                    Decided::Terminate | Decided::Kill => {
                        let name = name.unwrap();
                        prop_assert_eq!(spec.policy, Policy::Replace);
                        prop_assert!(job.starts_with("job-"), "not one made by hand");
                        let pod = pods.get_mut(&name).unwrap();
                        prop_assert!(!pod.ended, "{:?} after its end", decision);
                        match (decision.decided, pod.terminated) {
                            (Decided::Terminate, before) => prop_assert_eq!(before, None),
                            (_, None) => prop_assert!(spec.grace.is_zero()),
                            (_, Some(at)) => prop_assert_eq!(at + spec.grace, now),
                        }
                        pod.terminated.get_or_insert(now);
                        pod.ended |= decision.decided == Decided::Kill;
                        if pod.ended {
                            let more = controller.exited(&name, false);
                            prop_assert!(more.iter().all(|one| one.pod.is_none()), "{:?}", more);
                        }
                    }
                    _ => {}
                }
            }
        }
        prop_assert!(jobs <= ticks, "one Job for each time that came, at most");
    }
}
