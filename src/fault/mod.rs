//! WHAT GOES WRONG: what each fault explains, and the bytes of an injected error.
//!
//! Owns the catalogue's meaning: which errors a fault accounts for, whether it takes the pod or
//! ends a session. When a fault is applied is the conductor's to say; how a signal, a reset or a
//! termination is done is the business of `pod`, `wire` and `evidence`.

mod injected;

pub use injected::InjectedError;
