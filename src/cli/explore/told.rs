//! How the result of a search is told.
//!
//! Owns the words and the JSON document. Knows nothing of how the result came about.

use std::path::Path;

use crate::cli::common::{Talk, millis};
use crate::cli::finding::Kept;
use crate::history::ServerFacts;
use crate::report::{
    ExploreJson, SpaceJson, TimingsJson, count, limit_sentence, strategy_words, timing_lines,
    visible, wrap,
};
use crate::scenario::{Expect, ExpectedVerdict};
use crate::search::strategy::{Kind, SampledOut, Settings, Shard};
use crate::search::{self, Breaks, Exploration, LeftOpen, NotApplicable, Unclear, unexpected_find};
use crate::timeline::sql_start;

/// A search that has come to its end.
pub(super) struct Told {
    pub exploration: Exploration,
    pub kept: Vec<Kept>,
    pub claim: String,
    pub promise: Option<String>,
    pub kind: Kind,
    pub settings: Settings,
    pub pods: usize,
    pub shard: Shard,
    pub server: ServerFacts,
    pub subject: String,
    pub jobs: usize,
    /// Whether it is to be told where the time went.
    pub timings: bool,
    /// What a sample left out, where there was one.
    pub sampled_out: Option<Vec<SampledOut>>,
    /// What the search was to find, where it was said.
    pub expect: Option<Expect>,
    /// Whether there was a lock to judge.
    pub locks: bool,
    /// Whether it was broken off and can be gone on with.
    pub goes_on: bool,
}

/// Tells people.
pub(super) fn tell(result: &Told, talk: Talk, out: &Path) {
    let exploration = &result.exploration;
    let seconds = exploration.took.as_secs_f64();
    talk.result("");
    if exploration.interrupted {
        talk.result("interrupted; this is what was found so far:");
    }
    if result.goes_on {
        let how = format!(
            "the same command with --resume {} does not run again what was run",
            visible(&out.display().to_string())
        );
        talk.result(&wrap("go on", &how));
    }
    if let Some(why) = &exploration.broken_off {
        talk.result(&wrap(
            "broken off",
            &format!("{why}; this is what was found so far"),
        ));
    }
    talk.result(&format!(
        "{} in {seconds:.1} s ({:.1} a second, {} at once): {} failed, {} unclear",
        count(exploration.schedules, "schedule"),
        exploration.run_now() as f64 / seconds.max(1e-9),
        result.jobs,
        exploration.violations,
        exploration.inconclusive + exploration.unconfirmed
    ));
    if let Some(timings) = result.timings() {
        for line in timing_lines(&timings, result.jobs) {
            talk.result(&line);
        }
    }
    for line in unclear_lines(&exploration.unclear) {
        talk.result(&line);
    }
    for line in not_applicable_lines(&exploration.not_applicable) {
        talk.result(&line);
    }
    let after_crash = |found: &search::Found| found.breaks == Breaks::AfterCrash;
    if !exploration.found.is_empty() && exploration.found.iter().all(after_crash) {
        talk.result(&wrap(
            "lock",
            "no rule of the lock was broken: what failed is not safe to repeat after a crash",
        ));
    }
    talk.result(&wrap("means", &result.claim));
    if exploration.missed > 0 {
        talk.result(&wrap(
            "missed",
            &format!(
                "in {} of them a fault did not fire, a stop was not reached or nothing was written; they \
                 held, and say nothing of that point",
                exploration.missed
            ),
        ));
    }
    if let Some(promise) = &result.promise {
        talk.result(&wrap("", promise));
    }
    if exploration.space.pruned > 0 && result.kind == Kind::Enumeration {
        let run = exploration.schedules as f64;
        let all = run + exploration.space.pruned as f64;
        talk.result(&wrap(
            "reduction",
            &format!(
                "{:.1} times: {} run, standing for {}",
                all / run.max(1.0),
                exploration.schedules,
                exploration.schedules + exploration.space.pruned
            ),
        ));
    }
    if !result.locks {
        talk.result(&wrap(
            "not judged",
            "same-session, work-under-lock, mutual-exclusion: there is no advisory lock",
        ));
    }
    if !matches!(result.settings, Settings::Overlap { .. }) {
        talk.result(&wrap("not tested", &inside_words(exploration)));
    }
    if let Some(left_out) = &result.sampled_out {
        talk.result(&sampled_line(left_out));
    }
    for line in left_open_lines(&exploration.left_open) {
        talk.result(&line);
    }
    if let Some(reasons) = result.unexpected() {
        for line in expected_lines(&reasons) {
            talk.result(&line);
        }
    }
    talk.say(&wrap("histories", &out.display().to_string()));
}

