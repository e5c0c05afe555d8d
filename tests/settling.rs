//! When a pod of real programs is said to be at rest.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod subjects;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::{Need, need};
use lockproof::internals::pod::{Pod, Program, Quiet, SettleLimits, Settled, Settler};
use subjects::*;

fn subject(interpreter: &str, file: &str, arguments: &[&str]) -> Program {
    let path = format!("{}/tests/subjects/{file}", env!("CARGO_MANIFEST_DIR"));
    program(&[&[interpreter, path.as_str()], arguments].concat())
}

fn python(script: &str) -> Program {
    program(&["python3", "-c", script])
}

async fn settle(settler: &mut Settler, pods: &[&Pod]) -> Settled {
    let nothing = AtomicU64::new(0);
    settler.wait(pods, &nothing, &SettleLimits::default()).await
}

/// Waits until what the pod still did after its word is over.
async fn at_rest(settler: &mut Settler, pods: &[&Pod]) -> Settled {
    let begun = Instant::now();
    loop {
        let settled = settle(settler, pods).await;
        if settled.quiet != Quiet::Restless && settled.quiet != Quiet::Spoke {
            return settled;
        }
        assert!(begun.elapsed() < LIMIT, "{settled:?}");
    }
}

/// The pod says "ready", and "late" within 20 ms of it: of 40 times it must never be declared at
/// rest in between.
async fn never_declared_quiet_too_early(subject: &Program) {
    let mut took = Vec::new();
    for round in 0..40 {
        let (pod, mut heard) = start(subject);
        assert_eq!(line(&mut heard).await, "ready");
        let mut settler = Settler::new();
        let mut settled = settle(&mut settler, &[&pod]).await;
        while settled.quiet == Quiet::Restless {
            settled = settle(&mut settler, &[&pod]).await;
        }
        if settled.quiet == Quiet::Spoke {
            assert_eq!(line(&mut heard).await, "late");
            took.push(settled.took);
        } else {
            // On a busy machine the pod may have spoken before the wait began.
            let said = heard.try_recv();
            assert!(said.is_ok(), "round {round}: {settled:?}");
        }
    }
    took.sort();
    println!(
        "{:?}: heard after {:?} (median)",
        subject.argv,
        took[took.len() / 2]
    );
}

async fn a_python_poller_is_never_declared_quiet_before_it_speaks() {
    need(Need::Python);
    never_declared_quiet_too_early(&subject("python3", "poller.py", &["15"])).await;
}

async fn a_node_poller_is_never_declared_quiet_before_it_speaks() {
    need(Need::Node);
    never_declared_quiet_too_early(&subject("node", "poller.mjs", &["15"])).await;
}

fn a_poller_is_heard_on_a_runtime_of_several_threads_too() {
    need(Need::Python);
    harness::on_threads(
        2,
        never_declared_quiet_too_early(&subject("python3", "poller.py", &["15"])),
    );
}

async fn node_waiting_for_a_child_is_never_declared_quiet_before_the_child_ends() {
    need(Need::Node);
    never_declared_quiet_too_early(&subject("node", "waits-for-child.mjs", &[])).await;
}

async fn a_chain_of_shells_is_never_declared_quiet_before_the_innermost_ends() {
    let chain = sh("echo ready; sh -c 'sleep 0.015; true'; echo late; sleep 60");
    never_declared_quiet_too_early(&chain).await;
}

async fn a_timer_that_is_a_file_is_waited_for() {
    need(Need::Python);
    let timer = subject("python3", "timer-file.py", &["0.015"]);
    never_declared_quiet_too_early(&timer).await;
}

async fn a_process_that_only_its_parent_can_wake_settles() {
    let (pod, mut heard) = start(&sh("echo ready; kill -STOP $$"));
    assert_eq!(line(&mut heard).await, "ready");
    let settled = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Settled, "{settled:?}");
}

async fn processes_that_wait_for_each_other_settle() {
    need(Need::Python);
    // The pipe leads from one process of the pod to another: it leaves nothing.
    let chain = python(
        "import os,sys
r, w = os.pipe()
if os.fork() == 0:
    print('ready', flush=True)
    os.read(r, 1)
os.wait()",
    );
    let (pod, mut heard) = start(&chain);
    assert_eq!(line(&mut heard).await, "ready");
    let mut settler = Settler::new();
    let settled = at_rest(&mut settler, &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Settled, "{settled:?}");
    assert_eq!(settled.leaves, Vec::<String>::new());
}

async fn a_later_timer_is_ignored_and_makes_it_an_assumption() {
    let (pod, mut heard) = start(&sh("echo ready; exec sleep 60"));
    assert_eq!(line(&mut heard).await, "ready");
    let settled = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Assumed, "{settled:?}");
}

async fn a_poller_that_says_nothing_is_assumed_after_two_wakes() {
    need(Need::Python);
    let (pod, mut heard) = start(&subject("python3", "poller.py", &["60000"]));
    assert_eq!(line(&mut heard).await, "ready");
    let mut settler = Settler::new();
    at_rest(&mut settler, &[&pod]).await;
    for _ in 0..10 {
        let settled = at_rest(&mut settler, &[&pod]).await;
        assert_eq!(settled.quiet, Quiet::Assumed, "{settled:?}");
        assert!(settled.took >= Duration::from_millis(9), "{settled:?}");
    }
}

