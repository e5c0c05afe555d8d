//! `lockproof completions` and `lockproof man`: what a shell and man(1) are told of the commands.
//!
//! Owns nothing of them: both are made from the command line's own description.

use std::io::Write;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use super::common::Failure;
use super::exit::Exit;

const NAME: &str = "lockproof";

/// Prints what a shell reads to complete a command line.
///
/// # Errors
/// When it cannot be printed.
pub fn completions(
    mut command: Command,
    shell: Shell,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut text);
    out.write_all(&text)
}

/// Writes a page for lockproof and one for each command into a directory.
///
/// # Errors
/// When a page cannot be written.
pub fn pages(command: Command, into: &Path) -> Result<Exit, Failure> {
    let written = std::fs::create_dir_all(into)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), into));
    match written {
        Ok(()) => Ok(Exit::AsExpected),
        Err(error) => Err(Failure::new(
            Exit::Environment,
            format!("cannot write manual pages to {}: {error}", into.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn every_command_that_is_shown_has_a_page_and_no_other() {
        let place = tempfile::tempdir().unwrap();
        pages(command(), place.path()).unwrap();
        let entries = std::fs::read_dir(place.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for command in ["", "-run", "-explore", "-doctor", "-groombook-seed"] {
            let page = format!("lockproof{command}.1");
            assert!(names.contains(&page), "no {page} in {names:?}");
        }
        assert!(
            !names.iter().any(|name| name.contains("guardian")),
            "{names:?}"
        );
        let run = std::fs::read_to_string(place.path().join("lockproof-run.1")).unwrap();
        assert!(run.contains("\\-\\-times") && run.contains(".TH"), "{run}");
    }

    #[test]
    fn each_shell_is_told_of_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            completions(command(), shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(
                text.contains("explore") && text.contains("times"),
                "{shell}"
            );
        }
    }
}
