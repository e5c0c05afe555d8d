//! A machine that gives this user no more processes or threads.
//!
//! Owns how that is recognised, in what the kernel, tokio and PostgreSQL say, and what is said of it. A thread that
//! cannot be had is a panic deep in tokio: here it becomes a message and an exit code like any other.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use super::exit::Exit;

/// What is said where no more of them are to be had: by tokio, the kernel, PostgreSQL and a shell.
const SIGNS: [&str; 6] = [
    "spawn worker thread",
    "failed to spawn thread",
    "Resource temporarily unavailable",
    "could not fork",
    "Cannot fork",
    "popen failure: Cannot allocate memory",
];

/// What would help, if that is what a message is about.
pub(super) fn advice(message: &str) -> Option<&'static str> {
    let about = SIGNS.iter().any(|sign| message.contains(sign));
    about.then_some(
        "The machine gives this user no more processes or threads: raise `ulimit -u`, or the limit of its container or \
         cgroup (pids.max)",
    )
}

/// Runs a whole command. A panic for want of a thread is told in a sentence, and the guardian clears up.
pub(super) fn told(command: impl FnOnce() -> ExitCode) -> ExitCode {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if advice(message(info.payload())).is_none() {
            usual(info);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(command)) {
        Ok(code) => code,
        Err(payload) => {
            let Some(advice) = advice(message(&*payload)) else {
                panic::resume_unwind(payload);
            };
            eprintln!("lockproof: {}\n{advice}", message(&*payload));
            Exit::Environment.into()
        }
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_cannot_be_had_is_an_exit_code_and_another_panic_is_none() {
        let code = told(|| panic!("OS can't spawn worker thread: no more"));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(4)));
        assert!(panic::catch_unwind(|| told(|| panic!("a bug"))).is_err());
    }
}
