//! A Docker engine that hangs, or dies in the middle: behind a proxy that does so when it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sandbox::{Sandbox, becomes, finish};
use super::scenario;
use crate::harness::{Need, image, need};

/// A way to the machine's engine.
struct Engine {
    at: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The request from which on nothing gets through.
    hangs_at: Option<&'static str>,
    hangs: AtomicBool,
    dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Engine {
    fn that_hangs_at(request: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("tcp://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            hangs_at: request,
            hangs: AtomicBool::new(request == Some("")),
            dead: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.dead.load(Ordering::SeqCst) {
                    // The listener goes with this thread: from now on nobody is let in.
                    return;
                }
                of_thread
                    .open
                    .lock()
                    .unwrap()
                    .push(client.try_clone().unwrap());
                of_thread.join(client);
            }
        });
        Self { at, shared }
    }

    fn dies(&self) {
        self.shared.dead.store(true, Ordering::SeqCst);
        let address = self.at.trim_start_matches("tcp://");
        // Wakes the listener.
        let _ = TcpStream::connect(address);
        for client in self.shared.open.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
        becomes(
            "the engine's port to be closed",
            Duration::from_secs(10),
            || TcpStream::connect(address).is_err(),
            |closed| *closed,
        );
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: TcpStream) {
        if self.hangs.load(Ordering::SeqCst) {
            return;
        }
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let socket = host
            .strip_prefix("unix://")
            .unwrap_or("/var/run/docker.sock");
        let engine = UnixStream::connect(socket).unwrap();
        let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
        let (mut from_engine, mut to_engine) = (engine.try_clone().unwrap(), engine);
        let of_thread = Arc::clone(self);
        std::thread::spawn(move || {
            of_thread.copy(&mut from_client, &mut to_engine);
            let _ = to_engine.shutdown(Shutdown::Both);
        });
        let of_thread = Arc::clone(self);
        std::thread::spawn(move || {
            of_thread.copy(&mut from_engine, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
    }

    fn copy(&self, from: &mut impl Read, to: &mut impl Write) {
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]);
            if self.hangs_at.is_some_and(|request| text.contains(request)) {
                self.hangs.store(true, Ordering::SeqCst);
            }
            while self.hangs.load(Ordering::SeqCst) && !self.dead.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.dies();
    }
}

/// `clean` removes whatever was left on the engine, also what another test has left there on purpose.
static LEFT_ON_THE_ENGINE: Mutex<()> = Mutex::new(());

fn nobody_else_cleans() -> MutexGuard<'static, ()> {
    LEFT_ON_THE_ENGINE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

const JOB: [&str; 3] = [
    "sh",
    "-c",
    "psql -qc 'create table if not exists t (i int); insert into t values (1)'; touch at; \
     while [ -e wait ]; do sleep 0.05; done",
];

fn an_engine_that_accepts_and_never_answers_is_given_up_in_a_sentence() {
    let engine = Engine::that_hangs_at(Some(""));
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", scenario(&JOB, ""));
    let docker = [("DOCKER_HOST", engine.at.as_str())];
    let done = sandbox.run_with(&["run", "it.toml", "--server", "container"], &docker);
    done.fails(
        4,
        &[
            &format!("Docker did not answer at {} within 5 s", engine.at),
            "`lockproof doctor`",
        ],
    );
    assert!(done.took < Duration::from_secs(20), "{done}");
    let done = sandbox.run_with(&["clean"], &docker);
    done.fails(
        0,
        &["containers: not looked for, since Docker did not answer"],
    );
    assert!(done.took < Duration::from_secs(20), "{done}");
    sandbox.is_clear("after all");
}

fn an_engine_that_hangs_while_it_starts_or_removes_a_container_is_told_with_what_may_be_left() {
    need(Need::Containers);
    let _alone = nobody_else_cleans();
    for (request, says) in [("/start", "a container of "), ("DELETE /", "container ")] {
        let engine = Engine::that_hangs_at(Some(request));
        let sandbox = Sandbox::new();
        sandbox.write("it.toml", scenario(&JOB, ""));
        let image = image().unwrap();
        let server = [
            ("DOCKER_HOST", engine.at.as_str()),
            ("LOCKPROOF_IMAGE", &image),
        ];
        let done = sandbox.run_with(&["run", "it.toml", "--server", "container"], &server);
        done.fails(
            4,
            &[
                says,
                "left, perhaps running: Docker was to",
                "stopped answering: no answer to a ping within 5 s",
                "Once Docker answers, `lockproof clean` removes it",
            ],
        );
        assert!(done.took < Duration::from_secs(60), "{request}: {done}");
        cleans_up(&sandbox);
    }
}

fn a_container_whose_engine_dies_in_the_middle_is_named_and_clean_removes_it() {
    need(Need::Containers);
    let _alone = nobody_else_cleans();
    let engine = Engine::that_hangs_at(None);
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", scenario(&JOB, ""));
    sandbox.write("wait", "");
    let child = sandbox
        .command(&["run", "it.toml", "--server", "container"])
        .env("DOCKER_HOST", &engine.at)
        .env("LOCKPROOF_IMAGE", image().unwrap())
        .spawn()
        .unwrap();
    let at = sandbox.work().join("at");
    becomes("the job", Duration::from_secs(60), || at.exists(), |at| *at);
    let id = sandbox.containers()[0][..12].to_owned();
    engine.dies();
    std::fs::remove_file(sandbox.work().join("wait")).unwrap();
    let done = finish(child);
    let named = format!("container {id} is left, perhaps running: Docker did not answer");
    // What was found is printed all the same.
    done.fails(4, &[&named, "1 of 1 scenarios as expected"]);
    // As long as the engine does not answer, it is named again.
    let done = sandbox.run_with(&["clean"], &[("DOCKER_HOST", engine.at.as_str())]);
    done.fails(4, &[&named]);
    assert!(!done.text().contains("nothing was left behind"), "{done}");
    cleans_up(&sandbox);
}

fn cleans_up(sandbox: &Sandbox) {
    becomes(
        "the guardian to have given up",
        Duration::from_secs(60),
        || sandbox.processes(),
        Vec::is_empty,
    );
    assert_eq!(sandbox.containers().len(), 1, "what is to be removed");
    let done = sandbox.run(&["clean"]);
    done.fails(0, &["removed container "]);
    sandbox.is_clear("after clean");
}

crate::harness::tests![
    an_engine_that_accepts_and_never_answers_is_given_up_in_a_sentence,
    an_engine_that_hangs_while_it_starts_or_removes_a_container_is_told_with_what_may_be_left,
    a_container_whose_engine_dies_in_the_middle_is_named_and_clean_removes_it,
];
