//! The pages that a run of scenarios makes when all is told.
//!
//! Owns which case is shown on which page, before there are any: test reports are written first, and link to them.

use std::path::{Path, PathBuf};

use crate::cli::common::OutputArguments;
use crate::cli::page::beside;
use crate::report::Cases;
use crate::search::HISTORY;

/// The page that is wanted, and whether it is an index whatever is run.
#[derive(Clone, Copy)]
pub(super) struct Paged<'a> {
    to: Option<&'a Path>,
    several: bool,
}

impl<'a> Paged<'a> {
    pub(super) fn of(arguments: &'a OutputArguments, several: bool) -> Self {
        Self {
            to: arguments.report.as_deref(),
            several,
        }
    }

    /// The pages that will be there when all is told: of each case, and of all of them.
    pub(super) fn name(self, cases: &mut Cases, kept: &[PathBuf]) {
        let Some(to) = self.to else {
            return;
        };
        let several = self.several || kept.len() > 1;
        for (case, run) in cases.all.iter_mut().zip(kept) {
            let page = if several { beside(run) } else { to.to_owned() };
            case.page = run.join(HISTORY).exists().then_some(page);
        }
        cases.report = several.then(|| to.to_owned());
    }
}
