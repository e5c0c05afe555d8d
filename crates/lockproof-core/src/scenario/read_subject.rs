//! The `[subject]` table.
//!
//! Owns which values are possible there.

use crate::history::NamedError;
use crate::name::TableName;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::Wrong;
use super::file::{AnswerFile, PrepareFile, SeederFile, SubjectFile};
use super::model::{
    LockName, Prepare, Program, SEEDER_LOCKS, SEEDER_PROFILES, SeederSettings, Subject,
};
use super::read_lock::lock;
use super::read_values::{duration, sqlstate};
use super::suggest::suggestion;

/// What the harness itself tells every pod.
const OURS: [&str; 7] = [
    "DATABASE_URL",
    "PGHOST",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "LOCKPROOF_POD",
];

pub(super) fn subject(file: Spanned<SubjectFile>, directory: &Path) -> Result<Subject, Wrong> {
    let span = file.span();
    let file = file.into_inner();
    let program = match (file.seeder, file.command) {
        (Some(seeder), None) => Program::Seeder(settings(&seeder.into_inner())?),
        (None, Some(command)) => Program::Command(words(command.get_ref(), || command.span())?),
        (Some(_), Some(command)) => {
            let message = "a subject is either `seeder` or `command`, not both";
            return Err(Wrong::new(command.span(), message));
        }
        (None, None) => {
            let help =
                "write `command = [\"node\", \"seed.mjs\"]`, or `seeder = {}` for the built-in one";
            return Err(Wrong::new(span, "the subject has no command").help(help));
        }
    };
    let mut subject = Subject::new(program);
    subject.schema = file
        .schema
        .map(|path| schema(&path, directory))
        .transpose()?;
    subject.prepare = file.prepare.map(|command| prepare(&command)).transpose()?;
    subject.database = file.database.map(database).transpose()?;
    subject.env = env(file.env)?;
    subject.protect = file.protect.map(protect).transpose()?;
    subject.ignore = file.ignore.map(ignore).transpose()?.unwrap_or_default();
    subject.lock = match file.lock {
        Some(named) => {
            let span = named.span();
            let lock = lock(named)?;
            not_protected(&lock, subject.protect.as_deref(), span)?;
            Some(lock)
        }
        None => None,
    };
    subject.release = file.release.unwrap_or(subject.release);
    subject.on_contention = file.on_contention.unwrap_or(subject.on_contention);
    subject.answers = file.answers.map(answers).transpose()?.unwrap_or_default();
    subject.witness = file.witness.unwrap_or(subject.witness);
    if let Some(limit) = file.time_limit {
        let time = duration(&limit)?;
        if time.is_zero() {
            return Err(Wrong::new(limit.span(), "a run cannot be over in no time"));
        }
        subject.time_limit = Some(time);
    }
    Ok(subject)
}

fn settings(file: &SeederFile) -> Result<SeederSettings, Wrong> {
    let mut settings = SeederSettings {
        reset: file.reset,
        known_users: file.known_users,
        seed: file.seed,
        linger: file.linger.as_ref().map(duration).transpose()?,
        ..SeederSettings::default()
    };
    if let Some(lock) = &file.lock {
        settings.lock = one_of(lock, &SEEDER_LOCKS, "the seeder has no lock")?;
    }
    if let Some(profile) = &file.profile {
        settings.profile = one_of(profile, &SEEDER_PROFILES, "the seeder has no profile")?;
    }
    Ok(settings)
}

fn one_of(text: &Spanned<String>, names: &[&str], what: &str) -> Result<String, Wrong> {
    let given = text.get_ref();
    if names.contains(&given.as_str()) {
        return Ok(given.clone());
    }
    Err(Wrong::new(text.span(), format!("{what} {given:?}")).help(suggestion(given, names)))
}