async fn a_busy_loop_is_restless() {
    let (pod, mut heard) = start(&sh("echo ready; while :; do :; done"));
    assert_eq!(line(&mut heard).await, "ready");
    let settled = settle(&mut Settler::new(), &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Restless);
    let limit = SettleLimits::default().restless_after;
    assert!(settled.took >= limit, "{settled:?}");
}

async fn a_paused_poller_is_at_rest() {
    need(Need::Python);
    let (pod, mut heard) = start(&subject("python3", "poller.py", &["60000"]));
    assert_eq!(line(&mut heard).await, "ready");
    pod.pause();
    let settled = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Settled, "{settled:?}");
}

async fn a_pod_that_has_ended_is_at_rest() {
    let (pod, _heard) = start(&sh("true"));
    pod.gone(LIMIT).await.unwrap();
    let mut settler = Settler::new();
    let settled = at_rest(&mut settler, &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Settled);
    assert_eq!(settle(&mut settler, &[]).await.quiet, Quiet::Settled);
}

async fn one_restless_pod_of_two_keeps_both_from_rest() {
    let (quiet, mut from_quiet) = start(&sh("echo ready; kill -STOP $$"));
    let (busy, mut from_busy) = start(&sh("echo ready; while :; do :; done"));
    assert_eq!(line(&mut from_quiet).await, "ready");
    assert_eq!(line(&mut from_busy).await, "ready");
    let mut settler = Settler::new();
    let both = settle(&mut settler, &[&quiet, &busy]).await;
    assert_eq!(both.quiet, Quiet::Restless);
    assert_eq!(at_rest(&mut settler, &[&quiet]).await.quiet, Quiet::Settled);
}

async fn what_leaves_the_pod_is_named_and_lockproofs_own_port_is_not() {
    need(Need::Python);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = python(&format!(
        "import socket
s = socket.create_connection(('127.0.0.1', {port}))
print('ready', flush=True)
s.recv(1)",
    ));
    let (pod, mut heard) = start(&client);
    assert_eq!(line(&mut heard).await, "ready");
    let foreign = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!(foreign.quiet, Quiet::Assumed);
    assert_eq!(foreign.leaves, [format!("a: tcp to 127.0.0.1:{port}")]);
    pod.set_own_doors(&[port], None);
    let own = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!((own.quiet, own.leaves), (Quiet::Settled, vec![]));
}

async fn sockets_of_other_kinds_are_named_too() {
    need(Need::Python);
    let dir = scratch();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let path = path.display();
    let client = python(&format!(
        "import socket, os
u = socket.socket(socket.AF_UNIX); u.connect('{path}')
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); d.connect(('127.0.0.1', 9))
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()
pair = socket.socketpair()
os.mkfifo('{path}.fifo'); f = os.open('{path}.fifo', os.O_RDWR)
print(l.getsockname()[1], flush=True)
l.accept()",
    ));
    let (pod, mut heard) = start(&client);
    let port = line(&mut heard).await;
    let _accepted = listener.accept().unwrap();
    let settled = at_rest(&mut Settler::new(), &[&pod]).await;
    assert_eq!(settled.quiet, Quiet::Assumed);
    let want = [
        format!("a: fifo {path}.fifo"),
        format!("a: tcp listening on 127.0.0.1:{port}"),
        "a: udp to 127.0.0.1:9".to_owned(),
        format!("a: unix socket {path}"),
    ];
    assert_eq!(settled.leaves, want);
}

/// A byte is given to the pod, it thinks for 15 ms on 10 ms timers, and answers; 40 times, with
/// one settler, as the conductor does it.
async fn a_word_on_the_wire_is_waited_for_again_and_again() {
    need(Need::Python);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = subject("python3", "echo-late.py", &[&port.to_string()]);
    let (pod, mut heard) = start(&echo);
    assert_eq!(line(&mut heard).await, "ready");
    pod.set_own_doors(&[port], None);
    let (wire, _) = listener.accept().unwrap();
    wire.set_nonblocking(true).unwrap();
    let wire = tokio::net::TcpStream::from_std(wire).unwrap();
    let activity = Arc::new(AtomicU64::new(0));
    let (mut read, mut write) = wire.into_split();
    let counter = activity.clone();
    let reader = tokio::spawn(async move {
        let mut byte = [0];
        while let Ok(1) = tokio::io::AsyncReadExt::read(&mut read, &mut byte).await {
            counter.fetch_add(1, Ordering::Release);
        }
    });
    let mut settler = Settler::new();
    at_rest(&mut settler, &[&pod]).await;
    let mut rest = Vec::new();
    for round in 1..=40 {
        tokio::io::AsyncWriteExt::write_all(&mut write, b"x")
            .await
            .unwrap();
        let limits = SettleLimits::default();
        let settled = settler.wait(&[&pod], &activity, &limits).await;
        assert_eq!(settled.quiet, Quiet::Spoke, "round {round}: {settled:?}");
        assert_eq!(activity.load(Ordering::Acquire), round);
        let settled = at_rest(&mut settler, &[&pod]).await;
        assert_eq!(settled.quiet, Quiet::Settled, "round {round}: {settled:?}");
        rest.push(settled.took);
    }
    rest.sort();
    println!("one thread comes to rest in {:?} (median)", rest[20]);
    reader.abort();
}

