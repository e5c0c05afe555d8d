//! Subjects of other people, each with a planted bug, found with no hint but the schema.

use serde_json::Value;

use crate::harness::{Need, need};
use crate::support::{NODE_PATH, PYTHON, file};
use crate::yard::Yard;

/// Explores; with `--save` in another directory, so that the schema must be found from there.
#[track_caller]
fn found(options: &[&str], subject: &[&str]) -> Value {
    let yard = Yard::new();
    yard.write(
        "schema.sql",
        &std::fs::read_to_string(file("exploring/accounts.sql")).unwrap(),
    );
    std::fs::create_dir_all(yard.path("far/away")).unwrap();
    let mut all = vec!["--save", "far/away", "--times", "2"];
    all.extend(options);
    let (found, code) = yard.explore(&all, subject);
    assert_eq!(code, 1, "{found:#}");
    assert!(found["shrunk"]["turns"].is_number(), "{found:#}");
    let kept = found["schedule_file"].as_str().unwrap();
    let done = yard.run(&["run", kept]);
    assert_eq!(done.code, Some(0), "{done}");
    found
}

fn a_shell_script_that_pays_twice_is_found() {
    let found = found(&[], &["sh", &file("exploring/once.sh")]);
    assert_eq!(found["invariant"], "clean-state", "{found:#}");
    assert!(found["first_violation_at"].as_u64().unwrap() <= 3);
}

fn a_python_import_that_gives_its_lock_back_too_soon_is_found() {
    need(Need::PsycopgPool);
    let found = found(&[], &[PYTHON, &file("exploring/import.py")]);
    assert_eq!(found["invariant"], "work-under-lock", "{found:#}");
}

fn a_node_program_that_counts_before_its_lock_is_found() {
    need(Need::NodePostgres);
    let node_path = format!("NODE_PATH={NODE_PATH}");
    let found = found(
        &[],
        &["env", &node_path, "node", &file("exploring/refill.cjs")],
    );
    assert_eq!(found["invariant"], "clean-state", "{found:#}");
}

crate::harness::tests![
    a_shell_script_that_pays_twice_is_found;
    long: a_python_import_that_gives_its_lock_back_too_soon_is_found, a_node_program_that_counts_before_its_lock_is_found
];
