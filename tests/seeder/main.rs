//! The built-in subject against a real server: what it leaves in the database, what it says, and
//! what each of its locks does and fails to do.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod data;
mod database;
mod locks;
mod server;
mod stopping;