const AS_SUBJECT: &str = "LOCKPROOF_TEST_AS_SUBJECT";

/// This test program itself, as a pod with a runtime of four threads that answers each byte after
/// a timer of 15 ms.
async fn a_tokio_program_of_many_threads_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = std::env::current_exe().unwrap();
    let mut subject = program(&[own.to_str().unwrap()]);
    subject.env = vec![(AS_SUBJECT.to_owned(), port.to_string())];
    let (pod, _heard) = start(&subject);
    pod.set_own_doors(&[port], None);
    let (mut wire, _) = listener.accept().unwrap();
    let mut settler = Settler::new();
    let mut byte = [0];
    let mut took = Vec::new();
    at_rest(&mut settler, &[&pod]).await;
    for round in 0..40 {
        wire.write_all(b"x").unwrap();
        let settled = at_rest(&mut settler, &[&pod]).await;
        wire.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let answered = wire.read_exact(&mut byte);
        assert!(answered.is_ok(), "round {round}: {settled:?}");
        took.push(settle(&mut settler, &[&pod]).await.took);
    }
    took.sort();
    println!(
        "tokio's five threads at rest are seen in {:?} (median)",
        took[20]
    );
}

fn answer_late(port: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut wire = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the test listens");
    let mut byte = [0];
    while wire.read_exact(&mut byte).is_ok() {
        runtime.block_on(async {
            let timer = tokio::spawn(tokio::time::sleep(Duration::from_millis(15)));
            timer.await.expect("a timer");
        });
        wire.write_all(&byte).expect("the test reads");
    }
}

fn a_wait_can_be_part_of_a_task_that_moves_between_threads() {
    fn can_move(_: impl Send) {}
    let limits = SettleLimits::default();
    can_move(Settler::new().wait(&[], &AtomicU64::new(0), &limits));
}

async fn a_look_at_a_resting_pod_is_cheap() {
    let cat = sh("echo ready; exec cat /proc/self/fd/9 9<>/dev/ptmx");
    a_look_is_cheap("cat", &cat).await;
}

async fn a_look_at_a_resting_node_program_is_cheap() {
    need(Need::Node);
    let poller = subject("node", "poller.mjs", &["60000", "60000"]);
    a_look_is_cheap("node", &poller).await;
}

async fn a_look_is_cheap(what: &str, subject: &Program) {
    let (pod, mut heard) = start(subject);
    assert_eq!(line(&mut heard).await, "ready");
    let mut settler = Settler::new();
    let first = at_rest(&mut settler, &[&pod]).await;
    let (mut took, mut looks) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let settled = settle(&mut settler, &[&pod]).await;
        took.push(settled.took);
        looks.push(settled.looks);
    }
    took.sort();
    looks.sort_unstable();
    // Node's own threads may stir now and then.
    assert_eq!(looks[100], 2, "{looks:?}");
    println!(
        "{what}: rest after start in {:?} ({} looks), seen again in {:?} (median), {:?} (worst)",
        first.took, first.looks, took[100], took[199]
    );
}

crate::harness::tests![
    a_python_poller_is_never_declared_quiet_before_it_speaks,
    a_node_poller_is_never_declared_quiet_before_it_speaks,
    a_poller_is_heard_on_a_runtime_of_several_threads_too,
    node_waiting_for_a_child_is_never_declared_quiet_before_the_child_ends,
    a_chain_of_shells_is_never_declared_quiet_before_the_innermost_ends,
    a_timer_that_is_a_file_is_waited_for,
    a_process_that_only_its_parent_can_wake_settles,
    processes_that_wait_for_each_other_settle,
    a_later_timer_is_ignored_and_makes_it_an_assumption,
    a_poller_that_says_nothing_is_assumed_after_two_wakes,
    a_busy_loop_is_restless,
    a_paused_poller_is_at_rest,
    a_pod_that_has_ended_is_at_rest,
    one_restless_pod_of_two_keeps_both_from_rest,
    what_leaves_the_pod_is_named_and_lockproofs_own_port_is_not,
    sockets_of_other_kinds_are_named_too,
    a_word_on_the_wire_is_waited_for_again_and_again,
    a_tokio_program_of_many_threads_is_waited_for,
    a_wait_can_be_part_of_a_task_that_moves_between_threads,
    a_look_at_a_resting_pod_is_cheap,
    a_look_at_a_resting_node_program_is_cheap,
];

fn main() -> std::process::ExitCode {
    if let Ok(port) = std::env::var(AS_SUBJECT) {
        answer_late(&port);
        return std::process::ExitCode::SUCCESS;
    }
    harness::run([tests()])
}
