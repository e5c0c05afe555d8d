//! What a command writes for the machine that runs it: a test report, a page, GitHub's remarks.
//!
//! Owns the options, and which environment asks for what by itself. The forms are `report`'s.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::common::{Failure, Talk};
use super::exit::Exit;
use super::page::link;
use crate::history::private;
use crate::report::Cases;

/// Options of every command with a verdict.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CiArguments {
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub junit: Option<PathBuf>,

    /// Write the result as Markdown to this file [on GitHub also to the summary of the step, by itself]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub markdown: Option<PathBuf>,

    /// End with 0 where the exit code would be 1 or 3: whatever the verdict, it is told and written
    #[arg(long, help_heading = HEADING)]
    pub exit_zero: bool,
}

const HEADING: &str = "In CI";

impl CiArguments {
    /// The same for one part of a command, whose files have its name before their ending.
    #[must_use]
    pub fn of_part(&self, part: &str) -> Self {
        let named = |file: &PathBuf| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let mut name = format!("{stem}-{part}");
            if let Some(ending) = file.extension() {
                name = format!("{name}.{}", ending.to_string_lossy());
            }
            file.with_file_name(name)
        };
        Self {
            junit: self.junit.as_ref().map(named),
            markdown: self.markdown.as_ref().map(named),
            exit_zero: self.exit_zero,
        }
    }

    /// Writes what was asked for, and what the environment asks for; the exit code then.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn publish(&self, cases: &Cases, exit: Exit, talk: Talk) -> Result<Exit, Failure> {
        if let Some(file) = &self.junit {
            let text = cases
                .junit()
                .map_err(|why| failed(file, &std::io::Error::other(why)))?;
            write(file, &text)?;
        }
        if let Some(file) = &self.markdown {
            make_folder(file).map_err(|cause| failed(file, &cause))?;
            let page = cases.markdown(|page| Some(link(file, page)));
            write(file, &page)?;
        }
        let on_github = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(file) = on_github("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
            // What it is shown on leads to no file of the job's.
            let page = cases.markdown(|_| None);
            // Other steps of the job may have written there.
            let opened = OpenOptions::new().append(true).create(true).open(&file);
            opened
                .and_then(|mut open| open.write_all(page.as_bytes()))
                .map_err(|cause| failed(&file, &cause))?;
        }
        if on_github("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            let root = on_github("GITHUB_WORKSPACE").map(PathBuf::from);
            let root = root.or_else(|| std::env::current_dir().ok());
            for remark in cases.remarks(&root.unwrap_or_default()) {
                talk.result(&remark);
            }
        }
        Ok(self.exit(exit))
    }

    /// With what the command ends.
    #[must_use]
    pub fn exit(&self, exit: Exit) -> Exit {
        match exit {
            Exit::Unexpected | Exit::Inconclusive if self.exit_zero => Exit::AsExpected,
            exit => exit,
        }
    }
}

fn make_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|one| !one.as_os_str().is_empty());
    folder.map_or(Ok(()), std::fs::create_dir_all)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    make_folder(file)
        .and_then(|()| private::write(file, text))
        .map_err(|cause| failed(file, &cause))
}

fn failed(file: &Path, cause: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {cause}", file.display());
    Failure::new(Exit::Environment, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_writes_files_of_its_own_beside_those_of_the_others() {
        let whole = CiArguments {
            junit: Some("out/report.xml".into()),
            markdown: Some("summary".into()),
            exit_zero: true,
        };
        let part = whole.of_part("pg15");
        assert_eq!(part.junit, Some("out/report-pg15.xml".into()));
        assert_eq!(part.markdown, Some("summary-pg15".into()));
        assert!(part.exit_zero);
    }
}
