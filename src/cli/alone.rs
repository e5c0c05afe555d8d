//! Which scenarios need a server that nobody else uses.
//!
//! Owns that question for the commands, before they have a server and after. Knows nothing of how one is had.

use crate::scenario::Scenario;
use crate::server::Server;

/// Whether work needs a server that nobody else uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// It does where runs share the server, as they do in a container: it names their database.
    WhereShared,
}

impl Alone {
    /// What these scenarios need together.
    pub fn of<'s>(scenarios: impl IntoIterator<Item = &'s Scenario>) -> Self {
        let each = scenarios.into_iter().map(|scenario| {
            if scenario.needs_own_server() {
                Self::Yes
            } else if scenario.subject.database.is_some() {
                Self::WhereShared
            } else {
                Self::No
            }
        });
        each.fold(Self::No, |all, one| match (all, one) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::WhereShared, _) | (_, Self::WhereShared) => Self::WhereShared,
            (Self::No, Self::No) => Self::No,
        })
    }

    /// Whether that is so beside this server.
    #[must_use]
    pub fn beside(self, server: &Server) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::WhereShared => !server.is_copied(),
        }
    }
}
