//! What a search that found nothing means.
//!
//! Owns the one sentence, and the rule that it claims no more than was seen.

use super::{Kind, Space};

/// What came of the schedules that were run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many were run.
    pub explored: u64,
    /// How many of them were violated.
    pub violated: u64,
    /// How many of them could not be judged.
    pub inconclusive: u64,
    /// How many of them were draws beside what a strategy predicts.
    pub draws: u64,
}

/// What these runs mean, in a sentence.
///
/// For n independent draws that all held, the share p of such schedules that fail is, with 95 %
/// confidence, below 1 − 0.05^(1/n): were it larger, n clean draws in a row would come in fewer than
/// 5 % of searches. A draw that could not be judged may have failed, so it counts as failed.
/// Draws need not be alike: if the i-th fails with probability pᵢ, the same bound holds for the
/// mean of the pᵢ (of all with that mean, equal ones make n clean draws likeliest).
#[must_use]
pub fn claim(kind: Kind, space: &Space, tally: &Tally) -> String {
    let Tally {
        explored,
        violated,
        inconclusive,
        ..
    } = *tally;
    if explored == 0 {
        return "no schedule was run: nothing is known".to_owned();
    }
    if violated > 0 {
        return match explored {
            1 => "the one schedule that was run failed".to_owned(),
            _ => format!("{violated} of the {explored} schedules that were run failed"),
        };
    }
    let (schedules, of) = (schedules(explored), "could not be judged");
    match kind {
        Kind::Draws if inconclusive > 0 => format!(
            "none of {schedules} was seen to fail, but {inconclusive} {of}; they may have failed, \
             so no probability is claimed"
        ),
        Kind::Draws => format!(
            "{schedules} held: with 95 % confidence such a schedule fails with probability below {}",
            percent(draws_bound(explored))
        ),
        Kind::Enumeration => enumerated(space, tally),
        Kind::Predictions => predicted(space, tally),
    }
}

/// 1 − 0.05^(1/n): the bound of [`claim`].
fn draws_bound(draws: u64) -> f64 {
    // Above 2^53 draws the bound is nothing anyway.
    #[allow(clippy::cast_precision_loss)]
    let draws = draws as f64;
    -(0.05_f64.ln() / draws).exp_m1()
}

/// A share as a percentage that is never rounded down.
fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0).ceil() / 100.0;
    if share < 0.000_1 {
        return format!("{:.1e}", share * 1.000_001);
    }
    format!("{hundredths} %")
}

fn enumerated(space: &Space, tally: &Tally) -> String {
    let Space {
        total,
        pruned,
        diverged,
        sampled,
        ..
    } = *space;
    let done = tally.explored + pruned;
    let left_out = match pruned {
        0 => String::new(),
        _ => format!(" ({} run, {pruned} left out as equivalent)", tally.explored),
    };
    let mut but = Vec::new();
    if diverged > 0 {
        but.push(format!(
            "{diverged} did not follow the run they were derived from, so what comes after them is not known"
        ));
    }
    if tally.inconclusive > 0 {
        but.push(format!("{} could not be judged", tally.inconclusive));
    }
    let but = but.join("; ");
    match total {
        Some(1) if done >= 1 && but.is_empty() => "the only schedule that there is held".to_owned(),
        Some(total) if total <= done && but.is_empty() && sampled => format!(
            "the sampled schedules held: {total} of {total}{left_out}; those in the middle of repetitions \
             were not run"
        ),
        Some(total) if total <= done && but.is_empty() => {
            format!("all schedules held: {total} of {total}{left_out}")
        }
        Some(total) if but.is_empty() => {
            format!("{done} of {total} schedules held{left_out}; the others were not run")
        }
        Some(total) => format!("none of {done} of {total} schedules failed{left_out}, but {but}"),
        None if but.is_empty() => {
            format!("{done} schedules held{left_out}; how many there are is not known yet")
        }
        None => format!(
            "none of {done} schedules failed{left_out}, but {but}; how many there are is not known yet"
        ),
    }
}

fn predicted(space: &Space, tally: &Tally) -> String {
    let Tally {
        explored,
        inconclusive,
        draws,
        ..
    } = *tally;
    let predictions = explored.saturating_sub(draws);
    let tried = match space.total {
        Some(total) if total > predictions => {
            format!("{predictions} of {total} predictions were tried")
        }
        _ if predictions == 1 => "1 prediction was tried".to_owned(),
        _ => format!("{predictions} predictions were tried"),
    };
    let drawn = match (draws, space.draws) {
        (0, 0) => String::new(),
        (draws, all) => {
            let times = match draws {
                1 => "once".to_owned(),
                _ => format!("{draws} times"),
            };
            let of = match all > draws {
                true => format!(" (of {all})"),
                false => String::new(),
            };
            format!("steps that may race inside were let go at the same moment {times}{of}")
        }
    };
    match (inconclusive, drawn.is_empty()) {
        (0, true) => format!("{tried}, and none came true"),
        (0, false) => format!("{tried}, and none came true; {drawn}, and nothing failed"),
        (_, true) => format!(
            "{tried}, and none was seen to come true, but {inconclusive} could not be judged"
        ),
        (_, false) => format!(
            "{tried}, and none was seen to come true; {drawn}, and nothing was seen to fail; but {inconclusive} of all \
             these could not be judged"
        ),
    }
}

