//! One fault of the `[schedule]` table.
//!
//! Owns what is said of one that is not possible. Which keys, sessions and points each fault has is the
//! catalogue's to say.

use std::ops::Range;

use toml::Spanned;

use super::error::Wrong;
use super::fault_file::{ExpireFile, FaultFile, GivenValue, TargetFile, parameters, point_names};
use super::read_values::{duration, pod, sqlstate};
use super::suggest::suggestion;
use crate::name::{ConnectionName, PodName};
use crate::schedule::{
    EVERY_POINT, Fault, FaultEntry, FaultKind, FaultTarget, LeftOut, Parameter, ParameterValue,
    Point, Points, SessionChoice, Sessions, Shape,
};

/// Reads a fault; `at` is its point in free pacing.
pub(super) fn fault(
    file: &Spanned<FaultFile>,
    pods: usize,
    at: Option<Point>,
) -> Result<Fault, Wrong> {
    let one = file.get_ref();
    let [(entry, target)] = one.named.as_slice() else {
        let message = format!("a fault is exactly one of: {}", FaultKind::NAMES.join(", "));
        return Err(Wrong::new(file.span(), message));
    };
    fault_of(entry, target.get_ref(), target.span(), pods, at)
}

/// Reads the move that lets time pass for the lock row.
pub(super) fn expire(file: &Spanned<ExpireFile>, pods: usize) -> Result<Fault, Wrong> {
    let Some(entry) = FaultEntry::of_name("expire") else {
        return Err(Wrong::new(file.span(), "there is no fault `expire`"));
    };
    fault_of(entry, &file.get_ref().0, file.span(), pods, None)
}

