//! The commands of the playbook, the README and the book (docs/) do what those pages say.
//!
//! Owns the reading of their fenced blocks: `sh local` is run with the built binary in a directory
//! of its own, `text expect` behind it lists what must be printed, and `text expect FILE exit=N`
//! is what `groombook check-log` must say of a stored log. `sh deployed` is run by the real kubectl against a stand-in
//! for the API server. The server is `LOCKPROOF_SERVER`'s, as for any test.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "playbook/cluster.rs"]
mod cluster;
mod harness;
#[path = "support/kept.rs"]
mod kept;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Need, need};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The longest that one command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A fenced block of a page.
#[derive(Debug)]
struct Block {
    /// Where it begins.
    line: usize,
    /// The words behind the fence.
    words: Vec<String>,
    text: String,
}

impl Block {
    fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(a, b)| a == b)
    }

    /// A program that the block needs besides.
    fn needs(&self) -> Option<&str> {
        self.words
            .iter()
            .find_map(|word| word.strip_prefix("needs="))
    }

    /// The exit code that the block states.
    fn exit(&self) -> i32 {
        let stated = self
            .words
            .iter()
            .find_map(|word| word.strip_prefix("exit="));
        stated.map_or(0, |code| code.parse().expect("exit=N"))
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(project().join(name)).expect(name)
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => found.push(block),
            (Some(words), None) => {
                open = Some(Block {
                    line: index + 1,
                    words: words.split_whitespace().map(str::to_owned).collect(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// Each line of `expected` is in a line of `output`, in this order; `…` stands for anything.
fn first_missing<'e>(output: &str, expected: &'e str) -> Option<&'e str> {
    let mut lines = output.lines();
    expected.lines().find(|wanted| {
        let parts: Vec<&str> = wanted.trim().split('…').collect();
        !lines.by_ref().any(|line| {
            let mut rest = line;
            parts.iter().all(|part| match rest.find(part) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
        })
    })
}

/// A directory with what the commands name: scenarios, docs.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["scenarios", "docs", "deploy"] {
        std::os::unix::fs::symlink(project().join(name), dir.path().join(name)).expect("a link");
    }
    dir
}

/// Runs a line for the shell with the built binary in place of `cargo run --` and `lockproof`;
/// what it printed, and its exit code.
fn run(script: &str, dir: &Path, input: Option<&Path>) -> (String, i32) {
    let script = script.replace("cargo run --", "lockproof");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_lockproof"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("its directory").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output_path = dir.join("output.txt");
    let output = File::create(&output_path).expect("a file");
    let mut child = Command::new("sh")
        .args(["-e", "-c", &script])
        .current_dir(dir)
        .env("PATH", path)
        .stdin(input.map_or_else(Stdio::null, |file| File::open(file).expect("a log").into()))
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .process_group(0)
        .spawn()
        .expect("sh");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break Some(status);
        }
        if begun.elapsed() > LIMIT {
            // SIGTERM, so that it cleans up behind it.
            let group = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
            let _ = killpg(group, Signal::SIGTERM);
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = std::fs::read(&output_path).expect("its output");
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = status.unwrap_or_else(|| panic!("not ended in {LIMIT:?}: {script}\n{text}"));
    (text, status.code().unwrap_or(-1))
}

/// Runs the local commands of a page that need this program besides, or none, one after the other in one
/// directory; how many there were.
fn run_local(name: &str, needs: Option<&str>) -> usize {
    kept::keep_server();
    let page = page(name);
    let blocks = blocks(&page);
    let dir = workplace();
    let mut count = 0;
    for (index, block) in blocks.iter().enumerate() {
        if !block.begins(&["sh", "local"]) || block.needs() != needs {
            continue;
        }
        count += 1;
        let begun = Instant::now();
        let (output, code) = run(&block.text, dir.path(), None);
        let place = format!("{name}:{}: {}", block.line, block.text.trim());
        println!("{place} [{:.1} s]", begun.elapsed().as_secs_f32());
        assert_eq!(code, block.exit(), "{place}\n{output}");
        let expected = blocks
            .get(index + 1)
            .filter(|next| next.begins(&["text", "expect"]) && next.words.len() == 2)
            .unwrap_or_else(|| panic!("{place}: what must it print?"));
        if let Some(missing) = first_missing(&output, &expected.text) {
            panic!("{place}\nexpected: {missing}\nprinted:\n{output}");
        }
    }
    count
}

fn the_playbooks_local_commands_do_what_it_says() {
    assert!(run_local("UAT_PLAYBOOK.md", None) >= 6);
}

fn the_playbooks_local_commands_that_need_kubectl_do_what_it_says() {
    need(Need::Kubectl);
    assert!(run_local("UAT_PLAYBOOK.md", Some("kubectl")) >= 1);
}

/// The pages of the book.
fn book() -> Vec<String> {
    let files = std::fs::read_dir(project().join("docs")).expect("docs");
    let names = files.map(|file| file.expect("an entry").file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md"));
    let mut pages: Vec<String> = pages.map(|name| format!("docs/{name}")).collect();
    pages.sort();
    pages
}

fn no_local_command_needs_anything_but_kubectl() {
    let names = ["UAT_PLAYBOOK.md", "README.md"].map(str::to_owned);
    for name in book().iter().chain(&names) {
        for block in blocks(&page(name)) {
            assert!(
                matches!(block.needs(), None | Some("kubectl")),
                "{name}:{}: no test runs it",
                block.line
            );
        }
    }
}

fn the_readmes_example_does_what_it_says() {
    assert!(run_local("README.md", None) >= 3);
}

fn the_books_commands_do_what_it_says() {
    let counts = book().into_iter().map(|name| run_local(&name, None));
    assert!(counts.sum::<usize>() >= 8);
}

fn the_deployed_jobs_log_is_judged_as_the_playbook_says() {
    let page = page("UAT_PLAYBOOK.md");
    let blocks = blocks(&page);
    // The playbook's own command, from the pipe on.
    let command = blocks
        .iter()
        .filter(|block| block.begins(&["sh", "deployed"]))
        .find_map(|block| {
            block
                .text
                .trim()
                .strip_prefix("kubectl logs")?
                .split_once("| ")
        })
        .map(|(_, command)| command.to_owned())
        .expect("kubectl logs … | lockproof groombook check-log -");
    assert_eq!(command, "lockproof groombook check-log -");
    let dir = workplace();
    let samples: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.begins(&["text", "expect"]) && block.words.len() > 2)
        .collect();
    assert_eq!(samples.len(), 2, "a log that passes and one that does not");
    for sample in samples {
        let log = project().join(&sample.words[2]);
        let (output, code) = run(&command, dir.path(), Some(&log));
        assert_eq!(code, sample.exit(), "{}\n{output}", log.display());
        let missing = first_missing(&output, &sample.text);
        assert_eq!(missing, None, "{}\n{output}", log.display());
    }
}

/// Four parts of a search, as `explore --shard I/4 --format json` prints them: the first is real, the others are
/// the same with another index.
fn parts_of_a_search(dir: &Path) -> [String; 4] {
    let line = "lockproof explore --all --strategy pct --schedules 4 --seeder session --no-shrink \
                --shard 0/4 --format json --out part 2>/dev/null";
    let (part, code) = run(line, dir, None);
    assert_eq!(code, 0, "{part}");
    let document: serde_json::Value = serde_json::from_str(&part).expect("a document");
    [0, 1, 2, 3].map(|index| {
        let mut document = document.clone();
        document["shard"][0] = index.into();
        let text = serde_json::to_string_pretty(&document).expect("JSON");
        format!("a line of standard error\n{text}\n")
    })
}

fn the_deployed_commands_do_what_the_playbook_says_as_far_as_kubectl_goes() {
    need(Need::Kubectl);
    kept::keep_server();
    let dir = workplace();
    let sample = std::fs::read_to_string(project().join("docs/samples/reset-demo-data.log"));
    let sample = sample.expect("the sample of a log");
    let parts = parts_of_a_search(dir.path());
    let cluster = cluster::Cluster::start(Box::new(move |job, index| match job {
        "lockproof-search" => (parts[index].clone(), 0),
        "lockproof-merge" => ("means     every part held\n".to_owned(), 0),
        _ => (sample.clone(), 0),
    }));
    cluster.write_config(&dir.path().join("kubeconfig"));
    std::fs::write(
        dir.path().join("reset-demo-data.env"),
        "DATABASE_URL=postgres://reset@db.example/groombook_uat\n",
    )
    .expect("a file");

    // One session of bash, as the playbook wants it: later blocks use variables of earlier ones.
    let page = page("UAT_PLAYBOOK.md");
    let blocks = blocks(&page);
    let deployed: Vec<(usize, &Block)> = blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.begins(&["sh", "deployed"]))
        .collect();
    let mut script = "export KUBECONFIG=$PWD/kubeconfig\n".to_owned();
    for (number, (_, block)) in deployed.iter().enumerate() {
        script += &format!("echo '@@ {number}'\n{}\necho \"@@ exit $?\"\n", block.text);
    }
    std::fs::write(dir.path().join("session.sh"), script).expect("a file");
    let (output, code) = run("bash session.sh", dir.path(), None);
    assert_eq!(code, 0, "{output}");
    for (number, (index, block)) in deployed.iter().enumerate() {
        let place = format!("UAT_PLAYBOOK.md:{}", block.line);
        let begin = format!("@@ {number}\n");
        let said = output.split_once(&begin).map(|(_, rest)| rest);
        let said = said.and_then(|rest| rest.split_once("@@ exit "));
        let (said, rest) = said.unwrap_or_else(|| panic!("{place}: {output}"));
        assert!(rest.starts_with("0\n"), "{place}: {said}exit {rest}");
        assert!(!said.contains("rror"), "{place}: {said}");
        let expected = blocks.get(index + 1);
        if let Some(expected) = expected.filter(|next| next.words == ["text", "expect"]) {
            let missing = first_missing(said, &expected.text);
            assert_eq!(missing, None, "{place}: {said}");
        }
    }
    // What was made by hand is gone, the CronJob and its Secret stay.
    let left = cluster.objects();
    assert_eq!(
        left,
        [
            "/api/v1/namespaces/groombook-uat/secrets/reset-demo-data",
            "/apis/batch/v1/namespaces/groombook-uat/cronjobs/reset-demo-data"
        ],
        "{:#?}",
        cluster.requests()
    );
}

fn the_deployed_commands_are_sound_shell() {
    let page = page("UAT_PLAYBOOK.md");
    for block in blocks(&page) {
        if block.begins(&["sh", "deployed"]) || block.begins(&["sh", "ci"]) {
            let status = Command::new("sh")
                .args(["-n", "-c", &block.text])
                .status()
                .expect("sh");
            assert!(status.success(), "UAT_PLAYBOOK.md:{}", block.line);
        }
    }
}

fn an_expectation_is_met_in_order_and_with_gaps() {
    let output = "one two three\nfour\nfive six\n";
    assert_eq!(first_missing(output, "one…three\nfive"), None);
    assert_eq!(first_missing(output, "five\none"), Some("one"));
    assert_eq!(first_missing(output, "three…one"), Some("three…one"));
}

crate::harness::tests![
    the_playbooks_local_commands_do_what_it_says,
    the_playbooks_local_commands_that_need_kubectl_do_what_it_says,
    no_local_command_needs_anything_but_kubectl,
    the_readmes_example_does_what_it_says,
    the_books_commands_do_what_it_says,
    the_deployed_jobs_log_is_judged_as_the_playbook_says,
    the_deployed_commands_do_what_the_playbook_says_as_far_as_kubectl_goes,
    the_deployed_commands_are_sound_shell,
    an_expectation_is_met_in_order_and_with_gaps,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
