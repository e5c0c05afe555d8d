//! How lockproof starts itself again, as keeper or guardian.
//!
//! Owns the one case in which the lockproof binary is not needed for that: a test program that uses the library is
//! started again at the very test, which then is the helper. What a test does to be one is decided in `testing`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::error::GuardianError;
use super::own_binary::lockproof_binary;

/// What a program that is started again is to be: its words, as a JSON list.
pub const AGAIN_AS: &str = "LOCKPROOF_AGAIN_AS";

/// How a test program comes to its test again.
#[derive(Debug, Clone)]
pub struct TestProgram {
    /// The program.
    pub program: PathBuf,
    /// The arguments that choose the test, and no other.
    pub arguments: Vec<OsString>,
}

static TEST: OnceLock<TestProgram> = OnceLock::new();

/// This process is a test: from now on its helpers are this program, too. (Where LOCKPROOF_BIN names a lockproof,
/// that is taken.) The first test of a process is as good as any other.
pub fn this_is_a_test(test: TestProgram) {
    let _ = TEST.set(test);
}

/// Whether helpers are started through a test: then its runner's words come before theirs.
pub(super) fn is_through_a_test() -> bool {
    std::env::var_os("LOCKPROOF_BIN").is_none() && TEST.get().is_some()
}

/// The command that starts lockproof again with these words, and the program that it is.
pub(super) fn again(words: &[&OsStr]) -> Result<(Command, PathBuf), GuardianError> {
    let test = TEST.get().filter(|_| is_through_a_test());
    let Some(test) = test else {
        let binary = lockproof_binary()?;
        let mut command = Command::new(&binary);
        command.args(words);
        return Ok((command, binary));
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut command = Command::new(&test.program);
    command
        .args(&test.arguments)
        .env(AGAIN_AS, serde_json::to_string(&words).unwrap_or_default());
    Ok((command, test.program.clone()))
}
