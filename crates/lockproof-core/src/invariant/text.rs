//! What the text of a step and its answer tell of what it wrote, where there is no witness.
//!
//! Owns that answer, and when there is none: a name that is no table (a view, a partitioned table) hides what
//! is written through it. Knows nothing of locks.

use std::collections::BTreeSet;

use super::facts::{Facts, StepFacts, protected};
use crate::history::Ending;
use crate::sql::TEMPORARY;

/// What a step's answer says that changed no row.
const NOTHING: [&str; 4] = ["INSERT 0 0", "UPDATE 0", "DELETE 0", "COPY 0"];
/// How a statement begins whose answer counts the rows that it wrote.
const COUNTED: [&str; 4] = ["insert ", "update ", "delete ", "copy "];

/// Whether a step wrote nothing: it failed, or says that it changed no row.
pub(super) fn changed_nothing(step: &StepFacts<'_>) -> bool {
    let Some(end) = step.last().filter(|end| end.ending == Ending::Done) else {
        return false;
    };
    if end.answer.error.is_some() {
        return true;
    }
    let counted = |normal: &String| COUNTED.iter().any(|word| normal.starts_with(word));
    !step.request.opaque
        && step.request.normal.len() == 1
        && step.request.normal.iter().all(counted)
        && matches!(end.answer.tags.as_slice(), [tag] if NOTHING.contains(&tag.as_str()))
}

/// The tables that are known by name.
pub(super) struct Named {
    /// Without their schemas, in lower case; `None` where nobody looked.
    tables: Option<BTreeSet<String>>,
}

impl Named {
    /// Those that there are at the end, those that the job makes, drops or alters by name, and the protected.
    pub fn of(facts: &Facts<'_>) -> Self {
        let Some((_, state)) = facts.final_state() else {
            return Self { tables: None };
        };
        let ddl = |normal: &String| {
            ["create ", "drop ", "alter ", "refresh "]
                .iter()
                .any(|word| normal.starts_with(word))
        };
        let steps = facts.steps.values();
        let made = steps.filter(|step| step.request.normal.iter().any(ddl));
        let made = made.flat_map(|step| &step.request.writes);
        let all = state
            .tables
            .keys()
            .chain(&facts.run.rules.protect)
            .chain(made);
        Self {
            tables: Some(all.map(|name| alone(name)).collect()),
        }
    }

    /// The first name that a step writes and that is no table.
    pub fn unknown_in<'s>(&self, step: &'s StepFacts<'_>) -> Option<&'s str> {
        let tables = self.tables.as_ref()?;
        let mut written = step.request.writes.iter();
        let unknown =
            |name: &&String| !name.starts_with(TEMPORARY) && !tables.contains(&alone(name));
        written.find(unknown).map(String::as_str)
    }

    /// The protected tables that a step writes by name.
    pub fn protected_in<'a>(&self, facts: &Facts<'a>, step: &StepFacts<'_>) -> Vec<&'a str> {
        let written = step.request.writes.iter();
        written
            .filter_map(|table| protected(facts.run, table))
            .collect()
    }
}

/// A table's own name, as texts are read.
fn alone(name: &str) -> String {
    let plain = name.replace('"', "").to_lowercase();
    plain.rsplit('.').next().unwrap_or_default().to_owned()
}
