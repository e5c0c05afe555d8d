//! What a command printed, as much as an error needs.
//!
//! Owns the bound: of a command that prints without end only the last bytes are kept.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// How much of each stream is kept, in bytes.
const KEPT: usize = 8 * 1024;
/// How many lines are told.
const TOLD: usize = 5;
/// How long the pipes of a command that has ended are read on; something that it left running may
/// hold them open.
const AFTER_END: Duration = Duration::from_millis(200);

/// The last bytes of both streams of a command.
#[derive(Debug, Default)]
pub(super) struct Printed {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Printed {
    /// Reads what the command prints until it has ended.
    ///
    /// # Errors
    /// When its end cannot be waited for.
    pub(super) async fn until_end(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let reading = async { tokio::join!(keep(out, &mut self.out), keep(err, &mut self.err)) };
        let mut reading = std::pin::pin!(reading);
        let mut closed = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = &mut reading, if !closed => closed = true,
            }
        };
        if !closed {
            let _ = tokio::time::timeout(AFTER_END, reading).await;
        }
        Ok(status)
    }

    /// The last lines, of standard error if there are any, for the end of a sentence.
    pub(super) fn last_words(&self) -> String {
        let bytes = if self.err.is_empty() {
            &self.out
        } else {
            &self.err
        };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.lines().collect();
        match lines.get(lines.len().saturating_sub(TOLD)..) {
            None | Some([]) => "; it printed nothing".to_owned(),
            Some(last) => format!("; it printed last:\n  {}", last.join("\n  ")),
        }
    }
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; KEPT];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
}
