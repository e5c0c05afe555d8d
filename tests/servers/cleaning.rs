//! `lockproof clean` after everything that clears up by itself was killed.

use std::process::Command;

use crate::harness::{Need, image, need};
use crate::holder::*;
use crate::looks::*;

/// Each lockproof that starts a server removes what dead ones left, too. A test whose remains another
/// one took away is begun again.
fn until_nobody_else_cleans(attempt: impl Fn() -> bool) {
    assert!((0..8).any(|_| attempt()), "others always came first");
}

fn clean_removes_what_a_dead_run_left_and_spares_a_live_one() {
    until_nobody_else_cleans(removes_what_a_dead_run_left);
}

fn removes_what_a_dead_run_left() -> bool {
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
    let there = answers(&died.url);
    assert!(runs(died.pod) && runs(gone.pod));

    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    let alone = there && text.contains("removed server process of");
    for what in [
        format!("removed process {} of a dead run", died.pod),
        format!("removed process {} of a dead run", gone.pod),
        format!("removed database {} at", gone.database),
        "spared local server at".to_owned(),
        format!("spared database {} at", alive.database),
    ] {
        assert!(text.contains(&what), "no {what:?} in:\n{text}");
    }
    let data = text.contains("removed data directory");
    assert!(data || !alone, "{text}");
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
    alone
}

fn clean_removes_a_container_whose_owner_is_dead() {
    need(Need::Containers);
    until_nobody_else_cleans(removes_a_container);
}

fn removes_a_container() -> bool {
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
    let there = answers(&said.url);
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    assert_eq!(code, 0, "{text}");
    let alone = there && text.contains("removed container");
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
    alone
}

fn clean_spares_a_container_of_elsewhere_that_is_only_down_for_a_moment() {
    need(Need::Containers);
    let image = image().unwrap();
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let machine = machine();
    let id = docker(&[
        "create",
        "--label=lockproof.instance=/nowhere/lockproof-0/own-x/y",
        "--label=lockproof.boot=another",
        &image,
    ]);
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    docker(&["rm", "--force", "--volumes", &id]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it runs, or did a moment ago"), "{text}");
}

fn clean_spares_an_initdb_that_has_made_nothing_yet_and_stops_a_server_whose_home_is_gone() {
    // These homes are the whole machine's: the `clean` of another test, or of another checkout, may come first.
    let others_came_first = (0..5)
        .take_while(|attempt| !cleaned_by_us(*attempt))
        .count();
    assert!(others_came_first < 5, "others cleaned up each time");
}

/// Whether our own `clean` stopped that server, and nobody else's before it.
fn cleaned_by_us(attempt: u32) -> bool {
    let machine = machine();
    let uid = nix::unistd::Uid::effective();
    let id = std::process::id();
    let home = format!("/dev/shm/lockproof-{uid}-test{id}-{attempt}");
    std::fs::create_dir(&home).unwrap();
    // As far as arguments tell, it is one.
    let mut child = Command::new("sh")
        .args(["-c", "read end", "postgres", "-D"])
        .stdin(std::process::Stdio::piped())
        .arg(format!("{home}/data"))
        .arg("--no-sync")
        .spawn()
        .unwrap();
    let (code, text) = lockproof(&["clean"], machine.path(), &[]);
    let lives = child.try_wait().unwrap().is_none();
    std::fs::remove_dir(&home).unwrap();
    let (_, then) = lockproof(&["clean"], machine.path(), &[]);
    let gone = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(code == 0 && lives, "{text}");
    assert!(gone, "{then}");
    then.contains(&format!("server process of {home}/data"))
}

crate::harness::tests![
    clean_removes_what_a_dead_run_left_and_spares_a_live_one,
    clean_removes_a_container_whose_owner_is_dead,
    clean_spares_a_container_of_elsewhere_that_is_only_down_for_a_moment,
    clean_spares_an_initdb_that_has_made_nothing_yet_and_stops_a_server_whose_home_is_gone,
];
