//! `lockproof groombook seed`: runs the built-in job.
//!
//! Owns its options on the command line and in the environment. The work is the seeder's.

use std::time::Duration;

use chrono::NaiveDate;
use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};

use groombook::{Console, LockKind, Options, Profile, run as run_seeder};

/// Reset GroomBook's demo data in the database of DATABASE_URL.
///
/// The same seed, profile and day give the same rows with the same ids, on every machine and
/// server version.
#[derive(Debug, Clone, clap::Args)]
pub struct SeedOptions {
    /// How much to seed.
    #[arg(long, env = "SEED_PROFILE", default_value = "uat", value_parser = profiles())]
    pub profile: Profile,

    /// How to lock. All but session, guarded, whole-job and single are wrong on purpose.
    #[arg(long, default_value = "session", value_parser = locks())]
    pub lock: LockKind,

    /// Where every random draw starts.
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,

    /// The day that appointments are counted from. Fixed by default, not the clock's: the same
    /// seed would give other rows tomorrow.
    #[arg(long, value_name = "YYYY-MM-DD", default_value_t = Options::default().today)]
    pub today: NaiveDate,

    /// Drop every table and enum of the schema and create them again before seeding.
    #[arg(long)]
    pub reset: bool,

    /// Create what is missing of the schema before seeding.
    #[arg(long)]
    pub migrate: bool,

    /// Seed only a demo manager, client, pet and four services (after the same TRUNCATE).
    #[arg(long, env = "SEED_KNOWN_USERS_ONLY", value_parser = FalseyValueParser::new())]
    pub known_users: bool,

    /// Seed also a database whose name or host looks like production.
    #[arg(long)]
    pub allow_destructive: bool,

    /// On SIGTERM finish the statement under way, release the lock and exit with 143. Without it SIGTERM
    /// ends the process at once, and PID 1 of a container not at all.
    #[arg(long, env = "SEED_STOP_ON_SIGTERM", value_parser = FalseyValueParser::new())]
    pub stop_on_sigterm: bool,

    /// How long the process stays where its pool lives on (locks double and no-finally), in
    /// milliseconds.
    #[arg(long, default_value_t = 300, value_name = "MS")]
    pub linger: u64,
}

impl SeedOptions {
    /// The seeder's options, with the connection string and the pod's name from the environment.
    #[must_use]
    pub fn to_seeder(&self) -> Options {
        Options {
            // Not an argument with `env`: clap would show its value, password included, in --help.
            database_url: std::env::var("DATABASE_URL").ok(),
            profile: self.profile,
            lock: self.lock,
            seed: self.seed,
            today: self.today,
            reset: self.reset,
            migrate: self.migrate,
            known_users: self.known_users,
            allow_destructive: self.allow_destructive,
            stop_on_sigterm: self.stop_on_sigterm,
            linger: Duration::from_millis(self.linger),
            pod: std::env::var("LOCKPROOF_POD").ok(),
        }
    }
}

/// Seeds, and gives the exit code: 0, 1 after a failure, 143 when SIGTERM has stopped it.
pub async fn run(options: &SeedOptions) -> u8 {
    run_seeder(&options.to_seeder(), &mut Console).await
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name))
        .try_map(|name| name.parse::<Profile>())
}

fn locks() -> impl TypedValueParser<Value = LockKind> {
    PossibleValuesParser::new(LockKind::ALL.map(LockKind::name))
        .try_map(|name| name.parse::<LockKind>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};

    fn parsed(arguments: &[&str]) -> Result<SeedOptions, clap::Error> {
        let command = SeedOptions::augment_args(Command::new("seed"));
        let matches = command.try_get_matches_from([&["seed"], arguments].concat())?;
        SeedOptions::from_arg_matches(&matches)
    }

    #[test]
    fn the_defaults_are_the_fixed_job() {
        let options = parsed(&[]).unwrap().to_seeder();
        assert_eq!(options.profile, Profile::Uat);
        assert_eq!(options.lock, LockKind::Session);
        assert_eq!(options.seed, 42);
        assert_eq!(options.today, Options::default().today);
        assert_eq!(options.linger, Duration::from_millis(300));
        assert!(!options.known_users && !options.reset && !options.allow_destructive);
        assert!(!options.stop_on_sigterm);
    }

    #[test]
    fn every_lock_and_profile_can_be_named() {
        for lock in LockKind::ALL {
            assert_eq!(parsed(&["--lock", lock.name()]).unwrap().lock, lock);
        }
        for profile in Profile::ALL {
            let options = parsed(&["--profile", profile.name()]).unwrap();
            assert_eq!(options.profile, profile);
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_refused_with_those_that_do() {
        let message = parsed(&["--lock", "sesion"]).unwrap_err().to_string();
        assert!(
            message.contains("session") && message.contains("end-first"),
            "{message}"
        );
    }
}
