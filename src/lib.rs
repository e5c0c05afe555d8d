//! lockproof proves, or breaks, the lock around a Postgres job.
//!
//! It starts the job several times against a disposable Postgres, decides itself in which order
//! the copies' statements reach the server, and says from the server's own evidence whether the
//! lock held. Most people use the command `lockproof` and scenario files (README.md). This page is
//! about the same thing from inside `cargo test`.
#![doc = include_str!("../docs/library.md")]
//!
//! # What is public
//!
//! [`testing`] is for tests, the names below it for programs that load, run and judge scenarios. All else is inside;
//! its rooms are listed in `DESIGN.md`, section 3. What can be said without a server is the crate `lockproof-core`,
//! the built-in subject is the crate `groombook`.

pub(crate) mod cli;
pub(crate) mod conductor;
pub(crate) mod evidence;
pub(crate) mod fault;
pub(crate) mod pod;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod server;
pub mod testing;
pub(crate) mod wire;

#[cfg(test)]
pub(crate) use lockproof_core::edits;
pub(crate) use lockproof_core::{
    cronjob, history, invariant, ledger, name, operation, scenario, schedule, sql, state, timeline,
};

pub use cli::main;
pub use history::{HistoryError, Line, Release, read as read_history};
pub use invariant::{Judgement, Verdict, judge};
pub use name::{ConnectionName, InvariantName, PodName, StepId};
pub use pod::Program as PodProgram;
pub use scenario::{
    LockName, Program, Scenario, ScenarioError, Subject, load as load_scenario,
    parse as parse_scenario,
};
pub use schedule::{
    Fault, FaultKind, FreeSchedule, Move, Point, Schedule, SessionChoice, SqlPattern, Stop, Turn,
};
pub use search::{Job as TrialJob, Outcome, Stage, Trial, TrialError};
pub use server::{Server, ServerChoice, ServerError, ServerOptions};

/// What lockproof's own tests and benches reach of the rooms. No promise is made about it.
#[doc(hidden)]
pub mod internals {
    pub mod cli {
        pub use crate::cli::command;
        pub use crate::cli::subject::job;
        pub mod run {
            pub use crate::cli::run::{Known, ScenarioResult, run_one};
        }
    }
    pub mod evidence {
        pub use crate::evidence::{Aged, WITNESS_SQL, age_row, catalog, find_row};
    }
    pub mod pod {
        pub use crate::pod::{
            MARKER, Pod, PodError, PodEvent, Program, Quiet, SettleLimits, Settled, Settler,
            Termination, kill_by_marker,
        };
    }
    pub mod report {
        pub use crate::report::{Caught, catches, move_words, play};
    }
    pub mod run {
        pub use crate::run::{Plan, Waits, run_once, trace_of};
    }
    pub mod search {
        pub use crate::search::{
            Job, Outcome, SearchOptions, Stage, Trial, TrialError, default_jobs, explore,
            never_independent, weigh,
        };
        pub mod footprint {
            pub use crate::search::footprint::{Footprint, Footprints, independent};
        }
        pub mod hazard {
            pub use crate::search::hazard::{Hazard, HazardKind, mine, refuted};
        }
        pub mod shrink {
            pub use crate::search::shrink::recorded;
        }
        pub mod strategy {
            #[cfg(feature = "random")]
            pub use crate::search::strategy::Random;
            pub use crate::search::strategy::{Pct, Shard, Strategy};
        }
    }
    pub mod server {
        pub use crate::server::{
            Address, Database, Dwelling, Guardian, Pooler, Seats, Server, ServerChoice,
            ServerError, ServerOptions, Shutdown, Standby, Ward, survey,
        };
    }
    pub mod wire {
        pub use crate::wire::{
            Admission, Authority, CloseCause, ConnectionEvent, Doors, Handover, Proxy, Upstream,
            WireEvent,
        };
    }
}