fn fault_of(
    entry: &'static FaultEntry,
    target: &TargetFile,
    span: Range<usize>,
    pods: usize,
    at: Option<Point>,
) -> Result<Fault, Wrong> {
    let kind = kind(entry, target, span.clone())?;
    let pod = match &target.pod {
        Some(name) => Some(pod(name, pods)?),
        None if !entry.target.needs_pod() => None,
        None => {
            let message = format!("{} needs a `pod`", entry.name);
            return Err(Wrong::new(span, message).help("such as `pod = \"a\"`"));
        }
    };
    Ok(Fault {
        session: session(entry, target, pod.as_ref())?,
        point: match (at, &target.point) {
            (Some(at), None) => at,
            (None, Some(text)) if pod.is_none() => {
                let message = "a point is one of a pod's next step, and no `pod` is named";
                return Err(Wrong::new(text.span(), message));
            }
            (None, Some(text)) => point(entry, text)?,
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

/// A key that another fault has is wrong at this one.
fn only_its_own_keys(entry: &FaultEntry, target: &TargetFile) -> Result<(), Wrong> {
    for (parameter, given) in &target.parameters {
        let is_it = |one: &Parameter| one.key == parameter.key;
        if entry.parameters.iter().any(is_it) {
            continue;
        }
        let owners = parameters().filter(|(_, one)| is_it(one));
        let owners: Vec<&str> = owners.map(|(owner, _)| owner.name).collect();
        let key = match parameter.shape {
            Shape::Sqlstate => "SQLSTATE",
            _ => parameter.key,
        };
        let has = if owners.len() == 1 { "has" } else { "have" };
        let message = format!(
            "{} has no {key}, only {} {has}",
            entry.name,
            owners.join(" and ")
        );
        return Err(Wrong::new(given.span(), message));
    }
    Ok(())
}

fn kind(
    entry: &'static FaultEntry,
    target: &TargetFile,
    span: Range<usize>,
) -> Result<FaultKind, Wrong> {
    only_its_own_keys(entry, target)?;
    let mut values = Vec::with_capacity(entry.parameters.len());
    for parameter in entry.parameters {
        let given = target
            .parameters
            .iter()
            .find(|(one, _)| one.key == parameter.key);
        let value = match (given, &parameter.left_out) {
            (Some((_, given)), _) => value(parameter, given)?,
            (None, LeftOut::Is(value)) => value.clone(),
            (None, LeftOut::Impossible { question, example }) => {
                let message = format!("{question}? There is no `{}`", parameter.key);
                let help = format!("add `{} = {example}`", parameter.key);
                return Err(Wrong::new(span, message).help(help));
            }
        };
        values.push((parameter.key, value));
    }
    (entry.make)(&values).ok_or_else(|| {
        let message = format!("{} cannot be made of these parameters", entry.name);
        Wrong::new(span, message)
    })
}

/// The value of a parameter, as a file gives it.
fn value(parameter: &Parameter, given: &Spanned<GivenValue>) -> Result<ParameterValue, Wrong> {
    let span = given.span();
    match (parameter.shape, given.get_ref()) {
        (Shape::Duration, GivenValue::Text(text)) => {
            let text = Spanned::new(span, text.clone());
            Ok(ParameterValue::Duration(duration(&text)?))
        }
        (Shape::Flag, GivenValue::Flag(flag)) => Ok(ParameterValue::Flag(*flag)),
        (
            Shape::Positive {
                unit,
                instead_of_zero,
            },
            GivenValue::Number(number),
        ) => u64::try_from(*number)
            .ok()
            .filter(|number| *number > 0)
            .map(ParameterValue::Number)
            .ok_or_else(|| {
                Wrong::new(span, format!("{number} {unit} are not possible")).help(instead_of_zero)
            }),
        (Shape::Word { what, words }, GivenValue::Text(text)) => words
            .iter()
            .find(|word| *word == text)
            .map(|word| ParameterValue::Word(word))
            .ok_or_else(|| {
                let message = format!("there is no {what} {text:?}");
                Wrong::new(span, message).help(suggestion(text, words))
            }),
        (Shape::Sqlstate, GivenValue::Text(text)) => {
            let text = Spanned::new(span, text.clone());
            Ok(ParameterValue::Sqlstate(sqlstate(&text)?))
        }
        // The file's own types do not let this come.
        (shape, _) => Err(Wrong::new(
            span,
            format!("no value of this type: {shape:?}"),
        )),
    }
}

fn session(
    entry: &FaultEntry,
    target: &TargetFile,
    pod: Option<&PodName>,
) -> Result<SessionChoice, Wrong> {
    let TargetFile {
        connection,
        holding,
        next,
        every,
        ..
    } = target;
    let mut spans: Vec<Range<usize>> = Vec::new();
    spans.extend(connection.as_ref().map(Spanned::span));
    spans.extend(holding.as_ref().map(Spanned::span));
    spans.extend(next.as_ref().map(Spanned::span));
    spans.extend(every.as_ref().map(Spanned::span));
    if let (Some(span), Sessions::Whole) = (spans.first(), entry.sessions) {
        let whole = match entry.target {
            FaultTarget::Pod => "the pod",
            FaultTarget::Server => "the server",
            FaultTarget::Lock => "the lock row",
            FaultTarget::Session | FaultTarget::Link => "all connections of the pod",
        };
        let message = format!(
            "{} is done to {whole}, not to one of its sessions",
            entry.name
        );
        return Err(Wrong::new(span.clone(), message));
    }
    if spans.len() > 1 {
        let message = "a session is named by one of `connection`, `holding`, `every` and `next`";
        return Err(Wrong::new(spans[1].clone(), message));
    }
    if let Some(text) = connection {
        let wrong = |message: String| Wrong::new(text.span(), message);
        let name: ConnectionName = text
            .get_ref()
            .parse()
            .map_err(|error| wrong(format!("{error}")))?;
        if let Some(pod) = pod.filter(|pod| name.pod != **pod) {
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
    for (flag, name) in [(next, "next"), (every, "every")] {
        if let Some(flag) = flag.as_ref().filter(|flag| !flag.get_ref()) {
            let message = format!("write `{name} = true`, or leave it out");
            return Err(Wrong::new(flag.span(), message));
        }
    }
    match (every, next, entry.sessions) {
        (Some(every), _, Sessions::One) => {
            let message = "an error is the answer to one step, so it has one session";
            Err(Wrong::new(every.span(), message))
        }
        (Some(_), _, _) => Ok(SessionChoice::Every),
        (None, Some(_), _) => Ok(SessionChoice::Next),
        (None, None, _) => Ok(entry.session_by_default()),
    }
}

fn point(entry: &FaultEntry, text: &Spanned<String>) -> Result<Point, Wrong> {
    let given = text.get_ref();
    let known = EVERY_POINT
        .into_iter()
        .find(|point| point.name() == Some(given));
    let Some(point) = known else {
        let message = format!("there is no point {given:?}");
        return Err(Wrong::new(text.span(), message).help(suggestion(given, &point_names())));
    };
    if entry.points.all().contains(&point) {
        return Ok(point);
    }
    Err(match entry.points {
        Points::OfAnAnswer => {
            let message =
                "an error takes the place of an answer, so it cannot come while a step waits";
            let help = "its points are `before`, `in-doubt` and `after`";
            Wrong::new(text.span(), message).help(help)
        }
        Points::Edges => {
            let message = format!("{} comes before a step or after it", entry.name);
            Wrong::new(text.span(), message).help("its points are `before` and `after`")
        }
        Points::Between | Points::Each(_) => {
            let message = format!("{} comes between two steps: it has no point", entry.name);
            Wrong::new(text.span(), message)
        }
    })
}
