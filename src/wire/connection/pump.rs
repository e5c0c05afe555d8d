//! What each side has sent, message by message: to the other side while the session starts, to the
//! cycle from then on.

use bytes::{Buf, Bytes, BytesMut};

use super::{Client, Phase, Secrecy, Task};
use crate::wire::decode;
use crate::wire::frame::{FrameError, take_early_message, take_greeting, take_message};
use crate::wire::gate::{CloseCause, ConnectionEvent};

/// What a client is told that goes on and on without an end.
const TOO_MUCH: &str = "lockproof keeps what a client sends until its Sync, Flush or Query, and \
                        this client has sent more than 64 MiB without one";

impl Task {
    /// Takes in what the client has sent.
    pub(super) fn pump_client(&mut self, client: &mut Client) {
        loop {
            let taken = match self.phase {
                Phase::Ready => take_message(&mut client.input),
                _ => take_early_message(&mut client.input),
            };
            match taken {
                Ok(Some(message)) if self.phase == Phase::Ready => {
                    self.cycle.client_message(message, &mut self.out);
                    if self.cycle.overflows() {
                        self.refuse(client, "54000", TOO_MUCH.to_owned());
                        return;
                    }
                }
                // The server reads them only when it has started the session; so does the gate.
                Ok(Some(message))
                    if !matches!(message.tag, b'p' | b'X') || !self.early.is_empty() =>
                {
                    self.early_bytes += message.raw.len();
                    self.early.push(message);
                }
                Ok(Some(message)) => {
                    if self.secrecy == Secrecy::AskedToLogIn {
                        self.secrecy = Secrecy::Started;
                    }
                    self.out.to_server.extend_from_slice(&message.raw);
                }
                Ok(None) => return,
                Err(error) => {
                    self.refuse(client, "08P01", error.to_string());
                    return;
                }
            }
        }
    }

    /// Reads no more from the client, and tells it why.
    fn refuse(&mut self, client: &mut Client, sqlstate: &str, why: String) {
        self.out
            .to_client
            .extend_from_slice(&decode::error_response("FATAL", sqlstate, &why));
        client.reading = false;
        client.input = BytesMut::new();
        self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(why)));
    }

    /// Takes in what the server has sent.
    pub(super) fn pump_server(&mut self, input: &mut BytesMut) -> Result<(), FrameError> {
        loop {
            let taken = match self.phase {
                Phase::Ready => take_message(input)?,
                _ => take_greeting(input)?,
            };
            let Some(message) = taken else { break };
            if self.phase == Phase::Ready {
                self.cycle.server_message(&message, &mut self.out);
                continue;
            }
            self.out.to_client.extend_from_slice(&message.raw);
            match message.tag {
                b'R' if self.secrecy == Secrecy::Started && asks_to_log_in(&message.body()) => {
                    self.secrecy = Secrecy::AskedToLogIn;
                }
                b'K' => {
                    let body = message.body();
                    self.pid = body
                        .get(..4)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map(i32::from_be_bytes);
                }
                b'E' => self
                    .out
                    .events
                    .push(ConnectionEvent::ErrorOutsideStep(decode::error(
                        message.body(),
                    ))),
                b'Z' => {
                    self.phase = Phase::Ready;
                    self.place = None;
                    self.out.events.push(ConnectionEvent::Started {
                        pid: self.pid,
                        server: self.server,
                    });
                    self.early_bytes = 0;
                    for message in std::mem::take(&mut self.early) {
                        self.cycle.client_message(message, &mut self.out);
                    }
                }
                _ => {}
            }
        }
        // Events before bytes: the driver knows of an ending before the pod can react to it.
        self.tell_all();
        Ok(())
    }
}

/// Whether an Authentication message is the first that wants an answer. A client that insists on channel binding leaves at
/// each of them: at a password in clear or hashed, and at SASL without it.
fn asks_to_log_in(body: &Bytes) -> bool {
    const CLEAR: i32 = 3;
    const MD5: i32 = 5;
    const SASL: i32 = 10;
    let code = body.get(..4).map(|mut code| code.get_i32());
    code.is_some_and(|code| [CLEAR, MD5, SASL].contains(&code))
}
