//! The test harness itself (`tests/harness`): a test that lacks something is ignored with what to install,
//! fails where `LOCKPROOF_REQUIRE` asks for it, and never passes; no test is lost by the harness.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{Need, need, parse};

/// Set for this program when it is run by one of its tests.
const INNER: &str = "LOCKPROOF_TEST_NEEDS";

/// This program again, with an empty PATH: there is neither Node.js nor kubectl nor Docker.
fn bare(arguments: &[&str], require: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .env(INNER, "1")
        .env("PATH", "/nowhere")
        .env("LOCKPROOF_REQUIRE", require)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

mod inner {
    use super::{Need, need};

    fn plain() {}

    fn lacks_kubectl() {
        need(Need::Kubectl);
        panic!("it goes on without kubectl");
    }

    async fn lacks_node() {
        need(Need::Node);
        panic!("it goes on without Node.js");
    }

    fn fails() {
        assert_eq!(1 + 1, 3);
    }

    fn is_long() {
        panic!("it is run though nobody asked for it");
    }

    fn on_each(kind: &str) {
        assert_eq!(kind, "local");
    }

    crate::harness::tests![
        plain,
        lacks_kubectl,
        lacks_node,
        fails;
        long: is_long;
        on each server: on_each,
    ];
}

fn a_test_that_lacks_something_is_ignored_with_what_to_install() {
    let done = bare(&["--skip", "fails"], "");
    let text = stdout(&done);
    assert!(done.status.success(), "{text}");
    for (test, words) in [
        ("inner::lacks_kubectl", "apt-get install kubernetes-client"),
        ("inner::lacks_node", "apt-get install nodejs"),
        ("inner::on_each::container", "start a Docker engine"),
    ] {
        let line = text.lines().find(|line| line.contains(test)).unwrap();
        assert!(line.contains("ignored") && line.contains(words), "{line}");
    }
    // The long one, and those three.
    assert!(text.contains("2 passed; 0 failed; 4 ignored"), "{text}");
}

fn a_test_that_lacks_what_is_required_fails() {
    for (require, failed) in [
        ("all", 3),
        ("kubectl", 1),
        ("all,-containers", 2),
        ("all,-containers,-node,-kubectl", 0),
        ("-node, node kubectl", 2),
    ] {
        let done = bare(&["--skip", "fails"], require);
        let text = stdout(&done);
        assert_eq!(done.status.success(), failed == 0, "{require}: {text}");
        assert!(
            text.contains(&format!(" {failed} failed;")),
            "{require}: {text}"
        );
    }
}

fn what_fails_otherwise_fails_and_nothing_is_lost() {
    let done = bare(&[], "");
    let text = stdout(&done);
    assert!(!done.status.success(), "{text}");
    assert!(text.contains("2 passed; 1 failed; 4 ignored"), "{text}");
    let listed = stdout(&bare(&["--list"], ""));
    assert_eq!(listed.lines().count(), 7, "{listed}");
}

fn a_requirement_that_is_not_understood_is_refused() {
    for words in ["al", "all,-docker", "-all"] {
        let done = bare(&[], words);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}: {said}");
        assert!(
            said.contains("node-postgres") && said.contains("LOCKPROOF_REQUIRE"),
            "{said}"
        );
        assert!(stdout(&done).is_empty());
    }
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(
        parse("node, pgbouncer").unwrap(),
        [Need::Node, Need::PgBouncer]
    );
}

/// The Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|of| of == "rs") {
            found.push(path);
        }
    }
    found
}

/// `#[test]` in a program without libtest is compiled away without a word.
fn no_test_is_compiled_away() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut programs = 0;
    for test in manifest["test"].as_array().unwrap() {
        assert_eq!(test["harness"].as_bool(), Some(false));
        let name = test["name"].as_str().unwrap();
        let mut pending = vec![root.join("tests").join(format!("{name}.rs"))];
        if !pending[0].exists() {
            pending = vec![root.join("tests").join(name).join("main.rs")];
        }
        let whole = std::fs::read_to_string(&pending[0]).unwrap();
        assert!(
            whole.contains("#![deny(dead_code)]"),
            "{name}: a test can be left out of the list"
        );
        let mut read = 0;
        while let Some(file) = pending.pop() {
            read += 1;
            let text = std::fs::read_to_string(&file).unwrap();
            for line in text.lines().map(str::trim_start) {
                let lost = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                assert!(!lost, "{}: {line}", file.display());
            }
            let mut path = None;
            for line in text.lines().map(str::trim) {
                if let Some(named) = line.strip_prefix("#[path = \"") {
                    path = named.strip_suffix("\"]").map(str::to_owned);
                }
                let below = line
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub ");
                let Some(module) = below
                    .strip_prefix("mod ")
                    .and_then(|rest| rest.strip_suffix(';'))
                else {
                    continue;
                };
                let folder = file.parent().unwrap();
                let own = folder.join(file.file_stem().unwrap());
                let candidates = match path.take() {
                    Some(named) => vec![folder.join(named)],
                    None => vec![
                        folder.join(format!("{module}.rs")),
                        folder.join(module).join("mod.rs"),
                        own.join(format!("{module}.rs")),
                    ],
                };
                let there = candidates.into_iter().find(|path| path.exists());
                pending.push(
                    there.unwrap_or_else(|| panic!("{}: no module {module}", file.display())),
                );
            }
        }
        assert!(read >= 2, "{name}: its modules were not read");
        programs += 1;
    }
    // Nobody else may use the harness: what it ends a test with is a failure under libtest.
    let users = files(&root.join("tests"))
        .into_iter()
        .filter(|path| path.parent() == Some(&root.join("tests")) || path.ends_with("main.rs"))
        .filter(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .contains("mod harness;")
        })
        .count();
    assert_eq!(users, programs);
}

crate::harness::tests![
    a_test_that_lacks_something_is_ignored_with_what_to_install,
    a_test_that_lacks_what_is_required_fails,
    what_fails_otherwise_fails_and_nothing_is_lost,
    a_requirement_that_is_not_understood_is_refused,
    no_test_is_compiled_away,
];

fn main() -> std::process::ExitCode {
    if std::env::var_os(INNER).is_some() {
        return harness::run([inner::tests()]);
    }
    harness::run([tests()])
}
