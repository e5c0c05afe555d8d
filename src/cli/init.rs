//! `lockproof init`: runs a job once, says what it saw, and writes the scenario that `explore` and `run` take
//! when they are given nothing.
//!
//! Owns what is found out of the job's own runs. The words of the file are in `page`.

mod page;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::alone::Alone;
use super::common::{Failure, OutputArguments, ServerArguments, Talk, millis, with_server_for};
use super::exit::Exit;
use super::finding::movable;
use super::keys::KeyArguments;
use super::progress::watched;
use super::subject::{OWN_FILE, foreign, job};
use super::template::TemplateArguments;
use crate::history::ServerFacts;
use crate::name::LockKey;
use crate::report::{count, visible, wrap};
use crate::run::trace_of;
use crate::scenario::{
    self, DemandedGuard, Expect, LockName, Scenario, write_duration, write_lock,
};
use crate::schedule::Schedule;
use crate::search::{Stage, Trial, first_order};
use page::{Seen, in_seconds, page, rounded};

/// Options of `init`.
#[derive(Debug, Clone, clap::Args)]
pub struct InitArguments {
    /// The file that is written
    #[arg(long, value_name = "FILE", default_value = OWN_FILE)]
    pub file: PathBuf,

    /// Write it anew where it is there already
    #[arg(long)]
    pub force: bool,

    /// What the scenario shows, in one line
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// Keys of the scenario
    #[command(flatten)]
    pub keys: KeyArguments,

    /// A running database instead of a schema: it is kept beside the file, with the ending .sql
    #[command(flatten)]
    pub template: TemplateArguments,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,

