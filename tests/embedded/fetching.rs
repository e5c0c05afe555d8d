//! Fetching: what is kept, what is not, and what is said.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::mirror::{Mirror, Wrong};
use super::sandbox::{CLEAR, becomes, finish};
use super::{EMBEDDED, Place};
use crate::harness::{Need, need};

fn local_major() -> String {
    need(Need::Postgres);
    let output = std::process::Command::new("psql")
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(2).unwrap();
    version.split('.').next().unwrap().to_owned()
}

fn the_first_run_fetches_and_the_next_needs_no_source() {
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let major = local_major();
    let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
    let done = place.run(&arguments);
    assert_eq!(done.code, Some(0), "{done}");
    let said = done.text();
    assert!(said.contains("found by lockproof's own archive"), "{done}");
    assert!(
        said.contains(&format!("fetching PostgreSQL {major}.")),
        "{done}"
    );
    let kept = place.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with(&format!("{major}.")), "{kept:?}");
    assert_eq!(mirror.archives(), 1);
    drop(mirror);
    let done = place.run(&arguments);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!done.text().contains("fetching"), "{done}");
    let done = place.run(&["doctor", "--server", "embedded", "--pg", &major]);
    assert_eq!(done.code, Some(0), "{done}");
    let cache = place.cache().display().to_string();
    assert!(done.text().contains(&format!("in {cache}")), "{done}");
    place.sandbox.is_clear("after the runs");
}

fn auto_fetches_where_there_is_neither_docker_nor_postgresql() {
    need(Need::Mounts);
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let command = place.command(&["run", "it.toml", "--pg", &local_major()]);
    // A machine without the programs: nothing is where they usually are.
    let mut bare = std::process::Command::new("unshare");
    bare.args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs none /usr/lib/postgresql && exec \"$0\" \"$@\"")
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(place.sandbox.work())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .env("DOCKER_HOST", "tcp://127.0.0.1:1");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bare.env(name, value),
            None => bare.env_remove(name),
        };
    }
    let done = finish(bare.spawn().unwrap());
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.text()
            .contains("--server auto; found by lockproof's own archive"),
        "{done}"
    );
    assert_eq!(mirror.archives(), 1);
    place.sandbox.is_clear("after the run");
}

fn without_a_way_to_the_source_the_error_says_what_helps() {
    let place = Place::at("http://127.0.0.1:1");
    place.fails_and_keeps_nothing(
        &EMBEDDED,
        &[
            "http://127.0.0.1:1/releases",
            "LOCKPROOF_PG_ARCHIVE names a mirror",
        ],
    );
    let place = Place::at("off");
    place.fails_and_keeps_nothing(&EMBEDDED, &["LOCKPROOF_PG_ARCHIVE=off"]);
}

fn an_archive_that_is_not_what_was_published_is_thrown_away() {
    let major = local_major();
    for (wrong, text) in [
        (Wrong::Byte, "is not what was published"),
        (Wrong::Short, "could not be read: "),
        (Wrong::Unchecked, "has no checksum beside it"),
        (Wrong::Portal, "it is no list of releases"),
    ] {
        let mirror = Mirror::new(wrong);
        let place = Place::new(&mirror);
        let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
        place.fails_and_keeps_nothing(&arguments, &[text]);
    }
}

fn a_version_that_the_source_lacks_is_told_with_what_it_has() {
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let major = local_major();
    let other = if major == "13" { "14" } else { "13" };
    let arguments = [&EMBEDDED[..], &["--pg", other]].concat();
    let there = format!("it has {major}");
    place.fails_and_keeps_nothing(
        &arguments,
        &[&format!("has no PostgreSQL {other} for"), &there],
    );
}