/// What a sample left out, in a sentence.
pub(in crate::cli) fn sampled_line(left_out: &[SampledOut]) -> String {
    const MOST: usize = 5;
    if left_out.is_empty() {
        return wrap("sampled", "nothing was left out: no statement is repeated");
    }
    let words = |one: &SampledOut| {
        format!(
            "{} of {} steps {}",
            one.left_out,
            one.steps,
            visible(&sql_start(&one.statement))
        )
    };
    let mut parts: Vec<String> = left_out.iter().take(MOST).map(words).collect();
    if left_out.len() > MOST {
        parts.push(format!(
            "steps of {} more statements",
            left_out.len() - MOST
        ));
    }
    wrap(
        "not tested",
        &format!(
            "--sample: a switch or fault at {} of the clean run, in the middle of repetitions",
            parts.join(", ")
        ),
    )
}

/// What a search was to find, and whether it did.
fn expected_lines(reasons: &[String]) -> Vec<String> {
    if reasons.is_empty() {
        return vec![wrap("expected", "this is what the search was to find")];
    }
    reasons.iter().map(|why| wrap("unexpected", why)).collect()
}

/// Why schedules do not apply to the subject, a line each.
pub(in crate::cli) fn not_applicable_lines(all: &[NotApplicable]) -> Vec<String> {
    let line = |one: &NotApplicable| {
        let text = match one.times {
            1 => format!("1 schedule does not apply: {}", one.why),
            times => format!("{times} schedules do not apply: {}", one.why),
        };
        wrap("n/a", &text)
    };
    all.iter().map(line).collect()
}

/// What the runs left open, a line each.
pub(in crate::cli) fn left_open_lines(open: &LeftOpen) -> Vec<String> {
    let idle = open.idle.map(|idle| {
        let times = match idle.times {
            1 => format!("in schedule {}", idle.first),
            times => format!("in {times} schedules, the first of them number {},", idle.first),
        };
        wrap(
            "reported",
            &format!(
                "{times} a pod that writes in a serial run ended with success, was not refused the lock and \
                 wrote nothing: either there was nothing left for it to do, or its work is lost"
            ),
        )
    });
    let limits = open.not_compared.iter();
    let limits = limits.map(|limit| wrap("not tested", &limit_sentence(limit)));
    idle.into_iter().chain(limits).collect()
}

/// Why schedules could not be judged, a line each.
pub(in crate::cli) fn unclear_lines(unclear: &[Unclear]) -> Vec<String> {
    unclear
        .iter()
        .map(|one| {
            let times = match one.times {
                1 => format!("schedule {}", one.first),
                times => format!("{times} schedules, the first of them number {}", one.first),
            };
            let word = match one.reason.is_refutation() {
                true => "refuted",
                false => "unclear",
            };
            wrap(word, &format!("{times}: {}: {}", one.reason, one.why))
        })
        .collect()
}

impl Told {
    /// Why what was found is not what the search was to find, a sentence each; `None`: nothing was said of that.
    fn unexpected(&self) -> Option<Vec<String>> {
        let expect = self.expect.as_ref()?;
        let exploration = &self.exploration;
        let verdicts = exploration.found.iter().map(|one| &one.outcome.verdict);
        let mut reasons: Vec<String> = verdicts
            .flat_map(|one| unexpected_find(one, expect))
            .collect();
        let unclear = exploration.inconclusive + exploration.unconfirmed;
        match expect.verdict {
            ExpectedVerdict::Violated if exploration.violations == 0 => {
                reasons.push("nothing failed, and a failure was to be found".to_owned());
            }
            ExpectedVerdict::Holds if exploration.violations == 0 && unclear > 0 => {
                reasons.push(format!(
                    "{} could not be judged",
                    count(unclear, "schedule")
                ));
            }
            ExpectedVerdict::Inconclusive if unclear == 0 => {
                reasons.push("every schedule could be judged".to_owned());
            }
            _ => {}
        }
        if exploration.schedules == 0 {
            reasons.push("no schedule was run".to_owned());
        }
        Some(reasons)
    }

