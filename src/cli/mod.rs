//! One file a command: what each prints, and which exit code it ends with.
//!
//! Owns the face of lockproof for people. Judges nothing and drives nothing: a command asks the rooms below.

mod alone;
mod args;
pub mod check;
pub mod ci;
pub mod clean;
mod colour;
pub mod common;
pub mod doctor;
mod exit;
pub mod explore;
pub mod export;
mod failure;
mod finding;
pub mod groombook;
pub mod guardian;
mod help;
pub mod init;
pub mod keys;
mod known;
mod manual;
pub mod merge;
mod old_names;
mod out;
mod page;
mod progress;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod schema;
mod screen;
mod short;
mod stored;
pub mod subject;
mod talk;
mod template;

pub use args::{command, main, main_of};
