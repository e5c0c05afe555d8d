//! lockproof in a pipeline: reports for machines, and the templates under docs/ci, whose every shell line is run.

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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use yard::{REFILL, Yard, locked, psql};

/// A yard with a sound scenario and one that fails at its second move, in line 8.
fn two() -> Yard {
    kept::keep_server();
    let yard = Yard::new();
    yard.write("locked.sh", &locked());
    yard.write("bare.sh", &psql(&REFILL));
    let scenario = |job: &str, title: &str, more: &str| {
        format!(
            "title = \"{title}\"\n[subject]\ncommand = [\"sh\", \"{job}.sh\"]\nschema = \"schema.sql\"\n[schedule]\nturns = [\n  \
             {{ run = \"a\", until = {{ before = \"insert into price\" }} }},\n  {{ run = \"b\" }},\n  {{ run = \"a\" }},\n]\n{more}"
        )
    };
    yard.write("sound.toml", &scenario("locked", "Two locked refills", ""));
    yard.write("bare.toml", &scenario("bare", "Two bare refills", ""));
    yard
}

fn on_github(yard: &Yard, words: &[&str]) -> (sandbox::Done, String) {
    let summary = yard.path("summary.md");
    std::fs::write(&summary, "# of another step\n").unwrap();
    let mut command = yard.command(words);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", yard.path(""))
        .env("GITHUB_STEP_SUMMARY", &summary);
    let done = sandbox::finish(command.spawn().unwrap());
    (done, std::fs::read_to_string(summary).unwrap())
}

