//! Settings that a session has from its beginning, of those that a search must know.
//!
//! Owns which these are, and how a value is read. Knows nothing of where it was found.

use serde::{Deserialize, Serialize};

/// A setting as a session begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, in small letters.
    pub name: String,
    /// Its value, as it was given.
    pub value: String,
}

impl Setting {
    /// What must be known of a session's beginning: whether its snapshots outlive a statement, and what ends its waits.
    pub const KNOWN: [&'static str; 3] = [
        "default_transaction_isolation",
        "lock_timeout",
        "statement_timeout",
    ];

    /// A setting, if it is one of those.
    #[must_use]
    pub fn known(name: &str, value: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::KNOWN.contains(&name.as_str()).then(|| Self {
            name,
            value: value.to_owned(),
        })
    }

    /// Whether it gives snapshots that outlive a statement; `None`: it is not about that.
    #[must_use]
    pub fn long_snapshots(&self) -> Option<bool> {
        let value = self.value.trim().to_ascii_lowercase();
        (self.name == "default_transaction_isolation").then(|| !value.starts_with("read "))
    }
}
