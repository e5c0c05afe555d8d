//! WHAT HAPPENED: the event types, the versioned format, and how it is written and read.
//!
//! Owns the history's words and its file. Pure but for the writer's and the reader's plain files;
//! knows nothing of Postgres, of sockets or of the verdict.

mod answer;
mod catalog;
mod course;
mod cronjob;
mod digest;
mod event;
mod facts;
mod fault;
mod held;
mod held_row;
mod lock_row;
mod not_there;
pub mod private;
mod reader;
mod setting;
mod step;
mod write;
mod writer;

pub use answer::*;
pub use catalog::*;
pub use course::*;
pub use cronjob::*;
pub use digest::*;
pub use event::*;
pub use facts::*;
pub use fault::*;
pub use held::*;
pub use held_row::*;
pub use lock_row::*;
pub use not_there::*;
pub use reader::*;
pub use setting::*;
pub use step::*;
pub use write::*;
pub use writer::*;
