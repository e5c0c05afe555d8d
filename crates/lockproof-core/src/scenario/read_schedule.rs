//! The `[schedule]` table: turns and stops.
//!
//! Owns which turns are possible, for the pods that there are and in this pacing.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Wrong;
use super::file::{FreeFile, MoveFile, ScheduleFile, StopFile};
use super::model::Surroundings;
use super::read_cronjob::move_of_controller;
use super::read_fault::{expire, fault};
use super::read_values::{duration, pod};
use crate::name::PodName;
use crate::schedule::{
    Fault, FaultTarget, FreeSchedule, InnerPoint, Move, Point, Schedule, SqlPattern, Stop, Turn,
};

pub(super) fn schedule(
    file: &ScheduleFile,
    pods: usize,
    server: &Surroundings,
) -> Result<Schedule, Wrong> {
    match (&file.turns, &file.free) {
        (Some(_), Some(free)) => {
            let message = "a schedule has either `turns` or `free`, not both";
            Err(Wrong::new(free.span(), message))
        }
        (_, Some(free)) => free_schedule(free.get_ref(), pods, server),
        (turns, None) => {
            let mut moves = Vec::new();
            for one in turns.iter().flatten() {
                let next = a_move(one, pods)?;
                if let Move::Fault(fault) = &next {
                    there_is_a_standby(one.span(), fault, server)?;
                }
                if !matches!(next, Move::Fault(_)) && stands_still(&moves) {
                    let message = "the server is paused, so no pod can go on";
                    let help = "put `{ fault = { unpause-server = {} } }` before it";
                    return Err(Wrong::new(one.span(), message).help(help));
                }
                if stops_inside(&next) && server.pooler.is_some() {
                    let message =
                        "behind a pooler a pod has no session of its own to stop inside a step";
                    let help = "leave `pooler` out, or stop before the step";
                    return Err(Wrong::new(one.span(), message).help(help));
                }
                moves.push(next);
            }
            inside_or_outage(turns, &moves)?;
            Ok(Schedule::Controlled(moves))
        }
    }
}

fn stops_inside(one: &Move) -> bool {
    matches!(one, Move::Turn(turn) if matches!(turn.until, Stop::Inside { .. }))
}

/// What keeps a step in its middle is a lock of lockproof's on the server: it would go with it.
fn inside_or_outage(turns: &Option<Vec<Spanned<MoveFile>>>, moves: &[Move]) -> Result<(), Wrong> {
    let of_server = |one: &Move| match one {
        Move::Fault(fault) => fault.kind.target() == FaultTarget::Server,
        _ => false,
    };
    let place = moves.iter().position(stops_inside);
    match (place, moves.iter().any(of_server)) {
        (Some(place), true) => {
            let span = turns.iter().flatten().nth(place).map(Spanned::span);
            let message = "a stop inside a step and a fault of the server cannot be in one schedule: what keeps the step \
                           there is a lock on that server";
            Err(Wrong::new(span.unwrap_or_default(), message))
        }
        _ => Ok(()),
    }
}

fn there_is_a_standby(
    span: Range<usize>,
    fault: &Fault,
    server: &Surroundings,
) -> Result<(), Wrong> {
    if fault.kind.needs_standby() && !server.standby {
        return Err(Wrong::new(span, "there is no standby to promote")
            .help("write `standby = true` under `[server]`"));
    }
    Ok(())
}

/// Whether the server is paused after these moves.
fn stands_still(moves: &[Move]) -> bool {
    moves
        .iter()
        .rev()
        .find_map(|one| match one {
            Move::Fault(fault) => fault.kind.entry().stops_server(),
            Move::Turn(_) | Move::Together(_) | Move::Tick | Move::Advance(_) | Move::Manual => {
                None
            }
        })
        .unwrap_or(false)
}

/// In real time nothing comes to an end by itself that a fault has stopped.
fn undone(faults: &[(Range<usize>, Fault)]) -> Result<(), Wrong> {
    for (span, fault) in faults {
        let Some(undo) = fault.kind.undone_by() else {
            continue;
        };
        let undoes = |other: &Fault| {
            other.kind.name() == undo && other.pod == fault.pod && later(fault.point, other.point)
        };
        if !faults.iter().any(|(_, other)| undoes(other)) {
            let name = fault.kind.name();
            let message = format!("in free pacing a {name} needs a later {undo}");
            let help = "where turns are given, it is undone when they are over";
            return Err(Wrong::new(span.clone(), message).help(help));
        }
    }
    Ok(())
}