    /// The job: a command that uses DATABASE_URL or the PG* variables
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// What `init --format json` prints.
#[derive(Debug, Serialize)]
struct InitJson {
    /// The file that was written.
    file: PathBuf,
    /// The job's command.
    subject: String,
    /// How many steps the clean run has.
    steps: u32,
    /// The tables that it writes.
    written: Vec<String>,
    /// The locks that it takes.
    locks: Vec<String>,
    /// How long it took, in milliseconds.
    clean_ms: u64,
    /// What differs between serial runs.
    unstable_steps: Vec<String>,
    /// The server.
    server: ServerFacts,
}

/// Runs the job and writes the file; the exit code.
///
/// # Errors
/// When the file is there, the job does not succeed, or no server can be had.
pub async fn run(arguments: &InitArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    let file = &arguments.file;
    let dump = file.with_extension("sql");
    let written = [
        Some(file),
        Some(&dump).filter(|_| arguments.template.from.is_some()),
    ];
    for file in written.into_iter().flatten() {
        if file.exists() && !arguments.force {
            let message = format!(
                "{} is there already, and is left as it is. --force writes it anew; --file NAME.toml writes another",
                file.display()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    let folder = folder(file)?;
    let mut keys = arguments.keys.clone();
    let mut dumped = None;
    if let Some(schema) = arguments.template.dump(&dump, talk).await? {
        keys.set_schema(&schema)?;
        dumped = Some(Unkept(dump));
    }
    let mut scenario = keys.over(&foreign(arguments.command.clone()))?;
    scenario.title = match &arguments.title {
        Some(title) if title.trim().is_empty() => {
            return Err(Failure::new(Exit::Usage, "--title: the title is empty"));
        }
        Some(title) => title.clone(),
        None => format!("{} does not overlap with itself", scenario.subject.program),
    };
    arguments.server.refuse(file, &scenario)?;
    let alone = Alone::of([&scenario]);
    let (seen, server) = with_server_for(&arguments.server, alone, talk, async |server| {
        let facts = server.facts().clone();
        let job = job(&scenario.subject)?;
        let stage = Stage::build(&server, &job).await?;
        for note in stage.notes() {
            talk.say(&wrap("note", note));
        }
        let trial = Trial::prepare(&stage, &scenario, &job, None);
        let trial = watched(talk, "clean and serial runs", trial).await;
        let seen = trial.as_ref().ok().map(seen).transpose();
        let failed = trial.err();
        stage.strike().await?;
        match (seen?, failed) {
            (Some(seen), _) => Ok((seen, facts)),
            (None, Some(error)) => {
                let failure = Failure::from(error);
                Err(failure.keeping_output(&arguments.output.out.join("init")))
            }
            (None, None) => Err(Failure::new(
                Exit::Environment,
                "the clean run was not made",
            )),
        }
    })
    .await?;
    if seen.written.is_empty() {
        return Err(Failure::new(
            Exit::Inconclusive,
            "the clean run wrote no table: there is nothing that a lock could guard. Does the job find work to do \
             in a fresh database? (--schema, --prepare) Nothing was written",
        ));
    }
    suggest(&mut scenario, &seen);
    let mut written = movable(&scenario, &folder);
    // In the file's own folder it is started by itself.
    written
        .subject
        .dir
        .take_if(|dir| dir.as_path() == Path::new("."));
    let text = page(&written, &seen);
    // What is written is read before it is written: nobody is left with a file that is refused.
    scenario::parse(&text, file).map_err(|error| Failure::scenarios(vec![error]))?;
    std::fs::write(file, &text).map_err(|cause| {
        Failure::new(
            Exit::Environment,
            format!("cannot write {}: {cause}", file.display()),
        )
    })?;
    if let Some(dumped) = dumped {
        dumped.keep();
    }
    tell(talk, file, &scenario, &seen);
    talk.document(&InitJson {
        file: file.clone(),
        subject: scenario.subject.program.to_string(),
        steps: seen.steps,
        written: seen.written.clone(),
        locks: seen.locks.iter().map(LockKey::in_full).collect(),
        clean_ms: millis(seen.took),
        unstable_steps: seen.unstable.clone(),
        server,
    });
    Ok(Exit::AsExpected)
}

/// A dump beside the scenario that is still to be written: it goes with a failure, so that the next try finds nothing.
struct Unkept(PathBuf);

impl Unkept {
    fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// The folder in which the file is to lie.
fn folder(file: &Path) -> Result<PathBuf, Failure> {
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    folder.canonicalize().map_err(|cause| {
        let message = format!("--file {}: {cause}", file.display());
        Failure::new(Exit::Usage, message)
    })
}

/// What the clean and serial runs showed.
fn seen(trial: &Trial<'_>) -> Result<Seen, Failure> {
    let measured = trial.measured();
    let baseline = &measured.baseline;
    let tries = |text: &str| text.contains("pg_try_advisory") || text.contains("nowait");
    let clean = measured.clean.lines()?;
    let likely = measured.likely_row.as_ref();
    Ok(Seen {
        steps: baseline.steps,
        written: baseline.written.clone(),
        locks: measured.locks.clone(),
        lock: trial.suggested_lock(None),
        likely: likely.and_then(|row| trial.suggested_lock(Some(row))),
        lock_rows: measured.lock_rows.clone(),
        took: measured.clean_time(),
        limit: trial.time_limit(),
        unstable: baseline.unstable_steps.clone(),
        order: first_order(&clean, trial.pods()),
        tries: trace_of(&clean).iter().any(|entry| tries(&entry.normal)),
    })
}

/// Puts into the scenario what was seen and what was not given.
fn suggest(scenario: &mut Scenario, seen: &Seen) {
    if scenario.schedule == Schedule::Controlled(Vec::new()) {
        scenario.schedule = seen.order.clone();
    }
    if scenario.subject.lock.is_none() {
        scenario.subject.lock.clone_from(&seen.lock);
    }
    let ordered = scenario.schedule != Schedule::Controlled(Vec::new());
    // Serializable transactions hold nothing, and of a queue or of claims each pod may take another row.
    let met = |lock: &LockName| {
        let mut each = lock.each();
        each.any(|one| {
            !matches!(one, LockName::Serializable) && one.row().is_none_or(|row| !row.is_many())
        })
    };
    let meets = scenario.subject.lock.as_ref().is_some_and(met);
    if meets && ordered && scenario.expect == Expect::default() {
        // Otherwise an order in which nobody asks for the lock would count as proof of it.
        scenario.expect.guards = vec![DemandedGuard::Contention];
    }
}

fn tell(talk: Talk, file: &Path, scenario: &Scenario, seen: &Seen) {
    let locks: Vec<String> = seen.locks.iter().map(LockKey::in_full).collect();
    let locks = match (locks.as_slice(), &seen.lock, seen.lock_rows.as_slice()) {
        ([one], Some(LockName::Key(_) | LockName::Keys(_) | LockName::Relation { .. }), _) => {
            one.clone()
        }
        (_, Some(lock), _) => write_lock(lock),
        ([], None, []) => {
            "no lock was seen: what goes wrong without one is found all the same".to_owned()
        }
        ([], None, rows) => format!(
            "a row of {} that is there only while a pod is at work",
            rows.join(", ")
        ),
        (several, None, _) => format!(
            "{}; whichever the job takes must guard what it writes (`lock` in the file names one)",
            several.join(", ")
        ),
    };
    let likely = seen.likely.as_ref().map(write_lock);
    talk.say(&wrap(
        "clean run",
        &format!(
            "{} in {}",
            count(u64::from(seen.steps), "step"),
            in_seconds(seen.took)
        ),
    ));
    talk.say(&wrap("writes", &seen.written.join(", ")));
    talk.say(&wrap("lock", &locks));
    if let Some(likely) = likely {
        let text = format!("a row looks like a lock; named, it is judged: lock = {likely}");
        talk.say(&wrap("note", &text));
    }
    talk.say(&wrap(
        "pods",
        &format!(
            "{}, each run at most {}",
            scenario.pods.count,
            write_duration(scenario.subject.time_limit.unwrap_or(rounded(seen.limit)))
        ),
    ));
    if !seen.unstable.is_empty() {
        talk.say(&wrap(
            "note",
            &format!(
                "{} not the same in every serial run, so a replay may differ, too; the first: {}",
                match seen.unstable.len() {
                    1 => "1 step is".to_owned(),
                    many => format!("{many} steps are"),
                },
                seen.unstable[0]
            ),
        ));
    }
    talk.result(&wrap("written", &file.display().to_string()));
    let argument = match file == Path::new(OWN_FILE) {
        true => (String::new(), String::new()),
        false => (
            format!(" --scenario {}", file.display()),
            format!(" {}", file.display()),
        ),
    };
    // On lines of their own, to be copied.
    let next = [
        (
            format!("lockproof explore{}", argument.0),
            "looks for an order that fails",
        ),
        (
            format!("lockproof run{}", argument.1),
            "runs the order in the file",
        ),
    ];
    for (index, (command, what)) in next.iter().enumerate() {
        let label = if index == 0 { "next" } else { "" };
        talk.result(&visible(&format!(
            "{}{command}   # {what}",
            wrap(label, "")
        )));
    }
}