fn schedules(count: u64) -> String {
    match count {
        1 => "1 schedule".to_owned(),
        _ => format!("{count} schedules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(explored: u64, violated: u64, inconclusive: u64) -> Tally {
        Tally {
            explored,
            violated,
            inconclusive,
            draws: 0,
        }
    }

    #[test]
    fn clean_draws_are_a_probability_and_no_more() {
        let space = Space::default();
        let of = |tally| claim(Kind::Draws, &space, &tally);
        // 1 − 0.05^(1/100) = 0.029513…, never rounded down.
        assert!(
            of(tally(100, 0, 0)).ends_with("below 2.96 %"),
            "{}",
            of(tally(100, 0, 0))
        );
        assert!(of(tally(1, 0, 0)).ends_with("below 95 %"));
        assert!(of(tally(1_000_000, 0, 0)).ends_with("below 3.0e-6"));
        assert!(!of(tally(100, 0, 1)).contains("below"));
        assert!(of(tally(100, 0, 1)).contains("1 could not be judged"));
        assert_eq!(
            of(tally(100, 3, 1)),
            "3 of the 100 schedules that were run failed"
        );
        assert_eq!(of(tally(1, 1, 0)), "the one schedule that was run failed");
        assert!(of(tally(0, 0, 0)).contains("nothing is known"));
    }

    #[test]
    fn predictions_are_told_as_such_and_never_as_all() {
        let of = |total, tally| {
            let space = Space {
                total,
                ..Space::default()
            };
            claim(Kind::Predictions, &space, &tally)
        };
        let all = of(Some(7), tally(7, 0, 0));
        assert_eq!(all, "7 predictions were tried, and none came true");
        let part = of(Some(7), tally(3, 0, 0));
        assert!(part.starts_with("3 of 7 predictions were tried"), "{part}");
        let unclear = of(Some(7), tally(7, 0, 2));
        assert!(unclear.contains("2 could not be judged"), "{unclear}");
        assert!(of(Some(7), tally(7, 1, 0)).contains("failed"));
        for said in [all, part, unclear] {
            assert!(!said.contains("all "), "{said}");
        }
    }

    #[test]
    fn draws_beside_predictions_are_counted_for_themselves() {
        let of = |explored, inconclusive, draws| {
            let space = Space {
                total: Some(3),
                draws: 20,
                ..Space::default()
            };
            let tally = Tally {
                draws,
                ..tally(explored, 0, inconclusive)
            };
            claim(Kind::Predictions, &space, &tally)
        };
        assert_eq!(
            of(23, 0, 20),
            "3 predictions were tried, and none came true; steps that may race inside were let go at the same \
             moment 20 times, and nothing failed"
        );
        assert!(of(4, 0, 1).contains("once (of 20)"), "{}", of(4, 0, 1));
        assert!(of(23, 2, 20).ends_with("but 2 of all these could not be judged"));
    }

    #[test]
    fn an_enumeration_says_all_only_if_nothing_was_missed() {
        let of = |total, pruned, diverged, tally| {
            let space = Space {
                total,
                pruned,
                diverged,
                ..Space::default()
            };
            claim(Kind::Enumeration, &space, &tally)
        };
        let all = of(Some(10), 4, 0, tally(6, 0, 0));
        assert_eq!(
            all,
            "all schedules held: 10 of 10 (6 run, 4 left out as equivalent)"
        );
        for missed in [
            of(Some(10), 4, 1, tally(6, 0, 0)),
            of(Some(10), 4, 0, tally(6, 0, 1)),
            of(Some(10), 4, 0, tally(5, 0, 0)),
            of(None, 4, 0, tally(6, 0, 0)),
            of(Some(10), 4, 0, tally(6, 1, 0)),
        ] {
            assert!(!missed.contains("all "), "{missed}");
        }
    }
    #[test]
    fn a_sampled_enumeration_never_says_all() {
        let space = Space {
            total: Some(10),
            sampled: true,
            ..Space::default()
        };
        let said = claim(Kind::Enumeration, &space, &tally(10, 0, 0));
        assert!(
            said.starts_with("the sampled schedules held: 10 of 10"),
            "{said}"
        );
        assert!(
            said.contains("were not run") && !said.contains("all "),
            "{said}"
        );
    }
}
