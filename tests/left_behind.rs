//! Nothing is left behind, however a command ends: no process of a pod, no server, no guardian, no
//! data directory, no container, no database. Real servers, real kills.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![deny(dead_code)]

#[path = "bad_input/external.rs"]
mod external;
#[path = "left_behind/hanging.rs"]
mod hanging;
mod harness;
#[path = "bad_input/sandbox.rs"]
mod sandbox;

use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use external::External;
use hanging::Hanging;
use harness::{Need, image, need};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Done, Sandbox, becomes, command_line, finish, runs};

/// `lockproof clean` looks at all of the machine: nothing may be dying beside it.
static OTHERS: RwLock<()> = RwLock::new(());

fn among_others() -> RwLockReadGuard<'static, ()> {
    OTHERS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    OTHERS.write().unwrap_or_else(PoisonError::into_inner)
}

/// An interrupted command must be gone within this time, its server included.
const PROMPT: Duration = Duration::from_secs(20);

const LOCAL: [(&str, &str); 1] = [("LOCKPROOF_SERVER", "local")];

fn nothing_is_left_of_a_run_that_succeeds_is_not_as_expected_or_fails() {
    let _others = among_others();
    let sandbox = Sandbox::new();
    let good = "title = \"t\"\n[subject]\nseeder = { lock = \"session\", profile = \"tiny\" }\n";
    sandbox.write("good.toml", good);
    sandbox.write(
        "bad.toml",
        format!("{good}[expect]\nviolates = [\"no-errors\"]\n"),
    );
    sandbox.write(
        "fails.toml",
        "title = \"t\"\n[subject]\ncommand = [\"sh\", \"-c\", \"exit 1\"]\n",
    );
    for (file, code) in [("good.toml", 0), ("bad.toml", 1), ("fails.toml", 3)] {
        let done = sandbox.run_with(&["run", file], &LOCAL);
        assert_eq!(done.code, Some(code), "{done}");
        sandbox.is_clear(file);
    }
}

fn an_interrupted_run_is_gone_at_once_and_says_so() {
    let _others = among_others();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        let run = Hanging::start(&sandbox, "it", &LOCAL);
        let begun = Instant::now();
        let done = run.ends_with(signal);
        done.fails(130, &["lockproof: interrupted; cleaned up"]);
        assert!(begun.elapsed() < PROMPT, "{signal}: {:?}", begun.elapsed());
    }
}

fn an_interrupt_from_the_keyboard_goes_to_the_whole_group_and_twice_does_no_harm() {
    let _others = among_others();
    let sandbox = Sandbox::new();
    let run = Hanging::start(&sandbox, "it", &LOCAL);
    for _ in 0..2 {
        let group = Pid::from_raw(-run.pid().as_raw());
        kill(group, Signal::SIGINT).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = finish(run.child);
    done.fails(130, &["interrupted; cleaned up"]);
    sandbox.is_clear("twice SIGINT");
}

fn nothing_is_left_of_a_killed_run_on_a_local_server() {
    let done = ended_on_a_local_server(Signal::SIGKILL);
    assert_eq!(done.code, None, "{done}");
}

/// A terminal that goes away is an interrupt: what was found is told, and all is cleared up.
fn nothing_is_left_of_a_run_on_a_local_server_whose_terminal_goes_away() {
    need(Need::Hangup);
    let done = ended_on_a_local_server(Signal::SIGHUP);
    assert_eq!(done.code, Some(130), "{done}");
}

fn ended_on_a_local_server(signal: Signal) -> Done {
    let _others = among_others();
    let sandbox = Sandbox::new();
    let run = Hanging::start(&sandbox, "it", &LOCAL);
    // The server that all share, and the ground of this run's own.
    assert_eq!(sandbox.data_homes().len(), 2);
    run.ends_with(signal)
}

fn nothing_is_left_of_a_killed_or_interrupted_run_in_a_container() {
    need(Need::Containers);
    let _others = among_others();
    let image = image().unwrap();
    let server = [
        ("LOCKPROOF_SERVER", "container"),
        ("LOCKPROOF_IMAGE", &image),
    ];
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let sandbox = Sandbox::new();
        let run = Hanging::start(&sandbox, "it", &server);
        assert_eq!(sandbox.containers().len(), 1);
        let done = run.ends_with(signal);
        assert_eq!(
            done.code,
            (signal == Signal::SIGINT).then_some(130),
            "{done}"
        );
    }
}

