//! What these tests share: the project's files, and the program that is tested.

#![allow(dead_code, reason = "each of the test programs uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use deploy_check::{Document, Settings, read, render};

/// The overlays, which are named as the environment is.
pub const OVERLAYS: [&str; 3] = ["dev", "uat", "prod"];

/// A path in the project.
pub fn project(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap().join(path)
}

/// The documents of a directory of the project.
pub fn documents(directory: &str) -> Vec<Document> {
    let text = render(&project(directory)).unwrap_or_else(|error| panic!("{error}"));
    read(&text).unwrap_or_else(|error| panic!("{directory}: {error}"))
}

/// What an overlay's CronJob says.
pub fn settings(overlay: &str) -> Settings {
    let documents = documents(&format!("deploy/overlays/{overlay}"));
    assert_eq!(documents.len(), 1, "{overlay}");
    Settings::of(&documents[0]).unwrap()
}

/// The program: `LOCKPROOF_BIN`, else the one that was built beside these tests.
pub fn lockproof() -> PathBuf {
    if let Some(named) = std::env::var_os("LOCKPROOF_BIN") {
        return PathBuf::from(named);
    }
    let this = std::env::current_exe().unwrap();
    let built = this.parent().unwrap().with_file_name("lockproof");
    assert!(
        built.exists(),
        "{} is not there: `cargo build --bin lockproof` comes before these tests",
        built.display()
    );
    built
}

/// Its exit code and both its streams.
pub fn finished(command: &mut Command) -> (i32, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    (output.status.code().unwrap_or(-1), text(&output))
}

pub fn text(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// The value of an option of a command line, written `--name=value`.
pub fn option<'a>(arguments: &'a [String], name: &str) -> &'a str {
    let found = arguments
        .iter()
        .find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{name} is not among {arguments:?}"))
}
