//! Values that several tables of a scenario file have: durations, pods, SQLSTATEs, protected tables.
//!
//! Owns what makes one of these texts possible. Where they stand is the affair of the tables.

use std::time::Duration;

use toml::Spanned;

use super::duration::parse_duration;
use super::error::Wrong;
use crate::name::PodName;

/// The duration of a spanned text.
pub(super) fn duration(text: &Spanned<String>) -> Result<Duration, Wrong> {
    parse_duration(text.get_ref()).map_err(|error| Wrong::new(text.span(), error.to_string()))
}

/// One of the scenario's pods.
pub(super) fn pod(name: &Spanned<String>, pods: usize) -> Result<PodName, Wrong> {
    let pod = PodName::new(name.get_ref().as_str());
    if (0..pods).any(|index| PodName::of_index(index) == pod) {
        return Ok(pod);
    }
    let there = match pods {
        1 => "there is one pod, a".to_owned(),
        _ => format!(
            "there are {pods} pods, a to {}",
            PodName::of_index(pods - 1)
        ),
    };
    let message = format!("there is no pod {:?}; {there}", name.get_ref());
    Err(Wrong::new(name.span(), message).help("`[pods] count` says how many there are"))
}

/// A SQLSTATE of an error.
pub(super) fn sqlstate(text: &Spanned<String>) -> Result<String, Wrong> {
    let given = text.get_ref();
    let five = given.len() == 5
        && given
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let message = if !five {
        format!(
            "{given:?} is no SQLSTATE; one has five digits or capital letters, such as \"23503\""
        )
    } else if given.starts_with("00") {
        format!("{given:?} means success, and no error")
    } else {
        return Ok(given.clone());
    };
    Err(Wrong::new(text.span(), message))
}

/// The tables of a `protect`.
pub(super) fn protect(file: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Wrong> {
    if file.get_ref().is_empty() {
        let help = "leave `protect` out to protect every table that the clean run writes";
        return Err(Wrong::new(file.span(), "no table is protected").help(help));
    }
    file.into_inner()
        .into_iter()
        .map(|table| {
            if table.get_ref().trim().is_empty() {
                return Err(Wrong::new(table.span(), "a table without a name"));
            }
            Ok(table.into_inner())
        })
        .collect()
}

/// A name that is not empty; `what` it names, with its article.
pub(super) fn name(text: Spanned<String>, what: &str) -> Result<String, Wrong> {
    let trimmed = text.get_ref().trim();
    if trimmed.is_empty() || trimmed.contains('\0') {
        return Err(Wrong::new(
            text.span(),
            format!("this names no {}", &what[2..]),
        ));
    }
    Ok(trimmed.to_owned())
}
