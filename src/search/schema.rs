//! A schema made real in a template database.
//!
//! Owns how the parts of a script are sent, and how a refusal is told. What the parts are is decided in `script`.

use std::time::Duration;

use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

use super::error::TrialError;
use super::script::{Part, Refused, Script, refused, script, statements};
use crate::server::{Database, Server};
use crate::sql::beginnings;

/// The longest that a schema may take.
const SCHEMA_LIMIT: Duration = Duration::from_secs(120);
/// How much of a table's rows is sent at once.
const CHUNK: usize = 64 * 1024;

/// Runs a schema in a database; what was left out of it, in words.
pub(super) async fn apply(
    server: &Server,
    database: &Database,
    name: &str,
    sql: &str,
) -> Result<Vec<String>, TrialError> {
    let script = script(sql);
    let failed = |line: Option<usize>, why: String| {
        let shown = line
            .and_then(|line| Some((line, sql.lines().nth(line - 1)?)))
            .map(|(line, text)| format!("\n  {line} | {}", text.trim_end()))
            .unwrap_or_default();
        TrialError::Schema {
            name: name.to_owned(),
            line,
            why: why + &shown + &advice(&script, line, sql, server),
        }
    };
    let client = server.connect(&database.name).await?;
    let mut applied = Applied::default();
    let all = async {
        for part in &script.parts {
            match part {
                Part::Sql { text, line } if script.dumped => {
                    applied.one_by_one(&client, text, *line).await?;
                }
                Part::Sql { text, line } => applied.at_once(&client, text, *line).await?,
                Part::Copy {
                    statement,
                    rows,
                    line,
                } => applied.rows(&client, statement, rows, *line).await?,
            }
        }
        Ok::<(), Stopped>(())
    };
    match tokio::time::timeout(SCHEMA_LIMIT, all).await {
        Ok(Ok(())) => Ok(applied.left_out(&script, server)),
        Ok(Err(Stopped { line, error })) => Err(failed(line, crate::evidence::driver_text(&error))),
        Err(_) => Err(failed(
            None,
            format!("it did not end within {} s", SCHEMA_LIMIT.as_secs()),
        )),
    }
}

/// What helps where a script stopped.
fn advice(script: &Script<'_>, line: Option<usize>, sql: &str, server: &Server) -> String {
    let text = line.and_then(|line| sql.lines().nth(line - 1));
    if let Some(command) = text.filter(|text| text.starts_with('\\')) {
        let command = command.split_whitespace().next().unwrap_or_default();
        return format!(
            "\n{command} is a command of psql, and a schema is SQL. What pg_dump writes without --create has none; \
             what needs psql can be done by --prepare 'psql -f FILE'"
        );
    }
    let (Some(of), here) = (script.version, &server.facts().version) else {
        return String::new();
    };
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    match major(of) == major(here) {
        true => String::new(),
        false => format!(
            "\nThe dump is of PostgreSQL {of}, and the server is {here}: take a server of that version, or leave out \
             of the dump what this one does not know"
        ),
    }
}

/// Where a script stopped.
struct Stopped {
    line: Option<usize>,
    error: tokio_postgres::Error,
}

/// What became of the statements of a dump that a server may refuse.
#[derive(Default)]
struct Applied {
    settings: Vec<String>,
    roles: u32,
}

impl Applied {
    /// A whole text in one go, as a script of one's own may want it.
    async fn at_once(
        &self,
        client: &tokio_postgres::Client,
        text: &str,
        line: usize,
    ) -> Result<(), Stopped> {
        let mut completed = 0;
        let done = execute(client, text, &mut completed).await;
        done.map_err(|error| Stopped {
            line: line_of(&error, text, completed).map(|at| at + line - 1),
            error,
        })
    }

    /// Statement by statement, as psql does it; what nothing depends on may be refused.
    async fn one_by_one(
        &mut self,
        client: &tokio_postgres::Client,
        text: &str,
        line: usize,
    ) -> Result<(), Stopped> {
        for (line, statement) in statements(text, line) {
            let mut completed = 0;
            let Err(error) = execute(client, statement, &mut completed).await else {
                continue;
            };
            let sqlstate = error
                .code()
                .map_or("", tokio_postgres::error::SqlState::code);
            match refused(statement, sqlstate) {
                Refused::UnknownSetting => {
                    let name = statement.split_whitespace().nth(1).unwrap_or_default();
                    self.settings.push(name.to_owned());
                }
                Refused::ForeignRole => self.roles += 1,
                Refused::SchemaIsThere => {}
                Refused::ForGood => {
                    let line = line_of(&error, statement, completed).map(|at| at + line - 1);
                    return Err(Stopped { line, error });
                }
            }
        }
        Ok(())
    }

    async fn rows(
        &self,
        client: &tokio_postgres::Client,
        statement: &str,
        rows: &str,
        line: usize,
    ) -> Result<(), Stopped> {
        let copied = async {
            let sink = client.copy_in::<_, bytes::Bytes>(statement).await?;
            let mut sink = std::pin::pin!(sink);
            for chunk in rows.as_bytes().chunks(CHUNK) {
                sink.send(bytes::Bytes::copy_from_slice(chunk)).await?;
            }
            sink.finish().await
        };
        copied.await.map(drop).map_err(|error| Stopped {
            line: Some(line),
            error,
        })
    }

    fn left_out(self, script: &Script<'_>, server: &Server) -> Vec<String> {
        let mut told = Vec::new();
        if !self.settings.is_empty() {
            told.push(format!(
                "the dump{} sets {}, which PostgreSQL {} does not know: left out",
                script
                    .version
                    .map_or_else(String::new, |version| format!(" (of PostgreSQL {version})")),
                self.settings.join(", "),
                server.facts().version
            ));
        }
        if self.roles > 0 {
            told.push(format!(
                "the dump gives owners or privileges to roles that are not there: {} of its statements left out \
                 (pg_dump --no-owner --no-privileges writes none)",
                self.roles
            ));
        }
        told
    }
}

/// Runs all statements of a text, and counts those that are done.
async fn execute(
    client: &tokio_postgres::Client,
    sql: &str,
    completed: &mut usize,
) -> Result<(), tokio_postgres::Error> {
    let mut messages = std::pin::pin!(client.simple_query_raw(sql).await?);
    while let Some(message) = messages.try_next().await? {
        if matches!(message, SimpleQueryMessage::CommandComplete(_)) {
            *completed += 1;
        }
    }
    Ok(())
}

/// The line that an error is about: where the server says it is, else where the statement begins
/// that comes after those that are done.
fn line_of(error: &tokio_postgres::Error, sql: &str, completed: usize) -> Option<usize> {
    let db = error.as_db_error()?;
    let before = match db.position() {
        Some(ErrorPosition::Original(position)) => {
            let characters = usize::try_from(*position).ok()?.saturating_sub(1);
            sql.char_indices()
                .nth(characters)
                .map_or(sql.len(), |(at, _)| at)
        }
        _ => *beginnings(sql).get(completed)?,
    };
    Some(sql[..before].matches('\n').count() + 1)
}
