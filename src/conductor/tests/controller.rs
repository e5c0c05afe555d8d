//! What a CronJob's controller has done to pods.

use std::time::Duration;

use super::*;
use crate::conductor::simulated::Op::Add;
use crate::conductor::simulated::block_on;
use crate::conductor::{Conductor, Mistake, Orders};
use crate::cronjob::{CronJob, Policy, Timetable};
use crate::history::Writer;

fn told(policy: Policy, most_pods: usize, moves: &[Move]) -> Result<String, Mistake> {
    let spec = CronJob {
        policy,
        grace: Duration::from_secs(30),
        ..CronJob::new(Timetable::new("*/10 * * * *").unwrap())
    };
    let programs = vec![p([Add(0), Add(1)]); 4];
    let orders = Orders {
        most_pods,
        ..orders()
    };
    let model = Model::new(&programs);
    let mut run = Conductor::new(model, orders, Writer::in_memory(), Some(&spec));
    block_on(run.follow(moves))?;
    Ok(story(&run.writer.finish().unwrap()))
}

#[test]
fn a_tick_makes_a_pod_that_starts_at_its_first_turn() {
    assert_eq!(
        told(Policy::Allow, 4, &[Move::Tick, steps("a", 1)]).unwrap(),
        "a>add0 a=add0 [reached] +a a>add1 a=add1 a.exit a.end [reached]"
    );
}

#[test]
fn a_turn_of_a_pod_that_nobody_has_made_is_none() {
    assert_eq!(told(Policy::Allow, 4, &[end("a")]).unwrap(), "[notthere]");
}

#[test]
fn steps_together_of_a_pod_that_nobody_has_made_are_none() {
    assert_eq!(
        told(Policy::Allow, 4, &[together(["a", "b"])]).unwrap(),
        "[notthere]"
    );
}

#[test]
fn a_fault_of_a_pod_that_nobody_has_made_finds_nothing() {
    let kill = fault(FaultKind::Kill, "a", Point::Before);
    assert_eq!(told(Policy::Allow, 4, &[kill]).unwrap(), "a?kill");
}

#[test]
fn with_allow_a_second_tick_makes_a_second_pod() {
    assert_eq!(
        told(
            Policy::Allow,
            4,
            &[Move::Tick, steps("a", 1), Move::Tick, end("b")]
        )
        .unwrap(),
        "a>add0 a=add0 [reached] b>add0 b=add0 b>add1 b=add1 b.exit b.end [reached] +a a>add1 a=add1 a.exit a.end \
         [reached]"
    );
}

#[test]
fn with_forbid_a_tick_makes_none_while_one_runs() {
    assert_eq!(
        told(
            Policy::Forbid,
            4,
            &[Move::Tick, steps("a", 1), Move::Tick, end("b")]
        )
        .unwrap(),
        "a>add0 a=add0 [reached] [notthere] +a a>add1 a=add1 a.exit a.end [reached]"
    );
}

#[test]
fn with_forbid_what_was_skipped_is_made_up_when_the_one_that_ran_has_ended() {
    assert_eq!(
        told(
            Policy::Forbid,
            4,
            &[Move::Tick, steps("a", 1), Move::Tick, end("a"), end("b")]
        )
        .unwrap(),
        "a>add0 a=add0 [reached] a>add1 a=add1 a.exit a.end [reached] b>add0 b=add0 b>add1 b=add1 b.exit b.end \
         [reached]"
    );
}

#[test]
fn with_replace_a_tick_ends_the_one_that_runs_and_makes_the_next() {
    assert_eq!(
        told(
            Policy::Replace,
            4,
            &[Move::Tick, steps("a", 1), Move::Tick, end("b")]
        )
        .unwrap(),
        "a>add0 a=add0 [reached] a-add1 a!terminate a.exit a.end b>add0 b=add0 b>add1 b=add1 b.exit b.end [reached]"
    );
}

#[test]
fn with_replace_a_pod_that_had_no_turn_yet_never_runs() {
    assert_eq!(
        told(Policy::Replace, 4, &[Move::Tick, Move::Tick, end("b")]).unwrap(),
        "b>add0 b=add0 b>add1 b=add1 b.exit b.end [reached]"
    );
}

#[test]
fn one_pod_more_than_there_may_be_is_a_mistake() {
    let told = told(Policy::Allow, 1, &[Move::Tick, Move::Tick]);
    assert!(matches!(told, Err(Mistake::TooManyPods { most: 1, .. })));
}

#[test]
fn a_turn_of_a_pod_that_the_run_does_not_have_is_a_mistake() {
    let mut run = Conductor::new(Model::default(), orders(), Writer::in_memory(), None);
    let told = block_on(run.follow(&[end("a")]));
    assert_eq!(told, Err(Mistake::NoSuchPod(PodName::new("a"))));
}
