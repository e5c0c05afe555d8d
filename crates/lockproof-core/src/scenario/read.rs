//! A scenario file to a scenario.
//!
//! Owns the order of the reading; each table has a reader of its own.

use std::path::Path;

use super::error::{ScenarioError, Wrong};
use super::file::{File, PodsFile};
use super::model::{MOST_PODS, Pods, Scenario};
use super::overlay::Overrides;
use super::read_cronjob::{cronjob, fits};
use super::read_expect::expect;
use super::read_schedule::schedule;
use super::read_search::search;
use super::read_subject::subject;
use super::server_file::surroundings;

/// Reads a scenario file.
///
/// # Errors
/// When the file cannot be read, or what [`parse`] says.
pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    load_with(path, &Overrides::default())
}

/// Reads a scenario file, with these keys in the place of its own.
///
/// # Errors
/// As [`load`]; and when a value of a key is not possible, by the name of its option.
pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Scenario, ScenarioError> {
    let bytes = std::fs::read(path).map_err(|cause| ScenarioError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    match str::from_utf8(&bytes) {
        Ok(text) => parse_with(text, path, overrides),
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(&bytes);
            let message = format!("the byte 0x{:02x} is no UTF-8", bytes[at]);
            Err(Wrong::new(at..at + 1, message)
                .help("save the file in the encoding UTF-8")
                .in_file(path, &text))
        }
    }
}

/// The scenario of this text. The path names the file in errors, and its directory is where relative
/// paths begin.
///
/// # Errors
/// Names the place of whatever is no TOML, no key of a scenario, of a wrong type, or impossible: pods
/// that do not exist, a schema file that is not there, and so on.
pub fn parse(text: &str, path: &Path) -> Result<Scenario, ScenarioError> {
    parse_with(text, path, &Overrides::default())
}

/// Like [`parse`], with these keys in the place of the text's own.
fn parse_with(text: &str, path: &Path, overrides: &Overrides) -> Result<Scenario, ScenarioError> {
    read(text, path, overrides).map_err(|wrong| overrides.placed(wrong, path, text))
}

impl Scenario {
    /// The scenario with these keys in the place of its own.
    ///
    /// # Errors
    /// When a value is not possible, by the name of its option.
    pub fn overridden(&self, overrides: &Overrides) -> Result<Self, ScenarioError> {
        if overrides.is_empty() {
            return Ok(self.clone());
        }
        let mut scenario = parse_with(&self.to_toml(), Path::new("lockproof.toml"), overrides)?;
        // A file cannot say this.
        if scenario.subject.dir.is_none() {
            scenario.subject.dir.clone_from(&self.subject.dir);
        }
        Ok(scenario)
    }
}

fn read(text: &str, path: &Path, overrides: &Overrides) -> Result<Scenario, Wrong> {
    let mut file: File = toml::from_str(text).map_err(|error| Wrong::from_toml(&error, text))?;
    overrides.lay_over(&mut file, text)?;
    if file.title.get_ref().trim().is_empty() {
        return Err(Wrong::new(file.title.span(), "the title is empty"));
    }
    let pods = pods(&file.pods)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let server = surroundings(&file.server)?;
    let schedule = schedule(&file.schedule, pods.count, &server)?;
    let cron = file.cronjob.as_ref();
    fits(&schedule, &file.schedule, cron)?;
    Ok(Scenario {
        title: file.title.into_inner(),
        tags: file.tags,
        subject: subject(file.subject, directory)?,
        pods,
        server,
        cronjob: cron.map(|table| cronjob(table.get_ref())).transpose()?,
        schedule,
        expect: expect(file.expect)?,
        search: search(file.search)?,
    })
}

fn pods(file: &PodsFile) -> Result<Pods, Wrong> {
    let mut pods = Pods {
        recovery: file.recovery,
        ..Pods::default()
    };
    if let Some(count) = &file.count {
        pods.count = usize::try_from(*count.get_ref())
            .ok()
            .filter(|count| (1..=MOST_PODS).contains(count))
            .ok_or_else(|| {
                Wrong::new(
                    count.span(),
                    format!(
                        "{} pods are not possible, 1 to {MOST_PODS} are",
                        count.get_ref()
                    ),
                )
            })?;
    }
    Ok(pods)
}
