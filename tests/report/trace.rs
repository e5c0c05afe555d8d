//! `export --as perfetto`, read back by the rules of Chrome's trace event format ("Trace Event Format", the document
//! that Perfetto's JSON importer follows): every track has a name, slices of a thread nest, each flow begins once and
//! ends once, inside a slice.

use std::collections::{BTreeMap, BTreeSet};

use lockproof_core::history::{Ending, Event, read};
use serde_json::Value;

use crate::{SCENARIOS, lockproof, runs};

type Track = (u64, u64);

fn exported(scenario: &str) -> Vec<Value> {
    let done = lockproof(&[
        "export",
        runs()[scenario].to_str().unwrap(),
        "--as",
        "perfetto",
    ]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    document["traceEvents"].as_array().unwrap().clone()
}

fn track(event: &Value) -> Track {
    (
        event["pid"].as_u64().unwrap(),
        event["tid"].as_u64().unwrap(),
    )
}

fn of<'e>(events: &'e [Value], phase: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

fn span(slice: &Value) -> (u64, u64) {
    let from = slice["ts"].as_u64().unwrap();
    (from, from + slice["dur"].as_u64().unwrap())
}

fn every_event_is_of_a_kind_that_the_format_has_and_every_track_has_a_name() {
    for scenario in SCENARIOS {
        let events = exported(scenario);
        let known = ["M", "X", "s", "f", "i"];
        assert!(
            events
                .iter()
                .all(|event| known.contains(&event["ph"].as_str().unwrap()))
        );
        let named = |kind: &str| -> BTreeSet<Track> {
            let names = of(&events, "M")
                .into_iter()
                .filter(|event| event["name"] == kind);
            names.map(track).collect()
        };
        let processes: BTreeSet<u64> = named("process_name")
            .into_iter()
            .map(|(pid, _)| pid)
            .collect();
        let threads = named("thread_name");
        for event in of(&events, "X") {
            assert!(
                processes.contains(&event["pid"].as_u64().unwrap()),
                "{event}"
            );
            assert!(threads.contains(&track(event)), "{event}");
        }
    }
}

fn slices_of_a_thread_nest() {
    for scenario in SCENARIOS {
        let events = exported(scenario);
        let mut threads: BTreeMap<Track, Vec<(u64, u64)>> = BTreeMap::new();
        for slice in of(&events, "X") {
            threads.entry(track(slice)).or_default().push(span(slice));
        }
        for (thread, mut spans) in threads {
            // The longer of two that begin at once is the outer one.
            spans.sort_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
            let mut open: Vec<u64> = Vec::new();
            for (from, to) in spans {
                while open.last().is_some_and(|end| *end <= from) {
                    open.pop();
                }
                assert!(
                    open.last().is_none_or(|end| to <= *end),
                    "{scenario}: {thread:?} {from} to {to} in {open:?}"
                );
                open.push(to);
            }
        }
    }
}

fn each_flow_begins_once_and_ends_once_inside_a_slice() {
    let mut flows = 0;
    for scenario in SCENARIOS {
        let events = exported(scenario);
        let slices = of(&events, "X");
        let inside = |event: &Value| {
            let at = event["ts"].as_u64().unwrap();
            let mut own = slices.iter().filter(|slice| track(slice) == track(event));
            own.any(|slice| span(slice).0 <= at && at <= span(slice).1)
        };
        let ids = |phase: &str| -> Vec<u64> {
            let mut ids: Vec<u64> = of(&events, phase)
                .iter()
                .map(|event| event["id"].as_u64().unwrap())
                .collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids("s"), ids("f"), "{scenario}");
        let once: BTreeSet<u64> = ids("s").into_iter().collect();
        assert_eq!(once.len(), ids("s").len(), "{scenario}");
        flows += once.len();
        for event in of(&events, "s").into_iter().chain(of(&events, "f")) {
            assert!(inside(event), "{scenario}: {event}");
        }
    }
    assert!(flows >= 2, "somebody waits in these scenarios");
}

fn steps_locks_and_waits_are_those_of_the_history() {
    for scenario in SCENARIOS {
        let events = exported(scenario);
        let lines = read(&runs()[scenario].join("history.jsonl")).unwrap();
        let count =
            |is: &dyn Fn(&Event) -> bool| lines.iter().filter(|line| is(&line.event)).count();
        let slices = |kind: &str| {
            of(&events, "X")
                .into_iter()
                .filter(|slice| slice["cat"] == kind)
                .count()
        };
        assert_eq!(
            slices("step"),
            count(&|event| matches!(event, Event::StepReleased { .. })),
            "{scenario}"
        );
        let blocked = |event: &Event| {
            matches!(
                event,
                Event::StepEnded {
                    ending: Ending::Blocked,
                    ..
                }
            )
        };
        assert_eq!(slices("wait"), count(&blocked), "{scenario}");
        let fired = of(&events, "i")
            .into_iter()
            .filter(|event| event["cat"] == "fault")
            .count();
        assert!(
            fired <= count(&|event| matches!(event, Event::Fault(fault) if fault.fired)),
            "{scenario}"
        );
    }
    let held = exported("scenarios/lock/two-overlap.toml");
    assert_eq!(
        of(&held, "X")
            .into_iter()
            .filter(|slice| slice["cat"] == "lock")
            .count(),
        2
    );
}

crate::harness::tests![
    every_event_is_of_a_kind_that_the_format_has_and_every_track_has_a_name,
    slices_of_a_thread_nest,
    each_flow_begins_once_and_ends_once_inside_a_slice,
    steps_locks_and_waits_are_those_of_the_history,
];
