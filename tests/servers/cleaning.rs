//! `lockproof clean` after everything that clears up by itself was killed.

use std::process::Command;

use crate::holder::*;
use crate::looks::*;

#[test]
fn clean_removes_what_a_dead_run_left_and_spares_a_live_one() {
    let machine = machine();
    let mut live = Holder::start("local", machine.path(), &[]);
    let alive = live.said();
    // In another server, since PATH differs; everything that could clear up is killed with it.
    let path = format!("{}:/nowhere", std::env::var("PATH").unwrap());
    let mut dead = Holder::start("local", machine.path(), &[("PATH", &path)]);
    let died = dead.said();
    assert_ne!(alive.port, died.port);
    // And one that shares the live server.
    let mut guest = Holder::start("local", machine.path(), &[]);
    let gone = guest.said();
    assert_eq!(alive.port, gone.port);
    let keepers: Vec<i32> = left(machine.path())
        .iter()
        .filter(|path| path.ends_with("server.json"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .filter(|stored: &serde_json::Value| stored["port"] == died.port)
        .map(|stored| i32::try_from(stored["keeper"]["pid"].as_i64().unwrap()).unwrap())
        .collect();
    assert_eq!(keepers.len(), 1);
    for pid in [died.guardian, gone.guardian] {
        sigkill(i32::try_from(pid).unwrap());
    }
    sigkill(keepers[0]);
    dead.kill();
    guest.kill();
    assert!(answers(&died.url) && runs(died.pod) && runs(gone.pod));

    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    for what in [
        format!("removed process {} of a dead run", died.pod),
        format!("removed process {} of a dead run", gone.pod),
        format!("removed database {} at", gone.database),
        "removed server process of".to_owned(),
        "removed data directory".to_owned(),
        "spared local server at".to_owned(),
        format!("spared database {} at", alive.database),
    ] {
        assert!(text.contains(&what), "no {what:?} in:\n{text}");
    }
    assert!(!text.contains(&format!("removed process {}", alive.pod)));
    assert!(!answers(&died.url) && !runs(died.pod) && !runs(gone.pod));
    assert!(answers(&alive.url) && runs(alive.pod));
    assert_eq!(databases(&alive.url), std::slice::from_ref(&alive.database));
    live.release();
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

#[test]
fn clean_removes_a_container_whose_owner_is_dead() {
    if !containers_work() {
        return;
    }
    let machine = machine();
    let mut holder = Holder::start("container", machine.path(), &[]);
    let said = holder.said();
    let id = stored(machine.path())["container"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, text) = lockproof(&["clean"], machine.path(), &[]);
    assert!(text.contains("in use") && answers(&said.url), "{text}");
    sigkill(i32::try_from(said.guardian).unwrap());
    sigkill(keeper(machine.path()));
    holder.kill();
    assert!(answers(&said.url));
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("removed container"), "{text}");
    let there = Command::new("docker")
        .args(["inspect", &id])
        .output()
        .unwrap()
        .status;
    assert!(!there.success() && !answers(&said.url));
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

#[test]
fn clean_spares_a_container_of_elsewhere_that_is_only_down_for_a_moment() {
    if !containers_work() {
        return;
    }
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let image = docker(&["images", "lockproof/postgres", "--format", "{{.ID}}"]);
    let image = image.lines().next().unwrap();
    let machine = machine();
    let id = docker(&[
        "create",
        "--label=lockproof.instance=/nowhere/lockproof-0/own-x/y",
        "--label=lockproof.boot=another",
        image,
    ]);
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    docker(&["rm", "--force", "--volumes", &id]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it runs, or did a moment ago"), "{text}");
}
