//! A failure that a search has found: it is made small, replayed, and kept as a scenario file.
//!
//! Owns what is shown and written of a failure. Which runs show it again is decided in `search`.

mod names;

use std::path::{Component, Path, PathBuf};

use tokio::sync::watch;

use super::common::{Failure, Talk};
use super::exit::Exit;
use super::progress::Meter;
use crate::invariant::{InvariantVerdict, Judgement, Verdict};
use crate::name::PodName;
use crate::report::{
    FoundJson, ReplayCountJson, ShrunkJson, VerdictJson, answer_sentence, count, move_words, story,
    why_words, wrap,
};
use crate::scenario::{ExpectedVerdict, Scenario};
use crate::schedule::{Move, Schedule, Stop};
use crate::search::{
    self, Breaks, Confirmation, Found, MinimiseOptions, Minimised, Outcome, Rate, Shrunk, Trial,
    minimise, save,
};
use names::{file_name, free_name, title};

/// What is said of a failure that no rule of the lock is broken by.
const AFTER_CRASH: &str = "not safe to repeat after a crash: the fault stopped a pod in the middle of its work, \
    and what it left is more than the next one can begin from. No rule of the lock is broken, and without \
    the fault the same schedule held";

/// How findings are kept.
pub(super) struct Finder<'a> {
    pub trial: &'a Trial<'a>,
    pub scenario: &'a Scenario,
    pub talk: Talk,
    pub cancel: watch::Receiver<bool>,
    /// Whether they are made small.
    pub shrink: bool,
    /// How often they are replayed.
    pub times: u32,
    /// Where scenario files are to be kept, besides the run directory.
    pub save: Option<&'a Path>,
}

/// A failure that was kept.
pub(super) struct Kept {
    /// Its scenario file; `None` where it could not be written.
    pub file: Option<PathBuf>,
    /// What it was shrunk to; `None` where it was left as it was found.
    pub shrunk: Option<ShrunkJson>,
    /// How often it came again.
    pub replay: Option<ReplayCountJson>,
    /// What was found, in a sentence.
    pub what: String,
}

impl Kept {
    /// As JSON.
    pub fn json(&self, found: &Found) -> FoundJson {
        FoundJson {
            at: found.at,
            why: why_words(&found.why, &found.schedule),
            failure: found.failure.key().clone(),
            kind: found.breaks,
            what: self.what.clone(),
            anomaly: found
                .failure
                .anomaly(&found.outcome.verdict)
                .map(|one| one.name),
            rate: found.rate,
            schedule_file: self.file.clone(),
            artifacts: found.dir.clone(),
        }
    }
}

