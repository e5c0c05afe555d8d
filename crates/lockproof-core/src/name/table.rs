//! Names of tables, small enough to stand in the name of a lock.
//!
//! Owns their spelling: `schema.table` as the catalog has it, or as a statement spells it, in lower case.
//! Knows nothing of which tables there are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a table. Names are interned: each is kept once for as long as the process lives, so that
/// the name of a lock stays a small value that is copied (a run knows some dozens of tables).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct TableName(&'static str);

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl TableName {
    /// The table of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(kept);
        Self(kept)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether this name, as a statement spells it, may mean that table of the catalog: where it has no
    /// schema, one of any schema, for the search path of a session is not known. Case does not count.
    #[must_use]
    pub fn may_mean(self, table: Self) -> bool {
        let (spelled, known) = (self.0.to_lowercase(), table.0.to_lowercase());
        spelled == known
            || (!spelled.contains('.')
                && known
                    .split_once('.')
                    .is_some_and(|(_, name)| name == spelled))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.strip_prefix("public.").unwrap_or(self.0))
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Ok(Self::new(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_compared_by_its_text() {
        let (one, other) = (TableName::new("public.b"), TableName::new("public.a"));
        assert_eq!(one, TableName::new("public.b"));
        assert!(std::ptr::eq(
            one.as_str(),
            TableName::new("public.b").as_str()
        ));
        assert!(other < one);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<TableName>(&text).unwrap(), one);
    }

    #[test]
    fn a_name_without_a_schema_may_mean_a_table_of_any() {
        let means = |spelled, table| TableName::new(spelled).may_mean(TableName::new(table));
        assert!(means("report", "public.report") && means("report", "app.Report"));
        assert!(means("app.report", "app.report"));
        assert!(!means("app.report", "public.report"));
        assert!(!means("report", "public.reports"));
    }
}
