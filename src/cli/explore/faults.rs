//! The faults that `explore --strategy sweep --faults` knows by name.
//!
//! Owns how a name is read. The catalogue says what each fault does.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::history::{LockRule, Rules};
use crate::schedule::{FaultEntry, FaultKind, SweptByName};
use crate::search::strategy::Swept;

fn by_name() -> impl Iterator<Item = (&'static str, &'static SweptByName)> {
    let entries = FaultKind::CATALOGUE.iter();
    entries.filter_map(|entry| Some((entry.name, entry.search.by_name.as_ref()?)))
}

/// The name of a fault that can be swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweptName(String);

/// Reads such a name.
pub(super) fn swept_name() -> impl TypedValueParser<Value = SweptName> {
    let values = by_name().map(|(name, one)| PossibleValue::new(name).help(one.doc));
    PossibleValuesParser::new(values).map(SweptName)
}

/// These names, as they were given.
pub(super) fn swept_names(names: &[SweptName]) -> Vec<String> {
    names.iter().map(|one| one.0.clone()).collect()
}

/// The faults of these names.
pub(super) fn swept(names: &[SweptName]) -> Vec<Swept> {
    let wanted = |name: &str| names.iter().any(|one| one.0 == name);
    let faults = by_name().filter(|(name, _)| wanted(name));
    faults.map(|(_, one)| Swept::drawn(&one.draw)).collect()
}

/// Time that passes for the lock row, where the lock is one.
pub(super) fn of_lock_row(rules: &Rules) -> impl Iterator<Item = Swept> {
    let mut rows = rules.lock.each().filter_map(LockRule::row);
    let entry = FaultEntry::of_name("expire").filter(|_| rows.any(|row| row.expiry.is_some()));
    let named = entry.and_then(|entry| entry.search.by_name.as_ref());
    named.map(|one| Swept::drawn(&one.draw)).into_iter()
}

/// The faults of a survey that names none.
pub(super) fn surveyed() -> Vec<Swept> {
    let faults = by_name().filter(|(_, one)| one.usual);
    faults.map(|(_, one)| Swept::drawn(&one.draw)).collect()
}
