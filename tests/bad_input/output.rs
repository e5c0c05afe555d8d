//! Places that cannot be written to, a disk that is full, and what is not lockproof's own.

use std::path::PathBuf;

use super::SEEDER;
use super::sandbox::{Mount, Sandbox, finish};
use crate::harness::{Need, need};

fn a_place_that_cannot_be_written_is_said_before_anything_is_run() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    is_said_before_anything_is_run(&sandbox, &["file", "/dev/full", "/proc/none", "file/below"]);
    sandbox.is_clear("after all");
}

fn a_file_system_that_cannot_be_written_is_said_before_anything_is_run() {
    need(Need::Mounts);
    let sandbox = Sandbox::new();
    let mounts = [
        Mount::new(&sandbox.work().join("readonly"), "ro"),
        Mount::new(&sandbox.work().join("full"), "size=16k"),
    ];
    is_said_before_anything_is_run(&sandbox, &["readonly", "full"]);
    drop(mounts);
    sandbox.is_clear("after all");
}

fn is_said_before_anything_is_run(sandbox: &Sandbox, places: &[&str]) {
    sandbox.write("it.toml", SEEDER);
    let says = ["cannot write to", "choose another place with --out DIR"];
    for place in places {
        let done = sandbox.run(&["run", "it.toml", "--out", place]);
        done.fails(4, &says);
        assert!(
            done.text().contains(place) && !done.text().contains("server:"),
            "{done}"
        );
    }
}

fn a_disk_that_is_full_in_the_middle_is_told_and_everything_cleared_up() {
    need(Need::Mounts);
    let sandbox = Sandbox::new();
    let _mount = Mount::new(&sandbox.work().join("small"), "size=128k");
    sandbox.write("it.toml", SEEDER);
    let done = sandbox.run(&["run", "it.toml", "--server", "local", "--out", "small"]);
    done.fails(
        4,
        &[
            "cannot write the history",
            "small/run/it/history.jsonl",
            "No space left",
            "--out DIR",
        ],
    );
    sandbox.is_clear("after the run");
}

fn a_directory_that_is_not_lockproofs_own_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    sandbox.write("run/thesis.txt", "years of work");
    let done = sandbox.run(&["run", "it.toml", "--out", "."]);
    done.fails(4, &["./run", "lockproof did not make it", "--out DIR"]);
    assert_eq!(sandbox.read("run/thesis.txt"), "years of work");
}

fn two_at_once_do_not_meet() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let start = || {
        sandbox
            .command(&["run", "it.toml", "--server", "local", "--format", "json"])
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| std::thread::spawn(|| finish(child)));
    let both = both.map(|one| one.join().unwrap());
    let mut places = Vec::new();
    for done in both {
        assert_eq!(done.code, Some(0), "{done}");
        let place = PathBuf::from(done.json()["scenarios"][0]["artifacts"].as_str().unwrap());
        let check = sandbox.run(&["check", place.to_str().unwrap()]);
        assert_eq!(check.code, Some(0), "{check}");
        places.push(place);
    }
    assert_ne!(places[0], places[1]);
    sandbox.is_clear("after both");
}

fn no_control_character_of_a_job_reaches_the_terminal() {
    let job = r"printf '\033]0;x\a\302\2332J\342\200\256gnp\r\n'; exit 1";
    let text = super::scenario(&["sh", "-c", job], "")
        .replace("title = \"bad input\"", "title = \"bad \\u001b[2J input\"");
    for format in ["human", "json"] {
        let sandbox = Sandbox::new();
        sandbox.write("it.toml", &text);
        let done = sandbox.run(&["run", "it.toml", "--server", "local", "--format", format]);
        assert_eq!(done.code, Some(3), "{done}");
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        let printed = format!("{}{}", done.stdout, done.stderr);
        assert!(!printed.contains(raw), "{printed:?}");
        assert!(printed.contains("]0;x"), "{printed:?}");
        if format == "human" {
            assert!(
                done.stdout.contains("␛]0;x␇<U+009B>2J<U+202E>gnp"),
                "{done}"
            );
            assert!(done.stdout.contains("bad ␛[2J input"), "{done}");
        }
    }
}

crate::harness::tests![
    a_place_that_cannot_be_written_is_said_before_anything_is_run,
    a_file_system_that_cannot_be_written_is_said_before_anything_is_run,
    a_disk_that_is_full_in_the_middle_is_told_and_everything_cleared_up,
    a_directory_that_is_not_lockproofs_own_is_left_alone,
    two_at_once_do_not_meet,
    no_control_character_of_a_job_reaches_the_terminal,
];