fn nothing_is_left_in_an_external_server_after_a_kill_or_an_interrupt() {
    let _others = among_others();
    let external = External::start();
    let url = external.url("owner");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        let run = Hanging::start(&sandbox, "it", &[("LOCKPROOF_SERVER", &url)]);
        // Two templates, two serial runs that are kept to be compared, and the one that hangs.
        assert_eq!(external.databases().len(), 5, "{:?}", external.databases());
        run.ends_with(signal);
        becomes(
            "no database and no session to be left",
            Duration::from_secs(10),
            || (external.databases(), external.sessions()),
            |(databases, sessions)| databases.is_empty() && sessions.is_empty(),
        );
    }
}

fn nothing_is_left_whenever_in_its_life_a_command_is_killed(server: &str) {
    let _others = among_others();
    for after in [5, 10, 15, 25, 60, 150, 400, 1_000] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&["reproduce", "--server", server]);
        if server == "container" {
            command.env("LOCKPROOF_IMAGE", image().unwrap());
        }
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
        finish(child);
        sandbox.is_clear(&format!("killed after {after} ms on {server}"));
    }
}

fn an_interrupt_is_heard_while_the_server_starts_while_preparing_and_while_nobody_is_paced() {
    let _others = among_others();
    // While preparing, with a daemon and a grandchild.
    let sandbox = Sandbox::new();
    sandbox.write(
        "it.toml",
        "title = \"t\"\n[subject]\ncommand = [\"psql\"]\n\
         prepare = \"setsid sleep 621 & sleep 622 & touch ready; sleep 623\"\n",
    );
    let child = sandbox
        .command(&["run", "it.toml", "--server", "local"])
        .spawn()
        .unwrap();
    let ready = sandbox.work().join("ready");
    becomes(
        "preparing",
        Duration::from_secs(20),
        || ready.exists(),
        |ready| *ready,
    );
    interrupted(&sandbox, child, "preparing");
    // While the server starts, or a little later.
    let sandbox = Sandbox::new();
    let child = sandbox
        .command(&["reproduce", "--server", "local"])
        .spawn()
        .unwrap();
    let tmp = sandbox.tmp();
    becomes(
        "the start",
        Duration::from_secs(20),
        || std::fs::read_dir(&tmp).unwrap().count(),
        |count| *count > 0,
    );
    std::thread::sleep(Duration::from_millis(50));
    interrupted(&sandbox, child, "starting");
    // In the uncontrolled pairs of `--strategy stress --directed`.
    let sandbox = Sandbox::new();
    let child = sandbox
        .command(&[
            "explore",
            "--strategy=stress",
            "--server=local",
            "--schedules=2000",
            "--directed=1",
        ])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(4));
    interrupted(&sandbox, child, "stress");
}

#[track_caller]
fn interrupted(sandbox: &Sandbox, child: Child, when: &str) {
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let done = finish(child);
    done.fails(130, &["interrupted; cleaned up"]);
    assert!(done.took < Duration::from_secs(30), "{when}: {done}");
    sandbox.is_clear(when);
}

fn what_a_killed_guardian_or_keeper_would_have_cleared_up_goes_by_whoever_is_left() {
    let _others = among_others();
    for helper in ["lockproof-guard", "lockproof-keep"] {
        let sandbox = Sandbox::new();
        let run = Hanging::start(&sandbox, "it", &LOCAL);
        run.loses(helper);
        run.ends_with(Signal::SIGKILL);
    }
}

