//! WHERE: container, local, external; databases from a template; leases; clean-up, guardian.
//!
//! Owns every server that lockproof uses, from the search for one to its last file. It knows no
//! fault, no scenario and no history but [`crate::history::ServerFacts`].
//!
//! How a disposable server lives: whoever needs one takes a *lease* (a shared lock on a file)
//! and starts a *keeper*, the lockproof binary again, in a session of its own. The keeper starts
//! the server and waits for the lease to be free. The kernel frees it when the last holder is
//! gone, however it went, and then the keeper stops the server and deletes its files.
//! What belongs to one process alone (pods, databases, directories) is told to that process's
//! [`Guardian`], which clears up when the pipe to it closes.
//!
//! A server that nobody shares ([`Server::own`]) can be stopped, crashed, started again, paused and
//! followed by a standby. It keeps its data, its host and its port; the keeper does not watch it, so
//! whatever becomes of it, it is torn down when its lease is free, with its standbys.
//!
//! What the command line must do on SIGINT and SIGTERM: stop driving the run (drop its future),
//! `release` the server with a time limit, and leave with 130. A second signal may leave at once:
//! guardian and keeper do the rest.

mod address;
mod again;
mod archive;
mod binaries;
mod choice;
mod clean;
mod client;
#[cfg(feature = "containers")]
mod container;
#[cfg(feature = "containers")]
mod container_outage;
mod copying;
mod database;
#[cfg(feature = "containers")]
mod docker;
mod dwelling;
mod embedded;
mod emptied;
#[cfg(feature = "containers")]
mod engine;
mod error;
mod external;
mod ground;
mod guard;
mod guardian;
mod handle;
mod home;
mod keeper;
mod lease;
mod leftover;
mod local;
mod local_outage;
mod machine;
mod making;
mod neighbours;
mod outage;
mod own;
mod own_binary;
mod owned;
mod pooler;
mod port;
mod renewal;
mod seats;
mod settings;
mod standby;
#[cfg(feature = "containers")]
mod standby_container;
mod standby_start;
mod state;
mod stored;
mod survey;
mod withheld;
#[cfg(not(feature = "containers"))]
mod without_containers;

#[cfg(not(feature = "containers"))]
use without_containers::{container, container_outage, docker, engine, standby_container};

pub use address::Address;
pub use again::{AGAIN_AS, TestProgram, this_is_a_test};
pub use choice::{ServerChoice, ServerOptions};
pub use clean::clean;
pub use database::Database;
pub use dwelling::{Dwelling, Lodging};
pub(crate) use error::shuts_out;
pub use error::{GuardianError, ServerError};
pub use guard::guard_this_pipe;
pub use guardian::{Guardian, Registration, Ward};
pub use handle::Server;
pub use keeper::keep;
pub use own::Shutdown;
pub use own_binary::{lockproof_binary, this_is_lockproof};
pub use pooler::Pooler;
pub use seats::{Seat, Seats};
pub use standby::Standby;
pub use survey::{Survey, survey};
pub(crate) use withheld::withheld;