impl Finder<'_> {
    /// Makes a failure small, shows it and writes its scenario file. What keeps it from that (a full disk, a
    /// server that has gone) is told beside the failure, which stands all the same.
    pub fn keep(&self, found: &Found) -> Kept {
        let talk = self.talk;
        let what = found.failure.words(&found.outcome.verdict);
        talk.result(&format!("\n{}", wrap("found", &what)));
        if let Some(anomaly) = found.failure.anomaly(&found.outcome.verdict) {
            talk.result(&wrap("anomaly", &anomaly.to_string()));
        }
        if let Some(Rate { hits, of }) = found.rate {
            let told = format!("in {hits} of {of} runs of its schedule");
            talk.result(&wrap("it came", &told));
        }
        if found.breaks == Breaks::AfterCrash {
            talk.result(&wrap("", AFTER_CRASH));
        }
        if !self.shrink {
            return self.as_found(found, what);
        }
        let shrunk = self.minimised(found);
        let shrunk = match shrunk {
            Ok(shrunk) => shrunk,
            Err(error) => {
                // Room for what can still be kept.
                let _ = std::fs::remove_dir_all(found.dir.join("shrunk"));
                talk.result(&wrap("not shrunk", &error.to_string()));
                return self.as_found(found, what);
            }
        };
        match shrunk {
            Shrunk::Interrupted => self.as_found(found, what),
            Shrunk::Flaky {
                hits,
                of,
                first_difference,
            } => {
                talk.result(&wrap(
                    "not steady",
                    &format!(
                        "it came in {hits} of {of} runs of the same schedule, so it is kept as it was \
                         found, not shrunk"
                    ),
                ));
                if let Some(difference) = first_difference {
                    talk.result(&wrap("", &format!("first difference: {difference}")));
                }
                let mut kept = self.as_found(found, what);
                kept.replay = Some(ReplayCountJson {
                    same: hits,
                    same_trace: 0,
                    of,
                });
                kept
            }
            Shrunk::Small(small) => self.small(found, &small, what),
        }
    }

    /// Makes it small, and shows meanwhile how far that is.
    fn minimised(&self, found: &Found) -> Result<Shrunk, search::TrialError> {
        let meter = Meter::new(self.talk, "shrinking", None);
        let replays = Meter::new(self.talk, "replays", Some(u64::from(self.times))).later();
        let options = MinimiseOptions {
            times: self.times,
            dir: &found.dir.join("shrunk"),
            cancel: self.cancel.clone(),
            replayed: &|number| replays.at(u64::from(number), None, ""),
        };
        minimise(self.trial, found, &options, |progress| {
            let note = format!("{} moves left of {}", progress.moves, progress.from_moves);
            meter.at(u64::from(progress.tried), None, &note);
        })
    }

    fn small(&self, found: &Found, small: &Minimised, what: String) -> Kept {
        let talk = self.talk;
        let mut scenario = self.scenario_of(found, &small.outcome);
        scenario.pods.count = small.pods;
        scenario.schedule = Schedule::Controlled(small.moves.clone());
        let faults = small
            .moves
            .iter()
            .filter(|one| matches!(one, Move::Fault(_)))
            .count();
        let turns = small.moves.len() - faults;
        talk.result(&wrap("shrunk", &shrunk_to(small, turns, faults)));
        for one in &small.moves {
            talk.result(&wrap("", &move_words(one)));
        }
        if !all_end(&small.moves, small.pods) {
            talk.result(&wrap(
                "",
                "then every pod to its end, in the order of names",
            ));
        }
        self.show(found, &small.outcome);
        let replay = small.replays.as_ref().map(|replays| ReplayCountJson {
            same: replays.hits,
            same_trace: replays.same_trace,
            of: replays.of,
        });
        if let Some(replays) = &small.replays {
            talk.result(&wrap(
                "replayed",
                &format!(
                    "the same failure {} of {n}, the same trace {} of {n}",
                    replays.hits,
                    replays.same_trace,
                    n = replays.of
                ),
            ));
            if let Some(difference) = &replays.first_difference {
                talk.result(&wrap("", &format!("first difference: {difference}")));
            }
        }
        let dir = found.dir.join("shrunk");
        Kept {
            file: self.written(&scenario, found, &small.outcome, &dir),
            shrunk: Some(ShrunkJson {
                turns,
                from_turns: small.from_turns,
                faults,
                pods: small.pods,
                runs: small.runs,
            }),
            replay,
            what,
        }
    }

    /// The failure along the turns of the run that showed it.
    fn as_found(&self, found: &Found, what: String) -> Kept {
        let mut scenario = self.scenario_of(found, &found.outcome);
        scenario.schedule = match &found.schedule {
            Schedule::Controlled(moves) => {
                let outcome = &found.outcome;
                let taken = search::shrink::settled(moves, &outcome.lines, &outcome.verdict);
                Schedule::Controlled(taken.unwrap_or_else(|| moves.clone()))
            }
            Schedule::Priorities { .. } | Schedule::Free(_) => Schedule::Controlled(
                search::shrink::recorded(&found.outcome.lines, &found.schedule),
            ),
        };
        self.show(found, &found.outcome);
        Kept {
            file: self.written(&scenario, found, &found.outcome, &found.dir),
            shrunk: None,
            replay: None,
            what,
        }
    }

    /// The run as a play, and what else it shows.
    fn show(&self, found: &Found, outcome: &Outcome) {
        let talk = self.talk;
        talk.say("");
        for line in story(&outcome.lines, &outcome.verdict) {
            talk.say(&format!("  {line}"));
        }
        talk.say("");
        let others = |one: &&InvariantVerdict| {
            one.judgement == Judgement::Violated && one.name != found.failure.key().invariant
        };
        for one in outcome.verdict.invariants.iter().filter(others) {
            let why = one
                .findings
                .first()
                .map_or(&one.why, |finding| &finding.why);
            talk.say(&wrap("violated, too", &format!("{}: {why}", one.name)));
        }
        for report in &outcome.verdict.reports {
            talk.say(&wrap("reported", report));
        }
        match &outcome.confirmation {
            Confirmation::NotPossible(why) => talk.say(&wrap("not confirmed", why)),
            Confirmation::SeenOnce(_) => talk.say(&wrap(
                "seen once",
                "in 1 of 2 runs, the other without the witness; its own lines show it",
            )),
            _ => {}
        }
        for answered in &outcome.verdict.answers {
            talk.say(&wrap("answered", &answer_sentence(answered)));
        }
    }

    /// The subject and its rules, with the verdict of this run as what is expected.
    fn scenario_of(&self, found: &Found, outcome: &Outcome) -> Scenario {
        let mut scenario = self.scenario.clone();
        scenario.title = title(found);
        scenario.pods.count = self.trial.pods();
        let expect = &mut scenario.expect;
        expect.verdict = ExpectedVerdict::Violated;
        let failed = |verdict: &Verdict| verdict.violated().collect::<Vec<_>>();
        let failure = found.failure.key();
        expect.violates = vec![failure.invariant];
        // What else this run shows may depend on what comes after the failure.
        expect.may_violate = failed(&outcome.verdict)
            .into_iter()
            .filter(|name| *name != failure.invariant)
            .collect();
        expect.sqlstate.clone_from(&failure.sqlstate);
        expect.constraint.clone_from(&failure.constraint);
        if expect.sqlstate.is_some() {
            expect.table.clone_from(&failure.table);
        }
        scenario
    }

    /// Writes it, or tells why it could not be written.
    fn written(
        &self,
        scenario: &Scenario,
        found: &Found,
        outcome: &Outcome,
        dir: &Path,
    ) -> Option<PathBuf> {
        let file = self.write(scenario, found, outcome, dir);
        if let Err(failure) = &file {
            self.talk.result(&wrap("not kept", &failure.message));
        }
        file.ok()
    }

    fn write(
        &self,
        scenario: &Scenario,
        found: &Found,
        outcome: &Outcome,
        dir: &Path,
    ) -> Result<PathBuf, Failure> {
        let verdict = VerdictJson::of(&outcome.verdict);
        save(&movable(scenario, dir), &verdict, dir)?;
        let file = match self.save {
            None => dir.join("scenario.toml"),
            Some(dir) => {
                let failed = |error: std::io::Error| {
                    Failure::new(
                        Exit::Environment,
                        format!("cannot write to {}: {error}", dir.display()),
                    )
                };
                std::fs::create_dir_all(dir).map_err(failed)?;
                let file = free_name(dir, &file_name(found));
                std::fs::write(&file, movable(scenario, dir).to_toml()).map_err(failed)?;
                file
            }
        };
        self.talk
            .result(&wrap("kept as", &file.display().to_string()));
        // On one line, to be copied.
        self.talk.result(&format!(
            "{}lockproof run {}",
            wrap("again with", ""),
            file.display()
        ));
        Ok(file)
    }
}