fn later(one: Point, other: Point) -> bool {
    matches!((one, other), (Point::At(one), Point::At(other)) if other > one)
}

fn free_schedule(file: &FreeFile, pods: usize, server: &Surroundings) -> Result<Schedule, Wrong> {
    let stagger = match &file.stagger {
        None => (Duration::ZERO, Duration::ZERO),
        Some(range) => {
            let [least, most] = range.get_ref();
            let (least, most) = (duration(least)?, duration(most)?);
            if least > most {
                let message = "the shortest stagger is longer than the longest";
                return Err(Wrong::new(range.span(), message));
            }
            (least, most)
        }
    };
    let mut faults = Vec::with_capacity(file.faults.len());
    for one in &file.faults {
        let Some(at) = &one.get_ref().at else {
            let help = "add `at = \"50ms\"`, the time since the run began";
            return Err(Wrong::new(one.span(), "in free pacing a fault needs a time").help(help));
        };
        let read = fault(one, pods, Some(Point::At(duration(at)?)))?;
        there_is_a_standby(one.span(), &read, server)?;
        faults.push((one.span(), read));
    }
    undone(&faults)?;
    Ok(Schedule::Free(FreeSchedule {
        stagger,
        seed: file.seed,
        faults: faults.into_iter().map(|(_, fault)| fault).collect(),
    }))
}

fn a_move(file: &Spanned<MoveFile>, pods: usize) -> Result<Move, Wrong> {
    if let Some(one) = move_of_controller(file.get_ref())? {
        return Ok(one);
    }
    if let Some(time) = &file.get_ref().expire {
        let MoveFile {
            run,
            until,
            together,
            fault,
            ..
        } = file.get_ref();
        if run.is_some() || until.is_some() || together.is_some() || fault.is_some() {
            return Err(Wrong::new(time.span(), "`expire` stands alone in its line"));
        }
        return expire(time, pods).map(Move::Fault);
    }
    let MoveFile {
        run,
        until,
        together: several,
        fault: one,
        ..
    } = file.get_ref();
    if let Some(until) = until.as_ref().filter(|_| run.is_none()) {
        let message = match (one, several) {
            (Some(_), _) => Some("a fault has no `until`"),
            (None, Some(_)) => Some("steps that are released together have no `until`"),
            (None, None) => None,
        };
        if let Some(message) = message {
            return Err(Wrong::new(until.span(), message));
        }
    }
    match (run, several, one) {
        (Some(name), None, None) => Ok(Move::Turn(Turn {
            pod: pod(name, pods)?,
            until: until.as_ref().map_or(Ok(Stop::End), stop)?,
        })),
        (None, Some(names), None) => together(names, pods),
        (None, None, Some(one)) => {
            if let Some(at) = &one.get_ref().at {
                let help = "where turns are given, a fault comes between them, at its `point`";
                let message = "a time belongs to free pacing";
                return Err(Wrong::new(at.span(), message).help(help));
            }
            fault(one, pods, None).map(Move::Fault)
        }
        (Some(_), None, Some(one)) => Err(Wrong::new(
            one.span(),
            "a line runs a pod or holds a fault, not both",
        )),
        (None, None, None) => Err(Wrong::new(
            file.span(),
            "a line needs `run = \"a\"` or `fault = { … }`",
        )),
        (_, Some(names), _) => Err(Wrong::new(
            names.span(),
            "`together` stands alone in its line",
        )),
    }
}

fn together(names: &Spanned<Vec<Spanned<String>>>, pods: usize) -> Result<Move, Wrong> {
    let mut several: Vec<PodName> = Vec::with_capacity(names.get_ref().len());
    for name in names.get_ref() {
        let one = pod(name, pods)?;
        if several.contains(&one) {
            let message = format!("pod {one} is named twice: one step of a pod is next");
            return Err(Wrong::new(name.span(), message));
        }
        several.push(one);
    }
    if several.len() < 2 {
        let message = "`together` needs at least two pods";
        return Err(Wrong::new(names.span(), message).help("such as `together = [\"a\", \"b\"]`"));
    }
    Ok(Move::Together(several))
}

