//! A test program that is started again at one of its tests.
//!
//! Owns how the test is found again (by its name, as libtest and nextest know it), and what the program is then: the
//! command, one of its helpers, or a pod.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::broken::Broken;
use crate::cli;
use crate::server::{AGAIN_AS, TestProgram, this_is_a_test};

/// What the command's own words begin behind: before them are those of the test's runner.
const BEGIN: &str = "\u{2}lockproof\u{2}";

/// The stack of the command's thread.
const STACK: usize = 16 << 20;

/// A test of this program.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its name, with its modules.
    pub(super) name: String,
    program: PathBuf,
    /// What it is started again as; `None`: it is the test itself.
    role: Option<Vec<String>>,
}

/// Where this is called from. In a process that was started again as the command or as a helper, it does that and
/// does not return.
#[track_caller]
pub(super) fn place() -> Place {
    let Some(name) = test_name() else {
        panic!(
            "lockproof::testing is for a #[test]: the name of this one is not known (its thread has none, and no \
             argument says --exact NAME)"
        );
    };
    let program = std::env::current_exe().unwrap_or_default();
    let role = std::env::var(AGAIN_AS).ok();
    let role = role.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
    let place = Place {
        name,
        program,
        role,
    };
    this_is_a_test(TestProgram {
        program: place.program.clone(),
        arguments: place.arguments().into_iter().map(OsString::from).collect(),
    });
    let Some(role) = &place.role else {
        return place;
    };
    let word = |index: usize| role.get(index).map_or("", String::as_str);
    if word(0) == "pod" {
        return place;
    }
    // What the command starts is told anew what it is.
    let words = match word(0) {
        "lockproof" => role.clone(),
        _ => std::iter::once("lockproof".to_owned())
            .chain(role.iter().cloned())
            .collect(),
    };
    if word(0) == "lockproof" {
        println!("{BEGIN}");
    }
    // A runtime of its own is made there, which this thread may have one of already.
    let words = words.into_iter().map(OsString::from).collect();
    // As much room as the main thread of the command has.
    let done = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || cli::main_of(words));
    match done.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => end(code),
        Ok(Err(_)) => end(4),
        Err(error) => {
            eprintln!("lockproof: no thread for the command: {error}");
            end(4)
        }
    }
}

/// The name of the test that runs: the thread has it, or where tests run in the main thread the arguments have.
fn test_name() -> Option<String> {
    let thread = std::thread::current();
    if let Some(name) = thread.name().filter(|name| *name != "main") {
        return Some(name.to_owned());
    }
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == "--exact")?;
    arguments.find(|argument| !argument.starts_with('-'))
}

/// Ends this process.
pub(super) fn end(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

/// The number of the next closure of this test.
pub(super) fn next_closure() -> usize {
    thread_local! {
        // Each test has a thread of its own.
        static NEXT: AtomicUsize = const { AtomicUsize::new(0) };
    }
    NEXT.with(|next| next.fetch_add(1, Ordering::Relaxed))
}

/// What came of the jobs that a test has looked at so far, for pods on their way to a later closure.
const KNOWN: &str = "LOCKPROOF_AGAIN_KNOWN";

thread_local! {
    static DONE: RefCell<Vec<Option<Broken>>> = const { RefCell::new(Vec::new()) };
}

/// The name of what is done with the next job of this test: from the second on with its number.
pub(super) fn named(what: &str) -> String {
    match DONE.with_borrow(Vec::len) {
        0 => what.to_owned(),
        before => format!("{what}-{}", before + 1),
    }
}

/// Keeps what came of a job.
pub(super) fn keep(done: &Result<(), Broken>) {
    DONE.with_borrow_mut(|all| all.push(done.clone().err()));
}

/// The variable that tells pods what came of all jobs so far.
pub(super) fn known() -> (String, String) {
    let text = DONE.with_borrow(|all| serde_json::to_string(all).unwrap_or_default());
    (KNOWN.to_owned(), text)
}

/// What came of the next job, as the test itself has found it.
pub(super) fn next_known() -> Result<(), Broken> {
    let known = std::env::var(KNOWN).ok();
    let known = known.and_then(|text| serde_json::from_str::<Vec<Option<Broken>>>(&text).ok());
    let place = DONE.with_borrow_mut(|all| {
        all.push(None);
        all.len() - 1
    });
    match known.unwrap_or_default().into_iter().nth(place).flatten() {
        Some(broken) => Err(broken),
        None => Ok(()),
    }
}

/// Does a closure's work, as a pod; the exit code.
pub(super) fn work<E: fmt::Display>(work: impl AsyncFnOnce(String) -> Result<(), E>) -> u8 {
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime for the closure: {error}");
            return 1;
        }
    };
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work(url))));
    match done {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            1
        }
        // It has told why.
        Err(_) => 101,
    }
}