fn words(
    words: &[String],
    span: impl Fn() -> std::ops::Range<usize>,
) -> Result<Vec<String>, Wrong> {
    if words.first().is_none_or(String::is_empty) {
        return Err(Wrong::new(span(), "the command names no program"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Wrong::new(span(), "a command cannot hold a NUL character"));
    }
    Ok(words.to_vec())
}

fn schema(path: &Spanned<PathBuf>, directory: &Path) -> Result<PathBuf, Wrong> {
    let joined = directory.join(path.get_ref());
    let absolute = std::path::absolute(&joined).unwrap_or(joined);
    if absolute.is_file() {
        return Ok(absolute);
    }
    let message = format!("there is no schema file {}", absolute.display());
    Err(Wrong::new(path.span(), message).help("the path is relative to the scenario file"))
}

fn prepare(file: &Spanned<PrepareFile>) -> Result<Prepare, Wrong> {
    match file.get_ref() {
        PrepareFile::Shell(line) if line.trim().is_empty() || line.contains('\0') => {
            Err(Wrong::new(file.span(), "the command is empty"))
        }
        PrepareFile::Shell(line) => Ok(Prepare::Shell(line.clone())),
        PrepareFile::Command(list) => words(list, || file.span()).map(Prepare::Command),
    }
}

/// The longest name that PostgreSQL does not cut, in bytes.
const NAME_LIMIT: usize = 63;

fn database(file: Spanned<String>) -> Result<String, Wrong> {
    let name = file.get_ref();
    let why = if name.is_empty() || name.contains('\0') {
        "a database has a name without NUL characters".to_owned()
    } else if name.len() > NAME_LIMIT {
        format!("a name of a database has {NAME_LIMIT} bytes at most")
    } else if ["postgres", "template0", "template1"].contains(&name.as_str()) {
        format!("{name} is there already, and is not made anew for each run")
    } else if name.starts_with("lockproof_") {
        "names with `lockproof_` are for lockproof's own databases".to_owned()
    } else {
        return Ok(file.into_inner());
    };
    Err(Wrong::new(file.span(), why))
}

fn env(file: BTreeMap<Spanned<String>, String>) -> Result<BTreeMap<String, String>, Wrong> {
    let mut env = BTreeMap::new();
    for (name, value) in file {
        let span = name.span();
        let name = name.into_inner();
        if OURS.contains(&name.as_str()) {
            let message =
                format!("{name} is set by lockproof, so that each pod comes its own way in");
            return Err(Wrong::new(span, message));
        }
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let message =
                format!("{name:?} cannot be an environment variable, or has a NUL in its value");
            return Err(Wrong::new(span, message));
        }
        env.insert(name, value);
    }
    Ok(env)
}

/// A lock row says who may write: it is nothing that the lock guards.
fn not_protected(
    lock: &LockName,
    protect: Option<&[String]>,
    span: std::ops::Range<usize>,
) -> Result<(), Wrong> {
    let LockName::Row(row) = lock else {
        return Ok(());
    };
    let table = TableName::new(&row.table);
    let mut protected = protect.into_iter().flatten();
    let same = |name: &&String| {
        let name = TableName::new(name);
        name.may_mean(table) || table.may_mean(name)
    };
    match protected.find(same) {
        Some(name) => {
            let message = format!("the table of the lock row, {name}, is protected, too");
            let help = "leave it out of `protect`: the lock's own row is judged by what it means";
            Err(Wrong::new(span, message).help(help))
        }
        None => Ok(()),
    }
}

fn protect(file: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Wrong> {
    if file.get_ref().is_empty() {
        let help = "leave `protect` out to protect every table that the clean run writes";
        return Err(Wrong::new(file.span(), "no table is protected").help(help));
    }
    file.into_inner()
        .into_iter()
        .map(|table| {
            if table.get_ref().trim().is_empty() {
                return Err(Wrong::new(table.span(), "a table without a name"));
            }
            Ok(table.into_inner())
        })
        .collect()
}

fn answers(file: Spanned<Vec<AnswerFile>>) -> Result<Vec<NamedError>, Wrong> {
    if file.get_ref().is_empty() {
        let help = "leave `answers` out where no error is the lock's answer";
        return Err(Wrong::new(file.span(), "no error is named").help(help));
    }
    let name = |given: Option<Spanned<String>>| match given {
        Some(name) if name.get_ref().trim().is_empty() => {
            Err(Wrong::new(name.span(), "this name is empty"))
        }
        given => Ok(given.map(Spanned::into_inner)),
    };
    let one = |file: AnswerFile| {
        Ok(NamedError {
            sqlstate: sqlstate(&file.sqlstate)?,
            constraint: name(file.constraint)?,
            table: name(file.table)?,
        })
    };
    file.into_inner().into_iter().map(one).collect()
}

fn ignore(file: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Wrong> {
    if file.get_ref().is_empty() {
        let help = "leave `ignore` out to compare all that serial runs agree on";
        return Err(Wrong::new(file.span(), "nothing is ignored").help(help));
    }
    let names = file.into_inner().into_iter();
    names
        .map(|name| {
            if name.get_ref().split('.').any(|part| part.trim().is_empty()) {
                let help = "write `table`, `table.column` or `schema.table.column`";
                return Err(
                    Wrong::new(name.span(), "no table and no column has that name").help(help),
                );
            }
            Ok(name.into_inner())
        })
        .collect()
}
