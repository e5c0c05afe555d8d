//! Nothing is left of a server that nobody shares, whatever had been done to it when its holder
//! died: down, paused, half started, with a standby.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::holder::*;
use crate::looks::*;

/// Data homes on the memory file system that belong to an instance of this machine.
fn data_homes(machine: &Path) -> Vec<PathBuf> {
    let machine = machine.display().to_string();
    std::fs::read_dir("/dev/shm")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            std::fs::read_to_string(path.join("owner")).is_ok_and(|owner| owner.contains(&machine))
        })
        .collect()
}

/// Processes that have one of these homes as argument or work in it.
fn processes(homes: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let is_of =
            |home: &PathBuf| line.contains(&home.display().to_string()) || cwd.starts_with(home);
        if homes.iter().any(is_of) {
            found.push(format!("{}: {line}", entry.path().display()));
        }
    }
    found
}

fn containers(machine: &Path) -> Vec<String> {
    let output = Command::new("docker")
        .args(["ps", "--all", "--filter", "label=lockproof.instance"])
        .args(["--format", "{{.ID}} {{.Label \"lockproof.instance\"}}"])
        .output();
    let machine = machine.display().to_string();
    output.map_or_else(
        |_| Vec::new(),
        |output| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter(|line| line.contains(&machine))
                .map(str::to_owned)
                .collect()
        },
    )
}

fn is_clear(machine: &Path, homes: &[PathBuf], after: &str) {
    becomes(
        after,
        || {
            let mut left: Vec<String> = left(machine)
                .iter()
                .chain(&data_homes(machine))
                .map(|path| path.display().to_string())
                .collect();
            left.extend(processes(homes));
            left.extend(containers(machine));
            left
        },
        Vec::is_empty,
    );
}

/// Starts a holder to whose server this happens, and returns it with what there is then.
fn holder(kind: &str, machine: &Path, fate: &str) -> (Holder, Said, Vec<PathBuf>) {
    let mut holder = Holder::start(kind, machine, &[("LOCKPROOF_TEST_FATE", fate)]);
    let said = holder.said();
    assert_eq!(said.error, None);
    let homes = data_homes(machine);
    if kind == "local" {
        assert_eq!(homes.len(), 1);
    }
    (holder, said, homes)
}

fn nothing_is_left_of_a_killed_holder_whatever_its_server_had_met(kind: &str) {
    let fates = [
        "standby pause",
        "standby crash promote",
        "standby promote pause",
        "standby crash start",
        "stop",
    ];
    for fate in fates {
        let machine = machine();
        let (holder, said, homes) = holder(kind, machine.path(), fate);
        let servers = usize::from(fate.contains("standby")) + 1;
        if kind == "container" {
            assert_eq!(containers(machine.path()).len(), servers, "{fate}");
        } else if fate != "stop" {
            assert!(!processes(&homes).is_empty(), "{fate}");
        }
        if fate.contains("promote") {
            assert!(answers(&said.standbys[0]), "{fate}");
        }
        holder.kill();
        is_clear(machine.path(), &homes, &format!("{kind}: {fate}"));
        for url in &said.standbys {
            assert!(!answers(url), "{kind}: {fate}");
        }
    }
}

fn nothing_is_left_of_a_holder_killed_while_it_starts_a_server_again_or_makes_a_standby(
    kind: &str,
) {
    for fate in ["restart-forever", "standby-forever"] {
        // From the stop through all of the start.
        let times: &[u64] = match kind {
            "local" => &[0, 70, 200, 600],
            _ => &[20, 120, 350],
        };
        for after in times.iter().copied() {
            let machine = machine();
            let (holder, _, homes) = holder(kind, machine.path(), fate);
            std::thread::sleep(Duration::from_millis(after));
            holder.kill();
            is_clear(
                machine.path(),
                &homes,
                &format!("{kind}: {fate}, {after} ms"),
            );
        }
    }
}

fn without_a_keeper_and_a_guardian_clean_removes_a_standby_too(kind: &str) {
    let machine = machine();
    let (holder, said, homes) = holder(kind, machine.path(), "standby pause");
    let (_, text) = lockproof(&["clean"], machine.path(), &[]);
    assert!(text.contains("in use"), "{text}");
    assert!(!text.contains("problem"), "{text}");
    sigkill(keeper(machine.path()));
    sigkill(i32::try_from(said.guardian).unwrap());
    holder.kill();
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    // Any other lockproof that starts a server removes what it finds as well, so not all of it
    // need be in this one's report.
    is_clear(machine.path(), &homes, kind);
}

fn without_a_keeper_the_guardian_stops_a_paused_server_with_its_standby(kind: &str) {
    let machine = machine();
    let (holder, _, homes) = holder(kind, machine.path(), "standby pause");
    sigkill(keeper(machine.path()));
    holder.kill();
    is_clear(machine.path(), &homes, kind);
}

crate::harness::tests![
    ;
    on each server: nothing_is_left_of_a_killed_holder_whatever_its_server_had_met,
    without_a_keeper_and_a_guardian_clean_removes_a_standby_too,
    without_a_keeper_the_guardian_stops_a_paused_server_with_its_standby;
    on each server, long: nothing_is_left_of_a_holder_killed_while_it_starts_a_server_again_or_makes_a_standby,
];
