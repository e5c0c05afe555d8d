//! A connection before its session: TLS begins if the client asks for it, a cancel request is passed on, a start-up message
//! is taken in.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{CONNECT_LIMIT, Client, Secrecy, Task, cause, side};
use crate::wire::decode;
use crate::wire::frame::{FrameError, Startup, take_startup};
use crate::wire::gate::{CloseCause, ConnectionEvent};
use crate::wire::link::resume;
use crate::wire::route::{Route, Upstream};
use crate::wire::settings::settings;

/// What it means that a client closes a connection on which TLS has just begun.
const LEFT_AFTER_HANDSHAKE: &str = "it closed its connection right after the TLS handshake, as a client does that does not \
                                    trust the certificate or expects another name in it";

impl Task {
    /// Answers the start-up phase; the client, on TLS if it wants that, with its start-up message, or
    /// `None` when it came to nothing.
    pub(super) async fn start_up(
        &mut self,
        mut client: Client,
        route: &watch::Receiver<Route>,
    ) -> Option<(Client, Bytes)> {
        loop {
            match take_startup(&mut client.input) {
                Ok(Some(Startup::SslRequest)) => {
                    if self.tls.is_some() && client.read.may_begin_tls() {
                        client.write.write_all(b"S").await.ok()?;
                        client = self.secure(client, false).await?;
                    } else {
                        client.say(b"N").await;
                    }
                }
                Ok(Some(Startup::GssRequest)) => client.say(b"N").await,
                Ok(Some(Startup::Cancel(pid, raw))) => {
                    self.tell(ConnectionEvent::CancelRequested { pid });
                    let known = route.borrow().known.clone();
                    for upstream in &known {
                        forward_cancel(upstream, &raw).await;
                    }
                    return None;
                }
                Ok(Some(Startup::Start(raw))) => {
                    if self.secrecy == Secrecy::Begun {
                        self.secrecy = Secrecy::Started;
                    }
                    if !self.admitted(&mut client, &raw).await {
                        return None;
                    }
                    let settings = settings(&raw);
                    if !settings.is_empty() {
                        self.tell(ConnectionEvent::Settings(settings));
                    }
                    return Some((client, raw));
                }
                Ok(None) => {
                    let result = client.read.read_buf(&mut client.input).await;
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    self.pass_the_link().await;
                    if !matches!(result, Ok(1..)) {
                        if self.secrecy == Secrecy::Begun {
                            let why = LEFT_AFTER_HANDSHAKE.to_owned();
                            self.tell(ConnectionEvent::TlsFailed(why));
                        }
                        self.tell(ConnectionEvent::ClientClosed(cause(&result)));
                        return None;
                    }
                }
                Err(FrameError::DirectTls) => client = self.secure(client, true).await?,
                Err(error) => {
                    let text = error.to_string();
                    client
                        .say(&decode::error_response("FATAL", "08P01", &text))
                        .await;
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(text)));
                    return None;
                }
            }
        }
    }

    /// Begins TLS; `None` when that came to nothing. How long the client takes is limited as all that it
    /// does, by the run's time.
    async fn secure(&mut self, mut client: Client, direct: bool) -> Option<Client> {
        let failed = |why: String| {
            self.tell(ConnectionEvent::TlsFailed(why));
            self.tell(ConnectionEvent::ClientClosed(CloseCause::EndOfStream));
            None
        };
        let Some(authority) = self.tls.clone() else {
            return failed("it speaks TLS, which this proxy does not".to_owned());
        };
        let Some(stream) = resume(client.read, client.write, &mut client.input) else {
            return failed("it speaks TLS inside TLS or on a Unix socket".to_owned());
        };
        match authority.accept(stream, direct).await {
            Ok(ends) => {
                self.activity.fetch_add(1, Ordering::Relaxed);
                self.secrecy = Secrecy::Begun;
                Some(side(ends))
            }
            Err(why) => failed(why),
        }
    }

    /// Whether a client may go where its start-up message leads; if not, it is told why.
    async fn admitted(&self, client: &mut Client, raw: &[u8]) -> bool {
        let Some(asked) = self.admission.elsewhere(raw) else {
            return true;
        };
        let refused = !self.admission.others;
        if refused {
            let why = self.admission.refusal(&asked);
            client
                .say(&decode::error_response("FATAL", "28000", &why))
                .await;
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
