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
    Endpoint, LockName, Prepare, Program, SEEDER_LOCKS, SEEDER_PROFILES, SeederSettings, Subject,
};
use super::read_lock::locks;
use super::read_values::{duration, protect, sqlstate};
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

/// What helps where a path of a file leads nowhere.
pub(super) const RELATIVE: &str = "a path in a scenario file is relative to that file";

/// What PGHOST may be set to: the directory of the pod's Unix socket.
const SOCKET: &str = "{socket}";

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
    subject.dir = match file.dir {
        Some(given) => Some(dir(&given, directory)?),
        None => own_folder(&subject, directory),
    };
    subject.database = file.database.map(database).transpose()?;
    subject.env = env(file.env)?;
    subject.protect = file.protect.map(protect).transpose()?;
    subject.ignore = file.ignore.map(ignore).transpose()?.unwrap_or_default();
    subject.lock = match file.lock {
        Some(named) => {
            let span = named.span();
            let lock = locks(named)?;
            not_protected(&lock, subject.protect.as_deref(), span)?;
            Some(lock)
        }
        None => None,
    };
    subject.release = file.release.unwrap_or(subject.release);
    subject.on_contention = file.on_contention.unwrap_or(subject.on_contention);
    subject.answers = file.answers.map(answers).transpose()?.unwrap_or_default();
    subject.witness = file.witness.unwrap_or(subject.witness);
    subject.isolate = file.isolate.map(isolate).transpose()?.unwrap_or_default();
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
    Err(Wrong::new(path.span(), message).help(RELATIVE))
}

/// Where the command is started, as the file says.
fn dir(given: &Spanned<PathBuf>, directory: &Path) -> Result<PathBuf, Wrong> {
    let path = absolute(&directory.join(given.get_ref()));
    if path.is_dir() {
        return Ok(path);
    }
    let message = format!("there is no directory {}", path.display());
    Err(Wrong::new(given.span(), message).help(RELATIVE))
}

/// The folder of the file, where the command is started if the file says nothing; `None`: where lockproof is. That
/// is so for a file that is named without a folder, and for one whose job is found from there alone, as scenarios
/// wrote it that are older than this rule.
fn own_folder(subject: &Subject, directory: &Path) -> Option<PathBuf> {
    if directory.as_os_str().is_empty() {
        return None;
    }
    let mut words: Vec<&str> = Vec::new();
    if let Program::Command(command) = &subject.program {
        words.extend(command.iter().map(String::as_str));
    }
    match &subject.prepare {
        Some(Prepare::Shell(line)) => words.extend(line.split_whitespace()),
        Some(Prepare::Command(command)) => words.extend(command.iter().map(String::as_str)),
        None => {}
    }
    let (mut beside, mut here) = (false, false);
    for word in words {
        let path = Path::new(word);
        match (directory.join(path).is_file(), path.is_file()) {
            (true, false) => beside = true,
            (false, true) => here = true,
            (true, true) | (false, false) => {}
        }
    }
    (beside || !here).then(|| absolute(directory))
}

/// The path from the root, with what `..` takes back taken back where that is certain.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or(path)
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
        let by_socket = name == "PGHOST" && value == SOCKET;
        if OURS.contains(&name.as_str()) && !by_socket {
            let message =
                format!("{name} is set by lockproof, so that each pod comes its own way in");
            let wrong = Wrong::new(span, message);
            return Err(match name.as_str() {
                "PGHOST" => {
                    wrong.help("`PGHOST = \"{socket}\"` lets the pods come by a Unix socket")
                }
                _ => wrong,
            });
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
    let own = match lock {
        LockName::Several(all) => all.iter().flat_map(|one| &one.protect).collect(),
        _ => Vec::new(),
    };
    let mut protected = protect.into_iter().flatten().chain(own);
    let rows: Vec<TableName> = lock
        .each()
        .filter_map(LockName::row)
        // The rows of a queue are the job's work, too.
        .filter(|row| row.queue.is_none())
        .map(|row| TableName::new(&row.table))
        .collect();
    let same = |name: &&String| {
        let name = TableName::new(name);
        rows.iter()
            .any(|table| name.may_mean(*table) || table.may_mean(name))
    };
    match protected.find(same) {
        Some(name) => {
            let of_claims = lock.each().filter_map(LockName::row).any(|row| {
                let table = TableName::new(&row.table);
                let name = TableName::new(name);
                row.claim.is_some() && (name.may_mean(table) || table.may_mean(name))
            });
            let lock = match of_claims {
                true => "claims",
                false => "lock row",
            };
            let message = format!("the table of the {lock}, {name}, is protected, too");
            let help = "leave it out of `protect`: the lock's own row is judged by what it means";
            Err(Wrong::new(span, message).help(help))
        }
        None => Ok(()),
    }
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

/// The port of a server that is named without one.
const USUAL_PORT: u16 = 5432;
/// The most ports that a pod's own network listens on.
const MOST_PORTS: usize = 8;

fn isolate(file: Spanned<Vec<Spanned<String>>>) -> Result<Vec<Endpoint>, Wrong> {
    let span = file.span();
    let places: Vec<Endpoint> = file
        .into_inner()
        .iter()
        .map(|place| endpoint(place.get_ref()).map_err(|why| Wrong::new(place.span(), why)))
        .collect::<Result<_, _>>()?;
    let mut ports: Vec<u16> = places.iter().map(|place| place.port).collect();
    ports.sort_unstable();
    ports.dedup();
    match ports.len() {
        0 => {
            let help = "write `isolate = [\"db.internal:5432\"]`";
            Err(Wrong::new(span, "no place is named").help(help))
        }
        1..=MOST_PORTS => Ok(places),
        _ => Err(Wrong::new(span, format!("more than {MOST_PORTS} ports"))),
    }
}

/// `db.internal:5432`, `db.internal` or `127.0.0.1:5432`.
fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (
                host,
                port.ok_or_else(|| format!("{text:?} has no port behind its colon"))?,
            )
        }
        None => (text, USUAL_PORT),
    };
    let name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if host.is_empty() || host.len() > 253 || !host.chars().all(name) {
        return Err(format!("{text:?} is no `host` and no `host:port`"));
    }
    match host.parse::<std::net::Ipv4Addr>() {
        Ok(address) if !address.is_loopback() => Err(format!(
            "{address} is an address on a real network; only names, and 127.0.0.1, can be made to lead to \
             lockproof"
        )),
        _ => Ok(Endpoint {
            host: host.to_owned(),
            port,
        }),
    }
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
