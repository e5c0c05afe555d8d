//! Pods: when they started, what they printed, how they ended.
//!
//! Owns a pod's life as the harness saw it. Knows nothing of what it did on the server.

use std::collections::BTreeMap;

use crate::history::{Decided, Event, OutputStream, RunFacts};
use crate::name::PodName;

/// How a pod's first process exited.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// The line that says so.
    pub seq: u64,
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// One pod.
#[derive(Debug, Default)]
pub struct PodFacts<'a> {
    /// The line at which it was started.
    pub started: Option<u64>,
    /// Whether it is the recovery pod.
    pub recovery: bool,
    /// How its first process exited.
    pub exit: Option<Exit>,
    /// The line at which all of its processes had ended.
    pub ended: Option<u64>,
    /// Lines of its standard output that begin with `✓`, trimmed.
    pub check_lines: Vec<&'a str>,
}

impl PodFacts<'_> {
    /// Whether it exited with code 0.
    pub fn succeeded(&self) -> bool {
        self.exit.is_some_and(|exit| exit.code == Some(0))
    }

    /// Whether it lived at this line.
    pub fn lived_at(&self, seq: u64) -> bool {
        self.exit.is_none_or(|exit| seq < exit.seq) && self.ended.is_none_or(|end| seq < end)
    }
}

/// All pods that were to run or did. Where a CronJob's controller decides, those that it created and
/// did not delete before they started.
#[derive(Default)]
pub(super) struct Pods<'a> {
    pods: BTreeMap<&'a PodName, PodFacts<'a>>,
}

impl<'a> Pods<'a> {
    /// Those that were to run.
    pub(super) fn of(run: Option<&'a RunFacts>) -> Self {
        let planned = run.into_iter().flat_map(|run| &run.pods);
        Self {
            pods: planned.map(|pod| (pod, PodFacts::default())).collect(),
        }
    }

    pub(super) fn read(&mut self, event: &'a Event, seq: u64) {
        let pods = &mut self.pods;
        match event {
            Event::PodStarted { pod, recovery, .. } => {
                let facts = pods.entry(pod).or_default();
                facts.started.get_or_insert(seq);
                facts.recovery = *recovery;
            }
            Event::Controller(decision) => match (decision.decided, &decision.pod) {
                (Decided::CreatePod, Some(pod)) => {
                    pods.entry(pod).or_default();
                }
                (Decided::Remove, Some(pod)) => {
                    pods.remove(pod);
                }
                _ => {}
            },
            Event::PodOutput {
                pod,
                stream: OutputStream::Stdout,
                line,
            } => {
                // A line of something that is no pod of the run makes no pod.
                let text = line.trim();
                if text.starts_with('✓')
                    && let Some(facts) = pods.get_mut(pod)
                {
                    facts.check_lines.push(text);
                }
            }
            Event::PodExited { pod, code, signal } => {
                if let Some(facts) = pods.get_mut(pod) {
                    facts.exit.get_or_insert(Exit {
                        seq,
                        code: *code,
                        signal: *signal,
                    });
                }
            }
            Event::PodEnded { pod } => {
                if let Some(facts) = pods.get_mut(pod) {
                    facts.ended.get_or_insert(seq);
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> BTreeMap<&'a PodName, PodFacts<'a>> {
        self.pods
    }
}
