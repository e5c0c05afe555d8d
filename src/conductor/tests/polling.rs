//! Pods that only repeat themselves, and when they make way.

use super::*;
use crate::conductor::Orders;
use crate::conductor::repeats::{Asked, Repeats};
use crate::conductor::simulated::Op::{Add, Lock, Poll, Read, Set, Try, Unlock};
use crate::history::{Answer, Beside, Digest, Request, ServerError};

/// So many rounds of polling.
fn polls(pod: &str, rounds: usize) -> String {
    vec![format!("{pod}>poll0 {pod}=poll0"); rounds].join(" ")
}

proves! {
    a_pod_that_goes_round_six_times_makes_way_to_one_under_way:
        [p([Lock(0), Unlock(0)]), p([Poll(0)])], [steps("a", 1), end("b")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [yielded] +a a>unlock0 a=unlock0 a.exit a.end [reached] \
             +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 6)
        );
    a_turn_of_fewer_rounds_ends_before_it_makes_way:
        [p([Lock(0), Unlock(0)]), p([Poll(0)])], [steps("a", 1), steps("b", 5), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [reached] a>unlock0 a=unlock0 a.exit a.end [reached] \
             +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 5)
        );
    rounds_are_counted_across_turns_of_the_same_pod:
        [p([Lock(0), Unlock(0)]), p([Poll(0)])], [steps("a", 1), steps("b", 5), end("b"), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [reached] {} [yielded] a>unlock0 a=unlock0 a.exit a.end [reached] \
             +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 5), polls("b", 1)
        );
    a_step_of_another_pod_begins_the_count_anew:
        [p([Lock(0), Add(0), Unlock(0)]), p([Poll(0)])],
        [steps("a", 1), steps("b", 5), steps("a", 1), end("b"), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [reached] a>add0 a=add0 [reached] {} [yielded] a>unlock0 a=unlock0 \
             a.exit a.end [reached] +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 5), polls("b", 6)
        );
    who_has_made_way_has_to_go_round_again_before_it_does_so_again:
        [p([Lock(0), Unlock(0)]), p([Poll(0)])], [steps("a", 1), end("b"), end("b"), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [yielded] {} [yielded] a>unlock0 a=unlock0 a.exit a.end [reached] \
             +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 6), polls("b", 6)
        );
    a_pod_does_not_make_way_to_one_that_has_not_started:
        [p([Poll(0), Add(0)]), p([Add(1)])], [end("a")]
        => "a>poll0 a=poll0 a>add0 a=add0 a.exit a.end [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    a_round_of_two_steps_is_polling_too:
        [p([Lock(0), Unlock(0)]), p([Read(1), Poll(0)])], [steps("a", 1), steps("b", 1), end("b"), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] b>read1 b=read1 [reached] {} [yielded] a>unlock0 a=unlock0 a.exit a.end \
             [reached] +b b>poll0 b=poll0 b.exit b.end [reached]",
            polls("b", 6)
        );
    a_stop_of_a_turn_that_made_way_is_met_later:
        [p([Lock(0), Unlock(0)]), p([Poll(0), Set(1, 1)])], [steps("a", 1), after("b", "set", 1), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [yielded] a>unlock0 a=unlock0 a.exit a.end [reached] +b b>poll0 b=poll0 \
             b>set1-1 b=set1-1 [1-met] b.exit b.end [reached]",
            polls("b", 6)
        );
    a_step_that_was_counted_before_the_pod_made_way_is_not_counted_again:
        [p([Lock(0), Unlock(0)]), p([Poll(0), Poll(0)])], [steps("a", 1), before("b", "poll", 8), end("a")]
        => format!(
            "a>lock0 a=lock0 [reached] {} [yielded] a>unlock0 a=unlock0 a.exit a.end [reached] +b b>poll0 b=poll0 \
             b>poll0 b=poll0 [1-met] b.exit b.end [reached]",
            polls("b", 6)
        );
    who_asks_once_and_goes_on_never_makes_way:
        [p([Lock(0), Unlock(0)]), p([Try(0), Add(1)])], [steps("a", 1), end("b"), end("a")]
        => "a>lock0 a=lock0 [reached] b>try0 b=try0 b>add1 b=add1 b.exit b.end [reached] a>unlock0 a=unlock0 \
            a.exit a.end [reached]";
}

#[test]
fn where_nobody_else_is_under_way_a_pod_polls_up_to_the_cap_of_steps() {
    let mut model = Model::new(&[p([Poll(0)])]);
    model.holders.insert(0, 99);
    let orders = Orders {
        most_steps: 9,
        ..orders()
    };
    let ran = run_with(model, &Schedule::Controlled(vec![end("a")]), orders);
    assert_eq!(
        story(&ran.lines),
        format!("{} limit [limit]", polls("a", 9))
    );
    assert!(ran.limit);
}

