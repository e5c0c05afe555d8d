//! What is on the screen while something takes long: a bar that moves on a terminal, lines where there is none,
//! nothing with `--quiet`, and colour only where a terminal's user wants it.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/kept.rs"]
mod kept;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "exploring/yard.rs"]
#[allow(
    dead_code,
    reason = "helpers of another test program, of which this one uses a part"
)]
mod yard;

use std::collections::BTreeSet;
use std::process::Command;

use harness::{Need, need};
use sandbox::{Done, finish};
use yard::Yard;

/// A job that takes three seconds, so that its clean and serial runs take twelve.
fn slow() -> Yard {
    kept::keep_server();
    let yard = Yard::new();
    yard.write(
        "job.sh",
        "sleep 3\nexec psql -Xq -c 'select pg_advisory_xact_lock(7); insert into t values (1)'\n",
    );
    yard.write(
        "slow.toml",
        "title = \"slow\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"schema.sql\"\n[schedule]\n\
         turns = [{ run = \"a\" }, { run = \"b\" }]\n[expect]\nguards = []\n",
    );
    yard
}

/// lockproof on a pseudo-terminal, and all that comes out of that.
fn on_a_terminal(yard: &Yard, arguments: &str, environment: &[(&str, &str)]) -> Done {
    need(Need::Script);
    let plain = yard.command(&[]);
    let line = format!("{} {arguments}", plain.get_program().to_string_lossy());
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(plain.get_current_dir().unwrap())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) if name != "NO_COLOR" && name != "TERM" => command.env(name, value),
            _ => command.env_remove(name),
        };
    }
    command
        .env("TERM", "xterm")
        .envs(environment.iter().copied());
    finish(command.spawn().unwrap())
}

/// The different pictures of the bar that counts this.
fn pictures(done: &Done, what: &str) -> BTreeSet<String> {
    let parts = done.stdout.split(['\r', '\n', '\u{1b}']);
    let shows = |part: &&str| part.contains(&format!(" {what} "));
    parts.filter(shows).map(str::to_owned).collect()
}

/// A colour or another rendition is set.
fn coloured(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| rest[end..].starts_with('m'))
    })
}

fn on_a_terminal_a_bar_moves_and_is_gone_at_the_end_and_verdicts_have_colour() {
    let yard = slow();
    let done = on_a_terminal(&yard, "run slow.toml", &[]);
    assert_eq!(done.code, Some(0), "{done}");
    // Its clock goes on while the job does.
    assert!(pictures(&done, "scenario").len() >= 3, "{done}");
    assert!(done.stdout.contains("\u{1b}[32m✓\u{1b}[0m"), "{done}");
    // It is wiped from its line before a text is written there.
    let last = done.stdout.rfind(" scenario ").unwrap();
    assert!(done.stdout[last..].contains("\u{1b}[2K"), "{done}");
    assert!(
        !done.text().contains("so far"),
        "no lines beside a bar: {done}"
    );
    let search = "explore --strategy preemptions --jobs 2 --release any --scenario slow.toml";
    let done = on_a_terminal(&yard, search, &[]);
    assert_eq!(done.code, Some(0), "{done}");
    let counted = pictures(&done, "schedules");
    let counts = |number: &str| {
        counted
            .iter()
            .any(|one| one.contains(&format!(" {number} of 2,")))
    };
    assert!(
        counted.len() >= 3 && counts("0") && counts("1"),
        "{counted:?}"
    );
    assert!(
        counted.iter().any(|one| one.contains(" left")),
        "{counted:?}"
    );
    assert!(
        !pictures(&done, "clean and serial runs").is_empty(),
        "{done}"
    );
}

fn without_a_terminal_there_are_plain_lines() {
    let done = slow().run(&["run", "slow.toml"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.text().contains("10 s so far"), "{done}");
    assert!(!done.text().contains(['\u{1b}', '\r']), "{done}");
}

fn quiet_is_silent_but_for_the_result_on_a_terminal_too() {
    let done = on_a_terminal(&slow(), "run --quiet slow.toml", &[]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(pictures(&done, "scenario").is_empty(), "{done}");
    assert!(!done.stdout.contains("so far"), "{done}");
    assert!(
        done.stdout.contains("1 of 1 scenarios as expected"),
        "{done}"
    );
}

fn no_color_leaves_the_bar_and_takes_the_colour() {
    let done = on_a_terminal(&slow(), "run slow.toml", &[("NO_COLOR", "1")]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(pictures(&done, "scenario").len() >= 3, "{done}");
    assert!(!coloured(&done.stdout), "{done}");
    assert!(coloured("a\u{1b}[1;31mb") && !coloured("a\u{1b}[2Kb"));
}

harness::tests![
    no_color_leaves_the_bar_and_takes_the_colour,
    on_a_terminal_a_bar_moves_and_is_gone_at_the_end_and_verdicts_have_colour,
    quiet_is_silent_but_for_the_result_on_a_terminal_too,
    without_a_terminal_there_are_plain_lines,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
