//! What a pod does with real programs: output, exit codes, signals, orphans, errors.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod subjects;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Need, need};
use lockproof::internals::pod::{
    MARKER, Pod, PodError, PodEvent, Program, Termination, kill_by_marker,
};
use lockproof_core::history::OutputStream;
use lockproof_core::name::PodName;
use subjects::*;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn refused(program: &Program) -> PodError {
    let (events, _heard) = unbounded_channel();
    Pod::spawn(&PodName::of_index(0), program, &[], events).expect_err("the pod must not start")
}

/// All lines up to the end of the first process, and how it ended.
async fn to_exit(
    heard: &mut UnboundedReceiver<PodEvent>,
) -> (Vec<(OutputStream, String)>, Option<i32>, Option<i32>) {
    let mut lines = Vec::new();
    loop {
        match tokio::time::timeout(LIMIT, heard.recv()).await {
            Ok(Some(PodEvent::Output { stream, line, .. })) => lines.push((stream, line)),
            Ok(Some(PodEvent::Exited { code, signal, .. })) => return (lines, code, signal),
            other => panic!("waited for the pod's exit, got {other:?} after {lines:?}"),
        }
    }
}

fn alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Until the process has ended, zombies not counted.
async fn ended(pid: i32) {
    let begun = Instant::now();
    while alive(pid) {
        assert!(begun.elapsed() < LIMIT, "process {pid} still lives");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn script(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    path
}

async fn lines_come_with_their_stream_and_before_the_exit() {
    let (pod, mut heard) = start(&sh("echo one; echo two >&2; printf three; exit 3"));
    let (mut lines, code, signal) = to_exit(&mut heard).await;
    lines.sort_by_key(|(stream, _)| *stream == OutputStream::Stderr);
    let want = [
        (OutputStream::Stdout, "one".to_owned()),
        (OutputStream::Stdout, "three".to_owned()),
        (OutputStream::Stderr, "two".to_owned()),
    ];
    assert_eq!(
        (lines.as_slice(), code, signal),
        (want.as_slice(), Some(3), None)
    );
    pod.gone(LIMIT).await.unwrap();
    assert!(!pod.is_running());
}

async fn all_of_a_large_output_comes_before_the_exit() {
    for _ in 0..5 {
        let (_pod, mut heard) = start(&sh(
            "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done",
        ));
        let (lines, code, _) = to_exit(&mut heard).await;
        assert_eq!((lines.len(), code), (3000, Some(0)));
        assert_eq!(lines[2999].1, "line 2999");
    }
}

async fn binary_output_is_made_readable() {
    need(Need::Python);
    let (_pod, mut heard) = start(&program(&[
        "python3",
        "-c",
        "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000 + b'\\nend')",
    ]));
    let (lines, code, _) = to_exit(&mut heard).await;
    assert_eq!(code, Some(0));
    assert_eq!(lines.len(), 1002);
    assert!(lines[1].1.contains('\u{fffd}'));
    assert_eq!(lines[1001].1, "end");
}

async fn a_line_without_end_is_cut() {
    let (_pod, mut heard) = start(&sh(
        "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo next",
    ));
    let (lines, ..) = to_exit(&mut heard).await;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].1.len() < 70_000 && lines[0].1.ends_with("line cut at 65536 bytes]"));
    assert_eq!(lines[1].1, "next");
}

async fn a_pod_gets_its_environment_and_its_directory() {
    let dir = scratch();
    let mut subject = sh("echo $FIRST $SECOND; pwd; echo $LOCKPROOF_POD_ID");
    subject.env = vec![("FIRST".into(), "1".into()), ("SECOND".into(), "2".into())];
    subject.dir = Some(dir.path().canonicalize().unwrap());
    let (events, mut heard) = unbounded_channel();
    let extra = [("SECOND".to_owned(), "two".to_owned())];
    let pod = Pod::spawn(&PodName::of_index(0), &subject, &extra, events).unwrap();
    assert_eq!(line(&mut heard).await, "1 two");
    assert_eq!(
        line(&mut heard).await,
        subject.dir.unwrap().to_str().unwrap()
    );
    assert_eq!(line(&mut heard).await, pod.id());
    assert_eq!(pod.identity().0, pod.pid());
    assert!(pod.identity().1 > 0);
}

async fn a_pod_has_no_input_and_a_group_of_its_own() {
    let (pod, mut heard) = start(&sh("wc -c; ps -o pgid= -p $$"));
    let (lines, ..) = to_exit(&mut heard).await;
    assert_eq!(lines[0].1.trim(), "0");
    assert_eq!(lines[1].1.trim(), pod.pid().to_string());
}