fn a_run_on_github_writes_its_summary_its_report_and_remarks_that_point_into_the_file() {
    let yard = two();
    let (done, summary) = on_github(
        &yard,
        &["run", "sound.toml", "bare.toml", "--junit", "out/junit.xml"],
    );
    assert_eq!(done.code, Some(1), "{done}");
    let remark = done
        .stdout
        .lines()
        .find(|line| line.starts_with("::error "))
        .unwrap();
    assert!(
        remark.contains("file=bare.toml,line=9,title=Two bare refills::"),
        "{remark}"
    );
    assert!(
        remark.contains("again with: lockproof run --times 10 bare.toml"),
        "{remark}"
    );
    assert!(
        summary.starts_with("# of another step\n## lockproof run\n"),
        "{summary}"
    );
    assert!(summary.contains("| ✓ | Two locked refills |"), "{summary}");
    assert!(summary.contains("### Two bare refills"), "{summary}");
    let junit = std::fs::read_to_string(yard.path("out/junit.xml")).unwrap();
    assert!(junit.contains("failures=\"1\" errors=\"0\""), "{junit}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(yard.path("out/junit.xml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn a_verdict_does_not_end_a_pipeline_that_only_wants_to_know_it_and_wrong_usage_does() {
    let yard = two();
    let done = yard.run(&["run", "bare.toml", "--exit-zero", "--markdown", "page.md"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.text().contains("NOT AS EXPECTED"), "{done}");
    assert!(
        std::fs::read_to_string(yard.path("page.md"))
            .unwrap()
            .contains("✗")
    );
    assert!(!done.text().contains("::error"), "nobody asked: {done}");
    let done = yard.run(&["run", "none.toml", "--exit-zero"]);
    assert_eq!(done.code, Some(2), "{done}");
}

fn a_search_reports_what_it_found_with_the_scenario_that_shows_it() {
    let yard = two();
    let words = [
        "explore",
        "--scenario",
        "bare.toml",
        "--times",
        "1",
        "--save",
        "found",
        "--junit",
        "j.xml",
    ];
    let (done, summary) = on_github(&yard, &words);
    assert_eq!(done.code, Some(1), "{done}");
    let remark = done
        .stdout
        .lines()
        .find(|line| line.starts_with("::error file=found/"))
        .unwrap();
    assert!(remark.contains("again with: lockproof run "), "{remark}");
    assert!(summary.contains("lockproof explore"), "{summary}");
    let junit = std::fs::read_to_string(yard.path("j.xml")).unwrap();
    assert!(
        junit.contains("failures=\"2\""),
        "the finding, and the search: {junit}"
    );
}

fn a_search_tells_what_it_will_take_before_it_begins() {
    let yard = two();
    let done = yard.run(&[
        "explore",
        "--scenario",
        "sound.toml",
        "--strategy",
        "preemptions",
        "--unreduced",
    ]);
    let text = done.text();
    let told = text
        .split("will take")
        .nth(1)
        .unwrap_or_else(|| panic!("{done}"));
    let words: Vec<&str> = told.split_whitespace().collect();
    let number = |at: usize| {
        words[at]
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{words:?}"))
    };
    assert_eq!(
        (words[0], words[2], words[4]),
        ("about", "schedules,", "s"),
        "{done}"
    );
    let ran = text.split(" schedules in ").next().unwrap();
    let ran: f64 = ran.rsplit(['\n', ' ']).next().unwrap().parse().unwrap();
    let took = text.split(" schedules in ").nth(1).unwrap();
    let took: f64 = took.split(' ').next().unwrap().parse().unwrap();
    assert!((0.5..2.0).contains(&(number(1) / ran)), "{done}");
    // Seconds are told rounded up, and this machine is shared.
    assert!(
        number(3) <= 2.0 * took + 1.0 && number(3) * 3.0 + 1.0 >= took,
        "{done}"
    );
}

fn a_survey_and_a_search_with_every_strategy_write_the_same_files() {
    let yard = two();
    let wrote = |words: &[&str], code: i32| {
        let mut all = words.to_vec();
        all.extend(["--no-shrink", "--junit", "j.xml", "--markdown", "m.md"]);
        let (done, summary) = on_github(&yard, &all);
        assert_eq!(done.code, Some(code), "{done}");
        let page = std::fs::read_to_string(yard.path("m.md")).unwrap();
        assert!(summary.ends_with(&page), "{summary}");
        (
            std::fs::read_to_string(yard.path("j.xml")).unwrap(),
            page,
            done,
        )
    };
    let survey = [
        "explore",
        "--strategy",
        "sweep",
        "--survey",
        "--faults",
        "kill",
        "--sample",
    ];
    let sound: Vec<&str> = [&survey[..], &["--scenario", "sound.toml"]].concat();
    let (junit, page, _) = wrote(&sound, 0);
    assert!(
        junit.contains("tests=\"1\" skipped=\"0\" failures=\"0\" errors=\"0\""),
        "{junit}"
    );
    assert!(
        page.contains("| ✓ | survey of Two locked refills |"),
        "{page}"
    );
    let every = [
        "explore",
        "--strategy",
        "every",
        "--schedules",
        "16",
        "--scenario",
        "bare.toml",
    ];
    let (junit, page, done) = wrote(&every, 1);
    assert!(
        junit.contains("failures=\"") && !junit.contains("failures=\"0\""),
        "{junit}"
    );
    assert!(
        page.contains("| ✗ | Two bare refills with hazards: "),
        "{page}"
    );
    assert!(done.stdout.contains("::error "), "{done}");
    let zero: Vec<&str> = [&every[..], &["--exit-zero"]].concat();
    wrote(&zero, 0);
}

fn template(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/ci")
        .join(name);
    let text = std::fs::read_to_string(&file).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A shell line of a template, with the variables that it is given.
#[derive(Debug)]
struct Step {
    line: String,
    env: BTreeMap<String, String>,
}

/// The steps of a list, with GitHub's expressions replaced by these values.
fn steps(list: &Value, values: &[(&str, &str)]) -> Vec<Step> {
    let filled = |text: &str| {
        let mut text = text.to_owned();
        for (name, value) in values {
            text = text.replace(&format!("${{{{ {name} }}}}"), value);
        }
        assert!(!text.contains("${{"), "no value for {text}");
        text
    };
    let of = |step: &Value| {
        // What a user may give goes through the environment: in the line itself it would be code.
        let line = step["run"].as_str()?.to_owned();
        assert!(!line.contains("${{"), "{line}");
        let env = step["env"].as_object().into_iter().flatten();
        let env = env.map(|(name, value)| (name.clone(), filled(value.as_str().unwrap())));
        Some(Step {
            line,
            env: env.collect(),
        })
    };
    list.as_array().unwrap().iter().filter_map(of).collect()
}

/// Runs shell lines one after the other, as a runner does, with lockproof in PATH.
fn run_all(yard: &Yard, steps: &[Step]) {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_lockproof"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    assert!(!steps.is_empty());
    for step in steps {
        let server = std::env::var("LOCKPROOF_SERVER").unwrap_or_else(|_| "local".to_owned());
        let output = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", &step.line])
            .current_dir(yard.path(""))
            .env("PATH", &path)
            .env("LOCKPROOF_SERVER", server)
            .envs(&step.env)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{step:?}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A yard whose own scenario is sound.
fn own() -> Yard {
    let yard = two();
    std::fs::rename(yard.path("sound.toml"), yard.path("lockproof.toml")).unwrap();
    yard
}

fn the_github_action_does_what_it_says() {
    let yard = own();
    let action = template("github/action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    for (name, input) in action["inputs"].as_object().unwrap() {
        assert!(
            input["default"].is_string() && input["description"].is_string(),
            "{name}"
        );
    }
    let values = [("inputs.arguments", "run"), ("inputs.source", ".")];
    run_all(&yard, &steps(&action["runs"]["steps"], &values));
    assert!(yard.path("lockproof-out/lockproof.xml").exists());
}

fn the_github_workflow_splits_a_search_and_joins_its_parts() {
    let yard = own();
    let workflow = template("github/workflow.yml");
    let jobs = &workflow["jobs"];
    let parts = jobs["part"]["strategy"]["matrix"]["part"]
        .as_array()
        .unwrap();
    let total = parts.len().to_string();
    for part in parts {
        let part = part.to_string();
        let values = [
            ("matrix.part", part.as_str()),
            ("strategy.job-total", total.as_str()),
        ];
        run_all(&yard, &steps(&jobs["part"]["steps"], &values));
    }
    run_all(&yard, &steps(&jobs["whole"]["steps"], &[]));
    let junit = std::fs::read_to_string(yard.path("lockproof.xml")).unwrap();
    assert!(junit.contains("errors=\"0\""), "{junit}");
}

fn the_gitlab_template_splits_a_search_and_joins_its_parts() {
    let yard = own();
    let template = template("gitlab/lockproof.yml");
    let lines = |list: &Value, env: &[(&str, String)]| -> Vec<Step> {
        let lines = list.as_array().unwrap().iter();
        lines
            .map(|line| Step {
                line: line.as_str().unwrap().to_owned(),
                env: env
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
            })
            .collect()
    };
    run_all(&yard, &lines(&template[".lockproof"]["before_script"], &[]));
    run_all(&yard, &lines(&template["scenarios"]["script"], &[]));
    let parallel = template["part"]["parallel"].as_u64().unwrap();
    for index in 1..=parallel {
        let env = [
            ("CI_NODE_INDEX", index.to_string()),
            ("CI_NODE_TOTAL", parallel.to_string()),
        ];
        run_all(&yard, &lines(&template["part"]["script"], &env));
    }
    run_all(&yard, &lines(&template["whole"]["script"], &[]));
    for job in ["scenarios", "whole"] {
        let report = template[job]["artifacts"]["reports"]["junit"]
            .as_str()
            .unwrap();
        assert!(yard.path(report).exists(), "{job}: {report}");
    }
}

/// A job whose data must not leave the machine: in a constant, a row, an error, and what it prints.
const SECRET: &str = "echo '✓ Zanzibar'\necho 'for Quagga'\n\
    exec psql -Xq -v ON_ERROR_STOP=1 <<'SQL'\ntruncate product, price;\ninsert into product values (1770016601, 'Okapi');\n\
    insert into price values (1770016601, 1660127701);\nSQL\n";

/// Every file below a directory, and what it holds.
fn everything(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(everything(&path)),
            false => found.push((
                path.clone(),
                String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
            )),
        }
    }
    found
}

fn redacted_runs_leave_no_constant_row_or_output_anywhere_and_come_to_the_same_verdict() {
    let yard = two();
    yard.write("bare.sh", SECRET);
    let data = ["Zanzibar", "Quagga", "Okapi", "1770016601", "1660127701"];
    let leaks = |text: &str| data.into_iter().find(|data| text.contains(data));
    // That it would be found if it were there.
    let plain = yard.run(&["run", "bare.toml"]);
    assert_eq!(plain.code, Some(1), "{plain}");
    let kept = everything(&yard.path("lockproof-out"));
    for one in data {
        assert!(kept.iter().any(|(_, text)| text.contains(one)), "{one}");
    }
    std::fs::remove_dir_all(yard.path("lockproof-out")).unwrap();

    let words = [
        "run",
        "bare.toml",
        "--redact",
        "--verbose",
        "--times",
        "1",
        "--junit",
        "j.xml",
        "--markdown",
        "m.md",
    ];
    let (done, summary) = on_github(&yard, &words);
    assert_eq!(done.code, Some(1), "{done}");
    let words = [
        "explore",
        "--scenario",
        "bare.toml",
        "--redact",
        "--times",
        "1",
        "--format",
        "json",
    ];
    let searched = yard.run(&words);
    assert_eq!(searched.code, Some(1), "{searched}");
    let mut all = everything(&yard.path("lockproof-out"));
    for (name, text) in [
        ("run", done.text()),
        ("search", searched.text()),
        ("summary", summary),
        (
            "junit",
            std::fs::read_to_string(yard.path("j.xml")).unwrap(),
        ),
        (
            "markdown",
            std::fs::read_to_string(yard.path("m.md")).unwrap(),
        ),
    ] {
        all.push((PathBuf::from(name), text));
    }
    for (file, text) in &all {
        assert_eq!(leaks(text), None, "{}: {text}", file.display());
    }
    let history = all
        .iter()
        .find(|(file, _)| file.ends_with("run/bare/history.jsonl"));
    let (_, history) = history.unwrap();
    assert!(
        history.contains("<text-1>") && history.contains("<output-1>"),
        "{history}"
    );
    // The same can still be judged from what is left.
    let check = yard.run(&["check", "lockproof-out/run/bare"]);
    assert!(check.text().contains("verdict: violated"), "{check}");
    assert_eq!(check.code, Some(1), "{check}");
}

fn a_clean_run_that_fails_is_redacted_as_well() {
    let yard = two();
    yard.write(
        "bare.sh",
        "echo 'error: no such Quagga' >&2; psql -c 'select 1'; exit 3\n",
    );
    let done = yard.run(&["run", "bare.toml", "--redact"]);
    assert_eq!(done.code, Some(3), "{done}");
    assert!(
        !done.text().contains("Quagga") && done.text().contains("<output-"),
        "{done}"
    );
    for (file, text) in everything(&yard.path("lockproof-out")) {
        assert!(!text.contains("Quagga"), "{}: {text}", file.display());
    }
}

/// Runs an example of another language's test runner, with lockproof in PATH.
fn example(program: &str, words: &[&str], file: &str) {
    kept::keep_server();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_lockproof"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary.parent().unwrap().display());
    let folder = tempfile::tempdir().unwrap();
    let server = std::env::var("LOCKPROOF_SERVER").unwrap_or_else(|_| "local".to_owned());
    let output = Command::new(program)
        .args(words)
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("docs/examples")
                .join(file),
        )
        .current_dir(folder.path())
        .env("PATH", path)
        .env("LOCKPROOF_SERVER", server)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn the_example_for_pytest_passes() {
    let has = |words: &[&str]| {
        Command::new("python3")
            .args(words)
            .output()
            .is_ok_and(|done| done.status.success())
    };
    if has(&["-m", "pytest", "--version"]) {
        return example(
            "python3",
            &["-m", "pytest", "-q", "-p", "no:cacheprovider"],
            "pytest/test_lock.py",
        );
    }
    harness::need(harness::Need::Python);
    // Without pytest its test is called as pytest does.
    let call = "import runpy, sys\nfor name, test in runpy.run_path(sys.argv[1]).items():\n    name.startswith('test_') and test()";
    example("python3", &["-c", call], "pytest/test_lock.py");
}

fn the_example_for_nodes_test_runner_passes() {
    harness::need(harness::Need::Node);
    example("node", &["--test"], "node/lock.test.mjs");
}

crate::harness::tests![
    a_clean_run_that_fails_is_redacted_as_well,
    a_run_on_github_writes_its_summary_its_report_and_remarks_that_point_into_the_file,
    a_search_reports_what_it_found_with_the_scenario_that_shows_it,
    a_search_tells_what_it_will_take_before_it_begins,
    a_survey_and_a_search_with_every_strategy_write_the_same_files,
    a_verdict_does_not_end_a_pipeline_that_only_wants_to_know_it_and_wrong_usage_does,
    redacted_runs_leave_no_constant_row_or_output_anywhere_and_come_to_the_same_verdict,
    the_example_for_nodes_test_runner_passes,
    the_example_for_pytest_passes,
    the_github_action_does_what_it_says,
    the_github_workflow_splits_a_search_and_joins_its_parts,
    the_gitlab_template_splits_a_search_and_joins_its_parts,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
