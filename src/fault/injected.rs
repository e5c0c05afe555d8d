//! The bytes of an injected error, for each point of a step.
//!
//! Before a step, the server gets a DO block in the step's place that raises the error, so that an
//! open transaction is aborted as a real error would abort it. In doubt, the server does the step
//! and the pod gets the error instead of the answer. After a step, the pod gets the FATAL error
//! with which a server ends an idle session.

use bytes::Bytes;

use crate::history::INJECTED;
use crate::wire::{error_response, simple_query};

/// An error to inject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedError {
    sqlstate: String,
}

impl InjectedError {
    /// An error of this SQLSTATE; `None` if it is not five digits or upper-case letters, or of
    /// class 00 (which is success).
    #[must_use]
    pub fn new(sqlstate: &str) -> Option<Self> {
        let fits = sqlstate.len() == 5
            && sqlstate
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            && !sqlstate.starts_with("00");
        fits.then(|| Self {
            sqlstate: sqlstate.to_owned(),
        })
    }

    /// What the server gets in the step's place.
    #[must_use]
    pub fn statement(&self) -> Option<Bytes> {
        simple_query(&format!(
            "do $lockproof$ begin raise exception '{INJECTED}' using errcode = '{}'; end $lockproof$",
            self.sqlstate
        ))
    }

    /// What the pod gets instead of the answer.
    #[must_use]
    pub fn answer(&self) -> Bytes {
        error_response("ERROR", &self.sqlstate, INJECTED)
    }

    /// What the pod gets before its connection is closed.
    #[must_use]
    pub fn farewell(&self) -> Bytes {
        error_response("FATAL", &self.sqlstate, INJECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_sqlstate_of_an_error_can_be_injected() {
        assert!(InjectedError::new("40001").is_some());
        assert!(InjectedError::new("57P01").is_some());
        for wrong in ["", "4000", "400011", "40O0!", "40p01", "00000", "'; --"] {
            assert!(InjectedError::new(wrong).is_none(), "{wrong}");
        }
    }
}