fn stop(file: &Spanned<StopFile>) -> Result<Stop, Wrong> {
    let StopFile {
        before,
        after,
        inside,
        at,
        row,
        nth,
        prepare,
        steps,
        blocked,
    } = file.get_ref();
    let given = [
        before.is_some(),
        after.is_some(),
        inside.is_some(),
        steps.is_some(),
        blocked.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        let message = "a stop is one of `before`, `after`, `inside`, `steps` and `blocked`";
        let help = "leave `until` out to run the pod to its end";
        return Err(Wrong::new(file.span(), message).help(help));
    }
    let match_number = |nth: &Option<Spanned<i64>>| match nth {
        Some(nth) => positive(nth, "matches are counted from 1"),
        None => Ok(1),
    };
    if inside.is_none() {
        let of_inside = [
            (at.as_ref().map(Spanned::span), "at"),
            (row.as_ref().map(Spanned::span), "row"),
        ];
        if let Some((Some(span), key)) = of_inside.into_iter().find(|(span, _)| span.is_some()) {
            let message = format!("`{key}` says where inside a step `inside` stops");
            return Err(Wrong::new(span, message));
        }
    }
    if let (Some(_), Some(prepare)) = (inside, prepare) {
        let message = "a step that only prepares has no inside: it writes nothing";
        return Err(Wrong::new(prepare.span(), message).help("leave `prepare` out"));
    }
    let prepares = match prepare {
        Some(prepare) if !prepare.get_ref() => {
            let message = "without `prepare` no preparation is meant";
            return Err(Wrong::new(prepare.span(), message).help("leave `prepare` out"));
        }
        given => given.is_some(),
    };
    if let Some(text) = before {
        let (sql, nth) = (pattern(text, prepares)?, match_number(nth)?);
        return Ok(Stop::Before { sql, nth });
    }
    if let Some(text) = after {
        let (sql, nth) = (pattern(text, prepares)?, match_number(nth)?);
        return Ok(Stop::After { sql, nth });
    }
    if let Some(text) = inside {
        let (sql, nth) = (pattern(text, false)?, match_number(nth)?);
        let at = inner_point(text.span(), at.as_ref(), row.as_ref())?;
        return Ok(Stop::Inside { sql, nth, at });
    }
    if let Some(nth) = nth {
        return Err(Wrong::new(
            nth.span(),
            "`nth` counts the matches of `before`, `after` or `inside`",
        ));
    }
    if let Some(prepare) = prepare {
        let message = "`prepare` says which steps `before` and `after` mean";
        return Err(Wrong::new(prepare.span(), message));
    }
    if let Some(steps) = steps {
        return positive(steps, "a turn has at least 1 step").map(Stop::Steps);
    }
    match blocked {
        Some(blocked) if !blocked.get_ref() => {
            let message = "a turn cannot end by not being blocked";
            Err(Wrong::new(blocked.span(), message).help("write `blocked = true`"))
        }
        _ => Ok(Stop::Blocked),
    }
}

/// The most rows that a step is let write before it stands: the harness lets it go on row by row.
const MOST_ROWS: u32 = 10_000;

fn inner_point(
    inside: Range<usize>,
    at: Option<&Spanned<String>>,
    row: Option<&Spanned<i64>>,
) -> Result<InnerPoint, Wrong> {
    let Some(table) = at else {
        let message = "`inside` needs the table at which the step stops";
        return Err(
            Wrong::new(inside, message).help("add `at = \"table\"`, one that the step writes to")
        );
    };
    if table.get_ref().trim().is_empty() {
        return Err(Wrong::new(table.span(), "a table has a name"));
    }
    let number = row
        .map(|row| positive(row, "rows are counted from 1"))
        .transpose()?;
    if let (Some(row), Some(number)) = (row, number)
        && number > MOST_ROWS
    {
        let message = format!(
            "a step can be stopped behind its first {MOST_ROWS} rows, not behind row {number}"
        );
        return Err(Wrong::new(row.span(), message));
    }
    Ok(InnerPoint {
        table: table.get_ref().trim().to_owned(),
        row: number,
    })
}

fn positive(number: &Spanned<i64>, otherwise: &str) -> Result<u32, Wrong> {
    u32::try_from(*number.get_ref())
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| {
            Wrong::new(
                number.span(),
                format!("{} is not possible: {otherwise}", number.get_ref()),
            )
        })
}

fn pattern(text: &Spanned<String>, prepares: bool) -> Result<SqlPattern, Wrong> {
    let read = match prepares {
        true => SqlPattern::of_preparation(text.get_ref()),
        false => SqlPattern::new(text.get_ref()),
    };
    read.map_err(|error| Wrong::new(text.span(), error.to_string()))
}