/// Whether the command was come to.
pub(super) fn began(output: &Output) -> bool {
    let mark = BEGIN.as_bytes();
    output.stdout.windows(mark.len()).any(|part| part == mark)
}

/// What the command printed: its own words, without those of the runner around it.
pub(super) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let own = out.split_once(BEGIN).map_or(out.as_str(), |(_, own)| own);
    [own.trim(), err.trim()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

impl Place {
    /// Whether this process was started again, for whatever.
    pub(super) fn is_again(&self) -> bool {
        self.role.is_some()
    }

    /// Whether this process is a pod of this closure.
    pub(super) fn is_pod(&self, number: usize) -> bool {
        let role = self.role.as_deref().unwrap_or_default();
        role.first().is_some_and(|one| one == "pod") && role.get(1) == Some(&number.to_string())
    }

    /// The arguments that choose this test and no other. With two threads the runner does not print the name of the
    /// test before what the test prints.
    fn arguments(&self) -> Vec<String> {
        let fixed = [
            "--include-ignored",
            "--nocapture",
            "--test-threads=2",
            "--exact",
        ];
        let fixed = fixed.into_iter().map(str::to_owned);
        fixed.chain([self.name.clone()]).collect()
    }

    /// The whole command line.
    pub(super) fn words(&self) -> Vec<String> {
        let program = self.program.display().to_string();
        std::iter::once(program).chain(self.arguments()).collect()
    }

    /// What makes it a pod of this closure.
    pub(super) fn pod_environment(&self, number: usize) -> BTreeMap<String, String> {
        let role = serde_json::to_string(&["pod", &number.to_string()]).unwrap_or_default();
        BTreeMap::from([(AGAIN_AS.to_owned(), role)])
    }

    /// What is wrong where this program, started again, did not come to the test.
    pub(super) fn not_found(&self) -> String {
        format!(
            "this test was started again as {:?}, and that did not come to the job: nothing was run. A job is made and \
             looked at on the test's own thread (not in a spawned task or thread), before anything by which the test \
             could end or go another way",
            self.name
        )
    }

    /// This program, to be started again at this test as that.
    pub(super) fn command(&self, role: &str, words: &[&str]) -> Command {
        let mut all = vec![role];
        all.extend(words);
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments())
            .env(AGAIN_AS, serde_json::to_string(&all).unwrap_or_default());
        command
    }

    /// Where this test keeps what it finds: `target/lockproof/TEST`, beside the folder that the program lies in.
    pub(super) fn directory(&self, what: &str) -> PathBuf {
        let plain = |c: char| match c.is_ascii_alphanumeric() || c == '_' {
            true => c,
            false => '-',
        };
        let program = self
            .program
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let name: String = self.name.chars().map(plain).collect();
        let target = self.program.ancestors().nth(3);
        let target = target.map_or_else(std::env::temp_dir, PathBuf::from);
        let program = program.unwrap_or_default();
        target.join("lockproof").join(program).join(name).join(what)
    }
}
