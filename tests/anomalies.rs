//! What failures are called, on a real server: each scenario with a tag `anomaly:NAME` is told with that name.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;

use std::path::Path;
use std::process::Command;

use harness::Need;
use lockproof_core::name::Anomaly;
use lockproof_core::scenario::{find, load};
use serde_json::Value;

fn every_name_is_told_of_the_scenario_that_has_it_as_a_tag() {
    harness::need(Need::Postgres);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for file in find(&[root.join("scenarios")], None).unwrap() {
        let scenario = load(&file).unwrap_or_else(|error| panic!("{error}"));
        let tag = scenario
            .tags
            .iter()
            .find_map(|tag| tag.strip_prefix("anomaly:"));
        let Some(wanted) = tag.and_then(Anomaly::from_name) else {
            assert_eq!(tag, None, "{}: no such name", file.display());
            continue;
        };
        let ran = Command::new(env!("CARGO_BIN_EXE_lockproof"))
            .args(["run", "--format", "json", "--out"])
            .arg(out.path())
            .arg(&file)
            .current_dir(root)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        let said: Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{errors}", file.display()));
        let scenario = &said["scenarios"][0];
        assert_eq!(scenario["as_expected"], true, "{}: {said}", file.display());
        let mut invariants = scenario["invariants"].as_array().unwrap().iter();
        let told = invariants.any(|one| one["anomaly"] == wanted.name());
        assert!(told, "{}: {said}", file.display());
        seen.push(wanted);
    }
    for name in Anomaly::ALL {
        assert!(seen.contains(name), "no scenario is tagged anomaly:{name}");
    }
}

crate::harness::tests![every_name_is_told_of_the_scenario_that_has_it_as_a_tag];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
