//! The `[search]` table.
//!
//! Owns which names of faults there are.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::error::Wrong;
use super::file::SearchFile;
use super::model::SearchRules;
use super::suggest::suggestion;
use crate::schedule::{FaultKind, PermittedFaults};

pub(super) fn search(file: SearchFile) -> Result<SearchRules, Wrong> {
    let Some(names) = file.faults else {
        return Ok(SearchRules::default());
    };
    let mut known = Vec::new();
    for name in names {
        let given = name.get_ref();
        if !FaultKind::NAMES.contains(&given.as_str()) {
            return Err(
                Wrong::new(name.span(), format!("there is no fault {given:?}"))
                    .help(suggestion(given, FaultKind::NAMES)),
            );
        }
        known.push(name.into_inner());
    }
    Ok(SearchRules {
        faults: PermittedFaults::only(known),
    })
}

/// A list of names of faults.
pub(super) fn fault_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "enum": FaultKind::NAMES },
    })
}
