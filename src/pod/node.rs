//! A name of its own for the machine that a pod sees.
//!
//! Owns the namespaces that it takes: a thread enters new ones, and what it starts is in them. That
//! takes a superuser's rights; without them pods see the machine's own name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// The machine as a pod is to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where a file with the names of machines may be made for it.
    pub hosts: PathBuf,
    /// Where a Unix socket may be made for it: a short path.
    pub hand: PathBuf,
}

/// The longest name of a machine.
const NAME_LIMIT: usize = 64;
const HOSTS: &str = "/etc/hosts";

/// Starts a command where the machine has this name; and whether it has.
pub(super) fn spawn(command: &mut Command, node: &Node) -> (io::Result<Child>, bool) {
    let Ok(runtime) = Handle::try_current() else {
        return (command.spawn(), false);
    };
    let started = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            if !enter(node) {
                return None;
            }
            let _entered = runtime.enter();
            Some(command.spawn())
        });
        thread.ok().and_then(|thread| thread.join().ok()).flatten()
    });
    match started {
        Some(child) => (child, true),
        None => (command.spawn(), false),
    }
}

/// Gives this thread, and what it will start, a machine of this name that finds its own address.
fn enter(node: &Node) -> bool {
    if node.name.is_empty() || node.name.len() > NAME_LIMIT {
        return false;
    }
    let all = unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS).is_ok();
    all && resolves(node).is_ok() && sethostname(&node.name).is_ok()
}

/// Lets the name be found: many programs ask for the address of their own machine as they start, and
/// would fail, or wait for a name server.
fn resolves(node: &Node) -> io::Result<()> {
    const NONE: Option<&Path> = None;
    let known = fs::read_to_string(HOSTS)?;
    let line = known.lines().last().map_or("", |_| "\n");
    fs::write(
        &node.hosts,
        format!("{known}{line}127.0.0.1 {}\n", node.name),
    )?;
    // What is mounted in here is not to be seen outside.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    mount(Some(&node.hosts), HOSTS, NONE, MsFlags::MS_BIND, NONE)?;
    Ok(())
}
