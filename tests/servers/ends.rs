//! However a holder ends, nothing of it is left.

use std::process::Command;

use lockproof::internals::server::{Guardian, Server, Ward};

use crate::harness::{Need, need};
use crate::holder::*;
use crate::looks::*;

fn a_container_whose_holder_was_killed_is_removed() {
    need(Need::Containers);
    let machine = machine();
    let mut holder = Holder::start("container", machine.path(), &[]);
    let said = holder.said();
    assert_eq!(said.error, None);
    let id = stored(machine.path())["container"]
        .as_str()
        .unwrap()
        .to_owned();
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let volumes = "{{range .Mounts}}{{if .Name}}{{.Name}} {{end}}{{end}}";
    let volumes = docker(&["inspect", "--format", volumes, &id]).unwrap();
    assert!(!volumes.is_empty());
    holder.kill();
    becomes(
        "the container to be gone",
        || docker(&["inspect", &id]),
        Option::is_none,
    );
    for volume in volumes.split(' ') {
        becomes(
            "its volume to be gone",
            || docker(&["volume", "inspect", volume]),
            Option::is_none,
        );
    }
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn a_handle_that_is_dropped_gives_everything_back_too() {
    let runtime = runtime();
    let kept = runtime.block_on(Server::own(&options("local"))).unwrap();
    let address = kept.address();
    let url = address.url("postgres", &address.host, address.port);
    let dropped = runtime.block_on(async {
        let server = Server::acquire(&options(&url)).await.unwrap();
        server.create_database("dropped", None).await.unwrap();
        server
    });
    assert_eq!(databases(&url).len(), 1);
    drop(dropped);
    becomes("its database to be gone", || databases(&url), Vec::is_empty);
    drop(kept);
    becomes(
        "the server to be gone",
        || answers(&url),
        |answers| !answers,
    );
}

fn nothing_is_left_of_the_only_holder_whatever_ends_it() {
    for end in ["SIGKILL", "SIGTERM", "SIGINT", "panic", "exit"] {
        let machine = machine();
        let mut holder = Holder::start("local", machine.path(), &[]);
        let said = holder.said();
        assert_eq!(said.error, None);
        let home = data_home(machine.path());
        let postmaster = postmaster(machine.path()).unsigned_abs();
        assert!(home.exists() && runs(said.pod) && runs(postmaster));
        match end {
            "SIGKILL" => holder.kill(),
            "SIGTERM" | "SIGINT" => {
                let signal: nix::sys::signal::Signal = end.parse().unwrap();
                let pid = nix::unistd::Pid::from_raw(i32::try_from(said.pid).unwrap());
                nix::sys::signal::kill(pid, signal).unwrap();
                holder.child.wait().unwrap();
            }
            word => {
                holder.tell(word);
                holder.child.wait().unwrap();
            }
        }
        becomes(end, || runs(said.pod), |runs| !runs);
        becomes(end, || runs(said.guardian), |runs| !runs);
        becomes(end, || runs(postmaster), |runs| !runs);
        becomes(end, || home.exists(), |there| !there);
        becomes(end, || left(machine.path()), Vec::is_empty);
        assert!(!answers(&said.url), "{end}");
    }
}

fn a_killed_holder_loses_its_database_and_the_others_keep_the_server() {
    let machine = machine();
    let mut victim = Holder::start("local", machine.path(), &[]);
    let dead = victim.said();
    let keeper = keeper(machine.path());
    let mut other = Holder::start("local", machine.path(), &[]);
    let alive = other.said();
    assert_eq!(dead.port, alive.port);
    let group = nix::unistd::Pid::from_raw(i32::try_from(dead.pid).unwrap());
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    victim.child.wait().unwrap();
    // The end of its output comes although the keeper that it started lives on.
    let output = std::thread::spawn(move || victim.lines.count());
    becomes(
        "the end of the output",
        || output.is_finished(),
        |ended| *ended,
    );
    assert!(runs(keeper.unsigned_abs()));
    becomes("the pod to be gone", || runs(dead.pod), |runs| !runs);
    becomes(
        "only the other's database to be left",
        || databases(&alive.url),
        |names| *names == [alive.database.clone()],
    );
    other.release();
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn without_a_keeper_the_last_holder_stops_the_server_itself() {
    for end in ["release", "kill"] {
        let machine = machine();
        let mut holder = Holder::start("local", machine.path(), &[]);
        let said = holder.said();
        let home = data_home(machine.path());
        sigkill(keeper(machine.path()));
        let (_, text) = lockproof(&["clean"], machine.path(), &[]);
        assert!(answers(&said.url) && runs(said.pod), "{text}");
        if end == "release" {
            holder.release();
            assert!(!answers(&said.url));
        } else {
            holder.kill();
        }
        becomes(
            "the server to be stopped",
            || answers(&said.url),
            |answers| !answers,
        );
        becomes("the data to be gone", || home.exists(), |there| !there);
        becomes(
            "the files to be gone",
            || left(machine.path()),
            Vec::is_empty,
        );
    }
}

fn a_guardian_that_was_killed_is_replaced() {
    let machine = machine();
    let mut other = Holder::start("local", machine.path(), &[]);
    let alive = other.said();
    let mut holder = Holder::start("local", machine.path(), &[]);
    let said = holder.said();
    sigkill(i32::try_from(said.guardian).unwrap());
    becomes(
        "the guardian to be gone",
        || runs(said.guardian),
        |runs| !runs,
    );
    // The release drops the database, and so speaks to a guardian, which is a new one.
    holder.release();
    assert_eq!(databases(&alive.url), std::slice::from_ref(&alive.database));
    other.release();
    becomes(
        "the files to be gone",
        || left(machine.path()),
        Vec::is_empty,
    );
}

fn the_guardian_removes_what_it_was_told_when_its_owner_is_gone() {
    // The owner of a guardian is this process, so a child of ours plays the pod and a directory
    // is cleared at once.
    let guardian = Guardian::start().unwrap();
    let directory = tempfile::tempdir().unwrap().keep();
    std::fs::write(directory.join("file"), "x").unwrap();
    let kept = tempfile::tempdir().unwrap();
    let mut pod = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = i32::try_from(pod.id()).unwrap();
    let process = guardian.register(Ward::Process { pid });
    let first = guardian.register(Ward::Directory(directory.clone()));
    let second = guardian.register(Ward::Directory(kept.path().to_path_buf()));
    guardian.unregister(second);
    guardian.clear_now(second);
    guardian.clear_now(first);
    guardian.clear_now(process);
    becomes(
        "the directory to be gone",
        || directory.exists(),
        |there| !there,
    );
    pod.wait().unwrap();
    assert!(kept.path().exists());
}

crate::harness::tests![
    a_container_whose_holder_was_killed_is_removed,
    a_handle_that_is_dropped_gives_everything_back_too,
    nothing_is_left_of_the_only_holder_whatever_ends_it,
    a_killed_holder_loses_its_database_and_the_others_keep_the_server,
    without_a_keeper_the_last_holder_stops_the_server_itself,
    a_guardian_that_was_killed_is_replaced,
    the_guardian_removes_what_it_was_told_when_its_owner_is_gone,
];
