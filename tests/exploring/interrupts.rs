//! An interrupt loses nothing that was found, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{Done, Sandbox, finish};
use crate::yard::{REFILL, SHOP, psql};

/// An interrupted search must have ended within this time.
const PROMPT: Duration = Duration::from_secs(20);

/// Starts a search and interrupts it when it has printed a line with this text.
fn interrupted(sandbox: &Sandbox, arguments: &[&str], when: &str, signal: Signal) -> Done {
    let mut command = sandbox.command(arguments);
    let mut child: Child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.lines().last().is_some_and(|line| line.contains(when)) {
        // It ends if the program does; finish() bounds that.
        let read = lines.read_line(&mut seen).unwrap();
        assert!(read > 0, "it ended too early: {seen}");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let begun = Instant::now();
    // What is left of its output is read by a thread, so that it never waits for us.
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut lines, &mut rest).map(|_| rest)
    });
    child.stdout = Some(empty());
    let mut done = finish(child);
    assert!(begun.elapsed() < PROMPT, "{signal}: {done}");
    done.stdout = seen + &rest.join().unwrap().unwrap();
    sandbox.is_clear(signal.as_str());
    done
}

/// A stream with nothing in it.
fn empty() -> std::process::ChildStdout {
    let mut nothing = std::process::Command::new("true")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stream = nothing.stdout.take().unwrap();
    nothing.wait().unwrap();
    stream
}

fn sandbox(job: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("schema.sql", SHOP);
    sandbox.write("job.sh", job);
    sandbox
}

/// A search that would go on for long.
const SEARCH: [&str; 12] = [
    "explore",
    "--server",
    "local",
    "--schema",
    "schema.sql",
    "--strategy",
    "pct",
    "--schedules",
    "100000",
    "--all",
    "--no-shrink",
    "--",
];

fn an_interrupted_search_tells_and_keeps_what_it_has_found() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let sandbox = sandbox(&psql(&REFILL));
        let mut arguments = SEARCH.to_vec();
        arguments.extend(["sh", "job.sh"]);
        let done = interrupted(&sandbox, &arguments, "FAILED", signal);
        assert_eq!(done.code, Some(130), "{done}");
        // The failure may be under confirmation when the interrupt comes; then it is counted and told, and
        // not kept.
        assert!(
            done.text()
                .contains("interrupted; this is what was found so far"),
            "{done}"
        );
        let kept = sandbox.read("lockproof-out/explore/explore.json");
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept["interrupted"], true);
        assert!(kept["schedules"].as_u64().unwrap() >= 1, "{kept:#}");
        assert!(kept["violations"].as_u64().unwrap() >= 1, "{kept:#}");
        assert!(
            ["  found  ", "failed, not confirmed before the search ended"]
                .iter()
                .any(|told| done.stdout.contains(told)),
            "{done}"
        );
        for wrong in [" 0 failed", "schedules held"] {
            assert!(!done.stdout.contains(wrong), "{done}");
        }
    }
}

fn an_interrupt_while_a_failure_is_made_small_keeps_the_failure() {
    let sandbox = sandbox(&psql(&REFILL));
    let mut arguments = SEARCH.to_vec();
    arguments.retain(|one| !["--all", "--no-shrink"].contains(one));
    arguments.extend(["sh", "job.sh"]);
    let done = interrupted(&sandbox, &arguments, "  found  ", Signal::SIGINT);
    assert_eq!(done.code, Some(130), "{done}");
    let kept = sandbox.read("lockproof-out/explore/explore.json");
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["found"].as_array().map(Vec::len), Some(1), "{kept:#}");
    let file = std::path::PathBuf::from(kept["schedule_file"].as_str().unwrap());
    assert!(file.exists(), "{kept:#}");
}

fn an_interrupt_in_the_clean_run_ends_the_search() {
    let sandbox = sandbox("touch ready; exec psql -XqAtc 'select pg_sleep(100)'\n");
    let mut arguments = SEARCH.to_vec();
    arguments.extend(["sh", "job.sh"]);
    let child = sandbox.command(&arguments).spawn().unwrap();
    let ready = sandbox.work().join("ready");
    crate::sandbox::becomes(
        "the clean run",
        Duration::from_secs(30),
        || ready.exists(),
        |ready| *ready,
    );
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let done = finish(child);
    done.fails(130, &["interrupted; cleaned up"]);
    assert!(done.took < PROMPT + Duration::from_secs(30), "{done}");
    sandbox.is_clear("SIGINT in the clean run");
}

crate::harness::tests![
    an_interrupted_search_tells_and_keeps_what_it_has_found,
    an_interrupt_while_a_failure_is_made_small_keeps_the_failure,
    an_interrupt_in_the_clean_run_ends_the_search,
];
