//! THE WAY IN: framing, the proxy of a pod, its doors (TCP, TLS, a Unix socket), and the gate.
//!
//! Owns every byte between a pod and the server, and offers the primitives `release`,
//! `drop-answer`, `answer-with`, `replace`, `reset` and `close`, and the shape of a link: cut,
//! delayed, throttled. Behind a pooler it watches the pooler's own
//! connections to the server, too. Knows no fault and no SQL: a step is text and parameters here, and
//! what it means is for others to say.

mod admission;
mod burst;
mod connection;
mod cycle;
mod decode;
mod frame;
#[cfg(test)]
mod fuzz;
mod gate;
mod link;
mod need;
mod pooled;
mod proxy;
mod route;
mod settings;
mod shape;
mod startups;
mod tls;

pub use admission::Admission;
pub use decode::{RawError, error_response, simple_query};
pub use gate::{
    Answer, CloseCause, ConnectionEvent, Handover, ServerSide, StepKind, StepText, WireEvent,
};
pub use pooled::Tap;
pub use proxy::{Doors, Proxy, WireError};
pub use route::Upstream;
pub use shape::Shape;
pub use tls::{Authority, TlsError};
