//! INSIDE cargo test: a job as a value, explored, or held at statements by hand.
//!
//! Owns the few words that a `#[test]` needs, and that a failure's text is what a person needs: the finding, the
//! play, the command that shows it again. What is done is what the command `lockproof` does: the test program starts
//! itself again, at the same test, as that command, as its helpers, and as the pods of a closure. So no lockproof
//! needs to be installed, each pod is a process that can be killed, and tests can run side by side.

mod again;
mod broken;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use again::Place;
pub use broken::Broken;

pub use crate::history::Release;
use crate::name::PodName;
use crate::scenario::{LockName, Program, Scenario, Subject};
use crate::schedule::{Move, Schedule, SqlPattern, Stop, Turn};

/// A job that must not overlap with itself.
#[derive(Debug, Clone)]
#[must_use = "a job is only looked at by `explore` or `check`"]
pub struct Job {
    place: Place,
    scenario: Scenario,
    schema: Option<String>,
    moves: Vec<Move>,
    of_closure: bool,
}

impl Job {
    /// A program and its arguments, such as `[env!("CARGO_BIN_EXE_refill")]`. It finds its server in DATABASE_URL or
    /// the PG* variables, and is started where the test is.
    ///
    /// # Panics
    /// Outside of a test: then it cannot be started again.
    #[track_caller]
    pub fn command<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        let place = again::place();
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        Self::of(place, words)
    }

    /// An async closure that gets the URL of its database. Each pod is this test program, started again at this test,
    /// where it comes to this closure; what the test does before runs in each of them, too. An error or a panic is a
    /// pod that fails.
    ///
    /// # Panics
    /// Outside of a test: then it cannot be started again.
    #[track_caller]
    pub fn closure<E: fmt::Display>(work: impl AsyncFnOnce(String) -> Result<(), E>) -> Self {
        let place = again::place();
        let number = again::next_closure();
        if place.is_pod(number) {
            again::end(again::work(work));
        }
        let mut job = Self::of(place.clone(), place.words());
        job.scenario.subject.env = place.pod_environment(number);
        job.of_closure = true;
        job
    }

    fn of(place: Place, words: Vec<String>) -> Self {
        let mut scenario = Scenario::new(place.name.clone(), Program::Command(words));
        scenario.subject.dir = std::env::current_dir().ok();
        Self {
            place,
            scenario,
            schema: None,
            moves: Vec::new(),
            of_closure: false,
        }
    }

    /// SQL that makes the job's tables.
    pub fn schema(mut self, sql: impl Into<String>) -> Self {
        self.schema = Some(sql.into());
        self
    }

    /// The key of the advisory lock that must guard what the job writes. Left out, whatever it takes.
    pub fn lock(mut self, key: i64) -> Self {
        self.scenario.subject.lock = Some(LockName::Key(key));
        self
    }

    /// How a lock grant may end; left out, with the process that ends well.
    pub fn release(mut self, release: Release) -> Self {
        self.scenario.subject.release = release;
        self
    }

    /// A further variable of every pod.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.scenario.subject.env.insert(name.into(), value.into());
        self
    }

    /// How many pods there are; left out, two.
    pub fn pods(mut self, count: usize) -> Self {
        self.scenario.pods.count = count;
        self
    }

    /// Whatever else a scenario's `[subject]` can say.
    pub fn subject(mut self, change: impl FnOnce(&mut Subject)) -> Self {
        change(&mut self.scenario.subject);
        self
    }

    /// Next this pod runs, and is held before a statement that begins so.
    ///
    /// # Panics
    /// When this is no pattern, such as `/(/`.
    #[track_caller]
    pub fn hold_before(self, pod: &str, sql: &str) -> Self {
        let sql = pattern(sql);
        self.turn(pod, Stop::Before { sql, nth: 1 })
    }

    /// Next this pod runs until such a statement has been answered.
    ///
    /// # Panics
    /// When this is no pattern, such as `/(/`.
    #[track_caller]
    pub fn run_until_after(self, pod: &str, sql: &str) -> Self {
        let sql = pattern(sql);
        self.turn(pod, Stop::After { sql, nth: 1 })
    }

    /// Next this pod runs until all it can do is wait for a lock; a run in which it never has to is inconclusive.
    pub fn run_until_blocked(self, pod: &str) -> Self {
        self.turn(pod, Stop::Blocked)
    }

    /// Next this pod runs to its end.
    pub fn run(self, pod: &str) -> Self {
        self.turn(pod, Stop::End)
    }

    fn turn(mut self, pod: &str, until: Stop) -> Self {
        self.moves.push(Move::Turn(Turn {
            pod: PodName::new(pod),
            until,
        }));
        self
    }

    /// Looks for an order in which the job fails.
    ///
    /// # Panics
    /// When there is one, or nothing can be said: with the finding, the play, and the command that shows it again.
    #[track_caller]
    pub fn explore(self) {
        if let Err(broken) = self.try_explore() {
            panic!("{broken}");
        }
    }

    /// Like [`Job::explore`].
    ///
    /// # Errors
    /// What that panics with.
    pub fn try_explore(&self) -> Result<(), Broken> {
        self.made("explore", &["--times", "3", "--scenario"])
    }

    /// Runs the job in the order that was given, each pod to its end after it.
    ///
    /// # Panics
    /// When a rule is broken or the order did not come about: with the finding, the play, and the command that shows
    /// it again.
    #[track_caller]
    pub fn check(self) {
        if let Err(broken) = self.try_check() {
            panic!("{broken}");
        }
    }

    /// Like [`Job::check`].
    ///
    /// # Errors
    /// What that panics with.
    pub fn try_check(&self) -> Result<(), Broken> {
        self.made("run", &[])
    }

    /// Does what the command does, in a process of its own.
    fn made(&self, command: &str, options: &[&str]) -> Result<(), Broken> {
        if self.place.is_again() {
            // A pod on its way to a later closure: what came of this is known.
            return again::next_known();
        }
        let done = self.done(command, options);
        again::keep(&done);
        done
    }

    fn done(&self, command: &str, options: &[&str]) -> Result<(), Broken> {
        let failed = |text: String| Broken { code: 4, text };
        let dir = self.place.directory(&again::named(command));
        let file = self
            .written(&dir)
            .map_err(|cause| failed(format!("cannot write to {}: {cause}", dir.display())))?;
        let mut words = vec![command];
        words.extend(options);
        let (file, out) = (file.display().to_string(), dir.display().to_string());
        words.extend([file.as_str(), "--out", &out]);
        let mut child = self.place.command("lockproof", &words);
        child
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = child
            .output()
            .map_err(|cause| failed(format!("this test could not be started again: {cause}")))?;
        match output.status.code() {
            // A test runner that finds no such test ends well, too.
            Some(0) if again::began(&output) => Ok(()),
            Some(0) => Err(failed(self.place.not_found())),
            code => Err(Broken {
                code: code.unwrap_or(4),
                text: again::said(&output),
            }),
        }
    }

    /// Its scenario file, with the schema beside it.
    fn written(&self, dir: &Path) -> std::io::Result<PathBuf> {
        crate::history::private::make_directory(dir)?;
        let mut scenario = self.scenario.clone();
        scenario.schedule = Schedule::Controlled(self.moves.clone());
        if self.of_closure {
            scenario.subject.env.extend([again::known()]);
        }
        if let Some(schema) = &self.schema {
            let file = dir.join("schema.sql");
            std::fs::write(&file, schema)?;
            scenario.subject.schema = Some(file);
        }
        let file = dir.join("job.toml");
        std::fs::write(&file, scenario.to_toml())?;
        Ok(file)
    }
}

#[track_caller]
fn pattern(sql: &str) -> SqlPattern {
    match SqlPattern::new(sql) {
        Ok(pattern) => pattern,
        Err(error) => panic!("{sql:?}: {error}"),
    }
}
