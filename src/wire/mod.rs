//! THE WAY IN: framing, the proxy of a pod, and the gate.
//!
//! Owns every byte between a pod and the server, and offers the primitives `release`,
//! `drop-answer`, `answer-with`, `replace` and `reset`. Knows no fault and no SQL: a step is text
//! and parameters here, and what it means is for others to say.

mod burst;
mod connection;
mod cycle;
mod decode;
mod frame;
mod gate;
mod need;
mod proxy;
mod startups;

pub use decode::{Parameter, RawError, error_response, ready_for_query, simple_query};
pub use gate::{
    Answer, CloseCause, ConnectionEvent, ConnectionId, Handover, ResultRow, StatementText,
    StepText, WireEvent,
};
pub use need::Need;
pub use proxy::{Proxy, Upstream, WireError};