async fn a_signal_that_ends_a_pod_is_told() {
    let (_pod, mut heard) = start(&sh("kill -SEGV $$; sleep 60"));
    let (_, code, signal) = to_exit(&mut heard).await;
    assert_eq!((code, signal), (None, Some(11)));
}

async fn terminate_reaches_the_first_process_only() {
    let (pod, mut heard) = start(&sh(
        "trap 'echo got it; exit 7' TERM; sh -c 'trap \"echo child too\" TERM; echo ready; while :; do sleep 0.05; done' & wait",
    ));
    assert_eq!(line(&mut heard).await, "ready");
    assert_eq!(pod.terminate(false).unwrap(), Termination::Sent);
    let (lines, code, _) = to_exit(&mut heard).await;
    assert_eq!(
        (lines, code),
        (vec![(OutputStream::Stdout, "got it".to_owned())], Some(7))
    );
    // The child lives on, adopted, and still counts.
    assert!(pod.is_running());
    let error = pod.terminate(false).unwrap_err();
    assert!(
        matches!(error, PodError::FirstProcessGone { .. }),
        "{error}"
    );
    assert!(!pod.kill().signalled.is_empty());
    pod.gone(LIMIT).await.unwrap();
}

async fn as_pid_1_only_a_first_process_with_a_handler_hears_of_terminate() {
    for (script, wanted) in [
        ("echo ready; sleep 60; :", Termination::NoHandler),
        (
            "trap '' TERM; echo ready; sleep 60; :",
            Termination::NoHandler,
        ),
        (
            "trap 'exit 3' TERM; echo ready; sleep 60 & wait",
            Termination::Sent,
        ),
    ] {
        let (pod, mut heard) = start(&sh(script));
        assert_eq!(line(&mut heard).await, "ready");
        assert_eq!(pod.terminate(true).unwrap(), wanted, "{script}");
        if wanted == Termination::NoHandler {
            assert!(pod.is_running(), "{script}");
        } else {
            assert_eq!(to_exit(&mut heard).await.1, Some(3));
        }
        pod.kill();
        pod.gone(LIMIT).await.unwrap();
    }
}

async fn a_pod_that_ignores_terminate_is_still_killed() {
    let (pod, mut heard) = start(&sh(
        "trap '' TERM; echo ready; while :; do sleep 0.02; done",
    ));
    assert_eq!(line(&mut heard).await, "ready");
    assert_eq!(pod.terminate(false).unwrap(), Termination::Sent);
    let error = pod
        .gone(Duration::from_millis(200))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("pod a") && error.contains("(sh, "),
        "{error}"
    );
    let report = pod.kill();
    assert!(
        report
            .signalled
            .contains(&i32::try_from(pod.pid()).unwrap())
    );
    let (_, code, signal) = to_exit(&mut heard).await;
    assert_eq!((code, signal), (None, Some(9)));
    pod.gone(LIMIT).await.unwrap();
    assert_eq!(pod.kill().signalled, Vec::<i32>::new());
}

async fn a_kill_takes_children_that_left_the_group() {
    let (pod, mut heard) = start(&sh("setsid sh -c 'echo $$; sleep 60' & sleep 60"));
    let child: i32 = line(&mut heard).await.parse().unwrap();
    assert!(pod.processes().contains(&child));
    let report = pod.kill();
    assert!(report.signalled.contains(&child), "{report:?}");
    pod.gone(LIMIT).await.unwrap();
    ended(child).await;
}

