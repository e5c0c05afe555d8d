//! The `[schedule]` table: turns, stops and faults.
//!
//! Owns which turns and faults are possible: for the pods that there are, in this pacing, at this
//! point.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Wrong;
use super::file::{FaultFile, FreeFile, MoveFile, ScheduleFile, StopFile, TargetFile};
use super::read_expect::sqlstate;
use super::read_subject::duration;
use super::suggest::suggestion;
use crate::history::{ConnectionName, PodName};
use crate::schedule::{
    Fault, FaultKind, FreeSchedule, Move, Point, Schedule, SessionChoice, SqlPattern, Stop, Turn,
};

/// The points of controlled pacing, by name.
pub(super) const POINTS: [&str; 4] = ["before", "in-doubt", "waiting", "after"];

/// How long a pod has after SIGTERM where the file does not say: as in Kubernetes.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn schedule(file: &ScheduleFile, pods: usize) -> Result<Schedule, Wrong> {
    match (&file.turns, &file.free) {
        (Some(_), Some(free)) => {
            let message = "a schedule has either `turns` or `free`, not both";
            Err(Wrong::new(free.span(), message))
        }
        (_, Some(free)) => free_schedule(free.get_ref(), pods),
        (turns, None) => turns
            .iter()
            .flatten()
            .map(|one| a_move(one, pods))
            .collect::<Result<_, _>>()
            .map(Schedule::Controlled),
    }
}

fn free_schedule(file: &FreeFile, pods: usize) -> Result<Schedule, Wrong> {
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
        faults.push(fault(one, pods, Some(Point::At(duration(at)?)))?);
    }
    Ok(Schedule::Free(FreeSchedule {
        stagger,
        seed: file.seed,
        faults,
    }))
}

