//! One run from its first line to its exit code.
//!
//! Owns the order of things: refusal, lock, reset, seed, unlock, the pool's end. What is sent in
//! between is the script's affair, how to lock the lock's, and when to stop early `stop`'s.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::error::SeedError;
use super::lock::Lock;
use super::lock_kind::LockKind;
use super::options::Options;
use super::output::Output;
use super::pool::Pool;
use super::production::looks_like_production;
use super::schema::{drop_statement, schema_statements};
use super::script::{Act, Script};
use super::stop::{self, Stop};

/// Does what the options say, and gives the exit code: 0, 1 after a failure, or 143 when SIGTERM has
/// stopped it.
///
/// Lines go to `output` as they come; a failure is one line on standard error. Opening a connection
/// and ending the pool have time limits; a statement has none: a run waits for the lock as long as
/// another holds it.
pub async fn run(options: &Options, output: &mut dyn Output) -> u8 {
    let handler = Stop::new(options.stop_on_sigterm).map_err(SeedError::NoHandler);
    let (config, stop) = match checked(options).and_then(|config| Ok((config, handler?))) {
        Ok(both) => both,
        Err(error) => {
            output.complaint(&error.complaint());
            return 1;
        }
    };
    let pod = options
        .pod
        .clone()
        .unwrap_or_else(|| std::process::id().to_string());
    let mut job = Job {
        options,
        script: Script::new(options),
        pool: Pool::new(config),
        lock: Lock::new(options.lock, &pod),
        stop,
        output,
    };
    let result = job.work().await;
    let code = job.say_how_it_went(result);
    job.leave().await;
    code
}

/// The connection's settings, if the database may be seeded.
fn checked(options: &Options) -> Result<Config, SeedError> {
    let url = match options.database_url.as_deref() {
        None | Some("") => return Err(SeedError::NoDatabaseUrl),
        Some(url) => url,
    };
    let config: Config = url.parse().map_err(|_| SeedError::BadDatabaseUrl)?;
    // With `prefer`, the default, a client without TLS does not even ask for it.
    if config.get_ssl_mode() == SslMode::Require {
        return Err(SeedError::Tls);
    }
    if options.allow_destructive {
        return Ok(config);
    }
    // A server takes the user's name for the database's where none is given.
    let database = config.get_dbname().or_else(|| config.get_user());
    let hosts = config.get_hosts().iter().filter_map(|host| match host {
        Host::Tcp(name) => Some(("host", name.as_str())),
        #[cfg(unix)]
        Host::Unix(_) => None,
    });
    let names = database.map(|name| ("database", name));
    for (what, name) in names.into_iter().chain(hosts) {
        if looks_like_production(name) {
            return Err(SeedError::LooksLikeProduction {
                what,
                name: name.to_owned(),
            });
        }
    }
    Ok(config)
}

struct Job<'a> {
    options: &'a Options,
    script: Script,
    pool: Pool,
    lock: Lock,
    stop: Stop,
    output: &'a mut dyn Output,
}

impl Job<'_> {
    /// All of it. A lock that was taken is let go whatever happens, unless its kind forgets that.
    async fn work(&mut self) -> Result<(), SeedError> {
        self.output.line(&self.script.opening)?;
        let result = self.locked().await;
        if let Err(error) = &result
            && self.lock.forgets_after(error)
        {
            return result;
        }
        let released = self.release().await;
        match result {
            // A run that was stopped failed in nothing, unless it could not release.
            Err(SeedError::Stopped) => released.and(result),
            // The first error is the cause; one of the unlock after it is a consequence.
            _ => result.and(released),
        }
    }

    async fn locked(&mut self) -> Result<(), SeedError> {
        let kind = self.options.lock;
        match kind {
            LockKind::WholeJob => self.take().await?,
            LockKind::Single => self.lock.reserve(&mut self.pool).await?,
            _ => {}
        }
        if self.options.reset {
            self.send(&drop_statement()).await?;
        }
        if self.options.reset || self.options.migrate {
            for statement in schema_statements() {
                self.send(&statement).await?;
            }
        }
        if !matches!(kind, LockKind::WholeJob | LockKind::Late) {
            self.take().await?;
        }
        for (number, act) in std::mem::take(&mut self.script.acts).iter().enumerate() {
            if kind == LockKind::Late && number == self.script.after_truncate {
                self.take().await?;
            }
            if kind == LockKind::EarlyRelease && number == self.script.before_last_flush {
                self.release().await?;
            }
            match act {
                Act::Send(sql) => self.send(sql).await?,
                Act::Say(line) => self.output.line(line)?,
            }
        }
        Ok(())
    }

    async fn take(&mut self) -> Result<(), SeedError> {
        self.stop.check()?;
        if self.lock.take(&mut self.pool, &mut self.stop).await? {
            self.output.line("✓ Acquired seed advisory lock")?;
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<(), SeedError> {
        let released = self.lock.release(&mut self.pool).await;
        self.pass_on_warnings();
        if released? {
            self.output.line("✓ Released seed advisory lock")?;
        }
        Ok(())
    }

    async fn send(&mut self, sql: &str) -> Result<(), SeedError> {
        self.stop.check()?;
        let sent = self.lock.send(&mut self.pool, sql).await;
        self.pass_on_warnings();
        sent
    }

    fn pass_on_warnings(&mut self) {
        for warning in self.pool.warnings() {
            self.output.complaint(&warning);
        }
    }

    fn say_how_it_went(&mut self, result: Result<(), SeedError>) -> u8 {
        match result.and_then(|()| Ok(self.output.line(&self.script.closing)?)) {
            Ok(()) => 0,
            Err(error) => {
                self.output.complaint(&error.complaint());
                if matches!(error, SeedError::Stopped) {
                    stop::EXIT_CODE
                } else {
                    1
                }
            }
        }
    }

    /// Ends the pool, at once or, where it lives on, after a while.
    async fn leave(&mut self) {
        if self.options.lock == LockKind::Double {
            self.lock.give_up_connection();
        }
        if self.options.lock.pool_lives_on() {
            tokio::time::sleep(self.options.linger).await;
        }
        self.lock.give_up_connection();
        self.pool.end().await;
    }
}
