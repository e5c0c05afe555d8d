//! The server's structured log, read through SQL, so that it is the same for a container, a local
//! server and an external one.
//!
//! Owns the csvlog format (24 columns on 13, 26 from 14). A sentinel line, written at the end, must
//! have arrived before the log counts as read. A long log is kept in a file without a name, not in memory.

use std::collections::HashMap;
use std::io::Seek as _;
use std::time::Duration;

use chrono::NaiveDateTime;
use tempfile::SpooledTempFile;
use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use super::passage::{Passage, find, not_kept};

/// How long the server may take to say which file its log is.
const NAMED_LIMIT: Duration = Duration::from_secs(5);
/// How long the sentinel may take from the backend to the file.
const SENTINEL_LIMIT: Duration = Duration::from_secs(30);
/// How long the sentinel is waited for before it is asked whether the log still is that file.
const ROTATION_POLL: Duration = Duration::from_millis(250);
/// So many bytes of a log are asked for at a time.
const CHUNK: i64 = 1 << 20;
/// A longer line is not looked at while a run goes on.
const LONGEST: i64 = 16 << 20;
/// Statements are cut at this many characters.
const STATEMENT: usize = 2_000;

const READ: &str = "select pg_read_binary_file($1, $2, $3, true)";

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When, in microseconds since 1970 (the log has milliseconds).
    pub server_us: i64,
    /// The database that the session was in.
    pub database: String,
    /// Process id of the backend.
    pub pid: i32,
    /// When the backend started, in whole seconds since 1970.
    pub started_s: i64,
    /// `ERROR`, `LOG`, …
    pub severity: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// Message.
    pub message: String,
    /// Detail.
    pub detail: Option<String>,
    /// Statement, cut at 2,000 characters.
    pub statement: Option<String>,
    /// The session's `application_name`.
    pub application: String,
}

/// Reads what the server logs from a point on.
#[derive(Debug)]
pub struct LogReader {
    file: String,
    /// Where the line begins that was written at the run's beginning.
    offset: i64,
    /// What that line says. Where it is gone the file was emptied, and what came behind it may be lost, too.
    first: String,
    /// What to add to the log's local time to get UTC, in microseconds.
    to_utc_us: i64,
    /// How far it has been looked through for deadlock checks.
    looked_to: i64,
    /// The last deadlock check of each backend that found none: when.
    checks: HashMap<i32, i64>,
}

impl LogReader {
    /// Begins at the present end of the log with a sentinel: behind what sessions that have ended have logged,
    /// some of which may still be on its way.
    ///
    /// # Errors
    /// When the server does not tell where its log is, or the log cannot be read.
    pub async fn begin(client: &Client) -> Result<Self, EvidenceError> {
        let mut reader = Self::at_its_end(client).await?;
        reader.first = sentinel(client).await?;
        let passage = reader.read_until(client, reader.first.as_bytes()).await?;
        let log = passage.whole()?;
        let at = find(&log, reader.first.as_bytes()).unwrap_or(0);
        let begins = log[..at].iter().rposition(|byte| *byte == b'\n');
        reader.offset += i64::try_from(begins.map_or(0, |end| end + 1)).unwrap_or(0);
        reader.looked_to = reader.offset;
        Ok(reader)
    }

