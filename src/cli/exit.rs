//! The exit codes.
//!
//! Owns their numbers, and which one a verdict means.

use crate::invariant::{Judgement, Verdict};
use crate::scenario::Expect;
use crate::search::unexpected;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every verdict as expected (`reproduce`: reproduced every time).
    AsExpected = 0,
    /// A verdict not as expected.
    Unexpected = 1,
    /// Wrong usage, or a scenario file with errors.
    Usage = 2,
    /// Guards not met, time-dependent, or out of time.
    Inconclusive = 3,
    /// No server could be had, or the environment failed.
    Environment = 4,
    /// Interrupted, after cleaning up.
    Interrupted = 130,
}

/// A process's exit code as a number: nobody else can ask it for that.
pub(super) fn number_of(code: std::process::ExitCode) -> u8 {
    let shown = |code: std::process::ExitCode| format!("{code:?}");
    let wanted = shown(code);
    (0..=u8::MAX)
        .find(|number| shown(std::process::ExitCode::from(*number)) == wanted)
        .unwrap_or(1)
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a verdict means: as expected; not as expected; or, if it is inconclusive or all that is
/// wrong is that guards were not met, neither.
pub(super) fn exit_of(verdict: &Verdict, expect: &Expect) -> Exit {
    if unexpected(verdict, expect).is_empty() {
        return Exit::AsExpected;
    }
    let mut unguarded = verdict.clone();
    unguarded.guards.clear();
    if verdict.judgement == Judgement::Inconclusive || unexpected(&unguarded, expect).is_empty() {
        Exit::Inconclusive
    } else {
        Exit::Unexpected
    }
}
