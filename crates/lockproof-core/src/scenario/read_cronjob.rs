//! The `[cronjob]` table, and the moves that its clock goes on by.
//!
//! Owns which values Kubernetes would take.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Wrong;
use super::file::{CronJobFile, MoveFile, ScheduleFile};
use super::read_values::duration;
use super::suggest::suggestion;
use crate::cronjob::{CronJob, Policy, Timetable};
use crate::schedule::{Move, Schedule};

/// The longest time that passes by one move: a schedule may be due every minute of it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn cronjob(file: &CronJobFile) -> Result<CronJob, Wrong> {
    let text = &file.schedule;
    let schedule = Timetable::new(text.get_ref()).map_err(|error| {
        Wrong::new(text.span(), error.to_string()).help("such as \"*/10 * * * *\" or \"@hourly\"")
    })?;
    let mut cronjob = CronJob::new(schedule);
    if let Some(name) = &file.policy {
        let given = name.get_ref();
        cronjob.policy = Policy::ALL
            .iter()
            .copied()
            .find(|policy| policy.name() == given)
            .ok_or_else(|| {
                Wrong::new(name.span(), format!("there is no policy {given:?}"))
                    .help(suggestion(given, &Policy::NAMES))
            })?;
    }
    if let Some(grace) = &file.grace {
        cronjob.grace = whole_seconds(grace)?;
    }
    if let Some(deadline) = &file.starting_deadline {
        let time = whole_seconds(deadline)?;
        if time.is_zero() {
            let message = "with a starting deadline of nothing no Job is ever made";
            return Err(Wrong::new(deadline.span(), message).help("leave it out for no deadline"));
        }
        cronjob.starting_deadline = Some(time);
    }
    if let Some(limit) = &file.backoff_limit {
        cronjob.backoff_limit = u32::try_from(*limit.get_ref())
            .ok()
            .filter(|limit| i32::try_from(*limit).is_ok())
            .ok_or_else(|| {
                let message = format!("{} is no number of failures", limit.get_ref());
                Wrong::new(limit.span(), message).help("0: a pod that fails is not tried again")
            })?;
    }
    cronjob.pid1 = file.pid1.unwrap_or(true);
    Ok(cronjob)
}

/// Kubernetes has no fractions of a second there.
fn whole_seconds(text: &Spanned<String>) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    let whole = time.subsec_nanos() == 0 && i64::try_from(time.as_secs()).is_ok();
    if whole {
        Ok(time)
    } else {
        let message = format!("{:?} is not possible: it has whole seconds", text.get_ref());
        Err(Wrong::new(text.span(), message))
    }
}

/// The move for the controller that a line of the schedule is, if it is one.
pub(super) fn move_of_controller(file: &MoveFile) -> Result<Option<Move>, Wrong> {
    let mut found: Vec<(Range<usize>, Move)> = Vec::new();
    for (flag, name, one) in [
        (&file.tick, "tick", Move::Tick),
        (&file.manual, "manual", Move::Manual),
    ] {
        if let Some(flag) = flag {
            if !flag.get_ref() {
                let message = format!("write `{name} = true`, or leave it out");
                return Err(Wrong::new(flag.span(), message));
            }
            found.push((flag.span(), one));
        }
    }
    if let Some(text) = &file.advance {
        let time = duration(text)?;
        if time.is_zero() || time > LONGEST {
            let message = format!(
                "{:?} is not possible: more than nothing, and at most a day",
                text.get_ref()
            );
            let help = "`{ tick = true }` goes on to the schedule's next time, however far it is";
            return Err(Wrong::new(text.span(), message).help(help));
        }
        found.push((text.span(), Move::Advance(time)));
    }
    let others = [
        file.run.is_some(),
        file.until.is_some(),
        file.together.is_some(),
        file.fault.is_some(),
        file.expire.is_some(),
    ];
    match found.pop() {
        Some((span, _)) if !found.is_empty() || others.contains(&true) => {
            let message = "`tick`, `advance` and `manual` stand alone in their line";
            Err(Wrong::new(span, message))
        }
        found => Ok(found.map(|(_, one)| one)),
    }
}

/// Whether the schedule goes with there being a CronJob, or none.
pub(super) fn fits(
    schedule: &Schedule,
    file: &ScheduleFile,
    cronjob: Option<&Spanned<CronJobFile>>,
) -> Result<(), Wrong> {
    let first = file.turns.iter().flatten().find(|line| {
        let line = line.get_ref();
        line.tick.is_some() || line.advance.is_some() || line.manual.is_some()
    });
    match (cronjob, first, &file.free) {
        (None, Some(line), _) => {
            let message = "there is no CronJob whose clock could go on";
            Err(Wrong::new(line.span(), message)
                .help("add a table [cronjob] with `schedule = \"*/10 * * * *\"`"))
        }
        (Some(_), _, Some(free)) => {
            let message = "in free pacing no CronJob is possible: only turns move its clock";
            Err(Wrong::new(free.span(), message).help("write `turns`"))
        }
        (Some(table), None, None) if !schedule.moves().iter().any(Move::is_of_controller) => {
            let message = "no pod would ever be created: no line of the schedule moves the \
                           CronJob's clock";
            Err(Wrong::new(table.span(), message)
                .help("add `{ tick = true }` or `{ manual = true }` to `turns`"))
        }
        _ => Ok(()),
    }
}
