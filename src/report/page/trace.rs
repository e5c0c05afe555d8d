//! A run for Perfetto: Chrome's trace event format as JSON, which ui.perfetto.dev opens.
//!
//! Owns what of a run is what there: a pod is a process, a connection a thread with its steps as slices; a lock is a
//! thread with what was held as slices; who waits for whom is a flow; faults, clock and exits are instants. Slices of
//! one thread must nest: where they would not (pipelined steps, a lock held by two connections), another thread of the
//! same name has the rest.

use serde_json::{Value, json};

use super::at::At;
use super::data::RunData;
use super::document::PageData;
use super::run::StoredRun;
use super::steps::StepData;

/// The first number of threads that are lock lanes, and of those that are what was told.
const HELD: usize = 10_000_000;
const TOLD: usize = 20_000_000;
/// So many threads of one name there may be.
const TRACKS: usize = 100;

/// The trace of a run, as one JSON document.
#[must_use]
pub fn perfetto(run: &StoredRun<'_>) -> String {
    let data = PageData::of(&[*run]);
    let events = data.runs.first().map(events).unwrap_or_default();
    let document = json!({
        "displayTimeUnit": "ms",
        "otherData": { "lockproof": env!("CARGO_PKG_VERSION"), "run": run.name },
        "traceEvents": events,
    });
    document.to_string() + "\n"
}

/// Threads that are given out, so that slices on one nest.
#[derive(Default)]
struct Tracks {
    /// The thread's number, its process, its name, until when it is taken.
    all: Vec<(usize, usize, String, u64)>,
}

impl Tracks {
    /// A thread of this name that is free from then on.
    fn free(&mut self, base: usize, pid: usize, name: &str, from: u64, to: u64) -> usize {
        let own = |tid: usize| (base..base + TRACKS).contains(&tid);
        let free = self
            .all
            .iter_mut()
            .find(|(tid, _, _, until)| own(*tid) && *until <= from);
        if let Some(track) = free {
            track.3 = to;
            return track.0;
        }
        let many = self
            .all
            .iter()
            .filter(|(tid, ..)| own(*tid))
            .count()
            .min(TRACKS - 1);
        let name = match many {
            0 => name.to_owned(),
            more => format!("{name} ({})", more + 1),
        };
        self.all.push((base + many, pid, name, to));
        base + many
    }
}

fn slice(pid: usize, tid: usize, kind: &str, name: &str, from: u64, to: u64, args: Value) -> Value {
    json!({
        "ph": "X", "pid": pid, "tid": tid, "cat": kind, "name": name, "ts": from, "dur": to.saturating_sub(from), "args": args,
    })
}

fn events(run: &RunData) -> Vec<Value> {
    let mut all = Vec::new();
    let mut tracks = Tracks::default();
    for (place, pod) in run.pods.iter().enumerate() {
        let name = format!("pod {}", pod.name);
        all.push(json!({"ph": "M", "name": "process_name", "pid": place + 1, "tid": 0, "args": {"name": name}}));
        all.push(json!({"ph": "M", "name": "process_sort_index", "pid": place + 1, "tid": 0, "args": {"sort_index": place}}));
    }
    // Before the steps, so that a wait finds what it waits for.
    let mut locks: Vec<(usize, usize, Option<usize>, At, u64)> = Vec::new();
    for one in &run.held {
        let (from, to) = (one.from.1, one.to.unwrap_or(run.ends).1.max(one.from.1));
        let lock = &run.locks[one.lock];
        let (pid, name) = (lock.pod + 1, format!("{} (held)", lock.name));
        let tid = tracks.free(HELD + one.lock * TRACKS, pid, &name, from, to);
        let args =
            json!({"from line": one.from.0, "to line": one.to.map(|to| to.0), "end": &one.end});
        all.push(slice(pid, tid, "lock", &one.mode, from, to, args));
        locks.push((pid, tid, one.lane, one.from, to));
    }
    for one in &run.told {
        let (from, to) = (one.from.1, one.to.unwrap_or(run.ends).1.max(one.from.1));
        let lock = &run.locks[one.lock];
        let (pid, name) = (lock.pod + 1, format!("{} (told)", lock.name));
        let tid = tracks.free(TOLD + one.lock * TRACKS, pid, &name, from, to);
        let args =
            json!({"from line": one.from.0, "to line": one.to.map(|to| to.0), "end": one.end});
        all.push(slice(pid, tid, "told", &one.mode, from, to, args));
    }
    let mut flows = 0;
    for step in &run.steps {
        let (pid, tid) = put(step, run, &mut tracks, &mut all);
        let Some(blocked) = step.blocked else {
            continue;
        };
        for lane in &step.by {
            let holds = locks.iter().find(|(_, _, of, from, to)| {
                *of == Some(*lane) && from.1 <= blocked.1 && blocked.1 <= *to
            });
            let Some((to_pid, to_tid, ..)) = holds else {
                continue;
            };
            flows += 1;
            let flow = |ph: &str, pid: usize, tid: usize| json!({"ph": ph, "id": flows, "pid": pid, "tid": tid, "ts": blocked.1, "cat": "wait", "name": "waits for", "bp": "e"});
            all.push(flow("s", pid, tid));
            all.push(flow("f", *to_pid, *to_tid));
        }
    }
    for mark in &run.marks {
        let scope = if mark.pods.is_empty() { "g" } else { "p" };
        let pid = mark.pods.first().map_or(1, |pod| pod + 1);
        all.push(json!({
            "ph": "i", "s": scope, "pid": pid, "tid": 0, "ts": mark.at.1, "cat": mark.kind, "name": mark.label,
            "args": {"proof": mark.why, "line": mark.at.0},
        }));
    }
    for (tid, pid, name, _) in &tracks.all {
        all.push(json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}));
        all.push(json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": tid}}));
    }
    all
}

/// The slices of a step; its process and thread.
fn put(
    step: &StepData,
    run: &RunData,
    tracks: &mut Tracks,
    all: &mut Vec<Value>,
) -> (usize, usize) {
    let lane = &run.lanes[step.lane];
    let end = step.end.unwrap_or(run.ends).1.max(step.held.1);
    let pid = lane.pod + 1;
    let tid = tracks.free(1 + step.lane * TRACKS, pid, &lane.name, step.held.1, end);
    let sent = step.sent.map_or(end, |sent| sent.1);
    if sent > step.held.1 {
        let args = json!({"line": step.held.0});
        all.push(slice(
            pid,
            tid,
            "held",
            "held at the gate",
            step.held.1,
            sent,
            args,
        ));
    }
    if step.sent.is_some() {
        let args = json!({
            "step": step.n, "line": step.sent.map(|sent| sent.0), "sql": run.statements[step.sql], "answer": step.answer,
        });
        all.push(slice(pid, tid, "step", &step.label, sent, end, args));
    }
    if let Some(blocked) = step.blocked {
        let name = format!("waits for {}", step.waits);
        let args = json!({"line": blocked.0});
        all.push(slice(pid, tid, "wait", &name, blocked.1, end, args));
    }
    (pid, tid)
}