fn clean_names_what_it_removes_and_touches_nothing_of_a_live_run() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let live = Hanging::start(&sandbox, "live", &LOCAL);
    let dead = Hanging::start(&sandbox, "dead", &LOCAL);
    // Whoever could clear up behind it is killed first.
    dead.loses("lockproof-guard");
    dead.loses("lockproof-keep");
    kill(dead.pid(), Signal::SIGKILL).unwrap();
    let Hanging {
        child,
        pods: orphans,
        ..
    } = dead;
    finish(child);
    // psql ends by itself, since its proxy is gone; the daemon knows nothing.
    let orphans: Vec<i32> = orphans
        .into_iter()
        .filter(|pid| command_line(*pid).starts_with("sleep"))
        .collect();
    assert_eq!(orphans.len(), 2);

    let done = sandbox.run(&["clean"]);
    assert_eq!(done.code, Some(0), "{done}");
    for pod in &orphans {
        let named = format!("removed process {pod} of a dead run");
        assert!(done.text().contains(&named), "no {named:?} in {done}");
        assert!(!runs(*pod));
    }
    for word in ["spared local server at", "processes of a live run"] {
        assert!(done.text().contains(word), "no {word:?} in {done}");
    }
    // The server that both share, and the ground of the live run.
    becomes(
        "the dead run's own servers to be gone",
        Duration::from_secs(10),
        || sandbox.data_homes().len(),
        |homes| *homes == 2,
    );
    for pod in &live.pods {
        assert!(runs(*pod), "{pod} of the live run is gone: {done}");
        assert!(
            !done.text().contains(&format!("removed process {pod} ")),
            "{done}"
        );
    }
    let again = sandbox.run(&["clean", "--format", "json"]);
    assert_eq!(
        again.json()["removed"].as_array().unwrap().len(),
        0,
        "{again}"
    );
    let done = live.ends_with(Signal::SIGINT);
    done.fails(130, &["interrupted; cleaned up"]);
    let done = sandbox.run(&["clean"]);
    done.fails(0, &["nothing was left behind"]);
}

fn clean_takes_no_server_whose_files_are_elsewhere_mounted_out_of_its_sight() {
    need(Need::Mounts);
    let _alone = alone();
    let sandbox = Sandbox::new();
    let live = Hanging::start(&sandbox, "live", &LOCAL);
    let usual = sandbox.command(&["clean"]);
    let mut blind = Command::new("unshare");
    blind
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs none /dev/shm && exec \"$@\"")
        .arg("sh")
        .arg(usual.get_program())
        .args(usual.get_args())
        .current_dir(sandbox.work())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in usual.get_envs() {
        match value {
            Some(value) => blind.env(name, value),
            None => blind.env_remove(name),
        };
    }
    let done = finish(blind.spawn().unwrap());
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!done.text().contains("removed"), "{done}");
    for pod in &live.pods {
        assert!(runs(*pod), "{pod} of the live run is gone: {done}");
    }
    let done = live.ends_with(Signal::SIGINT);
    done.fails(130, &["interrupted; cleaned up"]);
}

crate::harness::tests![
    nothing_is_left_of_a_run_that_succeeds_is_not_as_expected_or_fails,
    an_interrupted_run_is_gone_at_once_and_says_so,
    an_interrupt_from_the_keyboard_goes_to_the_whole_group_and_twice_does_no_harm,
    nothing_is_left_of_a_killed_run_on_a_local_server,
    nothing_is_left_of_a_run_on_a_local_server_whose_terminal_goes_away,
    nothing_is_left_of_a_killed_or_interrupted_run_in_a_container,
    nothing_is_left_in_an_external_server_after_a_kill_or_an_interrupt,
    an_interrupt_is_heard_while_the_server_starts_while_preparing_and_while_nobody_is_paced,
    what_a_killed_guardian_or_keeper_would_have_cleared_up_goes_by_whoever_is_left,
    clean_names_what_it_removes_and_touches_nothing_of_a_live_run,
    clean_takes_no_server_whose_files_are_elsewhere_mounted_out_of_its_sight;
    on each server: nothing_is_left_whenever_in_its_life_a_command_is_killed,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
