//! Which server is taken, and the messages where none can be had.

use std::time::{Duration, Instant};

use crate::holder::*;
use crate::looks::*;

fn auto_takes_a_local_server_and_says_why_where_docker_is_nowhere() {
    for nowhere in [
        "tcp://127.0.0.1:1",
        "unix:///nowhere.sock",
        "ftp://x",
        "tcp://192.0.2.1:1",
    ] {
        let machine = machine();
        let start = Instant::now();
        let mut holder = Holder::start("auto", machine.path(), &[("DOCKER_HOST", nowhere)]);
        let said = holder.said();
        eprintln!("{} after {:?}", said.description, start.elapsed());
        assert_eq!(said.kind, "local");
        assert!(
            said.description.contains("no container, "),
            "{}",
            said.description
        );
        assert!(start.elapsed() < Duration::from_secs(30));
        holder.release();
    }
}

fn with_neither_docker_nor_binaries_the_error_lists_what_was_tried() {
    let machine = machine();
    let empty = tempfile::tempdir().unwrap();
    let environment = [
        ("DOCKER_HOST", "unix:///nowhere.sock"),
        ("LOCKPROOF_PG_ARCHIVE", "off"),
        ("LOCKPROOF_PG_BIN", empty.path().to_str().unwrap()),
    ];
    let error = Holder::start("auto", machine.path(), &environment)
        .said()
        .error
        .unwrap();
    for part in [
        "no PostgreSQL server could be had",
        "container: ",
        "/nowhere.sock",
        "local: LOCKPROOF_PG_BIN has no usable PostgreSQL",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
    let (code, text) = lockproof(&["doctor"], machine.path(), &environment);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("server       none"), "{text}");
}

fn an_image_that_cannot_be_had_is_named_with_what_would_help() {
    let machine = machine();
    let environment = [("LOCKPROOF_IMAGE", "127.0.0.1:1/no/such:image")];
    let error = Holder::start("container", machine.path(), &environment)
        .said()
        .error
        .unwrap();
    if runtime()
        .block_on(lockproof::internals::server::survey(&options("container")))
        .docker
        .is_ok()
    {
        assert!(error.contains("127.0.0.1:1/no/such:image"), "{error}");
        assert!(error.contains(".ci/make-image"), "{error}");
    }
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn a_temporary_directory_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let nowhere = file.path().join("nowhere");
    let (code, text) = lockproof(&["doctor"], &nowhere, &[]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains(nowhere.to_str().unwrap()), "{text}");
}

crate::harness::tests![
    auto_takes_a_local_server_and_says_why_where_docker_is_nowhere,
    with_neither_docker_nor_binaries_the_error_lists_what_was_tried,
    an_image_that_cannot_be_had_is_named_with_what_would_help,
    a_temporary_directory_that_cannot_be_written_is_named,
];