#[test]
fn with_a_fault_in_the_schedule_a_pod_makes_way_to_one_that_has_not_started() {
    let mut model = Model::new(&[p([Poll(0)]), p([Add(0)])]);
    model.holders.insert(0, 99);
    let orders = Orders {
        most_steps: 14,
        ..orders()
    };
    let moves = vec![
        end("a"),
        fault(FaultKind::Heal, "b", Point::Before),
        end("b"),
    ];
    let ran = run_with(model, &Schedule::Controlled(moves), orders);
    let story = story(&ran.lines);
    let begins = format!("{} [yielded] b!heal b>add0", polls("a", 6));
    assert!(story.starts_with(&begins), "{story}");
}

fn asked(sql: &str, rows: &str) -> Asked {
    asked_so(sql, rows, |_, _| ()).unwrap()
}

fn asked_so(sql: &str, rows: &str, change: impl Fn(&mut Request, &mut Answer)) -> Option<Asked> {
    let mut request = Request {
        normal: vec![sql.to_owned()],
        digest: Beside(Digest::of(&[sql.as_bytes()])),
        ..Request::default()
    };
    let mut answer = Answer {
        tags: vec!["SELECT 1".to_owned()],
        digest: Beside(Digest::of(&[rows.as_bytes()])),
        ..Answer::default()
    };
    change(&mut request, &mut answer);
    Asked::of(&request, &answer)
}

/// A pod's steps, one character each: equal ones ask the same and are answered the same; `!` did something.
fn polling(steps: impl AsRef<str>) -> bool {
    let mut repeats = Repeats::default();
    for (at, step) in (1..).zip(steps.as_ref().chars()) {
        let step = step.to_string();
        repeats.push((step != "!").then(|| asked(&step, "")), at);
    }
    repeats.is_polling()
}

macro_rules! rounds {
    ($($name:ident: $steps:expr => $polling:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(polling($steps), $polling);
        })*
    };
}

rounds! {
    nothing_is_no_polling: "" => false;
    five_rounds_of_one_step_are_no_polling: "a".repeat(5) => false;
    six_rounds_of_one_step_are_polling: "a".repeat(6) => true;
    five_rounds_of_two_steps_are_no_polling: "ab".repeat(5) => false;
    six_rounds_of_two_steps_are_polling: "ab".repeat(6) => true;
    six_rounds_of_two_steps_less_one_are_no_polling: &"ab".repeat(6)[1..] => false;
    six_rounds_of_eight_steps_are_polling: "abcdefgh".repeat(6) => true;
    six_rounds_of_nine_steps_are_too_long_to_be_one: "abcdefghi".repeat(6) => false;
    what_came_before_the_rounds_does_not_matter: format!("xyz{}", "a".repeat(6)) => true;
    a_step_that_did_something_begins_the_count_anew: format!("{}!{}", "a".repeat(5), "a".repeat(5)) => false;
    after_a_step_that_did_something_six_rounds_are_polling: format!("a!{}", "a".repeat(6)) => true;
    another_step_at_the_end_ends_the_rounds: format!("{}b", "a".repeat(6)) => false;
}

#[test]
fn a_gap_in_the_count_of_all_steps_begins_the_rounds_anew() {
    let mut repeats = Repeats::default();
    for at in [1, 2, 3, 5, 6, 7] {
        repeats.push(Some(asked("a", "")), at);
    }
    assert!(!repeats.is_polling());
}

#[test]
fn a_step_has_no_effect_if_it_failed_asked_or_wrote_no_row() {
    let cases = [
        (Vec::new(), "SELECT 1", None, true),
        (vec!["t"], "UPDATE 0", None, true),
        (vec!["t"], "UPDATE 1", None, false),
        (vec!["t"], "INSERT 0 1", None, false),
        (vec!["t"], "INSERT 0 0", None, true),
        (vec!["t"], "UPDATE 1", Some("23505"), true),
    ];
    for (writes, tag, error, without) in cases {
        let found = asked_so("x", "", |request, answer| {
            request.writes = writes.iter().map(|one| (*one).to_owned()).collect();
            answer.tags = vec![tag.to_owned()];
            answer.error = error.map(|sqlstate| ServerError {
                sqlstate: sqlstate.to_owned(),
                ..ServerError::default()
            });
        });
        assert_eq!(found.is_some(), without, "{tag} {error:?}");
    }
}
