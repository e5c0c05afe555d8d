//! Guards that only say that a run took another course than its schedule was made for.
//!
//! Owns that list, for all who ask. What each guard asks for is in `guards`.

use crate::name::GuardName;

/// A guard of these that is not met says nothing of what the run did instead.
pub const ANOTHER_COURSE: [GuardName; 3] = [
    GuardName::StopsReached,
    GuardName::FaultsFired,
    GuardName::Wrote,
];