fn a_move(file: &Spanned<MoveFile>, pods: usize) -> Result<Move, Wrong> {
    let MoveFile {
        run,
        until,
        together: several,
        fault: one,
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
        nth,
        steps,
        blocked,
    } = file.get_ref();
    let given = [
        before.is_some(),
        after.is_some(),
        steps.is_some(),
        blocked.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        let message = "a stop is one of `before`, `after`, `steps` and `blocked`";
        let help = "leave `until` out to run the pod to its end";
        return Err(Wrong::new(file.span(), message).help(help));
    }
    let match_number = |nth: &Option<Spanned<i64>>| match nth {
        Some(nth) => positive(nth, "matches are counted from 1"),
        None => Ok(1),
    };
    if let Some(text) = before {
        let (sql, nth) = (pattern(text)?, match_number(nth)?);
        return Ok(Stop::Before { sql, nth });
    }
    if let Some(text) = after {
        let (sql, nth) = (pattern(text)?, match_number(nth)?);
        return Ok(Stop::After { sql, nth });
    }
    if let Some(nth) = nth {
        return Err(Wrong::new(
            nth.span(),
            "`nth` counts the matches of `before` or `after`",
        ));
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

fn pattern(text: &Spanned<String>) -> Result<SqlPattern, Wrong> {
    SqlPattern::new(text.get_ref()).map_err(|error| Wrong::new(text.span(), error.to_string()))
}

fn pod(name: &Spanned<String>, pods: usize) -> Result<PodName, Wrong> {
    let pod = PodName::new(name.get_ref().as_str());
    if (0..pods).any(|index| PodName::of_index(index) == pod) {
        return Ok(pod);
    }
    let there = match pods {
        1 => "there is one pod, a".to_owned(),
        _ => format!(
            "there are {pods} pods, a to {}",
            PodName::of_index(pods - 1)
        ),
    };
    let message = format!("there is no pod {:?}; {there}", name.get_ref());
    Err(Wrong::new(name.span(), message).help("`[pods] count` says how many there are"))
}

/// Reads a fault; `at` is its point in free pacing.
fn fault(file: &Spanned<FaultFile>, pods: usize, at: Option<Point>) -> Result<Fault, Wrong> {
    let one = file.get_ref();
    let named = [
        ("kill", &one.kill),
        ("terminate", &one.terminate),
        ("error", &one.error),
        ("terminate-backend", &one.terminate_backend),
        ("cancel-backend", &one.cancel_backend),
        ("reset", &one.reset),
    ];
    let given: Vec<_> = named
        .iter()
        .filter_map(|(name, target)| target.as_ref().map(|target| (*name, target)))
        .collect();
    let [(name, target)] = given.as_slice() else {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        let message = format!("a fault is exactly one of: {}", names.join(", "));
        return Err(Wrong::new(file.span(), message));
    };
    let (span, target) = (target.span(), target.get_ref());
    let kind = kind(name, target, span)?;
    let pod = pod(&target.pod, pods)?;
    Ok(Fault {
        session: session(&kind, target, &pod)?,
        point: match (at, &target.point) {
            (Some(at), None) => at,
            (None, Some(text)) => point(&kind, text)?,
            (None, None) => Point::Before,
            (Some(_), Some(text)) => {
                let message = "in free pacing the point of a fault is its time";
                return Err(Wrong::new(text.span(), message));
            }
        },
        kind,
        pod,
    })
}

fn kind(name: &str, target: &TargetFile, span: Range<usize>) -> Result<FaultKind, Wrong> {
    if let Some(grace) = target.grace.as_ref().filter(|_| name != "terminate") {
        return Err(Wrong::new(
            grace.span(),
            format!("{name} has no grace, only terminate has"),
        ));
    }
    if let Some(state) = target.sqlstate.as_ref().filter(|_| name != "error") {
        return Err(Wrong::new(
            state.span(),
            format!("{name} has no SQLSTATE, only error has"),
        ));
    }
    Ok(match name {
        "kill" => FaultKind::Kill,
        "terminate" => FaultKind::Terminate {
            grace: target.grace.as_ref().map_or(Ok(GRACE), duration)?,
        },
        "error" => {
            let Some(state) = &target.sqlstate else {
                let help = "add `sqlstate = \"40001\"`";
                return Err(Wrong::new(span, "which error? There is no `sqlstate`").help(help));
            };
            FaultKind::Error {
                sqlstate: sqlstate(state)?,
            }
        }
        "terminate-backend" => FaultKind::TerminateBackend,
        "cancel-backend" => FaultKind::CancelBackend,
        _ => FaultKind::Reset,
    })
}

fn session(kind: &FaultKind, target: &TargetFile, pod: &PodName) -> Result<SessionChoice, Wrong> {
    let TargetFile {
        connection,
        holding,
        next,
        ..
    } = target;
    let mut spans: Vec<Range<usize>> = Vec::new();
    spans.extend(connection.as_ref().map(Spanned::span));
    spans.extend(holding.as_ref().map(Spanned::span));
    spans.extend(next.as_ref().map(Spanned::span));
    if let Some(span) = spans.first().filter(|_| !kind.is_of_session()) {
        let message = format!(
            "{} is done to the pod, not to one of its sessions",
            kind.name()
        );
        return Err(Wrong::new(span.clone(), message));
    }
    if spans.len() > 1 {
        let message = "a session is named by one of `connection`, `holding` and `next`";
        return Err(Wrong::new(spans[1].clone(), message));
    }
    if let Some(text) = connection {
        let wrong = |message: String| Wrong::new(text.span(), message);
        let name: ConnectionName = text
            .get_ref()
            .parse()
            .map_err(|error| wrong(format!("{error}")))?;
        if name.pod != *pod {
            return Err(wrong(format!("{name} is no connection of pod {pod}")));
        }
        return Ok(SessionChoice::Connection(name));
    }
    if let Some(what) = holding {
        if what.get_ref() != "lock" {
            let message = format!(
                "a session can be holding \"lock\", not {:?}",
                what.get_ref()
            );
            return Err(Wrong::new(what.span(), message));
        }
        return Ok(SessionChoice::HoldingLock);
    }
    match next {
        Some(next) if !next.get_ref() => Err(Wrong::new(
            next.span(),
            "write `next = true`, or leave it out",
        )),
        _ => Ok(SessionChoice::Next),
    }
}

fn point(kind: &FaultKind, text: &Spanned<String>) -> Result<Point, Wrong> {
    let point = match text.get_ref().as_str() {
        "before" => Point::Before,
        "in-doubt" => Point::InDoubt,
        "waiting" => Point::Waiting,
        "after" => Point::After,
        given => {
            let message = format!("there is no point {given:?}");
            return Err(Wrong::new(text.span(), message).help(suggestion(given, &POINTS)));
        }
    };
    let answers = matches!(kind, FaultKind::Error { .. });
    if answers && point == Point::Waiting {
        let message = "an error takes the place of an answer, so it cannot come while a step waits";
        return Err(Wrong::new(text.span(), message)
            .help("its points are `before`, `in-doubt` and `after`"));
    }
    Ok(point)
}
