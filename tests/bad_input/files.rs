//! Scenario files that cannot be used, and a stop that never comes.

use std::time::Duration;

use super::sandbox::Sandbox;
use super::{SEEDER, run};

/// A scenario file that cannot be used, what is wrong with it, and the line that must be shown.
struct Wrong {
    text: &'static str,
    says: &'static [&'static str],
}

fn a_scenario_that_cannot_be_used_is_named_with_file_line_and_column_and_shown() {
    let wrong = [
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\nretries = 3\n",
            says: &["it.toml:4:1", "unknown key `retries`", "4 │ retries = 3"],
        },
        Wrong {
            text: "title = 3\n[subject]\nseeder = {}\n",
            says: &[
                "it.toml:1:9",
                "integer `3`, expected a string",
                "1 │ title = 3",
            ],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[schedule]\nturns = [\n  { run = \"q\" },\n]\n",
            says: &[
                "it.toml:6:11",
                "no pod \"q\"",
                "pods, a to b",
                "{ run = \"q\" }",
            ],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[schedule]\nturns = [ { fault = { kill = { pod = \"c\" } } } ]\n",
            says: &["it.toml:5:38", "no pod \"c\""],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[pods]\ncount = 0\n",
            says: &["it.toml:5:9", "0 pods are not possible"],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\ncommand = [\"job\"]\nschema = \"none.sql\"\n",
            says: &["it.toml:4:10", "no schema file", "none.sql"],
        },
        Wrong {
            text: "",
            says: &["it.toml:1:1", "missing field `title`"],
        },
        Wrong {
            text: "title = \"t\n",
            says: &["it.toml:1:"],
        },
    ];
    let sandbox = Sandbox::new();
    for Wrong { text, says } in wrong {
        sandbox.write("it.toml", text);
        let done = sandbox.run(&["run", "it.toml"]);
        done.fails(2, says);
        assert!(
            done.stdout.is_empty() && done.took < Duration::from_secs(20),
            "{done}"
        );
        for command in ["explore --scenario", "reproduce --schedule"] {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.push("it.toml");
            sandbox.run(&arguments).fails(2, says);
        }
    }
    sandbox.write("it.toml", b"title = \"t\"\ntags = [\"\xff\"]\n");
    sandbox.run(&["run", "it.toml"]).fails(
        2,
        &[
            "it.toml:2:10: the byte 0xff is no UTF-8",
            "in the encoding UTF-8",
        ],
    );
    sandbox
        .run(&["run", "it.toml", "--tag", "t"])
        .fails(2, &["0xff"]);
    assert!(!sandbox.work().join("lockproof-out").exists());
    sandbox.is_clear("after all");
}

fn all_scenarios_with_errors_are_named_at_once_and_none_is_run() {
    let sandbox = Sandbox::new();
    sandbox.write("all/a.toml", SEEDER);
    sandbox.write("all/b.toml", "title = 1\n");
    sandbox.write("all/deep/c.toml", "tilte = 1\n");
    let done = sandbox.run(&["run", "all", "--format", "json"]);
    done.fails(2, &["all/b.toml:1:9", "all/deep/c.toml:1:1"]);
    let json = done.json();
    assert_eq!(json["exit_code"], 2);
    let error = json["error"].as_str().unwrap();
    assert_eq!(error.lines().count(), 2, "{error}");
}

fn where_there_is_no_scenario_it_says_where_was_looked() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.work().join("empty")).unwrap();
    sandbox.write("some/a.toml", SEEDER);
    sandbox
        .run(&["run", "empty"])
        .fails(2, &["no scenario in empty", ".toml"]);
    sandbox.run(&["run"]).fails(
        2,
        &[
            "neither a lockproof.toml nor a directory `scenarios`",
            "lockproof init -- CMD",
        ],
    );
    let done = sandbox.run(&["run", "missing.toml"]);
    done.fails(2, &["cannot read missing.toml: No such file or directory"]);
    assert_eq!(done.text().matches("No such file").count(), 1, "{done}");
    sandbox
        .run(&["run", "some", "--tag", "none"])
        .fails(2, &["no scenario with tag none in some"]);
}

fn a_stop_that_is_never_reached_is_inconclusive_and_named() {
    let sandbox = Sandbox::new();
    let text = format!(
        "{SEEDER}[schedule]\nturns = [{{ run = \"a\", until = {{ after = \"vacuum full\" }} }}]\n"
    );
    let done = run(&sandbox, &text);
    done.fails(
        3,
        &[
            "inconclusive, NOT AS EXPECTED",
            "stops-reached",
            "vacuum full",
        ],
    );
    let done = sandbox.run(&["check", "lockproof-out/run/it"]);
    done.fails(3, &["stops-reached", "vacuum full"]);
}

crate::harness::tests![
    a_scenario_that_cannot_be_used_is_named_with_file_line_and_column_and_shown,
    all_scenarios_with_errors_are_named_at_once_and_none_is_run,
    where_there_is_no_scenario_it_says_where_was_looked,
    a_stop_that_is_never_reached_is_inconclusive_and_named,
];
