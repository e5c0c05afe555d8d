//! A connection before its session: TLS is declined, a cancel request is passed on, a start-up message
//! is taken in.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;

use super::{CONNECT_LIMIT, Side, Task, cause};
use crate::wire::decode;
use crate::wire::frame::{FrameError, Startup, take_startup};
use crate::wire::gate::{CloseCause, ConnectionEvent};
use crate::wire::route::{Route, Upstream};

impl Task {
    /// Answers the start-up phase; the start-up message, or `None` when it came to nothing.
    pub(super) async fn start_up(
        &mut self,
        client: &mut Side<OwnedReadHalf>,
        route: &watch::Receiver<Route>,
    ) -> Option<Bytes> {
        loop {
            match take_startup(&mut client.input) {
                Ok(Some(Startup::SslRequest)) => {
                    self.asked_for_tls = true;
                    client.write.write_all(b"N").await.ok()?;
                }
                Ok(Some(Startup::GssRequest)) => client.write.write_all(b"N").await.ok()?,
                Ok(Some(Startup::Cancel(pid, raw))) => {
                    self.tell(ConnectionEvent::CancelRequested { pid });
                    let known = route.borrow().known.clone();
                    for upstream in &known {
                        forward_cancel(upstream, &raw).await;
                    }
                    return None;
                }
                Ok(Some(Startup::Start(raw))) => {
                    return self.admitted(client, &raw).await.then_some(raw);
                }
                Ok(None) => {
                    let result = client.read.read_buf(&mut client.input).await;
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    self.pass_the_link().await;
                    if !matches!(result, Ok(1..)) {
                        if self.asked_for_tls {
                            self.tell(ConnectionEvent::TlsDemanded);
                        }
                        self.tell(ConnectionEvent::ClientClosed(cause(&result)));
                        return None;
                    }
                }
                Err(FrameError::DirectTls) => {
                    self.tell(ConnectionEvent::TlsDemanded);
                    return None;
                }
                Err(error) => {
                    let text = error.to_string();
                    let _ = client
                        .write
                        .write_all(&decode::error_response("FATAL", "08P01", &text))
                        .await;
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(text)));
                    return None;
                }
            }
        }
    }

    /// Whether a client may go where its start-up message leads; if not, it is told why.
    async fn admitted(&self, client: &mut Side<OwnedReadHalf>, raw: &[u8]) -> bool {
        let Some(asked) = self.admission.elsewhere(raw) else {
            return true;
        };
        let refused = !self.admission.others;
        if refused {
            let why = self.admission.refusal(&asked);
            let message = decode::error_response("FATAL", "28000", &why);
            let _ = client.write.write_all(&message).await;
        }
        self.tell(ConnectionEvent::Elsewhere { asked, refused });
        if refused {
            self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
        }
        !refused
    }

    /// Waits as long as the link keeps what a client says before its session has started.
    async fn pass_the_link(&self) {
        let mut shapes = self.shaping.watch();
        let index = self.id.index;
        let shape = match shapes.wait_for(|shapes| !shapes.of(index).cut).await {
            Ok(shapes) => shapes.of(index),
            Err(_) => return,
        };
        if !shape.delay.is_zero() {
            tokio::time::sleep(shape.delay).await;
        }
    }
}

/// Passes a cancel request on, and waits until the server has it.
pub(in crate::wire) async fn forward_cancel(upstream: &Upstream, raw: &[u8]) {
    let forward = async {
        let mut stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await?;
        stream.write_all(raw).await?;
        // The server closes when it has sent the signal.
        let mut rest = [0_u8; 16];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(CONNECT_LIMIT, forward).await;
}
