//! How much a run seeds.
//!
//! Owns the profiles and their sizes. Knows nothing of rows or statements.

use std::fmt;
use std::str::FromStr;

/// A size of demo data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Ours, for searching: every kind of statement, as few of them as possible.
    Tiny,
    /// For a developer's machine.
    Dev,
    /// For acceptance tests: 500 clients, 4000 invoices.
    #[default]
    Uat,
    /// For demonstrations: as `uat`.
    Demo,
}

/// The sizes that a profile stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Managers.
    pub managers: u32,
    /// Receptionists.
    pub receptionists: u32,
    /// Groomers.
    pub groomers: u32,
    /// Bathers: groomers by role, second hands at an appointment.
    pub bathers: u32,
    /// Clients, the UAT clients not counted.
    pub clients: u32,
    /// Past appointments are at most this many days old.
    pub days_back: u32,
    /// Coming appointments are at most this many days ahead.
    pub days_ahead: u32,
    /// Appointments are added until there are this many invoices, those of UAT clients not counted.
    pub target_invoices: u32,
    /// Clients with a pending invoice each, for acceptance tests.
    pub uat_clients: u32,
    /// A flush comes at every so many appointments.
    pub flush_every: u32,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tiny, Self::Dev, Self::Uat, Self::Demo];

    /// Its name, as in `--profile`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Dev => "dev",
            Self::Uat => "uat",
            Self::Demo => "demo",
        }
    }

    /// Its sizes.
    #[must_use]
    pub fn sizes(self) -> Sizes {
        let uat = Sizes {
            managers: 1,
            receptionists: 1,
            groomers: 3,
            bathers: 3,
            clients: 500,
            days_back: 30,
            days_ahead: 90,
            target_invoices: 4000,
            uat_clients: 5,
            flush_every: 100,
        };
        match self {
            Self::Uat | Self::Demo => uat,
            Self::Dev => Sizes {
                groomers: 2,
                bathers: 0,
                clients: 100,
                days_back: 7,
                days_ahead: 30,
                target_invoices: 1000,
                uat_clients: 0,
                ..uat
            },
            Self::Tiny => Sizes {
                groomers: 1,
                bathers: 1,
                clients: 6,
                days_back: 7,
                days_ahead: 7,
                target_invoices: 24,
                uat_clients: 0,
                flush_every: 8,
                ..uat
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {0:?}; there are tiny, dev, uat and demo")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}
