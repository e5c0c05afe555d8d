//! Histories and places of which no page can be made: one clear error, the right exit code, nothing left behind.

use std::fs;
use std::path::Path;

use crate::{lockproof, runs, support};

fn refused(arguments: &[&str], exit: i32) -> String {
    let done = lockproof(&[&["report"], arguments].concat());
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(exit), "{said}");
    assert!(done.stdout.is_empty());
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A run directory with this history.
fn with_history(text: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("history.jsonl"), text).unwrap();
    folder
}

fn nothing_but_the_history_is_in(folder: &Path) {
    let names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["history.jsonl"]);
}

fn a_history_that_is_none_is_refused_by_file_and_line() {
    let good =
        fs::read(runs()["scenarios/planted/original-bug.toml"].join("history.jsonl")).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    for (history, wanted) in [
        (&good[..good.len() - 20], "the last line is cut"),
        (b"".as_slice(), "is empty"),
        (
            text.replacen("\"format\":3", "\"format\":99", 1).as_bytes(),
            "format 99",
        ),
        (
            b"PK\x03\x04 no text at all\n".as_slice(),
            "history.jsonl:1: not a line of a history",
        ),
        (
            text.lines()
                .skip(1)
                .collect::<Vec<_>>()
                .join("\n")
                .as_bytes(),
            "a line is missing",
        ),
    ] {
        let folder = with_history(history);
        let said = refused(&[folder.path().to_str().unwrap()], 2);
        assert!(said.contains(wanted), "{said}");
        nothing_but_the_history_is_in(folder.path());
    }
}

fn a_later_run_or_a_grid_that_is_cut_is_named() {
    let run = &runs()["scenarios/planted/original-bug.toml"];
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    fs::create_dir(&one).unwrap();
    for name in ["history.jsonl", "confirmation.jsonl"] {
        fs::copy(run.join(name), one.join(name)).unwrap();
    }
    let place = one.to_str().unwrap();
    for redact in [&[place][..], &[place, "--redact"][..]] {
        let whole = fs::read(run.join("confirmation.jsonl")).unwrap();
        fs::write(one.join("confirmation.jsonl"), &whole[..whole.len() - 20]).unwrap();
        let said = refused(redact, 2);
        assert!(
            said.contains("confirmation.jsonl") && said.contains("is cut"),
            "{said}"
        );
        assert!(!one.join("report.html").exists());
    }
    fs::write(folder.path().join("grids.json"), "[{\"title\": \"Ord").unwrap();
    let said = refused(&[folder.path().to_str().unwrap()], 2);
    assert!(said.contains("grids.json: EOF"), "{said}");
    assert!(!folder.path().join("report.html").exists());
}

fn a_history_of_two_gigabytes_is_refused_at_once() {
    let folder = with_history(b"");
    let file = fs::File::options()
        .write(true)
        .open(folder.path().join("history.jsonl"))
        .unwrap();
    file.set_len(2 << 30).unwrap();
    let said = refused(&[folder.path().to_str().unwrap()], 2);
    assert!(
        said.contains("2048 MiB") && said.contains("lockproof check"),
        "{said}"
    );
    nothing_but_the_history_is_in(folder.path());
}

fn a_directory_without_a_run_says_where_one_could_be() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    assert!(refused(&[place], 2).contains("no history.jsonl in"));
    assert!(refused(&["/nowhere/at/all"], 2).contains("there is no such directory"));
    let run = runs()["scenarios/planted/original-bug.toml"]
        .to_str()
        .unwrap();
    assert!(refused(&[run, "--beside", place], 2).contains(place));
}

fn a_place_that_cannot_be_written_is_named_and_what_stands_there_stays() {
    let run = runs()["scenarios/planted/original-bug.toml"]
        .to_str()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/there.html");
    let said = refused(&[run, "--to", missing.to_str().unwrap()], 4);
    assert!(
        said.contains("cannot write") && said.contains("there.html"),
        "{said}"
    );
    let said = refused(&[run, "--to", folder.path().to_str().unwrap()], 2);
    assert!(said.contains("is a directory"), "{said}");
    let own = folder.path().join("thesis.html");
    fs::write(&own, "<html>years of work</html>").unwrap();
    let said = refused(&[run, "--to", own.to_str().unwrap()], 2);
    assert!(said.contains("not written over"), "{said}");
    assert_eq!(
        fs::read_to_string(&own).unwrap(),
        "<html>years of work</html>"
    );
    // A device takes no rename: nothing is put in its place.
    refused(&[run, "--to", "/dev/full"], 2);
}

fn reports_that_are_made_at_once_leave_one_whole_page() {
    let run = runs()["scenarios/planted/original-bug.toml"]
        .to_str()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("page.html");
    let to = to.to_str().unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| lockproof(&["report", run, "--to", to])))
            .collect();
        for one in all {
            assert_eq!(one.join().unwrap().status.code(), Some(0));
        }
    });
    let page = fs::read_to_string(to).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn a_page_that_cannot_be_written_does_not_hide_what_was_found() {
    crate::kept::keep_server();
    let folder = tempfile::tempdir().unwrap();
    let example = support::root().join("docs/examples/price-list");
    let scenario = |expect: &str| {
        let file = folder.path().join("overlap.toml");
        let text = format!(
            "title = \"overlap\"\n[subject]\ncommand = [\"sh\", \"{0}/refill.sh\"]\nschema = \"{0}/schema.sql\"\n\
             [schedule]\nturns = [\n  {{ run = \"a\", until = {{ before = \"insert into price\" }} }},\n  \
             {{ run = \"b\", until = {{ after = \"truncate\" }} }},\n  {{ run = \"a\" }},\n]\n{expect}",
            example.display()
        );
        fs::write(&file, text).unwrap();
        file
    };
    let out = folder.path().join("out");
    let run = |file: &Path| {
        let file = file.to_str().unwrap();
        let to = [
            "--report",
            "/nowhere/page.html",
            "--out",
            out.to_str().unwrap(),
        ];
        let done = lockproof(&[&["run", file], &to[..]].concat());
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let (exit, said) = run(&scenario(""));
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("cannot write /nowhere/page.html"), "{said}");
    let (exit, said) = run(&scenario(
        "[expect]\nviolates = [\"no-errors\"]\nsqlstate = \"23503\"\n",
    ));
    assert_eq!(exit, Some(4), "{said}");
}

crate::harness::tests![
    a_page_that_cannot_be_written_does_not_hide_what_was_found,
    a_history_that_is_none_is_refused_by_file_and_line,
    a_later_run_or_a_grid_that_is_cut_is_named,
    a_history_of_two_gigabytes_is_refused_at_once,
    a_directory_without_a_run_says_where_one_could_be,
    a_place_that_cannot_be_written_is_named_and_what_stands_there_stays,
    reports_that_are_made_at_once_leave_one_whole_page,
];
