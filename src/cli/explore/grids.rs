//! What a search ran, as grids: a sweep by fault and step, the orders of two pods by how far each went.
//!
//! Owns which schedules have a place in a grid, and the file in which grids are kept. Draws nothing.

use std::path::Path;

use super::survey::plan::{Plan, way, words};
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::cli::out::write_json;
use crate::history::private;
use crate::invariant::Judgement;
use crate::name::PodName;
use crate::report::{Cell, Grid, fault_without_point, move_words};
use crate::scenario::Scenario;
use crate::schedule::{Move, Schedule, Stop};
use crate::search::strategy::Why;
use crate::search::survey::Survey;

/// The file in a search's directory.
pub(in crate::cli) const GRIDS: &str = "grids.json";
/// More cells are not kept: nobody could look at them.
pub(super) const MOST_CELLS: usize = 20_000;

/// A schedule that was run.
pub(super) struct Tried {
    pub schedule: Schedule,
    pub why: Why,
    pub judgement: Judgement,
}

/// Keeps the grids of a search, where it has any. Where that cannot be, it is told: a picture of what was run is no
/// reason to lose what was found.
pub(super) fn keep(dir: &Path, grids: &[Grid]) {
    if grids.is_empty() {
        return;
    }
    // Where nothing failed there is no directory yet.
    let made = private::make_directory(dir).map_err(|cause| {
        let message = format!("cannot make {}: {cause}", dir.display());
        Failure::new(Exit::Environment, message)
    });
    if let Err(failure) = made.and_then(|()| write_json(&dir.join(GRIDS), &grids)) {
        failure.tell(false);
    }
}

/// The scenario file without a schedule, and the schedule's part of it.
fn texts(scenario: &Scenario, schedule: &Schedule) -> (String, String) {
    let mut whole = scenario.clone();
    whole.schedule = schedule.clone();
    let text = whole.to_toml();
    split(&text)
}

/// A scenario file's text without its schedule, and the schedule alone.
pub(in crate::cli) fn split(text: &str) -> (String, String) {
    let (mut rest, mut schedule) = (String::new(), String::new());
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[schedule");
        }
        let part = if inside { &mut schedule } else { &mut rest };
        part.push_str(line);
        part.push('\n');
    }
    (rest, schedule.trim_end().to_owned() + "\n")
}

/// The grids of a search's schedules.
pub(super) fn of_search(scenario: &Scenario, tried: &[Tried]) -> Vec<Grid> {
    let base = texts(scenario, &scenario.schedule).0;
    let mut orders = Grid {
        title: "Orders of two pods".to_owned(),
        words: "A row is after how many of its steps the first pod makes way, a column how many the second does \
                then before the first goes on: the shape of the window in which the job breaks."
            .to_owned(),
        across: "steps of the second pod".to_owned(),
        scenario: Some(base.clone()),
        ..Grid::default()
    };
    let mut swept = Grid {
        title: "Faults by step".to_owned(),
        words: "A row is a fault and its point, a column the step of pod a at which it comes."
            .to_owned(),
        across: "step of pod a".to_owned(),
        scenario: Some(base),
        ..Grid::default()
    };
    let (mut places, mut faults) = (Vec::new(), Vec::new());
    for one in tried {
        let moves: Vec<String> = one.schedule.moves().iter().map(move_words).collect();
        let cell = Cell {
            judgement: one.judgement,
            came_about: true,
            words: moves.join("; "),
            schedule: Some(texts(scenario, &one.schedule).1),
        };
        match &one.why {
            Why::FaultAt {
                step,
                fault,
                second_first,
            } => {
                let onward = if *second_first { ", then b first" } else { "" };
                let row = format!("{} ({}){onward}", fault_without_point(fault), fault.point);
                faults.push((row, *step, cell));
            }
            _ if matches!(one.schedule, Schedule::Controlled(_)) => {
                if let Some((first, i, j)) = order(one.schedule.moves()) {
                    places.push((first, i, j, cell));
                }
            }
            _ => {}
        }
    }
    // In the order of the steps; to the end comes last.
    places.sort_by(|one, other| (&one.0, one.1, one.2).cmp(&(&other.0, other.1, other.2)));
    let mut columns: Vec<u32> = places.iter().map(|(_, _, j, _)| *j).collect();
    columns.sort_unstable();
    columns.dedup();
    orders.columns = columns.iter().map(|steps| steps_words(*steps)).collect();
    for (first, i, j, cell) in places {
        let row = format!("{first}: {}", steps_words(i));
        orders.put(&row, &steps_words(j), cell);
    }
    faults.sort_by_key(|(_, step, _)| *step);
    for (row, step, cell) in faults {
        swept.put(&row, &step.to_string(), cell);
    }
    let grids = [orders, swept]
        .into_iter()
        .filter(|grid| !grid.rows.is_empty());
    grids.map(Grid::filled).collect()
}

