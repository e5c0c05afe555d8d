//! One file a command: what each prints, and which exit code it ends with.

mod args;
pub mod check;
pub mod check_log;
pub mod clean;
pub mod common;
pub mod doctor;
mod exit;
pub mod explore;
pub mod export;
pub mod false_alarms;
mod finding;
pub mod guardian;
mod known;
pub mod merge;
mod out;
pub mod replay;
pub mod reproduce;
pub mod run;
pub mod schema;
pub mod seed;
mod short;
pub mod stress;
pub mod subject;
pub mod sweep;

pub use args::main;
pub use exit::Exit;