    async fn at_its_end(client: &Client) -> Result<Self, EvidenceError> {
        let begun = tokio::time::Instant::now();
        let (row, file) = loop {
            let row = bounded(
                "where its log is",
                client.query_one(
                    "select f, (pg_stat_file(f)).size,
                       ((extract(epoch from now()) - extract(epoch from
                         (now() at time zone current_setting('log_timezone')))) * 1000000)::bigint
                     from pg_current_logfile('csvlog') f",
                    &[],
                ),
            )
            .await?;
            let file: Option<String> = row.get(0);
            // The collector of a server that has just started, or that rotates, may be about to name it.
            if file.is_some() || begun.elapsed() > NAMED_LIMIT {
                break (row, file);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Ok(Self {
            file: file.ok_or(EvidenceError::Unreadable {
                what: "the server's log",
                why: "it writes no csvlog".to_owned(),
            })?,
            offset: row.get(1),
            first: String::new(),
            to_utc_us: row.get(2),
            looked_to: row.get(1),
            checks: HashMap::new(),
        })
    }

    /// Whether the server has logged, at this time (microseconds since 1970) or later, that this
    /// backend has made its deadlock check, found none, and still waits (`log_lock_waits`).
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn has_checked(
        &mut self,
        client: &Client,
        pid: i32,
        from_us: i64,
    ) -> Result<bool, EvidenceError> {
        let mut most = CHUNK;
        loop {
            let row = bounded(
                "what is in its log",
                client.query_one(READ, &[&self.file, &self.looked_to, &most]),
            )
            .await?;
            let chunk = row.get::<_, Option<&[u8]>>(0).unwrap_or_default();
            // A line that is still being written is read again, and one that is longer than this in larger pieces.
            let whole = chunk
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            self.looked_to += i64::try_from(whole).unwrap_or(0);
            for line in chunk[..whole].split(|byte| *byte == b'\n') {
                if let Some((pid, at)) = check_in(line) {
                    self.checks.insert(pid, at + self.to_utc_us);
                }
            }
            if i64::try_from(chunk.len()).unwrap_or(i64::MAX) < most {
                break;
            }
            most = match whole {
                0 if most == LONGEST => break,
                0 => LONGEST,
                _ => CHUNK,
            };
        }
        // The log has milliseconds only.
        Ok(self.checks.get(&pid).is_some_and(|at| at + 1_000 > from_us))
    }

    /// Writes a sentinel through this connection, waits until it has arrived in the log, and
    /// returns what was logged between the beginning and the sentinel.
    ///
    /// # Errors
    /// When the sentinel does not arrive within 30 s or the log cannot be read.
    pub async fn finish(self, client: &Client, database: &str) -> Result<ServerLog, EvidenceError> {
        let sentinel = sentinel(client).await?;
        let passage = self.read_until(client, sentinel.as_bytes()).await?;
        if find(&passage.first_line, self.first.as_bytes()).is_none() {
            // The file was emptied, and may have grown past the place since.
            return Err(EvidenceError::Rotated {
                now: self.file.clone(),
                file: self.file,
            });
        }
        Ok(ServerLog {
            text: passage.text,
            database: database.to_owned(),
            to_utc_us: self.to_utc_us,
        })
    }

    /// The sentinel is waited for in the file in which the run began.
    async fn is_not_rotated(&self, client: &Client) -> Result<(), EvidenceError> {
        let row = bounded(
            "where its log is now",
            client.query_one(
                "select pg_current_logfile('csvlog'), (pg_stat_file($1, true)).size",
                &[&self.file],
            ),
        )
        .await?;
        let now: Option<String> = row.get(0);
        let size: Option<i64> = row.get(1);
        if now.as_ref() == Some(&self.file) && size.is_some_and(|size| size >= self.offset) {
            return Ok(());
        }
        Err(EvidenceError::Rotated {
            file: self.file.clone(),
            now: now.unwrap_or_else(|| "none".to_owned()),
        })
    }

    async fn read_until(&self, client: &Client, sentinel: &[u8]) -> Result<Passage, EvidenceError> {
        let begun = tokio::time::Instant::now();
        let mut looked = begun;
        let mut passage = Passage::new(sentinel);
        loop {
            let from = self.offset + passage.length;
            let row = bounded(
                "what is in its log",
                client.query_one(READ, &[&self.file, &from, &CHUNK]),
            )
            .await?;
            let chunk = row.get::<_, Option<&[u8]>>(0).unwrap_or_default();
            if passage.take(chunk)? {
                return Ok(passage);
            }
            if looked.elapsed() > ROTATION_POLL {
                looked = tokio::time::Instant::now();
                self.is_not_rotated(client).await?;
            }
            if begun.elapsed() > SENTINEL_LIMIT {
                return Err(EvidenceError::Sentinel {
                    file: self.file.clone(),
                    read: usize::try_from(passage.length).unwrap_or(0),
                    limit: SENTINEL_LIMIT,
                });
            }
            if chunk.is_empty() {
                // The line is on its way through the logging collector's pipe.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// Writes a line into the log that nobody else writes; its text.
async fn sentinel(client: &Client) -> Result<String, EvidenceError> {
    let sentinel = format!("lockproof-sentinel {}", uuid::Uuid::new_v4().simple());
    let raise = format!("do $$ begin raise log '{sentinel}'; end $$");
    bounded(
        "that it has logged the sentinel",
        client.batch_execute(&raise),
    )
    .await?;
    Ok(sentinel)
}

/// The backend whose deadlock check this line of the log is about, and when, if it found none.
fn check_in(line: &[u8]) -> Option<(i32, i64)> {
    const MESSAGE: &[u8] = b",LOG,00000,\"process ";
    let message = &line[find(line, MESSAGE)? + MESSAGE.len()..];
    let message = String::from_utf8_lossy(&message[..message.len().min(60)]);
    let (pid, rest) = message.split_once(' ')?;
    if !rest.starts_with("still waiting for ") && !rest.starts_with("avoided deadlock for ") {
        return None;
    }
    let at = line.split(|byte| *byte == b',').next()?;
    Some((pid.parse().ok()?, time(str::from_utf8(at).ok()?)?))
}

/// A log that was read to its sentinel. Its records are made one at a time: those of a long run take several times
/// the room of their text.
#[derive(Debug)]
pub struct ServerLog {
    text: SpooledTempFile,
    database: String,
    to_utc_us: i64,
}

impl ServerLog {
    /// Its records of this database, in their order, from the first one.
    ///
    /// # Errors
    /// When the file that a long one was put into cannot be read.
    pub fn records(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<LogRecord, EvidenceError>> + '_, EvidenceError> {
        self.text.rewind().map_err(not_kept)?;
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(&mut self.text);
        let whose = Whose {
            database: &self.database,
            to_utc_us: self.to_utc_us,
        };
        Ok(reader.into_byte_records().filter_map(move |row| match row {
            Ok(row) => whose.record(&row).map(Ok),
            Err(error) => Some(Err(EvidenceError::Unreadable {
                what: "the server's log",
                why: error.to_string(),
            })),
        }))
    }
}

/// Whose lines are wanted, and in which time they are written.
struct Whose<'a> {
    database: &'a str,
    to_utc_us: i64,
}

impl Whose<'_> {
    fn record(&self, row: &csv::ByteRecord) -> Option<LogRecord> {
        // A line that another session is still writing may be cut: it has no column 22.
        if row.len() < 23 || row.get(2) != Some(self.database.as_bytes()) {
            return None;
        }
        let field = |index: usize| String::from_utf8_lossy(&row[index]).into_owned();
        let optional = |index: usize| (!row[index].is_empty()).then(|| field(index));
        let session_id = field(5);
        let started = session_id.split('.').next()?;
        Some(LogRecord {
            server_us: time(&field(0)).unwrap_or(0) + self.to_utc_us,
            database: self.database.to_owned(),
            pid: field(3).parse().ok()?,
            started_s: i64::from_str_radix(started, 16).ok()?,
            severity: field(11),
            sqlstate: field(12),
            message: field(13),
            detail: optional(14),
            statement: optional(19).map(|sql| sql.chars().take(STATEMENT).collect()),
            application: field(22),
        })
    }
}

/// `2026-11-23 08:01:02.123 UTC`, the zone left aside.
fn time(text: &str) -> Option<i64> {
    let (date_time, _) = text.rsplit_once(' ')?;
    let parsed = NaiveDateTime::parse_from_str(date_time, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(parsed.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(log: &[u8], database: &str) -> Result<Vec<LogRecord>, EvidenceError> {
        let mut passage = Passage::new(b"sentinel");
        passage.take(log)?;
        let mut log = ServerLog {
            text: passage.text,
            database: database.to_owned(),
            to_utc_us: 0,
        };
        log.records()?.collect()
    }

    #[test]
    fn a_deadlock_check_that_found_none_is_read_from_its_line() {
        let line = |message: &str| {
            format!(
                "2026-11-23 08:01:02.123 UTC,\"u\",\"db\",77,\"127.0.0.1:1\",6741f00e.4d,1,\"UPDATE\",\
2026-11-23 08:01:00 UTC,3/4,0,LOG,00000,\"process 77 {message} ShareLock on transaction 5 after 10.1 ms\",\"x\""
            )
        };
        let at = time("2026-11-23 08:01:02.123 UTC").unwrap();
        for (message, wanted) in [
            ("still waiting for", Some((77, at))),
            ("avoided deadlock for", Some((77, at))),
            ("detected deadlock while waiting for", None),
            ("acquired", None),
        ] {
            assert_eq!(check_in(line(message).as_bytes()), wanted, "{message}");
        }
        assert_eq!(check_in(b"and statement two\","), None);
    }

    #[test]
    fn a_record_over_several_lines_is_one_and_other_databases_are_left_out() {
        let log = "2026-11-23 08:01:02.123 UTC,\"u\",\"db\",77,\"127.0.0.1:1\",6741f00e.4d,1,\"INSERT\",\
2026-11-23 08:01:00 UTC,3/4,0,ERROR,23503,\"violates \"\"x\"\"\nsecond line\",\"Key (a)=(1)\",,,,,\"insert into t\nvalues (1)\",,,\"psql\",\"client backend\",,0\n\
2026-11-23 08:01:02.124 UTC,\"u\",\"other\",78,,6741f00e.4e,1,\"\",2026-11-23 08:01:00 UTC,,0,LOG,00000,\"x\",,,,,,,,,\"\",\"\",,0\n";
        let records = parse(log.as_bytes(), "db").unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].pid, 77);
        assert_eq!(records[0].started_s, 0x6741_f00e);
        assert_eq!(records[0].sqlstate, "23503");
        assert_eq!(records[0].message, "violates \"x\"\nsecond line");
        assert_eq!(
            records[0].statement.as_deref(),
            Some("insert into t\nvalues (1)")
        );
        assert_eq!(
            records[0].server_us,
            time("2026-11-23 08:01:02.123 UTC").unwrap()
        );
    }

    /// A fuzz target: whatever stands in the log, it is read or refused, and no line of another
    /// database is taken.
    #[test]
    fn any_log_is_read_or_refused() {
        let line = "2026-11-23 08:01:02.123 UTC,\"u\",\"db\",77,\"127.0.0.1:1\",6741f00e.4d,1,\"UPDATE\",\
            2026-11-23 08:01:02 UTC,3/4,0,ERROR,23503,\"insert or update on \"\"t\"\"\nsays\",\"Key\",,,,,\
            \"insert into t values ('a,b')\",,,\"a.0\",\"client backend\",,0\n";
        let other = line.replace("\"db\"", "\"elsewhere\"");
        let check = "2026-11-23 08:01:02.123 UTC,\"u\",\"db\",77,\"127.0.0.1:1\",6741f00e.4d,1,\"S\",\
            2026-11-23 08:01:02 UTC,3/4,0,LOG,00000,\"process 77 still waiting for ShareLock\",,,,,,,,,\"\",\"client backend\",,0\n";
        let seeds: Vec<Vec<u8>> = [line.to_owned(), format!("{other}{line}{check}")]
            .map(String::into_bytes)
            .into();
        bolero::check!()
            .with_type::<crate::edits::Drawn>()
            .for_each(|drawn| {
                let log = crate::edits::edited(&seeds, drawn);
                for line in log.split(|byte| *byte == b'\n') {
                    check_in(line);
                }
                if let Ok(records) = parse(&log, "db") {
                    assert!(records.iter().all(|record| record.database == "db"));
                    assert!(records.len() <= log.iter().filter(|byte| **byte == b'\n').count() + 1);
                }
            });
    }
}