    /// What the time of its schedules was spent with, if that is asked and any was run.
    fn timings(&self) -> Option<TimingsJson> {
        let timings = &self.exploration.timings;
        (self.timings && timings.schedules() > 0).then(|| timings.into())
    }

    /// As JSON.
    pub fn document(self) -> ExploreJson {
        let unexpected = self.unexpected();
        let timings = self.timings();
        let Self {
            exploration, kept, ..
        } = self;
        let first = exploration.found.first().map(|found| found.failure.key());
        let first_kept = kept.first();
        let seconds = exploration.took.as_secs_f64();
        let run_now = exploration.run_now();
        ExploreJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            strategy: match &self.sampled_out {
                Some(_) => format!("{}, sampled", strategy_words(self.settings)),
                None => strategy_words(self.settings),
            },
            settings: self.settings,
            subject: self.subject,
            pods: self.pods,
            schedules: exploration.schedules,
            violations: exploration.violations,
            inconclusive: exploration.inconclusive,
            unconfirmed: exploration.unconfirmed,
            missed: exploration.missed,
            not_applicable: exploration.not_applicable,
            first_violation_at: exploration.first_violation_at,
            invariant: first.map(|failure| failure.invariant),
            sqlstate: first.and_then(|failure| failure.sqlstate.clone()),
            table: first.and_then(|failure| failure.table.clone()),
            constraint: first.and_then(|failure| failure.constraint.clone()),
            space: SpaceJson {
                explored: exploration.schedules,
                total: exploration
                    .space
                    .total
                    .map(|total| total + exploration.space.draws),
                pruned: exploration.space.pruned,
                diverged: exploration.space.diverged,
                draws: exploration.space.draws,
                drawn: match exploration.space.draws {
                    0 => 0,
                    _ => exploration.draws,
                },
            },
            schedules_per_second: run_now as f64 / seconds.max(1e-9),
            shrunk: first_kept.and_then(|kept| kept.shrunk),
            replay: first_kept.and_then(|kept| kept.replay),
            schedule_file: first_kept.and_then(|kept| kept.file.clone()),
            found: exploration
                .found
                .iter()
                .zip(&kept)
                .map(|(found, kept)| kept.json(found))
                .collect(),
            left_open: exploration.left_open,
            sampled_out: self.sampled_out,
            unexpected,
            unclear: exploration.unclear,
            tried: self.kind,
            claim: self.claim,
            promise: self.promise,
            shard: (self.shard.index(), self.shard.of()),
            seed: self.settings.seed(),
            interrupted: exploration.interrupted,
            resumed: exploration.resumed,
            broken_off: exploration.broken_off,
            stopped_at_first: exploration.stopped,
            server: self.server,
            elapsed_ms: millis(exploration.took),
            timings,
            jobs: self.jobs,
        }
    }
}

/// What becomes of races inside a step.
fn inside_words(exploration: &Exploration) -> String {
    let inside = "one request cycle at a time; races inside a statement, a function or a multi-statement query";
    let stopped = match exploration.inside {
        0 => None,
        inside => Some(format!(
            "where steps write, {}: before a table and behind a first row; what is read in the middle of a step was not \
             stopped at",
            crate::report::count(inside, "stop")
        )),
    };
    let chance = match exploration.draws {
        0 => None,
        1 => Some("were left to chance, once (--strategy overlap tries more often)".to_owned()),
        draws => Some(format!(
            "were left to chance, {draws} times (--strategy overlap tries more often)"
        )),
    };
    match (stopped, chance) {
        (None, None) => format!("{inside} are what --strategy overlap is for"),
        (None, Some(chance)) => format!("{inside} {chance}"),
        (Some(stopped), None) => {
            format!("{inside} were tried {stopped} (--strategy overlap leaves that to chance)")
        }
        (Some(stopped), Some(chance)) => {
            format!("{inside} were tried {stopped}; those of steps that cannot be stopped {chance}")
        }
    }
}
