//! What the picture shows, in sentences: for whoever cannot see it, and for whoever quotes it.
//!
//! Owns the sentences on who held what when, what was believed, and what broke it. They name lines of the history,
//! so that they can be compared with it.

use super::at::At;
use super::data::RunData;
use super::locks::PartedKind;
use super::steps::StepData;

/// The sentences of a run.
pub(super) struct Words {
    /// Who held which lock, from when to when, as the server says.
    pub held: Vec<String>,
    /// What each pod was told.
    pub told: Vec<String>,
    /// Where the two part.
    pub parted: Vec<String>,
    /// What was done to the lock row.
    pub changes: Vec<String>,
    /// Who waited for whom.
    pub waits: Vec<String>,
    /// The statement that broke it, where one did.
    pub broke: Vec<String>,
}

/// So many sentences of one sort stand on the page; behind them, how many more there are.
const MOST: usize = 200;

impl Words {
    pub(super) fn of(run: &RunData) -> Self {
        let pod = |lock: usize| &run.pods[run.locks[lock].pod].name;
        let name = |lock: usize| &run.locks[lock].name;
        let on = |lane: Option<usize>| {
            lane.map_or_else(String::new, |lane| format!(" on {}", run.lanes[lane].name))
        };
        let span = |from: At, to: Option<At>| {
            let before = behind(run, from);
            match to {
                Some(to) => format!(
                    "from line {}{before} to line {}{}",
                    from.0,
                    to.0,
                    behind(run, to)
                ),
                None => format!("from line {}{before} to the end of the run", from.0),
            }
        };
        let held = run.held.iter().map(|one| {
            format!(
                "Pod {} held {} in {} mode{} {}: {}.",
                pod(one.lock),
                name(one.lock),
                one.mode,
                on(one.lane),
                span(one.from, one.to),
                one.end
            )
        });
        let told = run.told.iter().map(|one| {
            format!(
                "Pod {} was told that it has {} in {} mode{} {}: {}.",
                pod(one.lock),
                name(one.lock),
                one.mode,
                on(one.lane),
                span(one.from, one.to),
                one.end
            )
        });
        let parted = run.parted.iter().map(|one| match one.kind {
            PartedKind::Told => format!(
                "Pod {} believed that it has {} {}, and {} says it had not.",
                pod(one.lock),
                name(one.lock),
                span(one.from, one.to),
                if run.locks[one.lock].row {
                    "the row"
                } else {
                    "the server"
                }
            ),
            PartedKind::Held => format!(
                "Pod {} had {} {}, and had not been told, or no longer knew.",
                pod(one.lock),
                name(one.lock),
                span(one.from, one.to)
            ),
        });
        let waits = run.steps.iter().filter_map(|step| {
            let blocked = step.blocked?;
            let until = step.end.map_or_else(
                || "to the end of the run".to_owned(),
                |end| format!("to line {}", end.0),
            );
            Some(format!(
                "{} waited for {} from line {} {until}: {}.",
                sentence(run, step),
                step.waits,
                blocked.0,
                step.answer
            ))
        });
        Self {
            held: most(held.collect()),
            told: most(told.collect()),
            parted: most(parted.collect()),
            changes: most_of(
                run.changes.iter().map(|one| one.words.clone()).collect(),
                "the history has all of them, as lines `lock-row`",
            ),
            waits: most(waits.collect()),
            broke: broke(run),
        }
    }
}

fn most(all: Vec<String>) -> Vec<String> {
    most_of(all, "`lockproof export --as edn` has all of them")
}

fn most_of(mut all: Vec<String>, rest: &str) -> Vec<String> {
    if all.len() > MOST {
        let more = all.len() - MOST;
        all.truncate(MOST);
        all.push(format!("And {more} more: {rest}."));
    }
    all
}

/// Behind which step a moment is.
fn behind(run: &RunData, at: At) -> String {
    let after = run
        .steps
        .partition_point(|step| step.sent.or(step.end).unwrap_or(step.held).0 <= at.0);
    let last = run.steps[..after]
        .iter()
        .rev()
        .find(|step| step.n.is_some());
    last.map_or_else(String::new, |step| {
        let pod = &run.pods[run.lanes[step.lane].pod].name;
        format!(" (behind step {} of {pod})", step.n.unwrap_or_default())
    })
}

/// `Step 33 of pod a on a.2, insert into invoice_tip_splits,`.
pub(super) fn sentence(run: &RunData, step: &StepData) -> String {
    let lane = &run.lanes[step.lane];
    let pod = &run.pods[lane.pod].name;
    match step.n {
        Some(number) => format!(
            "Step {number} of pod {pod} on {}, {},",
            lane.name, step.label
        ),
        None => format!("A step of pod {pod} on {}, {},", lane.name, step.label),
    }
}

/// The statement that broke each violated rule: of a finding's steps the one that failed, else the last.
fn broke(run: &RunData) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for finding in run
        .findings
        .iter()
        .filter(|one| one.judgement == "violated")
    {
        let steps = finding.evidence.iter().filter_map(|one| one.step);
        let steps: Vec<&StepData> = steps
            .filter_map(|id| run.steps.iter().find(|step| step.id == id))
            .collect();
        let Some(step) = steps.iter().find(|step| step.failed()).or(steps.last()) else {
            continue;
        };
        let words = format!(
            "{} (line {}) broke {}: {}.",
            sentence(run, step),
            step.end.or(step.sent).unwrap_or(step.held).0,
            finding.invariant,
            step.answer.trim_end_matches('.')
        );
        if !all.contains(&words) {
            all.push(words);
        }
    }
    most(all)
}