fn a_version_that_cannot_be_is_refused() {
    let place = Place::at("off");
    for (arguments, text) in [
        (&["--pg", "12"][..], "only 13 to 18 are supported"),
        (
            &["--pg", "16", "--image", "postgres:15"],
            "the image postgres:15",
        ),
        (
            &["--pg", "16", "--server", "postgres://a@127.0.0.1:1/x"],
            "has the version that it has",
        ),
    ] {
        let arguments = [&["run", "it.toml"], arguments].concat();
        place.run(&arguments).fails(2, &[text]);
    }
    let done = place.run(&["doctor", "--pg", "15,16"]);
    done.fails(2, &["--pg takes several versions only in `run`"]);
}

fn a_cache_without_room_is_told_and_left_empty() {
    need(Need::Mounts);
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let cache = place.cache();
    let small = cache.parent().unwrap().display().to_string();
    std::fs::create_dir_all(&small).unwrap();
    let major = local_major();
    let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
    // For the archive, and then only for that.
    for size in ["size=8m", "size=60m"] {
        let mount = |arguments: &[&str]| {
            let status = std::process::Command::new(arguments[0])
                .args(&arguments[1..])
                .status();
            assert!(status.unwrap().success(), "{arguments:?}");
        };
        mount(&["mount", "-t", "tmpfs", "-o", size, "none", &small]);
        let done = place.run(&arguments);
        let kept = place.kept();
        mount(&["umount", &small]);
        done.fails(4, &["No space left", "LOCKPROOF_CACHE names another place"]);
        assert_eq!(kept, [""; 0], "{size}");
    }
    place.sandbox.is_clear("after the failures");
}

fn two_processes_that_fetch_at_once_fetch_once() {
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let major = local_major();
    let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| place.run(&arguments)));
        for one in both {
            let done = one.join().unwrap();
            assert_eq!(done.code, Some(0), "{done}");
        }
    });
    assert_eq!(mirror.archives(), 1);
    assert_eq!(place.kept().len(), 1);
    place.sandbox.is_clear("after both");
}

fn whoever_is_ended_while_it_fetches_leaves_nothing() {
    let mirror = Mirror::new(Wrong::Stuck);
    let major = local_major();
    let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let place = Place::new(&mirror);
        let before = mirror.archives();
        let child = place.command(&arguments).spawn().unwrap();
        let asked = || mirror.archives();
        becomes(
            "the archive is asked for",
            Duration::from_secs(60),
            asked,
            |now| *now > before,
        );
        becomes(
            "a part of it is there",
            Duration::from_secs(60),
            || place.kept(),
            |kept| kept.len() == 1,
        );
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let done = finish(child);
        assert_eq!(done.code, code, "{done}");
        assert!(done.took < Duration::from_secs(20), "{done}");
        becomes(
            "nothing is left of it",
            CLEAR,
            || place.kept(),
            Vec::is_empty,
        );
        place.sandbox.is_clear("after the signal");
    }
}

fn a_cache_that_the_server_s_user_cannot_enter_is_told() {
    if !Uid::effective().is_root() {
        return;
    }
    let mirror = Mirror::new(Wrong::Nothing);
    let place = Place::new(&mirror);
    let closed = place.cache().parent().unwrap().to_owned();
    std::fs::create_dir_all(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let major = local_major();
    let arguments = [&EMBEDDED[..], &["--pg", &major]].concat();
    let done = place.run(&arguments);
    done.fails(4, &["must be able to read", "root runs PostgreSQL as"]);
    place.sandbox.is_clear("after the failure");
}

crate::harness::tests![
    the_first_run_fetches_and_the_next_needs_no_source,
    auto_fetches_where_there_is_neither_docker_nor_postgresql,
    without_a_way_to_the_source_the_error_says_what_helps,
    an_archive_that_is_not_what_was_published_is_thrown_away,
    a_version_that_the_source_lacks_is_told_with_what_it_has,
    a_version_that_cannot_be_is_refused,
    a_cache_without_room_is_told_and_left_empty,
    two_processes_that_fetch_at_once_fetch_once,
    whoever_is_ended_while_it_fetches_leaves_nothing,
    a_cache_that_the_server_s_user_cannot_enter_is_told,
];
