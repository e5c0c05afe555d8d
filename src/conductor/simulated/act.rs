//! What simulated pods ask, and when.
//!
//! Owns the program of a pod: its steps with the connections that they are on.

use super::op::Op;

/// What a pod asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    pub op: Op,
    /// The connection.
    pub on: u32,
    pub sort: Sort,
    /// It does not wait for the answer before it asks the next.
    pub with_next: bool,
}

/// What the gate takes a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Execution,
    Preparation,
    LookUp,
}

impl From<Op> for Act {
    fn from(op: Op) -> Self {
        Self {
            op,
            on: 0,
            sort: Sort::Execution,
            with_next: false,
        }
    }
}

impl Op {
    /// The same on this connection.
    pub fn on(self, connection: u32) -> Act {
        Act {
            on: connection,
            ..Act::from(self)
        }
    }
}

impl Act {
    /// The same as a preparation.
    pub fn prepared(self) -> Self {
        Self {
            sort: Sort::Preparation,
            ..self
        }
    }

    /// The same as a driver's look-up.
    pub fn looked_up(self) -> Self {
        Self {
            sort: Sort::LookUp,
            ..self
        }
    }

    /// The same, and the next at the same moment.
    pub fn with_next(self) -> Self {
        Self {
            with_next: true,
            ..self
        }
    }
}
