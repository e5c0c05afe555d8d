//! What each side has sent, message by message: to the other side while the session starts, to the
//! cycle from then on.

use bytes::BytesMut;
use tokio::net::tcp::OwnedReadHalf;

use super::{Phase, Side, Task};
use crate::wire::decode;
use crate::wire::frame::{FrameError, take_message};
use crate::wire::gate::{CloseCause, ConnectionEvent};

impl Task {
    /// Takes in what the client has sent.
    pub(super) fn pump_client(&mut self, client: &mut Side<OwnedReadHalf>) {
        loop {
            match take_message(&mut client.input) {
                Ok(Some(message)) if self.phase == Phase::Ready => {
                    self.cycle.client_message(message, &mut self.out);
                }
                // The server reads them only when it has started the session; so does the gate.
                Ok(Some(message))
                    if !matches!(message.tag, b'p' | b'X') || !self.early.is_empty() =>
                {
                    self.early.push(message);
                }
                Ok(Some(message)) => self.out.to_server.extend_from_slice(&message.raw),
                Ok(None) => return,
                Err(error) => {
                    let text = error.to_string();
                    self.out
                        .to_client
                        .extend_from_slice(&decode::error_response("FATAL", "08P01", &text));
                    client.reading = false;
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(text)));
                    return;
                }
            }
        }
    }

    /// Takes in what the server has sent.
    pub(super) fn pump_server(&mut self, input: &mut BytesMut) -> Result<(), FrameError> {
        while let Some(message) = take_message(input)? {
            if self.phase == Phase::Ready {
                self.cycle.server_message(&message, &mut self.out);
                continue;
            }
            self.out.to_client.extend_from_slice(&message.raw);
            match message.tag {
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
