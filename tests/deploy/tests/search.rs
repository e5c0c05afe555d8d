//! The split search and its merge step, with the command lines of the rendered YAML.
//!
//! Each part is one process, with the JOB_COMPLETION_INDEX that Kubernetes would set. Changed is only what this
//! machine has otherwise: the server, the place of the results, and (to be quick) the number of schedules.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use deploy_check::Document;
use support::{documents, finished, lockproof, option};

/// The command line of a Job's container, its number of completions, and the exit codes that end an index.
struct Deployed {
    arguments: Vec<String>,
    completions: i32,
    final_codes: Vec<i32>,
}

fn deployed(directory: &str) -> Deployed {
    let documents = documents(directory);
    let job = documents.iter().find_map(Document::job).unwrap();
    let container = &job.template.spec.as_ref().unwrap().containers[0];
    assert_eq!(
        container.command.as_ref().unwrap(),
        &["/usr/local/bin/lockproof"]
    );
    let rules = job.pod_failure_policy.iter().flat_map(|one| &one.rules);
    let codes = rules
        .filter(|rule| rule.action == "FailIndex")
        .filter_map(|rule| rule.on_exit_codes.as_ref())
        .filter(|codes| codes.container_name.as_deref() == Some(&*container.name))
        .flat_map(|codes| codes.values.clone());
    Deployed {
        final_codes: codes.collect(),
        arguments: container.args.clone().unwrap(),
        completions: job.completions.unwrap_or(1),
    }
}

/// Where the volume is.
struct Results(tempfile::TempDir);

impl Results {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn part(&self, index: i32) -> PathBuf {
        self.0.path().join(format!("part-{index}"))
    }

    /// One part of the search; its exit code, and what it said.
    fn search(&self, index: i32, seeder: &str) -> (i32, String) {
        let search = deployed("deploy/search");
        let server = std::env::var("LOCKPROOF_SERVER").unwrap_or("local".to_owned());
        let arguments = search.arguments.iter().map(|argument| {
            let argument = argument.replace("$(JOB_COMPLETION_INDEX)", &index.to_string());
            match argument.split_once('=') {
                Some(("--server", _)) => format!("--server={server}"),
                Some(("--schedules", _)) => "--schedules=8".to_owned(),
                Some(("--seeder", _)) => format!("--seeder={seeder}"),
                Some(("--out", path)) => format!("--out={}", self.here(path)),
                _ => argument,
            }
        });
        let mut command = Command::new(lockproof());
        command.args(arguments).arg("--no-shrink");
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        finished(command.current_dir(self.0.path()))
    }

    /// The merge step; its exit code, and what it said.
    fn merge(&self) -> (i32, String) {
        let merge = deployed("deploy/search/merge");
        let arguments = merge.arguments.iter().map(|one| self.here(one));
        finished(Command::new(lockproof()).args(arguments))
    }

    fn here(&self, path: &str) -> String {
        match path.strip_prefix("/results/") {
            Some(rest) => self.0.path().join(rest).display().to_string(),
            None => path.to_owned(),
        }
    }
}

#[test]
fn the_merge_ends_with_the_exit_code_of_the_whole_search_and_names_a_part_that_never_reported() {
    let parts = deployed("deploy/search").completions;
    let results = Results::new();
    let mut logs = Vec::new();
    for index in 0..parts {
        let (code, said) = results.search(index, "session");
        assert_eq!(code, 0, "part {index}: {said}");
        // What `kubectl logs` would have: both streams.
        let log = results.0.path().join(format!("part-{index}.log"));
        std::fs::write(&log, said).unwrap();
        logs.push(log);
    }
    let (code, said) = results.merge();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("4 parts, 8 schedules: 0 failed, 0 unclear"),
        "{said}"
    );

    // A pod that was evicted and never came back: its directory is not there, or has no result in it.
    let lost = results.part(2);
    std::fs::rename(lost.join("explore"), results.0.path().join("aside")).unwrap();
    let missing = format!("{}: there is no explore.json", lost.display());
    let (code, said) = results.merge();
    assert!(code == 2 && said.contains(&missing), "{code}: {said}");
    std::fs::remove_dir_all(&lost).unwrap();
    let (code, said) = results.merge();
    assert!(code == 2 && said.contains(&missing), "{code}: {said}");
    // Nor does it do to leave it out.
    let others = [0, 1, 3].map(|index| results.part(index));
    let (code, said) = finished(Command::new(lockproof()).arg("merge").args(others));
    assert!(
        code == 2 && said.contains("a part is missing: 2/4"),
        "{code}: {said}"
    );

    // Evicted and run again, over what it had written: the whole is complete.
    std::fs::create_dir(&lost).unwrap();
    std::fs::rename(results.0.path().join("aside"), lost.join("explore")).unwrap();
    std::fs::remove_file(lost.join("explore/explore.json")).unwrap();
    let (code, said) = results.search(2, "session");
    assert_eq!(code, 0, "{said}");
    assert_eq!(results.merge().0, 0);

    // Without a volume the logs will do.
    let documents: Vec<PathBuf> = logs.iter().map(|log| document_of(log)).collect();
    let (code, merged) = finished(Command::new(lockproof()).arg("merge").args(documents));
    assert_eq!(code, 0, "{merged}");
    assert!(merged.contains("4 parts, 8 schedules: 0 failed, 0 unclear"));
}

#[test]
fn without_the_lock_the_merge_ends_with_1_and_no_part_is_tried_again() {
    let search = deployed("deploy/search");
    let results = Results::new();
    let mut codes = Vec::new();
    for index in 0..search.completions {
        let (code, said) = results.search(index, "none");
        assert!(
            code == 0 || search.final_codes.contains(&code),
            "part {index}: {code}: {said}"
        );
        codes.push(code);
    }
    assert!(codes.contains(&1), "{codes:?}");
    let (code, said) = results.merge();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("23503"), "{said}");
}

/// The JSON document of a log, in a file of its own, by the playbook's own words.
fn document_of(log: &Path) -> PathBuf {
    let out = log.with_extension("json");
    let line = format!(
        "sed -n '/^{{$/,/^}}$/p' {} > {}",
        log.display(),
        out.display()
    );
    assert_eq!(finished(Command::new("sh").args(["-c", &line])).0, 0);
    out
}

#[test]
fn an_index_out_of_range_is_wrong_usage_and_ends_its_part_at_once() {
    let search = deployed("deploy/search");
    let results = Results::new();
    let (code, said) = results.search(search.completions, "session");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("there is no shard 4 of 4: the index goes from 0 to 3"),
        "{said}"
    );
    assert!(search.final_codes.contains(&code));
    assert_eq!(option(&search.arguments, "--shard"), "4");
    assert!(!results.part(search.completions).exists());
}