/// A number of steps that means: to the end.
const TO_THE_END: u32 = u32::MAX;

fn steps_words(steps: u32) -> String {
    match steps {
        TO_THE_END => "end".to_owned(),
        steps => steps.to_string(),
    }
}

/// Which pod begins, after how many steps it makes way, and how many the other does then.
fn order(moves: &[Move]) -> Option<(String, u32, u32)> {
    let steps = |one: &Move| match one {
        Move::Turn(turn) => match turn.until {
            Stop::Steps(steps) => Some((turn.pod.to_string(), steps)),
            Stop::End | Stop::Blocked => Some((turn.pod.to_string(), TO_THE_END)),
            Stop::Before { .. } | Stop::After { .. } | Stop::Inside { .. } => None,
        },
        _ => None,
    };
    // Nothing said: one after the other, in the order of their names.
    let Some(begins) = moves.first() else {
        return Some((PodName::of_index(0).to_string(), TO_THE_END, TO_THE_END));
    };
    let (first, i) = steps(begins)?;
    let Some(second) = moves.get(1) else {
        return Some((first, i, TO_THE_END));
    };
    let (other, j) = steps(second)?;
    (other != first).then_some((first, i, j))
}

/// The grids of a survey: one for each way on.
pub(super) fn of_survey(
    name: &str,
    scenario: &Scenario,
    plan: &Plan,
    survey: &Survey,
) -> Vec<Grid> {
    let base = texts(scenario, &scenario.schedule).0;
    let grids = plan.onward.iter().enumerate().map(|(number, onward)| {
        let mut grid = Grid {
            title: format!("{name}: faults by step, {}", way(onward)),
            words: "A row is a fault and its point, a column the step of pod a at which it comes, while b waits."
                .to_owned(),
            across: "step of pod a".to_owned(),
            columns: (1..=plan.kinds.len()).map(|step| step.to_string()).collect(),
            scenario: Some(base.clone()),
            ..Grid::default()
        };
        let runs = survey.runs.iter().zip(&plan.places).zip(&plan.schedules);
        for ((one, place), schedule) in runs.filter(|((_, place), _)| place.onward == number).take(MOST_CELLS) {
            let fault = words(plan.fault(place));
            let found = one.verdict.violated().map(|name| name.to_string());
            let found = found.collect::<Vec<_>>().join(", ");
            let missed = one.missed();
            let cell = Cell {
                judgement: one.judgement,
                came_about: missed.is_none(),
                words: match missed {
                    Some(why) => format!("step {}, {fault} ({}): did not fire: {why}", place.step, place.point),
                    None => format!("step {}, {fault} ({}) {found}", place.step, place.point),
                },
                schedule: Some(texts(scenario, schedule).1),
            };
            grid.put(&format!("{fault} ({})", place.point), &place.step.to_string(), cell);
        }
        grid.filled()
    });
    grids.filter(|grid| !grid.rows.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Turn;

    fn turn(index: usize, until: Stop) -> Move {
        Move::Turn(Turn {
            pod: PodName::of_index(index),
            until,
        })
    }

    #[test]
    fn a_schedule_has_its_place_by_how_far_each_pod_goes() {
        let moves = [
            turn(0, Stop::Steps(3)),
            turn(1, Stop::Steps(2)),
            turn(0, Stop::End),
        ];
        assert_eq!(order(&moves), Some(("a".to_owned(), 3, 2)));
        assert_eq!(order(&moves[..1]), Some(("a".to_owned(), 3, TO_THE_END)));
        assert_eq!(order(&[]), Some(("a".to_owned(), TO_THE_END, TO_THE_END)));
    }

    #[test]
    fn a_scenario_file_is_parted_at_its_schedule_and_is_whole_again_with_it() {
        let text = "title = \"x\"\n\n[subject]\nseeder = \"none\"\n\n[schedule]\nturns = []\n\n[expect]\nverdict = \"holds\"\n";
        let (base, schedule) = split(text);
        assert_eq!(schedule, "[schedule]\nturns = []\n");
        assert!(base.contains("[subject]") && base.contains("[expect]") && !base.contains("turns"));
    }
}
