//! The `[expect]` table.
//!
//! Owns which expectations can be met at all.

use toml::Spanned;

use super::error::Wrong;
use super::file::ExpectFile;
use super::model::Expect;
use super::names::{DemandedGuard, ExpectedVerdict};
use super::read_values::sqlstate;
use super::suggest::suggestion;
use crate::name::InvariantName;

pub(super) fn expect(file: ExpectFile) -> Result<Expect, Wrong> {
    let violates = invariants(&file.violates)?;
    let may_violate = invariants(&file.may_violate)?;
    let implied = if violates.is_empty() {
        ExpectedVerdict::Holds
    } else {
        ExpectedVerdict::Violated
    };
    let verdict = match &file.verdict {
        None => implied,
        Some(text) => {
            let given = named(text, "verdict", ExpectedVerdict::ALL, ExpectedVerdict::name)?;
            if given == ExpectedVerdict::Holds && !violates.is_empty() {
                let message = "the verdict cannot be holds where an invariant must be violated";
                return Err(
                    Wrong::new(text.span(), message).help("drop `verdict`, or empty `violates`")
                );
            }
            given
        }
    };
    let errors_wanted =
        verdict != ExpectedVerdict::Holds || may_violate.contains(&InvariantName::NoErrors);
    let details = [&file.sqlstate, &file.constraint, &file.table];
    if let Some(detail) = details
        .into_iter()
        .flatten()
        .next()
        .filter(|_| !errors_wanted)
    {
        let message = "this names an error, but every invariant must hold";
        return Err(Wrong::new(detail.span(), message).help("add `violates = [\"no-errors\"]`"));
    }
    for detail in [&file.constraint, &file.table].into_iter().flatten() {
        if detail.get_ref().is_empty() {
            return Err(Wrong::new(detail.span(), "this name is empty"));
        }
    }
    Ok(Expect {
        verdict,
        violates,
        may_violate,
        sqlstate: file.sqlstate.as_ref().map(sqlstate).transpose()?,
        constraint: file.constraint.map(Spanned::into_inner),
        table: file.table.map(Spanned::into_inner),
        only_sqlstates: file.only_sqlstates.map(|list| only(&list)).transpose()?,
        guards: file
            .guards
            .iter()
            .map(|text| named(text, "guard", DemandedGuard::ALL, DemandedGuard::name))
            .collect::<Result<_, _>>()?,
    })
}

fn only(list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Wrong> {
    if list.get_ref().is_empty() {
        let help = "leave it out to look for all";
        return Err(Wrong::new(list.span(), "no-errors would look for no error").help(help));
    }
    list.get_ref().iter().map(sqlstate).collect()
}

fn invariants(texts: &[Spanned<String>]) -> Result<Vec<InvariantName>, Wrong> {
    texts
        .iter()
        .map(|text| named(text, "invariant", InvariantName::ALL, InvariantName::name))
        .collect()
}

/// The one of all that has this name.
fn named<T: Copy>(
    text: &Spanned<String>,
    what: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Wrong> {
    let given = text.get_ref();
    all.iter()
        .copied()
        .find(|one| name(*one) == given)
        .ok_or_else(|| {
            let names: Vec<&str> = all.iter().copied().map(name).collect();
            Wrong::new(text.span(), format!("there is no {what} {given:?}"))
                .help(suggestion(given, &names))
        })
}
