//! The task that reads what a pod prints, waits for its first process, and reaps the rest.
//!
//! Owns the order of a pod's events. Knows nothing of signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval};

use super::lines::{Lines, STREAM_CAP};
use super::shared::Shared;
use crate::history::OutputStream;
use crate::name::PodName;

/// What a pod did that can be heard outside of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodEvent {
    /// It printed a line.
    Output {
        /// Which pod.
        pod: PodName,
        /// Where.
        stream: OutputStream,
        /// The line without its line feed, at most 64 KiB, what is no UTF-8 replaced.
        line: String,
    },
    /// Its first process has ended. All that it had printed came before this event; processes
    /// that outlive it may still print.
    Exited {
        /// Which pod.
        pod: PodName,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// How often lockproof looks for ended orphans after the first process has gone.
const ORPHANS_EVERY: Duration = Duration::from_millis(50);

/// After this many looks in a row without a process, an open pipe is somebody else's.
const EMPTY_LOOKS: u32 = 4;

/// The most that a pipe can hold for an unprivileged process (`pipe-max-size`), in bytes.
const PIPE_AT_MOST: usize = 1024 * 1024;

/// One of the two pipes.
struct Output {
    pipe: Option<Receiver>,
    stream: OutputStream,
    lines: Lines,
    told_full: bool,
}

impl Output {
    fn new(pipe: Receiver, stream: OutputStream) -> Self {
        Self {
            pipe: Some(pipe),
            stream,
            lines: Lines::default(),
            told_full: false,
        }
    }

    /// Until there is something to read; never, when the pipe is closed.
    async fn readable(&self) {
        match &self.pipe {
            Some(pipe) => {
                // An error shows again when the pipe is read.
                let _ = pipe.readable().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Reads once. `None`: nothing there for now, or nothing any more.
    fn read(
        &mut self,
        buffer: &mut [u8],
        mut say: impl FnMut(OutputStream, String),
    ) -> Option<usize> {
        let pipe = self.pipe.as_ref()?;
        match pipe.try_read(buffer) {
            Ok(0) => {
                self.pipe = None;
                self.flush(say);
                None
            }
            Ok(read) => {
                for line in self.lines.feed(&buffer[..read]) {
                    say(self.stream, line);
                }
                if self.lines.is_full() && !std::mem::replace(&mut self.told_full, true) {
                    let cap = STREAM_CAP / 1024 / 1024;
                    let own = format!(
                        "[lockproof: more than {cap} MiB on this stream, the rest is not kept]"
                    );
                    say(OutputStream::Lockproof, own);
                }
                Some(read)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
            Err(error) => {
                self.pipe = None;
                self.flush(&mut say);
                let own = format!("[lockproof: cannot read on: {error}]");
                say(OutputStream::Lockproof, own);
                None
            }
        }
    }

    fn flush(&mut self, mut say: impl FnMut(OutputStream, String)) {
        if let Some(line) = self.lines.finish() {
            say(self.stream, line);
        }
    }
}

/// Runs until the pod's processes have all gone and all they printed has been told.
pub async fn run(
    mut child: Child,
    stdout: Receiver,
    stderr: Receiver,
    shared: Arc<Shared>,
    events: UnboundedSender<PodEvent>,
) {
    // Nobody may listen any more; the pipes are read all the same, or the pod would stall.
    let say = |stream: OutputStream, line: String| {
        let pod = shared.name.clone();
        let _ = events.send(PodEvent::Output { pod, stream, line });
        shared.spoken.fetch_add(1, Ordering::Release);
    };
    let mut out = Output::new(stdout, OutputStream::Stdout);
    let mut err = Output::new(stderr, OutputStream::Stderr);
    let mut buffer = vec![0; 64 * 1024];
    let mut exited = false;
    let mut empty_looks = 0;
    let mut orphans = interval(ORPHANS_EVERY);
    orphans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = out.readable() => { out.read(&mut buffer, say); }
            () = err.readable() => { err.read(&mut buffer, say); }
            status = child.wait(), if !exited => {
                exited = true;
                for output in [&mut out, &mut err] {
                    drain(output, &mut buffer, say);
                }
                let _ = events.send(exit_event(&shared.name, status));
                shared.spoken.fetch_add(1, Ordering::Release);
            }
            _ = orphans.tick(), if exited => {
                // Between two forks a daemon can be missed by one look; an open pipe says that it is
                // there, and is believed for a few looks more.
                let closed = out.pipe.is_none() && err.pipe.is_none();
                empty_looks = if shared.live().is_empty() { empty_looks + 1 } else { 0 };
                if empty_looks > 0 && (closed || empty_looks >= EMPTY_LOOKS) {
                    for output in [&mut out, &mut err] {
                        drain(output, &mut buffer, say);
                    }
                    shared.finish();
                    return;
                }
            }
        }
        // A pod that prints without end must not starve the rest of a current-thread runtime.
        tokio::task::yield_now().await;
    }
}

/// Reads what is in a pipe whose writer has ended. It was all written before that end, so the
/// first "nothing there" proves that none is left; an orphan that goes on writing is followed no
/// further than a pipe can have held.
fn drain(output: &mut Output, buffer: &mut [u8], say: impl Fn(OutputStream, String) + Copy) {
    let mut read = 0;
    while let Some(more) = output.read(buffer, say) {
        read += more;
        if read > PIPE_AT_MOST {
            break;
        }
    }
    output.flush(say);
}

fn exit_event(pod: &PodName, status: io::Result<std::process::ExitStatus>) -> PodEvent {
    use std::os::unix::process::ExitStatusExt;
    let (code, signal) = match status {
        Ok(status) => (status.code(), status.signal()),
        Err(error) => {
            tracing::warn!(%pod, %error, "the pod's exit status is lost");
            (None, None)
        }
    };
    PodEvent::Exited {
        pod: pod.clone(),
        code,
        signal,
    }
}
