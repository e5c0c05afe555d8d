//! One fault of the `[schedule]` table.
//!
//! Owns which faults are possible: with which keys, for which target, at which point.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::Wrong;
use super::file::{FaultFile, MODES, OLD, POINTS, TargetFile};
use super::read_values::{duration, pod, sqlstate};
use super::suggest::suggestion;
use crate::name::{ConnectionName, PodName};
use crate::schedule::{
    Fault, FaultKind, FaultTarget, OldPrimary, Point, SessionChoice, ShutdownMode,
};

/// How long a pod has after SIGTERM where the file does not say: as in Kubernetes.
const GRACE: Duration = Duration::from_secs(30);

/// Reads a fault; `at` is its point in free pacing.
pub(super) fn fault(
    file: &Spanned<FaultFile>,
    pods: usize,
    at: Option<Point>,
) -> Result<Fault, Wrong> {
    let one = file.get_ref();
    let given: Vec<_> = named(one)
        .into_iter()
        .filter_map(|(name, target)| target.as_ref().map(|target| (name, target)))
        .collect();
    let [(name, target)] = given.as_slice() else {
        let message = format!("a fault is exactly one of: {}", FaultKind::NAMES.join(", "));
        return Err(Wrong::new(file.span(), message));
    };
    let (span, target) = (target.span(), target.get_ref());
    let kind = kind(name, target, span.clone())?;
    let pod = match &target.pod {
        Some(name) => Some(pod(name, pods)?),
        None if kind.target() == FaultTarget::Server => None,
        None => {
            let message = format!("{name} needs a `pod`");
            return Err(Wrong::new(span, message).help("such as `pod = \"a\"`"));
        }
    };
    Ok(Fault {
        session: session(&kind, target, pod.as_ref())?,
        point: match (at, &target.point) {
            (Some(at), None) => at,
            (None, Some(text)) if pod.is_none() => {
                let message = "a point is one of a pod's next step, and no `pod` is named";
                return Err(Wrong::new(text.span(), message));
            }
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

/// Each fault's name with what the file says of it.
fn named(file: &FaultFile) -> [(&'static str, &Option<Spanned<TargetFile>>); 20] {
    [
        ("kill", &file.kill),
        ("terminate", &file.terminate),
        ("pause", &file.pause),
        ("resume", &file.resume),
        ("error", &file.error),
        ("terminate-backend", &file.terminate_backend),
        ("cancel-backend", &file.cancel_backend),
        ("reset", &file.reset),
        ("drop", &file.drop),
        ("pause-backend", &file.pause_backend),
        ("resume-backend", &file.resume_backend),
        ("blackhole", &file.blackhole),
        ("delay", &file.delay),
        ("throttle", &file.throttle),
        ("heal", &file.heal),
        ("restart", &file.restart),
        ("crash", &file.crash),
        ("pause-server", &file.pause_server),
        ("unpause-server", &file.unpause_server),
        ("promote", &file.promote),
    ]
}

/// A key that only one fault has is wrong at every other.
fn only_its_own_keys(name: &str, target: &TargetFile) -> Result<(), Wrong> {
    let keys = [
        (
            "grace",
            "terminate",
            target.grace.as_ref().map(Spanned::span),
        ),
        ("pid1", "terminate", target.pid1.as_ref().map(Spanned::span)),
        (
            "sqlstate",
            "error",
            target.sqlstate.as_ref().map(Spanned::span),
        ),
        ("by", "delay", target.by.as_ref().map(Spanned::span)),
        (
            "bytes_per_second",
            "throttle",
            target.bytes_per_second.as_ref().map(Spanned::span),
        ),
        ("mode", "restart", target.mode.as_ref().map(Spanned::span)),
        ("old", "promote", target.old.as_ref().map(Spanned::span)),
    ];
    for (key, owner, span) in keys {
        if let Some(span) = span.filter(|_| name != owner) {
            let key = if key == "sqlstate" { "SQLSTATE" } else { key };
            return Err(Wrong::new(
                span,
                format!("{name} has no {key}, only {owner} has"),
            ));
        }
    }
    Ok(())
}

fn kind(name: &str, target: &TargetFile, span: Range<usize>) -> Result<FaultKind, Wrong> {
    only_its_own_keys(name, target)?;
    Ok(match name {
        "kill" => FaultKind::Kill,
        "terminate" => FaultKind::Terminate {
            grace: target.grace.as_ref().map_or(Ok(GRACE), duration)?,
            pid1: target.pid1.as_ref().is_some_and(|pid1| *pid1.get_ref()),
        },
        "pause" => FaultKind::Pause,
        "resume" => FaultKind::Resume,
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
        "reset" => FaultKind::Reset,
        "drop" => FaultKind::Drop,
        "pause-backend" => FaultKind::PauseBackend,
        "resume-backend" => FaultKind::ResumeBackend,
        "blackhole" => FaultKind::Blackhole,
        "delay" => {
            let Some(by) = &target.by else {
                return Err(
                    Wrong::new(span, "by how much? There is no `by`").help("add `by = \"20ms\"`")
                );
            };
            FaultKind::Delay { by: duration(by)? }
        }
        "throttle" => FaultKind::Throttle {
            bytes_per_second: rate(target, span)?,
        },
        "heal" => FaultKind::Heal,
        "restart" => FaultKind::Restart {
            mode: match chosen(target.mode.as_ref(), "mode", &MODES)? {
                Some("immediate") => ShutdownMode::Immediate,
                _ => ShutdownMode::Fast,
            },
        },
        "crash" => FaultKind::Crash,
        "pause-server" => FaultKind::PauseServer,
        "unpause-server" => FaultKind::UnpauseServer,
        _ => FaultKind::Promote {
            old: match chosen(target.old.as_ref(), "old primary", &OLD)? {
                Some("alive") => OldPrimary::Alive,
                _ => OldPrimary::Dead,
            },
        },
    })
}

fn rate(target: &TargetFile, span: Range<usize>) -> Result<u64, Wrong> {
    let Some(rate) = &target.bytes_per_second else {
        return Err(
            Wrong::new(span, "how much passes? There is no `bytes_per_second`")
                .help("add `bytes_per_second = 10000`"),
        );
    };
    u64::try_from(*rate.get_ref())
        .ok()
        .filter(|rate| *rate > 0)
        .ok_or_else(|| {
            let message = format!("{} bytes a second are not possible", rate.get_ref());
            Wrong::new(rate.span(), message).help("where nothing is to pass, use `blackhole`")
        })
}

/// One of these words.
fn chosen<'a>(
    text: Option<&'a Spanned<String>>,
    what: &str,
    words: &[&str],
) -> Result<Option<&'a str>, Wrong> {
    match text {
        Some(text) if !words.contains(&text.get_ref().as_str()) => {
            let message = format!("there is no {what} {:?}", text.get_ref());
            Err(Wrong::new(text.span(), message).help(suggestion(text.get_ref(), words)))
        }
        text => Ok(text.map(|text| text.get_ref().as_str())),
    }
}

fn session(
    kind: &FaultKind,
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
    let class = kind.target();
    if let Some(span) = spans.first() {
        let whole = match class {
            FaultTarget::Pod => Some("the pod"),
            FaultTarget::Server => Some("the server"),
            FaultTarget::Session | FaultTarget::Link => None,
        };
        if let Some(whole) = whole {
            let message = format!(
                "{} is done to {whole}, not to one of its sessions",
                kind.name()
            );
            return Err(Wrong::new(span.clone(), message));
        }
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
    if every.is_some() || (class == FaultTarget::Link && next.is_none()) {
        if matches!(kind, FaultKind::Error { .. }) {
            let span = spans.first().cloned().unwrap_or_default();
            let message = "an error is the answer to one step, so it has one session";
            return Err(Wrong::new(span, message));
        }
        return Ok(SessionChoice::Every);
    }
    Ok(SessionChoice::Next)
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
    let undoes = matches!(
        kind,
        FaultKind::Resume | FaultKind::ResumeBackend | FaultKind::Heal | FaultKind::UnpauseServer
    );
    if undoes && point != Point::Before {
        let message = format!("{} comes between two steps: it has no point", kind.name());
        return Err(Wrong::new(text.span(), message));
    }
    let answers = matches!(kind, FaultKind::Error { .. });
    if answers && point == Point::Waiting {
        let message = "an error takes the place of an answer, so it cannot come while a step waits";
        return Err(Wrong::new(text.span(), message)
            .help("its points are `before`, `in-doubt` and `after`"));
    }
    Ok(point)
}
