//! How disposable servers are set up, and which versions are known.
//!
//! Owns the one list of settings that a container and a local server share, and what is otherwise
//! for a server that will be stopped, crashed and followed by a standby.

/// The oldest major version that is supported.
pub(super) const OLDEST: u32 = 13;
/// The newest major version that is supported.
pub(super) const NEWEST: u32 = 18;

/// The settings of a disposable server, the same in a container and on the machine itself.
const DISPOSABLE: &[(&str, &str)] = &[
    // Its data need not survive anything.
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    // Nothing may run that the schedule does not know of.
    ("autovacuum", "off"),
    ("checkpoint_timeout", "1h"),
    ("max_wal_size", "1GB"),
    ("min_wal_size", "32MB"),
    ("jit", "off"),
    ("timezone", "UTC"),
    // With a short check the later waiter of a deadlock is always its victim, and the log names
    // both sides.
    ("deadlock_timeout", "10ms"),
    // The structured log is evidence. Its messages must not be translated, and it must stay one
    // file.
    ("lc_messages", "C"),
    ("logging_collector", "on"),
    ("log_destination", "csvlog"),
    ("log_directory", "log"),
    ("log_filename", "server.log"),
    ("log_file_mode", "0644"),
    ("log_rotation_age", "0"),
    ("log_rotation_size", "0"),
    ("log_timezone", "UTC"),
    ("log_lock_waits", "on"),
    ("log_min_messages", "warning"),
    ("log_min_error_statement", "error"),
    ("log_statement", "none"),
    ("log_checkpoints", "off"),
    // Of a server that was killed, its shared memory goes with its data directory.
    ("dynamic_shared_memory_type", "mmap"),
    ("max_connections", "200"),
    // A job may prepare transactions; a server that allows none would refuse it.
    ("max_prepared_transactions", "16"),
    ("shared_buffers", "64MB"),
    // The witness is written in it: a session need not load it, then, before its first write.
    ("shared_preload_libraries", "plpgsql"),
];

/// What is otherwise on a server that nobody shares.
const ALONE: &[(&str, &str)] = &[
    // What was committed must survive the end of the processes, in whatever way they end. That of
    // the machine it need not, so there is still no fsync.
    ("synchronous_commit", "on"),
    // SIGKILL can cut the writing of a block in two.
    ("full_page_writes", "on"),
    // A standby that lost its primary for a moment.
    ("wal_retrieve_retry_interval", "200ms"),
];

/// The settings of a disposable server, in the order in which they are to be given.
pub(super) fn of(alone: bool) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let more = if alone { ALONE } else { &[] };
    DISPOSABLE.iter().chain(more)
}

/// `server_version_num` as a major version.
pub(super) fn major(version_num: u32) -> u32 {
    version_num / 10_000
}

/// Whether a major version is supported; if not, why not.
pub(super) fn supported(major: u32) -> Result<(), String> {
    if (OLDEST..=NEWEST).contains(&major) {
        Ok(())
    } else {
        Err(format!(
            "it is version {major}, and only {OLDEST} to {NEWEST} are supported"
        ))
    }
}
