//! A play for somebody who has just been told what is wrong: the lines that lead there, fifteen at most.
//!
//! Owns which lines of a play are left out, and which steps of a run are the ones that a verdict is about.

use std::collections::HashSet;

use super::play::{Played, played};
use super::scene::Scene;
use crate::history::{Event, Line};
use crate::invariant::{Judgement, Verdict};
use crate::name::StepId;

/// The most lines of a story.
const MOST: usize = 15;

/// The play of a history, cut to what leads to the verdict: each line ready to be printed.
#[must_use]
pub fn story(lines: &[Line], verdict: &Verdict) -> Vec<String> {
    let offending = offending(lines, verdict);
    shortened(&played(lines, &offending), MOST)
}

/// The steps that the first findings of what is violated are about.
fn offending(lines: &[Line], verdict: &Verdict) -> HashSet<StepId> {
    let violated = verdict.invariants.iter();
    let violated = violated.filter(|one| one.judgement == Judgement::Violated);
    let seqs: HashSet<u64> = violated
        .filter_map(|one| one.findings.first())
        .flat_map(|finding| finding.seqs.iter().copied())
        .collect();
    let steps = lines.iter().filter(|line| seqs.contains(&line.seq));
    steps
        .filter_map(|line| match &line.event {
            Event::StepHeld { step, .. }
            | Event::StepReleased { step, .. }
            | Event::StepEnded { step, .. } => Some(*step),
            Event::Write(write) => write.step,
            Event::ServerLog(log) => log.step,
            _ => None,
        })
        .collect()
}

/// These lines, at most so many: what is marked and what is near to the offence stays, and each gap says how long
/// it is.
fn shortened(played: &[Played], most: usize) -> Vec<String> {
    let shown = |scene: &Scene| scene.to_string();
    if played.len() <= most {
        return played.iter().map(|one| shown(&one.scene)).collect();
    }
    let offence = played.iter().position(|one| one.offends);
    let centre = offence.or_else(|| played.iter().rposition(|one| one.marked));
    let centre = centre.unwrap_or(played.len() - 1);
    let mut order: Vec<usize> = (0..played.len()).collect();
    order.sort_by_key(|index| {
        let one = &played[*index];
        let rank = match (one.offends, one.marked) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        (rank, index.abs_diff(centre))
    });
    // Each gap takes a line as well.
    let mut kept = most;
    loop {
        let mut chosen: Vec<usize> = order.iter().copied().take(kept).collect();
        chosen.sort_unstable();
        let text = with_gaps(played, &chosen);
        if text.len() <= most || kept <= 1 {
            return text;
        }
        kept -= 1;
    }
}

fn with_gaps(played: &[Played], chosen: &[usize]) -> Vec<String> {
    let mut text = Vec::new();
    let mut next = 0;
    let gap = |text: &mut Vec<String>, lines: usize| match lines {
        0 => {}
        1 => text.push("     … 1 line".to_owned()),
        many => text.push(format!("     … {many} lines")),
    };
    for index in chosen {
        gap(&mut text, index - next);
        text.push(played[*index].scene.to_string());
        next = index + 1;
    }
    gap(&mut text, played.len() - next);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(kinds: &str) -> Vec<Played> {
        let one = |(index, kind): (usize, char)| Played {
            scene: Scene {
                who: "a".to_owned(),
                what: format!("{index}"),
            },
            marked: kind != '.',
            offends: kind == 'X',
        };
        kinds.chars().enumerate().map(one).collect()
    }

    #[test]
    fn a_short_play_is_shown_whole() {
        assert_eq!(shortened(&play("..X.."), 5).len(), 5);
    }

    #[test]
    fn a_long_play_keeps_the_offence_what_is_marked_and_what_is_near() {
        let text = shortened(&play("..........m..................X..............m"), 7);
        assert!(text.len() <= 7, "{text:#?}");
        let joined = text.join("\n");
        for kept in ["  a  10", "  a  29", "  a  44", "  a  28"] {
            assert!(joined.contains(kept), "{kept}: {joined}");
        }
        // Nothing is left out without a word.
        let left_out: usize = text
            .iter()
            .filter_map(|line| line.trim().strip_prefix("… "))
            .map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap())
            .sum();
        let lines = text.iter().filter(|line| !line.contains('…')).count();
        assert_eq!(left_out + lines, 45, "{text:#?}");
    }
}
