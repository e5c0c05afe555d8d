//! WHAT A STATEMENT MEANS: kind, tables, lock calls and keys, normal form.
//!
//! Owns the reading of SQL text: from a statement's text and its bound parameters to what it locks,
//! what it writes and how it is recognised in a trace. Pure. It reads tokens, not grammar: every
//! statement has an answer, also one that no parser knows, and where the text cannot tell, the
//! answer says so (`opaque`). Only what a statement reads is asked of a real parser, and it too may
//! answer that it cannot tell. Knows nothing of the wire, of steps or of schedules.

mod assigned;
mod builtins;
mod call;
mod condition;
mod created;
mod driver_queries;
mod key;
mod kind;
mod lexer;
mod literals;
mod lock;
mod lock_table;
mod look_up;
mod meaning;
mod normal;
mod one_table;
mod parsed;
mod reads;
mod row_locks;
mod rows;
mod session_names;
mod setting_changes;
mod split;
mod token;
mod view;
mod writes;

#[cfg(test)]
mod driver_tests;
#[cfg(test)]
mod fuzz;

pub use assigned::{Assigned, Compared, Value, With, assigned, compared};
pub use condition::Condition;
pub use created::created;
pub use key::Parameter;
pub use kind::Kind;
pub use literals::{Literal, with_literals};
pub use look_up::describes_database;
pub use meaning::{Meaning, meaning};
pub use one_table::{OneTable, RowsMeant, SetColumn, one_table};
pub use reads::{Inserted, Looks, TablesRead, inserted, tables_read};
pub use row_locks::{RowLock, row_locks};
pub use session_names::{ANY_NAME, SessionNames, nameless, names_made};
pub use setting_changes::{Lasts, SettingChange, SettingChanges, SettingValue, setting_changes};
pub use split::{beginnings, statements};
pub use writes::TEMPORARY;