/// The scenario with the paths of its schema and of its job as they are from this directory.
pub(super) fn movable(scenario: &Scenario, dir: &Path) -> Scenario {
    let mut scenario = scenario.clone();
    let Ok(dir) = dir.canonicalize() else {
        return scenario;
    };
    let subject = &mut scenario.subject;
    // Where nothing is said the job is started here, and the file lies elsewhere.
    subject.dir = subject.dir.take().or_else(|| std::env::current_dir().ok());
    for path in [&mut subject.schema, &mut subject.dir]
        .into_iter()
        .flatten()
    {
        if let Ok(there) = path.canonicalize() {
            *path = seen_from(&dir, &there);
        }
    }
    scenario
}

/// The way from a directory to a file, both absolute: up as far as they part, where that is not the
/// root, and down again.
fn seen_from(dir: &Path, file: &Path) -> PathBuf {
    let common = dir
        .components()
        .zip(file.components())
        .take_while(|(one, other)| one == other)
        .count();
    if common <= 1 {
        return file.to_owned();
    }
    let up = dir.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(file.components().skip(common)).collect();
    match way.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => way,
    }
}

/// What a failure was shrunk to, in words.
fn shrunk_to(small: &Minimised, turns: usize, faults: usize) -> String {
    let number = |number: usize, what: &str| count(number as u64, what);
    let faults = match faults {
        0 => String::new(),
        _ => format!(" and {}", number(faults, "fault")),
    };
    let from = match small.from_turns {
        0 => String::new(),
        from => format!("; it had {}", number(from, "move")),
    };
    let interrupted = if small.interrupted {
        " (interrupted before it was as small as can be)"
    } else {
        ""
    };
    format!(
        "to {}{faults} of {}, in {}{from}{interrupted}",
        number(turns, "turn"),
        number(small.pods, "pod"),
        count(small.runs, "run"),
    )
}

/// Whether after these moves there is nothing left to do.
fn all_end(moves: &[Move], pods: usize) -> bool {
    (0..pods).map(PodName::of_index).all(|pod| {
        moves.iter().any(
            |one| matches!(one, Move::Turn(turn) if turn.pod == pod && turn.until == Stop::End),
        )
    })
}

/// Shows a failure that another search has kept.
pub(super) fn tell_found(talk: Talk, found: &FoundJson) {
    talk.result(&wrap("found", &found.what));
    if let Some(anomaly) = found.anomaly {
        talk.result(&wrap("anomaly", anomaly.name()));
    }
    if found.kind == Breaks::AfterCrash {
        talk.result(&wrap("", AFTER_CRASH));
    }
    if let Some(file) = &found.schedule_file {
        talk.result(&wrap("kept as", &file.display().to_string()));
    }
}
