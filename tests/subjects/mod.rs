//! Starting small programs as pods, for the tests of pods.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;

use lockproof::internals::pod::{Pod, PodEvent, Program};
use lockproof_core::name::PodName;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long a test waits for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

pub fn program(argv: &[&str]) -> Program {
    Program {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        ..Program::default()
    }
}

pub fn sh(script: &str) -> Program {
    program(&["sh", "-c", script])
}

pub fn start(program: &Program) -> (Pod, UnboundedReceiver<PodEvent>) {
    let (events, heard) = unbounded_channel();
    let pod = Pod::spawn(&PodName::of_index(0), program, &[], events).expect("the pod starts");
    (pod, heard)
}

/// The next line; panics when the pod exits first.
pub async fn line(heard: &mut UnboundedReceiver<PodEvent>) -> String {
    match tokio::time::timeout(LIMIT, heard.recv()).await {
        Ok(Some(PodEvent::Output { line, .. })) => line,
        other => panic!("waited for a line, got {other:?}"),
    }
}

pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch directory")
}