async fn a_daemon_that_was_never_seen_before_its_parent_ended_is_killed_and_reaped() {
    need(Need::Python);
    // Double fork in a new session, everything closed: only the mark tells whose it is.
    let daemon = "import os,sys,time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.write(1, b'%d\\n' % os.getpid())
for fd in range(3): os.close(fd)
time.sleep(60)";
    let (pod, mut heard) = start(&program(&["python3", "-c", daemon]));
    let (lines, code, _) = to_exit(&mut heard).await;
    assert_eq!(code, Some(0));
    let daemon: i32 = match lines.first() {
        Some((_, line)) => line.parse().unwrap(),
        None => line(&mut heard).await.parse().unwrap(),
    };
    // The process between the two may still be on its way out.
    let begun = Instant::now();
    while pod.processes() != [daemon] {
        assert!(begun.elapsed() < LIMIT, "{:?}", pod.processes());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(pod.kill().signalled, [daemon]);
    pod.gone(LIMIT).await.unwrap();
    // Not even a zombie is left.
    assert!(!Path::new(&format!("/proc/{daemon}")).exists());
}

async fn a_daemon_with_an_emptied_environment_is_known_by_the_pipe_that_it_prints_to() {
    need(Need::Python);
    let daemon = sh("env -i setsid sh -c 'echo $$; exec sleep 60' &");
    // Each pod has its own, though both lose their parents at the same time.
    let ((one, mut from_one), (two, mut from_two)) = (start(&daemon), start(&daemon));
    for (pod, heard) in [(&one, &mut from_one), (&two, &mut from_two)] {
        let (lines, code, _) = to_exit(heard).await;
        assert_eq!(code, Some(0));
        let daemon: i32 = match lines.first() {
            Some((_, line)) => line.parse().unwrap(),
            None => line(heard).await.parse().unwrap(),
        };
        let begun = Instant::now();
        while pod.processes() != [daemon] {
            assert!(begun.elapsed() < LIMIT, "{:?}", pod.processes());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(pod.kill().signalled, [daemon]);
        pod.gone(LIMIT).await.unwrap();
        ended(daemon).await;
    }
}

async fn a_daemon_that_loses_its_parent_while_it_begins_its_program_belongs_to_the_pod() {
    need(Need::Python);
    // The parent leaves as soon as it hears that exec(2) succeeded: at that moment the new program
    // may not have its environment, and with it the mark, yet.
    let daemon = "import os,subprocess
null = subprocess.DEVNULL
subprocess.Popen(['sleep', '60'], stdout=null, stderr=null, start_new_session=True)
os._exit(0)";
    for _ in 0..20 {
        let (pod, mut heard) = start(&program(&["python3", "-c", daemon]));
        let (_, code, _) = to_exit(&mut heard).await;
        assert_eq!(code, Some(0));
        assert!(pod.is_running());
        assert_eq!(pod.kill().signalled.len(), 1);
        pod.gone(LIMIT).await.unwrap();
        assert_eq!(kill_by_marker(pod.id()), Vec::<i32>::new());
    }
}

/// A pod that begins has, between fork(2) and exec(2), every descriptor of lockproof's, the read
/// ends of all pods' pipes among them.
fn a_pod_that_is_killed_takes_none_along_that_is_just_beginning() {
    harness::on_threads(4, killed_beside_others_that_begin());
}

async fn killed_beside_others_that_begin() {
    let killed = async {
        for _ in 0..150 {
            let (pod, mut heard) = start(&sh("sleep 60"));
            pod.kill();
            pod.gone(LIMIT).await.unwrap();
            to_exit(&mut heard).await;
        }
    };
    let begun = || async {
        for _ in 0..300 {
            let (_pod, mut heard) = start(&program(&["true"]));
            let (_, code, signal) = to_exit(&mut heard).await;
            assert_eq!((code, signal), (Some(0), None));
        }
    };
    let tasks = [
        tokio::spawn(killed),
        tokio::spawn(begun()),
        tokio::spawn(begun()),
    ];
    for task in tasks {
        task.await.unwrap();
    }
}

async fn an_orphan_that_keeps_the_pipe_open_does_not_hold_up_the_exit() {
    let begun = Instant::now();
    let (pod, mut heard) = start(&sh(
        "sh -c 'while :; do echo x; done' & printf tail; exit 0",
    ));
    let (_, code, _) = to_exit(&mut heard).await;
    assert_eq!(code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(pod.is_running());
    pod.kill();
    pod.gone(LIMIT).await.unwrap();
}

async fn a_fork_storm_is_killed_to_the_last_process() {
    for _ in 0..5 {
        let (pod, mut heard) = start(&sh(
            "f() { while :; do sleep 0.01 & sh -c 'sleep 0.02 & sleep 0.02' & sleep 0.001; done; }; f & f & echo ready; f",
        ));
        assert_eq!(line(&mut heard).await, "ready");
        tokio::time::sleep(Duration::from_millis(30)).await;
        pod.kill();
        pod.gone(LIMIT).await.unwrap();
        assert_eq!(kill_by_marker(pod.id()), Vec::<i32>::new());
    }
}

async fn a_dropped_pod_leaves_nothing() {
    let (pod, mut heard) = start(&sh("setsid sleep 60 & echo $!; sleep 60"));
    let child: i32 = line(&mut heard).await.parse().unwrap();
    let first = i32::try_from(pod.pid()).unwrap();
    drop(pod);
    ended(child).await;
    ended(first).await;
}

async fn a_paused_pod_stands_still_until_it_is_resumed() {
    let (pod, mut heard) = start(&sh(
        "i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done",
    ));
    assert_eq!(line(&mut heard).await, "1");
    assert!(!pod.pause().is_empty());
    let stopped = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // D: its stopped child has not come to its exec yet (vfork).
        stat.contains(") T ") || stat.contains(") D ") || stat.is_empty()
    };
    let begun = Instant::now();
    while !pod.processes().iter().all(stopped) {
        assert!(begun.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(50), heard.recv()).await {}
    assert!(heard.try_recv().is_err());
    pod.resume();
    line(&mut heard).await;
}

async fn processes_are_found_by_their_mark_alone() {
    let (pod, mut heard) = start(&sh("setsid sleep 60 & echo $!; sleep 60"));
    let child: i32 = line(&mut heard).await.parse().unwrap();
    assert_eq!(kill_by_marker("no-such-pod"), Vec::<i32>::new());
    assert_eq!(kill_by_marker(""), Vec::<i32>::new());
    assert!(alive(child));
    let killed = kill_by_marker(pod.id());
    assert!(killed.contains(&child) && killed.contains(&i32::try_from(pod.pid()).unwrap()));
    pod.gone(LIMIT).await.unwrap();
    assert_eq!(MARKER, "LOCKPROOF_POD_ID");
}

async fn two_pods_do_not_mix_up_their_orphans() {
    let daemon = sh("setsid sh -c 'echo $$; exec sleep 60' & wait");
    let ((one, mut from_one), (two, mut from_two)) = (start(&daemon), start(&daemon));
    let first: i32 = line(&mut from_one).await.parse().unwrap();
    let second: i32 = line(&mut from_two).await.parse().unwrap();
    for pod in [&one, &two] {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(pod.pid()).unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }
    to_exit(&mut from_one).await;
    to_exit(&mut from_two).await;
    assert_eq!(
        (one.processes(), two.processes()),
        (vec![first], vec![second])
    );
    one.kill();
    one.gone(LIMIT).await.unwrap();
    assert!(alive(second));
}

async fn a_program_that_is_not_there_is_named_with_where_was_looked() {
    let mut missing = program(&["no-such-program-here"]);
    missing.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    assert_eq!(
        refused(&missing).to_string(),
        "program \"no-such-program-here\" was not found; looked in PATH=/usr/bin:/bin"
    );
    let error = refused(&program(&["/nowhere/x"])).to_string();
    assert_eq!(
        error,
        "program \"/nowhere/x\" was not found; looked in /nowhere/x"
    );
    assert!(matches!(
        refused(&Program::default()),
        PodError::EmptyCommand
    ));
}

async fn a_file_that_cannot_be_run_says_why() {
    let dir = scratch();
    let cases = [
        (
            script(dir.path(), "plain", "echo", 0o644),
            "permission denied",
        ),
        (
            script(dir.path(), "garbage", "\u{7f}not a program", 0o755),
            "neither a program",
        ),
        (
            script(dir.path(), "orphaned", "#!/no/such/sh\n", 0o755),
            "interpreter \"/no/such/sh\"",
        ),
        (dir.path().to_owned(), "it is a directory"),
    ];
    for (path, why) in cases {
        let error = refused(&program(&[path.to_str().unwrap()]));
        assert!(matches!(error, PodError::NotExecutable { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let mut elsewhere = sh("true");
    elsewhere.dir = Some(dir.path().join("nowhere"));
    assert!(refused(&elsewhere).to_string().contains("nowhere"));
}

fn outside_of_a_runtime_a_pod_is_refused_without_panic() {
    assert!(matches!(refused(&sh("true")), PodError::NoRuntime));
}

crate::harness::tests![
    lines_come_with_their_stream_and_before_the_exit,
    all_of_a_large_output_comes_before_the_exit,
    binary_output_is_made_readable,
    a_line_without_end_is_cut,
    a_pod_gets_its_environment_and_its_directory,
    a_pod_has_no_input_and_a_group_of_its_own,
    a_signal_that_ends_a_pod_is_told,
    terminate_reaches_the_first_process_only,
    as_pid_1_only_a_first_process_with_a_handler_hears_of_terminate,
    a_pod_that_ignores_terminate_is_still_killed,
    a_kill_takes_children_that_left_the_group,
    a_daemon_that_was_never_seen_before_its_parent_ended_is_killed_and_reaped,
    a_daemon_with_an_emptied_environment_is_known_by_the_pipe_that_it_prints_to,
    a_daemon_that_loses_its_parent_while_it_begins_its_program_belongs_to_the_pod,
    a_pod_that_is_killed_takes_none_along_that_is_just_beginning,
    an_orphan_that_keeps_the_pipe_open_does_not_hold_up_the_exit,
    a_fork_storm_is_killed_to_the_last_process,
    a_dropped_pod_leaves_nothing,
    a_paused_pod_stands_still_until_it_is_resumed,
    processes_are_found_by_their_mark_alone,
    two_pods_do_not_mix_up_their_orphans,
    a_program_that_is_not_there_is_named_with_where_was_looked,
    a_file_that_cannot_be_run_says_why,
    outside_of_a_runtime_a_pod_is_refused_without_panic,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
